"""The AWS CLI as a client: what a person types."""

import itertools
import os
import random
import subprocess
import sys

import pytest

_numbers = itertools.count()


class Cli:
    """The AWS CLI as root against one server."""

    def __init__(self, server, config):
        self.server = server
        # Without it this CLI presigns with Signature Version 2.
        config.write_text("[default]\ns3 =\n  signature_version = s3v4\n")
        self.environment = server.environment() | {
            "AWS_CONFIG_FILE": str(config), "AWS_DEFAULT_REGION": "us-east-1",
        }

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "awscli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, f"aws {arguments}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")


@pytest.fixture
def aws(server, tmp_path) -> Cli:
    """The AWS CLI."""
    return Cli(server, tmp_path / "aws-config")


@pytest.fixture
def bucket(aws) -> str:
    """A new bucket, made by the AWS CLI."""
    name = f"cli-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{next(_numbers)}"
    aws("s3", "mb", f"s3://{name}")
    return name


def test_copy_list_and_remove(aws, bucket, tmp_path):
    (tmp_path / "given").write_bytes(b"one")
    aws("s3", "cp", str(tmp_path / "given"), f"s3://{bucket}/dir/k")
    assert bucket in aws("s3", "ls")
    assert "PRE dir/" in aws("s3", "ls", f"s3://{bucket}")
    assert "3 dir/k" in aws("s3", "ls", f"s3://{bucket}", "--recursive")
    aws("s3", "cp", f"s3://{bucket}/dir/k", str(tmp_path / "taken"))
    assert (tmp_path / "taken").read_bytes() == b"one"
    aws("s3", "mv", f"s3://{bucket}/dir/k", f"s3://{bucket}/moved")
    assert aws("s3", "ls", f"s3://{bucket}", "--recursive").split()[-1] == "moved"
    aws("s3", "rm", f"s3://{bucket}/moved")
    aws("s3", "rb", f"s3://{bucket}")
    assert "NoSuchBucket" in aws("s3api", "list-objects-v2", "--bucket", bucket, code=255)


def test_a_file_of_20_mib(aws, bucket, tmp_path):
    body = random.Random(1).randbytes(20 << 20)
    (tmp_path / "given").write_bytes(body)
    aws("s3", "cp", str(tmp_path / "given"), f"s3://{bucket}/k")
    aws("s3", "cp", f"s3://{bucket}/k", str(tmp_path / "taken"))
    assert (tmp_path / "taken").read_bytes() == body


def test_sync(aws, bucket, tmp_path):
    for name in ("a", "b/c", "b/d e"):
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    aws("s3", "sync", str(tmp_path / "given"), f"s3://{bucket}/copy")
    assert aws("s3", "sync", str(tmp_path / "given"), f"s3://{bucket}/copy") == "", "nothing to do"
    aws("s3", "sync", f"s3://{bucket}/copy", str(tmp_path / "taken"))
    assert (tmp_path / "taken/b/d e").read_text() == "b/d e"


def test_removing_everything_in_a_versioned_bucket(aws, bucket, tmp_path):
    aws("s3api", "put-bucket-versioning", "--bucket", bucket,
        "--versioning-configuration", "Status=Enabled")
    (tmp_path / "given").write_text("one")
    for key in ("app/terraform.tfstate", "env:/dev/app/terraform.tfstate"):
        aws("s3", "cp", str(tmp_path / "given"), f"s3://{bucket}/{key}")
    removed = aws("s3", "rm", f"s3://{bucket}", "--recursive")
    assert removed.count("delete:") == 2
    assert aws("s3", "ls", f"s3://{bucket}", "--recursive", code=0) == ""
    versions = aws("s3api", "list-object-versions", "--bucket", bucket)
    assert versions.count('"ETag"') == 2 and '"DeleteMarkers"' in versions
    assert "BucketNotEmpty" in aws("s3", "rb", f"s3://{bucket}", code=1)


def test_presign_and_conditions(aws, bucket, tmp_path):
    (tmp_path / "given").write_text("one")
    put = ("s3api", "put-object", "--bucket", bucket, "--key", "k", "--body",
           str(tmp_path / "given"), "--if-none-match", "*")
    aws(*put)
    assert "PreconditionFailed" in aws(*put, code=255)
    assert "X-Amz-Signature" in aws("s3", "presign", f"s3://{bucket}/k")
    assert "000000000000" in aws(
        "sts", "get-caller-identity", "--endpoint-url", aws.server.endpoint
    )
