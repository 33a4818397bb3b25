"""TLS: protocols offered, and certificates changed while the server runs."""

import signal
import socket
import ssl
import time

import pytest

from servers import Server

RELOAD_SECONDS_MAX = 30


def served(server, authority) -> tuple[str, str | None]:
    """The common name of the certificate a new connection is given, and the protocol it agrees on."""
    context = ssl.create_default_context(cafile=str(authority.bundle))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as stream:
            subject = dict(pair for entry in stream.getpeercert()["subject"] for pair in entry)
            return subject["commonName"], stream.selected_alpn_protocol()


@pytest.fixture
def files(authority, tmp_path):
    """Certificate and key as a server is given them; `put` replaces them."""

    class Files:
        certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"

        def put(self, name: str) -> None:
            certificate, key = authority.issue(name, ["localhost", "127.0.0.1"])
            self.key.write_bytes(key.read_bytes())
            self.certificate.write_bytes(certificate.read_bytes())

    return Files()


@pytest.fixture
def own_server(files, authority, tmp_path):
    """A server whose certificate the test may change."""
    files.put("first")
    server = Server.start(
        tmp_path / "data", "--tls-cert", str(files.certificate), "--tls-key", str(files.key),
        ca_bundle=str(authority.bundle),
    )
    yield server
    assert server.stop() == 0


def test_http2_is_offered(own_server, authority):
    assert served(own_server, authority) == ("first", "h2")


@pytest.mark.parametrize("signalled", [True, False], ids=["on SIGHUP", "on change"])
def test_a_new_certificate_is_taken(own_server, files, authority, signalled):
    assert served(own_server, authority)[0] == "first"
    files.put("second")
    if signalled:
        own_server.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + RELOAD_SECONDS_MAX
    while served(own_server, authority)[0] != "second":
        assert time.monotonic() < end, "the old certificate is still served"
        time.sleep(0.2)


def test_a_bad_certificate_is_not_taken(own_server, files, authority):
    files.certificate.write_text("this is no certificate")
    before = len(own_server.log)
    own_server.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + RELOAD_SECONDS_MAX
    while len(own_server.log) == before:
        assert time.monotonic() < end, "nothing is said about it"
        time.sleep(0.1)
    assert served(own_server, authority)[0] == "first"


def test_an_unknown_authority_is_refused(own_server):
    with pytest.raises(ssl.SSLCertVerificationError):
        context = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", own_server.port), timeout=10) as plain:
            context.wrap_socket(plain, server_hostname="localhost")
