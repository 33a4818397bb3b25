"""Fixtures of the Python lanes: a certificate authority, servers over http and TLS, a PostgreSQL."""

import json
import os
import subprocess

import pytest

from certificates import Authority
from servers import DOMAIN, REPOSITORY, TLS_HOSTS, Server


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


@pytest.fixture(scope="session")
def postgres() -> str:
    """The PostgreSQL of the lane, or of the run, or one that ends with this process."""
    lane = os.environ.get("TIDELOCK_TEST_META", "")
    url = lane if lane.startswith("postgres") else os.environ.get("TIDELOCK_TEST_POSTGRES")
    if url:
        return url
    # Not one of pytest's directories: whoever runs PostgreSQL must reach it.
    directory = subprocess.check_output(["mktemp", "-d"], text=True).strip()
    command = [REPOSITORY / "scripts/postgres-cluster", "start", directory]
    return json.loads(subprocess.check_output([*command, "--watch", str(os.getpid())]))["url"]
