"""`tidelock migrate` from other people's servers: moto's S3 and DynamoDB, PostgreSQL as Terraform's backend leaves it;
and from files. 200 states each, killed in between, finished, and run again for nothing."""

import glob
import json
import os
import signal
import subprocess
import time

import boto3
import pytest
from moto.server import ThreadedMotoServer

from servers import ROOT, binary

STATES = 200
SERIALS = (1, 2, 3)
SCHEMA = "terraform_remote_state"
WAIT_SECONDS_MAX = 30


def state(name: str, serial: int) -> bytes:
    """A state with one output."""
    output = {"value": f"{name} {serial}", "type": "string"}
    document = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": name}
    return json.dumps(document | {"outputs": {"a": output}, "resources": []}).encode()


@pytest.fixture(scope="module")
def moto():
    """The endpoint of a moto server: S3 and DynamoDB."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client_of(service: str, endpoint: str):
    """boto3 at moto, which lets everybody in."""
    key = {"aws_access_key_id": "AKIAMOTO", "aws_secret_access_key": "secret"}
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **key)


@pytest.fixture
def bucket(http_server, request) -> str:
    """A new guarded bucket with versions."""
    name = request.node.name.replace("_", "-")[:40]
    http_server.s3().create_bucket(Bucket=name)
    http_server.s3().put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": "Enabled"}
    )
    http_server.cli("bucket", "edit", name, "--guard", "enforce")
    return name


def migrate(server, *arguments: str) -> tuple[int, dict]:
    """One run: its exit status, and its rows by key."""
    command = [binary(), "migrate", *arguments, "-o", "json"]
    done = subprocess.run(
        command, env=server.environment(ROOT), capture_output=True, text=True, timeout=200
    )
    assert done.stdout, done.stderr
    return done.returncode, {row["key"]: row for row in json.loads(done.stdout)}


def kill_in_between(server, *arguments: str) -> None:
    """A run that dies by SIGKILL once it has told of some states: wherever it is by then."""
    command = [binary(), "migrate", *arguments, "-o", "jsonl"]
    for lines in (30, 41):
        process = subprocess.Popen(
            command, env=server.environment(ROOT), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for _ in range(lines):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL


def history(server, bucket: str, key: str) -> list:
    """Bodies and delete markers (none), oldest first."""
    listed = json.loads(server.cli("object", "version", "list", f"{bucket}/{key}", "-o", "json"))
    events = [entry for entry in reversed(listed) if entry["key"] == key]

    def body(entry):
        if entry["delete_marker"]:
            return None
        got = server.s3().get_object(Bucket=bucket, Key=key, VersionId=entry["version_id"])
        return got["Body"].read()

    return [body(entry) for entry in events]


def held_locks(server, bucket: str) -> list:
    """The locks of a bucket."""
    return json.loads(server.cli("lock", "list", bucket, "-o", "json"))


def move_twice_with_a_kill(server, bucket: str, count: int, *arguments: str) -> dict:
    """The rows of the run that ends it."""
    kill_in_between(server, *arguments)
    code, rows = migrate(server, *arguments)
    assert code == 0 and len(rows) == count, rows
    verdicts = {row["verdict"] for row in rows.values()}
    assert verdicts == {"same", "migrated"}, rows
    code, again = migrate(server, *arguments)
    assert code == 0 and {row["verdict"] for row in again.values()} == {"same"}, again
    assert sum(row["written"] for row in again.values()) == 0
    assert held_locks(server, bucket) == []
    return rows


def test_from_moto_with_versions(http_server, moto, bucket):
    source = client_of("s3", moto)
    source.create_bucket(Bucket="versions")
    source.put_bucket_versioning(
        Bucket="versions", VersioningConfiguration={"Status": "Enabled"}
    )
    names = [f"env:/w{n}/app.tfstate" if n % 2 else f"app-{n:03}.tfstate" for n in range(STATES)]
    for number, name in enumerate(names):
        for serial in SERIALS:
            source.put_object(Bucket="versions", Key=name, Body=state(name, serial))
        if number % 10 == 0:
            source.delete_object(Bucket="versions", Key=name)
    # moto lists delete markers after all versions: only times tell that this one is in the middle.
    source.put_object(Bucket="versions", Key="back", Body=state("back", 1))
    time.sleep(1.1)
    source.delete_object(Bucket="versions", Key="back")
    time.sleep(1.1)
    source.put_object(Bucket="versions", Key="back", Body=state("back", 2))

    arguments = ("s3", moto, "versions", bucket)
    rows = move_twice_with_a_kill(http_server, bucket, STATES + 1, *arguments)
    assert rows["back"]["versions"] == 3
    for number, name in list(enumerate(names))[::7]:
        gone = [None] if number % 10 == 0 else []
        assert history(http_server, bucket, name) == [state(name, it) for it in SERIALS] + gone, name
    assert history(http_server, bucket, "back") == [state("back", 1), None, state("back", 2)]
    listed = source.list_object_versions(Bucket="versions", Prefix=names[1])["Versions"]
    head = http_server.s3().head_object(Bucket=bucket, Key=names[1])
    assert head["Metadata"]["tidelock-migrated-from"] == listed[0]["VersionId"]


def test_from_a_backend_with_a_lock_table(http_server, moto, bucket):
    source, table = client_of("s3", moto), client_of("dynamodb", moto)
    source.create_bucket(Bucket="locked")
    for name in ("app.tfstate", "env:/dev/app.tfstate"):
        source.put_object(Bucket="locked", Key=name, Body=state(name, 1))
    table.create_table(
        TableName="locks",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
    )
    digest = {"LockID": {"S": "locked/app.tfstate-md5"}, "Digest": {"S": "0" * 32}}
    info = json.dumps({"ID": "714c34bb", "Who": "me@host", "Operation": "OperationTypeApply"})
    held = {"LockID": {"S": "locked/env:/dev/app.tfstate"}, "Info": {"S": info}}
    for item in (digest, held):
        table.put_item(TableName="locks", Item=item)
    arguments = ("s3", moto, "locked", bucket, "--lock-table", "locks")
    code, rows = migrate(http_server, *arguments)
    assert (code, rows["app.tfstate"]["verdict"]) == (5, "migrated")
    refused = rows["env:/dev/app.tfstate"]
    assert refused["verdict"] == "locked" and "me@host" in refused["reason"], refused
    assert table.get_item(TableName="locks", Key={"LockID": held["LockID"]})["Item"] == held
    table.delete_item(TableName="locks", Key={"LockID": held["LockID"]})
    code, rows = migrate(http_server, *arguments)
    assert (code, rows["env:/dev/app.tfstate"]["verdict"]) == (0, "migrated")
    wrong = subprocess.run(
        [binary(), "migrate", *arguments[:-1], "no-table"],
        env=http_server.environment(), capture_output=True, text=True,
    )
    assert wrong.returncode != 0 and "ResourceNotFoundException" in wrong.stderr, wrong.stderr


def test_from_files(http_server, bucket, tmp_path):
    for number in range(STATES):
        path = tmp_path / f"app-{number:03}" / "terraform.tfstate"
        if number % 2:
            path = path.parent / "terraform.tfstate.d" / "dev" / path.name
        path.parent.mkdir(parents=True)
        path.write_bytes(state(f"l{number}", number + 1))
    target = f"{bucket}/team"
    move_twice_with_a_kill(http_server, bucket, STATES, "files", str(tmp_path), target)
    for number, before in ((0, ""), (1, "env:/dev/"), (STATES - 1, "env:/dev/")):
        key = f"{before}team/app-{number:03}/terraform.tfstate"
        assert history(http_server, bucket, key) == [state(f"l{number}", number + 1)]


def psql(url: str, script: str) -> subprocess.Popen:
    """A session that ends with its script."""
    program = sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))[-1:] or ["psql"]
    command = [*program, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", url, "-c", script]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def run_sql(url: str, script: str) -> None:
    """Runs it to its end."""
    assert psql(url, script).wait(WAIT_SECONDS_MAX) == 0


def test_from_terraforms_postgresql_backend(http_server, postgres, bucket):
    url = postgres.split("?")[0]
    schema = f"{SCHEMA}_{os.getpid()}"
    # As the backend makes them.
    run_sql(
        url + "?target_session_attrs=read-write",
        f"CREATE SCHEMA {schema}; CREATE SEQUENCE {schema}.ids AS bigint;"
        f"CREATE TABLE {schema}.states (id bigint NOT NULL DEFAULT nextval('{schema}.ids') PRIMARY KEY,"
        "name text UNIQUE, data text);"
        f"INSERT INTO {schema}.states (id, name, data) VALUES "
        f"(4294967297, 'default', '{state('pg', 1).decode()}'),"
        f"(7, 'dev', '{state('dev', 2).decode()}'), (8, 'new', '');",
    )
    holder = psql(
        url + "?target_session_attrs=read-write",
        f"SELECT pg_advisory_lock(id) FROM {schema}.states WHERE name = 'default'; SELECT pg_sleep(120)",
    )
    arguments = ("pg", url, f"{bucket}/app", "--schema", schema, "--key", "net.tfstate")
    try:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            code, rows = migrate(http_server, *arguments, "--dry-run")
            if rows["app/net.tfstate"]["verdict"] == "locked" or time.monotonic() > deadline:
                break
        assert rows["app/net.tfstate"]["verdict"] == "locked", rows
        code, rows = migrate(http_server, *arguments)
        assert code == 5 and "process" in rows["app/net.tfstate"]["reason"], rows
        assert rows["env:/dev/app/net.tfstate"]["verdict"] == "migrated", rows
        assert rows["env:/new/app/net.tfstate"]["verdict"] == "not-a-state", rows
    finally:
        holder.kill()
        holder.wait()
        run_sql(
            url + "?target_session_attrs=read-write",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(120)%'"
            " AND pid <> pg_backend_pid()",
        )
    code, rows = migrate(http_server, *arguments)
    while rows["app/net.tfstate"]["verdict"] == "locked" and time.monotonic() < deadline:
        code, rows = migrate(http_server, *arguments)
    assert code == 0 and rows["app/net.tfstate"]["verdict"] == "migrated", rows
    assert history(http_server, bucket, "app/net.tfstate") == [state("pg", 1)]
    assert history(http_server, bucket, "env:/dev/app/net.tfstate") == [state("dev", 2)]
    code, rows = migrate(http_server, *arguments)
    assert code == 0 and rows["app/net.tfstate"]["verdict"] == "same", rows
    run_sql(url + "?target_session_attrs=read-write", f"DROP SCHEMA {schema} CASCADE")
