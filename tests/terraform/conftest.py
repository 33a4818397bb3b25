"""Sites of every Terraform over every transport and engine."""

from dataclasses import replace
from pathlib import Path

import pytest

from servers import Server
from sites import FIRST, TERRAFORMS, Site, site_at

# Every Terraform over every transport; and for the long tests each once, on opposite corners.
ALL_SITES = [f"{name}-{transport}" for name in sorted(TERRAFORMS) for transport in ("http", "tls")]
SOME_SITES = sorted({f"{FIRST}-http", "lib-tls"})


def _site(request, tmp_path: Path) -> Site:
    name, transport = request.param.split("-")
    return site_at(TERRAFORMS[name], request.getfixturevalue(f"{transport}_server"), tmp_path)


@pytest.fixture(params=ALL_SITES)
def site(request, tmp_path) -> Site:
    """Every Terraform over every transport."""
    return _site(request, tmp_path)


@pytest.fixture(params=SOME_SITES)
def some_site(request, tmp_path) -> Site:
    """The opposite corners, for tests that take long."""
    return _site(request, tmp_path)


@pytest.fixture(params=[f"{name}-http" for name in sorted(TERRAFORMS)])
def http_site(request, tmp_path) -> Site:
    """Every Terraform, over http only (a proxy reads along)."""
    return _site(request, tmp_path)


@pytest.fixture(params=[f"{name}-tls" for name in sorted(TERRAFORMS)])
def tls_site(request, tmp_path) -> Site:
    """Every Terraform, over TLS only."""
    return _site(request, tmp_path)


@pytest.fixture(scope="session")
def two_servers(postgres, tmp_path_factory):
    """Two servers with one store and one keyring."""
    data = tmp_path_factory.mktemp("shared") / "data"
    servers = [Server.start(data, engine=postgres) for _ in range(2)]
    yield servers
    assert [server.stop() for server in servers] == [0, 0]


@pytest.fixture(params=sorted(TERRAFORMS))
def two_sites(request, two_servers, tmp_path) -> list[Site]:
    """The same bucket through both servers."""
    site = site_at(TERRAFORMS[request.param], two_servers[0], tmp_path / "one")
    return [site, replace(site, server=two_servers[1], path=tmp_path / "other")]
