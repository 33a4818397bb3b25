"""The Debian package: built from the binary under test, and what it puts where."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from servers import REPOSITORY

SCRIPTS = REPOSITORY / "packaging/debian"
FILES = {
    "usr/bin/tidelock": 0o755,
    "lib/systemd/system/tidelock.service": 0o644,
    "etc/tidelock/tidelock.toml": 0o644,
    "usr/share/bash-completion/completions/tidelock": 0o644,
    "usr/share/zsh/vendor-completions/_tidelock": 0o644,
    "usr/share/fish/vendor_completions.d/tidelock.fish": 0o644,
    "usr/share/man/man1/tidelock.1.gz": 0o644,
    "usr/share/man/man1/tidelock-serve.1.gz": 0o644,
    "usr/share/doc/tidelock/README.md": 0o644,
    "usr/share/doc/tidelock/copyright": 0o644,
}

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg-deb")


@pytest.fixture(scope="module")
def package(archive, tmp_path_factory) -> Path:
    """The package, unpacked."""
    root = tmp_path_factory.mktemp("package")
    subprocess.run(["dpkg-deb", "--raw-extract", archive, root], check=True)
    return root


def test_files_are_where_debian_looks_for_them(package):
    for name, mode in FILES.items():
        assert (package / name).stat().st_mode & 0o777 == mode, name
    pages = [page.name for page in (package / "usr/share/man/man1").iterdir()]
    assert len(pages) > 40, pages
    page = gzip.decompress((package / "usr/share/man/man1/tidelock-lock-release.1.gz").read_bytes())
    assert b".TH tidelock-lock-release" in page
    version = subprocess.check_output([package / "usr/bin/tidelock", "--version"], text=True)
    assert version.split() == ["tidelock", field(package, "Version")]


def field(package: Path, name: str) -> str:
    """A field of the control file."""
    lines = (package / "DEBIAN/control").read_text().splitlines()
    return next(line.split(": ", 1)[1] for line in lines if line.startswith(f"{name}: "))


def test_the_settings_of_an_operator_survive_an_upgrade(package):
    assert (package / "DEBIAN/conffiles").read_text() == "/etc/tidelock/tidelock.toml\n"
    assert "adduser" in field(package, "Depends")


def test_scripts_are_shell(package):
    for script in sorted(SCRIPTS.iterdir()):
        if script.name != "copyright":
            subprocess.run(["sh", "-n", script], check=True)
            assert os.access(package / "DEBIAN" / script.name, os.X_OK), script.name


def test_the_metadata_is_what_cargo_deb_takes():
    """Assets that are in the repository are there; what is made is made by scripts/package."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--locked", "--offline"]
    packages = json.loads(subprocess.check_output(command, cwd=REPOSITORY))["packages"]
    (deb,) = [it["metadata"]["deb"] for it in packages if it["name"] == "tidelock-cli"]
    for source, _, _ in deb["assets"]:
        made = source.startswith("target/") or source.startswith("../../target/package/")
        assert made or (REPOSITORY / "crates/cli" / source).exists(), source


def test_secrets_are_made_once(package, tmp_path):
    """The script of the installation, with /etc and the user's tools of the test's own."""
    script = (package / "DEBIAN/postinst").read_text()
    script = script.replace("/etc/tidelock", str(tmp_path)).replace("/run/systemd/system", "/none")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("getent", "adduser"):
        (tools / tool).write_text("#!/bin/sh\nexit 0\n")
        (tools / tool).chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
    seen = []
    for _ in range(2):
        subprocess.run(["sh", "-c", script, "postinst", "configure"], env=environment, check=True)
        seen.append({name: (tmp_path / name).read_text() for name in ("keyring", "root-secret-key")})
    assert seen[0] == seen[1]
    for name in seen[0]:
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    # The server takes them.
    command = [package / "usr/bin/tidelock", "admin", "config", "check", "--data", tmp_path / "data"]
    command += ["--listen", "127.0.0.1:0", "--keyring", tmp_path / "keyring", "--root-access-key", "root"]
    command += ["--root-secret-key-file", tmp_path / "root-secret-key", "-o", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
