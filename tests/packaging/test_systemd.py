"""The unit file as systemd's own tools read it, and the sample configuration as the server reads it."""

import re
import shutil
import subprocess

import pytest

from servers import REPOSITORY, binary, clean_environment
from units import EXPOSURE_MAX, exposure, settings

UNIT = REPOSITORY / "packaging/systemd/tidelock.service"
SAMPLE = REPOSITORY / "packaging/systemd/tidelock.toml"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze"
)


@needs_systemd
def test_systemd_takes_the_unit(tmp_path):
    # It looks for the program where the package puts it.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/tidelock", binary()))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "tidelock" not in done.stderr, done.stderr


@needs_systemd
def test_little_is_left_to_the_service():
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", UNIT], capture_output=True, text=True, timeout=60
    )
    assert exposure(done.stdout) <= EXPOSURE_MAX, done.stdout


def test_the_unit_waits_as_long_as_the_server_needs():
    said = settings(UNIT.read_text())
    assert said["Type"] == ["notify"]
    # A drain of 25 s, a minute for PostgreSQL.
    assert int(said["TimeoutStopSec"][0]) >= 30 and int(said["TimeoutStartSec"][0]) >= 90
    variables = [line.split("=", 1) for line in said["Environment"]]
    loaded = [line.split(":", 1)[0] for line in said["LoadCredential"]]
    assert sorted([value.removeprefix("%d/") for _, value in variables] + ["keyring"]) == sorted(loaded)
    documented = (REPOSITORY / "docs/operating.md").read_text()
    for name, _ in variables:
        assert f"`{name}`" in documented, name


def test_the_sample_configures_a_server(tmp_path):
    """With the credentials that the unit hands over, as a file of its own each."""
    (tmp_path / "keyring").write_text("1:" + "A" * 43 + "=\n")
    (tmp_path / "keyring").chmod(0o440)
    (tmp_path / "root-secret-key").write_text("a secret of some length\n")
    environment = clean_environment() | {"CREDENTIALS_DIRECTORY": str(tmp_path)} | {
        name: value.replace("%d", str(tmp_path))
        for name, value in (line.split("=", 1) for line in settings(UNIT.read_text())["Environment"])
    }
    command = [binary(), "admin", "config", "check", "--config", SAMPLE, "--data", tmp_path / "data"]
    command += ["--listen", "127.0.0.1:0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_sample_only_suggests_is_right_too(tmp_path):
    """Every setting that is commented out, taken in."""
    suggested = re.findall(r"^# (\w+ = .*)$", SAMPLE.read_text(), re.MULTILINE)
    keys = [line.split()[0] for line in suggested]
    assert len(keys) > 5
    secret = tmp_path / "secret"
    secret.write_text("a secret of some length\n")
    meta = tmp_path / "meta"
    meta.write_text("local\n")
    taken = tmp_path / "tidelock.toml"
    taken.write_text("\n".join(suggested).replace("/etc/tidelock/oidc-secret", str(secret)))
    command = [binary(), "admin", "config", "show", "--config", taken, "-o", "jsonl"]
    command += ["--metrics-token-file", secret, "--meta-file", meta]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for key in keys:
        assert f'"key":"{key}"' in done.stdout, (key, done.stdout)
    assert "of some length" not in done.stdout
