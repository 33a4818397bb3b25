"""Fixtures of both Python lanes: a certificate authority, and servers over http and TLS."""

import pytest

from certificates import Authority
from servers import DOMAIN, TLS_HOSTS, Server


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    """The certificate authority of this run."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def http_server(tmp_path_factory):
    """A server over plain http."""
    server = Server.start(tmp_path_factory.mktemp("http") / "data")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory, authority):
    """A server over TLS that also answers for virtual hosts."""
    certificate, key = authority.issue("server", TLS_HOSTS)
    server = Server.start(
        tmp_path_factory.mktemp("tls") / "data",
        "--tls-cert", str(certificate),
        "--tls-key", str(key),
        "--domain", DOMAIN,
        ca_bundle=str(authority.bundle),
    )
    yield server
    assert server.stop() == 0


@pytest.fixture(params=["http", "tls"])
def server(request) -> Server:
    """A server over each transport."""
    return request.getfixturevalue(f"{request.param}_server")
