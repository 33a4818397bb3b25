"""S3 stores of others that can be had as packages: each starts on a free port and ends with its test."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from kinds import BIN, NODE_MODULES
from servers import STOP_SECONDS_MAX, Keys, clean_environment

START_SECONDS_MAX = 90
ANSWER_SECONDS_MAX = 5
KEYS = Keys("STOREACCESSKEY000001", "secret-of-the-stores-of-others-0001")


class Store:
    """A running store."""

    # What is run, and what it comes from.
    program: Path
    source = "tests/requirements.txt"
    keys = KEYS

    @classmethod
    def start(cls, home: Path) -> "Store":
        """Starts, and waits until it answers; a test whose store cannot be had is skipped with a word."""
        if not cls.program.exists():
            pytest.skip(f"{cls.program.name} ({cls.source}) is not installed")
        return cls(home)

    def __init__(self, home: Path):
        self.home, self.port = home, free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = (home / "log").open("w+")
        self.process = subprocess.Popen(
            self.command(),
            cwd=home,
            env=clean_environment() | {"HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + START_SECONDS_MAX
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                self.log.seek(0)
                raise RuntimeError(f"{self.program.name} did not start:\n{self.log.read()}")
            time.sleep(0.2)

    def command(self) -> list[str]:
        """What starts it on `port`, with its data below `home`."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether S3 is answered."""
        try:
            urllib.request.urlopen(self.endpoint, timeout=ANSWER_SECONDS_MAX).close()
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Moto(Store):
    """moto's server, in memory."""

    program = BIN / "moto_server"

    def command(self):
        return [str(self.program), "-H", "127.0.0.1", "-p", str(self.port)]


class SeaweedFs(Store):
    """SeaweedFS, all of it in one process."""

    program = BIN / "weed"

    def command(self):
        identity = {
            "name": "doctor",
            "credentials": [{"accessKey": KEYS.access, "secretKey": KEYS.secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config = self.home / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        data = self.home / "data"
        data.mkdir()
        ports = {name: free_port() for name in ("master", "volume", "filer")}
        return [
            str(self.program), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-s3", f"-s3.port={self.port}", f"-s3.config={config}", "-master.volumeSizeLimitMB=64",
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-{name}.port.grpc={free_port()}" for name in ports), f"-s3.port.grpc={free_port()}",
        ]


class S3rver(Store):
    """s3rver, a server for tests in JavaScript."""

    program = NODE_MODULES / "s3rver/bin/s3rver.js"
    source = "tests/clients/package.json"
    keys = Keys("S3RVER", "S3RVER")

    @classmethod
    def start(cls, home):
        if not shutil.which("node"):
            pytest.skip("node is not installed")
        return super().start(home)

    def command(self):
        flags = ["-d", str(self.home), "-a", "127.0.0.1", "-p", str(self.port), "-s"]
        return ["node", str(self.program), *flags, "--no-vhost-buckets"]


class S3sFs(Store):
    """s3s-fs, where `TIDELOCK_TEST_S3S_FS` names it: it has no package but its source."""

    program = Path(os.environ.get("TIDELOCK_TEST_S3S_FS", "s3s-fs"))
    source = "TIDELOCK_TEST_S3S_FS"

    def command(self):
        keys = ["--access-key", KEYS.access, "--secret-key", KEYS.secret]
        return [str(self.program), *keys, "--host", "127.0.0.1", "--port", str(self.port), str(self.home)]


def free_port() -> int:
    """A port that nobody listens on now. Low, as SeaweedFS may add 10,000 to one."""
    while True:
        port = 20_000 + int.from_bytes(os.urandom(2)) % 10_000
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
