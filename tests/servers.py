"""The `tidelock` binary as a process of the Python lanes, and who may speak to it."""

import hashlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from botocore.config import Config

ROOT_ACCESS_KEY = "ROOTROOTROOTROOT0001"
ROOT_SECRET_KEY = "root-secret-of-the-black-box-tests-0001"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
REPOSITORY = Path(__file__).resolve().parent.parent
# Names under `.test` never resolve on their own (RFC 6761); the Terraform lane leads them here.
DOMAIN = "s3.tidelock.test"
TLS_HOSTS = ["127.0.0.1", "localhost", DOMAIN, f"*.{DOMAIN}"]
READY = "tidelock: listening on "


def binary() -> str:
    """The binary under test."""
    return os.environ.get("TIDELOCK_BINARY", str(REPOSITORY / "target/debug/tidelock"))


def engine_flags(data: Path, engine: str | None = None) -> list[str]:
    """The flags of a server with this data directory, over an engine as `TIDELOCK_TEST_META` names it, and
    over the one it names when none is given. On PostgreSQL each directory has a schema of its own; it is
    left there, and goes with the cluster."""
    engine = engine or os.environ.get("TIDELOCK_TEST_META") or "local"
    if engine == "local":
        return []
    if engine != "memory":
        schema = "t" + hashlib.sha256(f"{os.getpid()}:{data}".encode()).hexdigest()[:24]
        engine += f"{'&' if '?' in engine else '?'}schema={schema}"
    return ["--meta", engine]


def clean_environment() -> dict[str, str]:
    """The environment without this machine's own settings for AWS, Terraform, Tidelock and TLS."""
    foreign = ("AWS_", "TF_", "TIDELOCK_", "SSL_CERT", "REQUESTS_CA", "CURL_CA", "HTTP", "NO_PROXY")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(foreign)}
    return kept | {"AWS_EC2_METADATA_DISABLED": "true"}


@dataclass(frozen=True)
class Keys:
    """An access key and its secret."""

    access: str
    secret: str

    def environment(self) -> dict[str, str]:
        """The variables every AWS client reads."""
        return {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret}


ROOT = Keys(ROOT_ACCESS_KEY, ROOT_SECRET_KEY)


@dataclass
class Server:
    """A running server; `stop` ends it."""

    process: subprocess.Popen
    endpoint: str
    ca_bundle: str | None = None
    log: list[str] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        data: Path,
        *flags: str,
        engine: str | None = None,
        ca_bundle: str | None = None,
        variables: dict[str, str] | None = None,
    ) -> "Server":
        """Starts on a free port of this machine, over the engine of the lane when none is named, and waits
        until it listens."""
        command = [binary(), "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
        command += [*engine_flags(data, engine), *flags]
        environment = clean_environment() | {
            "TIDELOCK_ROOT_ACCESS_KEY": ROOT_ACCESS_KEY,
            "TIDELOCK_ROOT_SECRET_KEY": ROOT_SECRET_KEY,
        } | (variables or {})
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        server = cls(process, "", ca_bundle)
        listening = threading.Event()
        threading.Thread(target=server._follow, args=(listening,), daemon=True).start()
        if not listening.wait(START_SECONDS_MAX) or not server.endpoint:
            process.kill()
            raise RuntimeError("the server did not start:\n" + "\n".join(server.log))
        return server

    def _follow(self, listening: threading.Event) -> None:
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if READY in line and not self.endpoint:
                self.endpoint = line.split(READY, 1)[1].strip()
                listening.set()
        listening.set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.endpoint.rsplit(":", 1)[1])

    def environment(self, keys: Keys = ROOT) -> dict[str, str]:
        """What a client of this server runs with."""
        variables = clean_environment() | keys.environment()
        variables |= {"AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_REGION": "us-east-1"}
        if self.ca_bundle:
            variables["AWS_CA_BUNDLE"] = self.ca_bundle
        return variables

    def cli(self, *arguments: str, keys: Keys = ROOT) -> str:
        """Runs a command of `tidelock` against this server; its standard output."""
        done = subprocess.run(
            [binary(), *arguments],
            env=self.environment(keys),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"tidelock {arguments}: {done.stderr}"
        return done.stdout

    def user(self, name: str) -> Keys:
        """Makes a user with one key."""
        self.cli("user", "create", name)
        made = json.loads(self.cli("key", "create", "--user", name, "-o", "json"))
        access = made.get("access_key_id") or made["access_key"]
        return Keys(access, made.get("secret_access_key") or made["secret_key"])

    def s3(self, keys: Keys = ROOT, **options):
        """A boto3 client; no retries, so that every answer is seen."""
        config = Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **options
        )
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=keys.access,
            aws_secret_access_key=keys.secret,
            region_name="us-east-1",
            verify=self.ca_bundle or True,
            config=config,
        )

    def stop(self) -> int:
        """SIGTERM, and waits; the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
