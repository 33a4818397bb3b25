"""Clients of S3 that others wrote, each as one class with the same few verbs. A class has a verb only when
its client has it; what a client refuses is a `Refused` with what it shows a person."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, CopySource, Tags
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

from servers import REPOSITORY, ROOT, Keys, Server

REGION = "us-east-1"
PART_MEBIBYTES = 5
COMMAND_SECONDS_MAX = 120
BIN = Path(sys.executable).parent
SDK = Path(__file__).parent / "sdk.cjs"
# The SDK's own demand.
NODE_VERSION_MIN = 20
# Where `scripts/test` puts the packages of `package.json`.
NODE_MODULES = REPOSITORY / ".cache/node/node_modules"


class Refused(Exception):
    """A client's own words for what it could not do."""


class Kind:
    """A client as somebody against one server; `home` is a directory of its own."""

    # What the client shows: for an object, for a bucket that is not there; for a wrong secret; for a
    # bucket that is removed with an object in it.
    no_key = "NoSuchKey"
    no_bucket = "NoSuchBucket"
    wrong_secret = "SignatureDoesNotMatch"
    not_empty = "BucketNotEmpty"

    def __init__(self, server: Server, home: Path, keys: Keys = ROOT):
        self.server, self.home, self.keys = server, home, keys
        home.mkdir(exist_ok=True)
        self.environment = server.environment(keys) | {"HOME": str(home)}

    def run(self, *command: str) -> str:
        """Runs a command of the client; its standard output."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
        if done.returncode != 0:
            raise Refused(done.stdout + done.stderr)
        return done.stdout

    @classmethod
    def has(cls, verb: str) -> bool:
        """Whether this client has a verb."""
        return hasattr(cls, verb)


class S3cmd(Kind):
    """s3cmd. It lists no versions, and presigns with Signature Version 2 only, which is refused."""

    no_key = "does not exist"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        host = self.server.endpoint.split("://")[1]
        lines = {
            "access_key": self.keys.access,
            "secret_key": self.keys.secret,
            "host_base": host,
            "host_bucket": host,
            "use_https": self.server.ca_bundle is not None,
            "ca_certs_file": self.server.ca_bundle or "",
            "bucket_location": REGION,
            "multipart_chunk_size_mb": PART_MEBIBYTES,
            "progress_meter": False,
            "max_retries": 1,
        }
        text = "".join(f"{name} = {value}\n" for name, value in lines.items())
        (self.home / "s3cfg").write_text("[default]\n" + text)

    def s3cmd(self, *arguments: str) -> str:
        """One command of s3cmd."""
        return self.run(sys.executable, str(BIN / "s3cmd"), "-c", str(self.home / "s3cfg"), *arguments)

    def make(self, bucket):
        self.s3cmd("mb", f"s3://{bucket}")

    def put(self, bucket, key, path):
        self.s3cmd("put", str(path), f"s3://{bucket}/{key}")

    def get(self, bucket, key, path):
        self.s3cmd("get", "--force", f"s3://{bucket}/{key}", str(path))

    def list(self, bucket):
        lines = self.s3cmd("ls", "--recursive", f"s3://{bucket}").splitlines()
        return [line.split(f"s3://{bucket}/", 1)[1] for line in lines]

    def copy(self, bucket, key, to):
        self.s3cmd("cp", f"s3://{bucket}/{key}", f"s3://{bucket}/{to}")

    def delete(self, bucket, key):
        self.s3cmd("del", f"s3://{bucket}/{key}")

    def remove(self, bucket):
        self.s3cmd("rb", f"s3://{bucket}")

    def keep_versions(self, bucket):
        self.s3cmd("setversioning", f"s3://{bucket}", "enable")

    def tag(self, bucket, key, name, value):
        self.s3cmd("settagging", f"s3://{bucket}/{key}", f"{name}={value}")

    def tags(self, bucket, key):
        _, *lines = self.s3cmd("gettagging", f"s3://{bucket}/{key}").splitlines()
        return dict(tuple(word.strip() for word in line.split(":", 1)) for line in lines)

    def put_once(self, bucket, key, path):
        self.s3cmd("put", "--add-header", "If-None-Match:*", str(path), f"s3://{bucket}/{key}")


class Rclone(Kind):
    """rclone. It makes and removes directories: what is there already, or not any more, is fine."""

    # A key that is not there may be a directory of nothing.
    no_key = "nothing to transfer"
    no_bucket = "directory not found"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        settings = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ACCESS_KEY_ID": self.keys.access,
            "SECRET_ACCESS_KEY": self.keys.secret,
            "ENDPOINT": self.server.endpoint,
            "REGION": REGION,
            "UPLOAD_CUTOFF": f"{PART_MEBIBYTES}M",
            "CHUNK_SIZE": f"{PART_MEBIBYTES}M",
            # As it is for a provider that it knows to be S3.
            "USE_MULTIPART_ETAG": "true",
        }
        self.environment |= {f"RCLONE_CONFIG_T_{name}": value for name, value in settings.items()}
        self.environment |= {"RCLONE_RETRIES": "1", "RCLONE_LOW_LEVEL_RETRIES": "1"}
        if self.server.ca_bundle:
            self.environment["RCLONE_CA_CERT"] = self.server.ca_bundle

    def rclone(self, *arguments: str) -> str:
        """One command of rclone."""
        return self.run(str(BIN / "rclone"), "--config", "", *arguments)

    def make(self, bucket):
        self.rclone("mkdir", f"t:{bucket}")

    def put(self, bucket, key, path):
        self.rclone("copyto", str(path), f"t:{bucket}/{key}")

    def get(self, bucket, key, path):
        self.rclone("copyto", "--verbose", "--error-on-no-transfer", f"t:{bucket}/{key}", str(path))

    def list(self, bucket):
        return self.rclone("lsf", "--recursive", "--files-only", f"t:{bucket}").splitlines()

    def copy(self, bucket, key, to):
        self.rclone("copyto", f"t:{bucket}/{key}", f"t:{bucket}/{to}")

    def delete(self, bucket, key):
        self.rclone("deletefile", f"t:{bucket}/{key}")

    def remove(self, bucket):
        self.rclone("rmdir", f"t:{bucket}")

    def presign(self, bucket, key):
        return self.rclone("link", "--expire", "60s", f"t:{bucket}/{key}").strip()

    def keep_versions(self, bucket):
        self.rclone("backend", "versioning", f"t:{bucket}", "Enabled")

    def versions(self, bucket, key):
        """It names a version that is not the current one with its time in the key."""
        listed = self.rclone("lsf", "--s3-versions", f"t:{bucket}").splitlines()
        return len([name for name in listed if name.startswith(key)])

    def put_once(self, bucket, key, path):
        self.rclone(
            "copyto", "--ignore-times", "--header-upload", "If-None-Match: *",
            str(path), f"t:{bucket}/{key}",
        )


class S5cmd(Kind):
    """s5cmd: AWS's first SDK for Go."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        if self.server.ca_bundle:
            self.environment["SSL_CERT_FILE"] = self.server.ca_bundle

    def s5cmd(self, *arguments: str) -> str:
        """One command of s5cmd."""
        flags = ("--endpoint-url", self.server.endpoint, "--retry-count", "0")
        return self.run(str(BIN / "s5cmd"), *flags, *arguments)

    def make(self, bucket):
        self.s5cmd("mb", f"s3://{bucket}")

    def put(self, bucket, key, path):
        self.s5cmd("cp", "--part-size", str(PART_MEBIBYTES), str(path), f"s3://{bucket}/{key}")

    def get(self, bucket, key, path):
        self.s5cmd("cp", f"s3://{bucket}/{key}", str(path))

    def list(self, bucket):
        lines = self.s5cmd("--json", "ls", f"s3://{bucket}/*").splitlines()
        return [json.loads(line)["key"].split("/", 3)[3] for line in lines]

    def copy(self, bucket, key, to):
        self.s5cmd("cp", f"s3://{bucket}/{key}", f"s3://{bucket}/{to}")

    def delete(self, bucket, key):
        self.s5cmd("rm", f"s3://{bucket}/{key}")

    def remove(self, bucket):
        self.s5cmd("rb", f"s3://{bucket}")

    def presign(self, bucket, key):
        return self.s5cmd("presign", "--expire", "60s", f"s3://{bucket}/{key}").strip()

    def keep_versions(self, bucket):
        self.s5cmd("bucket-version", "--set", "Enabled", f"s3://{bucket}")

    def versions(self, bucket, key):
        return len(self.s5cmd("ls", "--all-versions", f"s3://{bucket}/{key}").splitlines())


class MinioPy(Kind):
    """MinIO's SDK for Python, in this process."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        secure = self.server.ca_bundle is not None
        pool = urllib3.PoolManager(ca_certs=self.server.ca_bundle, retries=False)
        self.client = Minio(
            self.server.endpoint.split("://")[1],
            access_key=self.keys.access,
            secret_key=self.keys.secret,
            region=REGION,
            secure=secure,
            http_client=pool,
        )

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        verbs = type(self).__dict__
        return told(found) if name in verbs and callable(found) else found

    def make(self, bucket):
        self.client.make_bucket(bucket)

    def put(self, bucket, key, path):
        self.client.fput_object(bucket, key, str(path), part_size=PART_MEBIBYTES << 20)

    def get(self, bucket, key, path):
        self.client.fget_object(bucket, key, str(path))

    def list(self, bucket):
        return [entry.object_name for entry in self.client.list_objects(bucket, recursive=True)]

    def copy(self, bucket, key, to):
        self.client.copy_object(bucket, to, CopySource(bucket, key))

    def delete(self, bucket, key):
        self.client.remove_object(bucket, key)

    def remove(self, bucket):
        self.client.remove_bucket(bucket)

    def presign(self, bucket, key):
        return self.client.presigned_get_object(bucket, key)

    def keep_versions(self, bucket):
        self.client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))

    def versions(self, bucket, key):
        return len(list(self.client.list_objects(bucket, prefix=key, include_version=True)))

    def tag(self, bucket, key, name, value):
        tags = Tags.new_object_tags()
        tags[name] = value
        self.client.set_object_tags(bucket, key, tags)

    def tags(self, bucket, key):
        return dict(self.client.get_object_tags(bucket, key))


def told(call):
    """The same call, whose refusals are told as those of a command."""

    def calling(*arguments):
        try:
            return call(*arguments)
        except S3Error as error:
            raise Refused(str(error)) from error

    return calling


class JavaScript(Kind):
    """The JavaScript SDK, version 3, through `sdk.cjs`: one operation a process."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.environment["NODE_PATH"] = str(NODE_MODULES)
        if self.server.ca_bundle:
            self.environment["NODE_EXTRA_CA_CERTS"] = self.server.ca_bundle

    def ask(self, operation: str, **given) -> dict:
        """One operation; `BodyFile` and `ToFile` name files."""
        return json.loads(self.run("node", str(SDK), operation, json.dumps(given)))

    def make(self, bucket):
        self.ask("CreateBucket", Bucket=bucket)

    def put(self, bucket, key, path):
        parts = {"partSize": PART_MEBIBYTES << 20}
        self.ask("Upload", Bucket=bucket, Key=key, BodyFile=str(path), options=parts)

    def get(self, bucket, key, path):
        self.ask("GetObject", Bucket=bucket, Key=key, ToFile=str(path))

    def list(self, bucket):
        return [entry["Key"] for entry in self.ask("ListObjectsV2", Bucket=bucket).get("Contents", [])]

    def copy(self, bucket, key, to):
        self.ask("CopyObject", Bucket=bucket, Key=to, CopySource=f"{bucket}/{quote(key)}")

    def delete(self, bucket, key):
        self.ask("DeleteObject", Bucket=bucket, Key=key)

    def remove(self, bucket):
        self.ask("DeleteBucket", Bucket=bucket)

    def presign(self, bucket, key):
        return self.ask("Presign", Bucket=bucket, Key=key)["url"]

    def keep_versions(self, bucket):
        self.ask("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def versions(self, bucket, key):
        listed = self.ask("ListObjectVersions", Bucket=bucket, Prefix=key)
        return len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", []))

    def tag(self, bucket, key, name, value):
        tagging = {"TagSet": [{"Key": name, "Value": value}]}
        self.ask("PutObjectTagging", Bucket=bucket, Key=key, Tagging=tagging)

    def tags(self, bucket, key):
        listed = self.ask("GetObjectTagging", Bucket=bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in listed}

    def put_once(self, bucket, key, path):
        self.ask("PutObject", Bucket=bucket, Key=key, BodyFile=str(path), IfNoneMatch="*")


def node_is_there() -> bool:
    """Whether the JavaScript SDK can run."""
    if shutil.which("node") is None or not (NODE_MODULES / "@aws-sdk/client-s3").is_dir():
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").split(".")[0]) >= NODE_VERSION_MIN


KINDS = {"s3cmd": S3cmd, "rclone": Rclone, "s5cmd": S5cmd, "minio-py": MinioPy, "javascript": JavaScript}
