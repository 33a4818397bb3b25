"""The state guard with real Terraform: what it refuses, and what it must let pass.

Every bucket here is made by `tidelock bootstrap`, which guards it.
"""

import hashlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from proxies import LosesFirstLockReply
from servers import ROOT, Keys
from terraforms import PROMPT, Directory, Done, Running
from test_locks import KEY, LOCK, lock_id

# Plans that leave no litter; the full run has a hundred.
PLANS = int(os.environ.get("TIDELOCK_GUARD_PLANS", "10"))
RACE_LOOPS = 3
RACERS = 12
# How long the keys of a refreshed session are good for.
KEYS_LIVE_SECONDS = 2
# A state holds an input and the output that is equal to it: more than 5 MiB together.
LARGE_BYTES = 3 << 20

# Five steps of ten seconds one after the other: Terraform writes the state every 20 s meanwhile.
STEPS = """
variable "v" { default = "0" }
variable "pause" { default = 0 }
resource "terraform_data" "step" {
  count            = 5
  input            = var.v
  triggers_replace = var.v
  provisioner "local-exec" { command = "sleep ${var.pause}" }
}
"""
LARGE = """
variable "v" { default = "0" }
resource "terraform_data" "large" { input = sensitive("${var.v}${file("large.txt")}") }
"""
LOCAL = """
variable "v" { default = "1" }
resource "terraform_data" "x" { input = var.v }
"""


def guarded(site):
    """The same site with a bucket that is guarded, and the keys of its owner."""
    bucket = f"guarded-{hashlib.sha256(str(site.path).encode()).hexdigest()[:16]}"
    made = json.loads(site.server.cli("bootstrap", bucket, "-o", "json"))
    keys = Keys(made["access_key_id"], made["secret_access_key"])
    return replace(site, bucket=bucket, keys=keys, directories=[])


@pytest.fixture
def guarded_site(some_site):
    """A guarded bucket, on opposite corners."""
    return guarded(some_site)


@pytest.fixture
def guarded_http_site(http_site):
    """A guarded bucket for every Terraform, over http only (a proxy reads along)."""
    return guarded(http_site)


def another_key(site) -> Keys:
    """A second access key of the site's user."""
    user = site.bucket + "-terraform"
    made = json.loads(site.server.cli("key", "create", "--user", user, "-o", "json"))
    return Keys(made["access_key_id"], made["secret_access_key"])


def directory(site, name: str, configuration: str, key: str = KEY) -> Directory:
    """A working directory with that configuration, after `init`."""
    work = site.directory(name)
    work.write("backend.tf", site.backend(key))
    work.write("main.tf", configuration)
    if configuration == LARGE:
        work.write("large.txt", "x" * LARGE_BYTES)
    work.run("init", "-no-color")
    return work


def waiting(work: Directory, *variables: str) -> Running:
    """An apply that holds the lock at its prompt."""
    flags = [word for variable in variables for word in ("-var", variable)]
    running = work.start("apply", "-no-color", "-parallelism=1", *flags)
    running.wait_for(PROMPT)
    return running


def refused_put(s3, bucket: str, body: bytes) -> str:
    """Puts a state that must be refused; the message."""
    with pytest.raises(ClientError) as refusal:
        s3.put_object(Bucket=bucket, Key=KEY, Body=body)
    answer = refusal.value.response
    assert 400 <= answer["ResponseMetadata"]["HTTPStatusCode"] < 500, answer
    return answer["Error"]["Message"]


def refused_states(site) -> list[bytes]:
    """What the store keeps of refused writes."""
    place = f"{site.bucket}/{KEY}"
    listed = json.loads(site.server.cli("state", "refused", "list", site.bucket, "-o", "json"))
    return [
        site.server.cli("state", "refused", "get", place, version["id"]).encode()
        for version in listed
    ]


def state_of(site, key: str = KEY) -> dict:
    """The stored state."""
    return json.loads(site.object(key))


def assert_no_litter(site) -> None:
    """Neither versions nor delete markers of locks, nor a lock."""
    pages = site.s3.get_paginator("list_object_versions").paginate(Bucket=site.bucket)
    entries = [
        entry
        for page in pages
        for kind in ("Versions", "DeleteMarkers")
        for entry in page.get(kind, [])
    ]
    assert [entry for entry in entries if entry["Key"].endswith(".tflock")] == []


def test_a_lost_reply_leaves_no_ghost_lock(guarded_http_site):
    site = guarded_http_site
    proxy = LosesFirstLockReply(site.server.endpoint)
    try:
        work = directory(replace(site, endpoint=proxy.endpoint), "work", LOCAL)
        assert "1 added" in work.run("apply", "-auto-approve", "-no-color")
        assert proxy.lost, "no reply was lost"
    finally:
        proxy.close()
    assert site.keys_listed() == [KEY], "the lock is gone"
    assert_no_litter(site)


@pytest.mark.slow
def test_runs_that_wait_for_each_other_all_succeed(guarded_http_site):
    """A lock that is released between a refusal and the read of its holder ends no wait."""
    site = guarded_http_site
    directory(site, "first", LOCAL).run("apply", "-auto-approve")
    works = [directory(site, f"racer-{number}", LOCAL) for number in range(RACERS)]

    def plan(work: Directory) -> Done:
        return work.start("plan", "-no-color", "-lock-timeout=60s").end()

    with ThreadPoolExecutor(RACERS) as pool:
        ended = [done for _ in range(RACE_LOOPS) for done in pool.map(plan, works)]
    failed = [done.output for done in ended if done.code != 0]
    assert not failed, f"{len(failed)} of {len(ended)} failed:\n" + "\n".join(failed)
    # For a moment the last lock can still be read, but it is not there.
    assert site.keys_listed() == [KEY]


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("other", ["one shared key", "two keys of one user", "root"])
def test_split_brain(some_site, other):
    """A's lock is broken while it waits; B applies; A says yes to an apply of 50 s."""
    site = guarded(some_site)
    directory(site, "seed", STEPS).run("apply", "-auto-approve")
    keys = {"one shared key": site.keys, "root": ROOT}.get(other) or another_key(site)
    site_b = replace(site, keys=keys)
    a = directory(site, "a", STEPS)
    run_a = waiting(a, "v=a", "pause=10")
    b = directory(site_b, "b", STEPS)
    b.run("plan", "-no-color", code=1)
    assert "successfully unlocked" in b.run("force-unlock", "-no-color", "-force", lock_id(site))
    b.run("apply", "-auto-approve", "-no-color", "-var", "v=b")
    after_b = site.object(KEY)
    refused = run_a.say("yes")
    assert refused.code == 1, refused.output
    assert "lock" in refused.text and "StatusCode: 4" in refused, refused.output
    assert site.object(KEY) == after_b, "B's state is intact after every write of A"
    errored = (a.path / "errored.tfstate").read_bytes()
    steps = [instance for kept in json.loads(errored)["resources"] for instance in kept["instances"]]
    inputs = [step["attributes"]["input"]["value"] for step in steps]
    assert "a" in inputs, "A keeps what it did"
    assert errored in refused_states(site), "and the store keeps it, byte for byte"
    assert site.object(LOCK) is None
    assert "No changes" in b.run("plan", "-no-color", "-var", "v=b")
    taken_anew = directory(site, "a-again", STEPS)
    taken_anew.run("apply", "-auto-approve", "-no-color", "-var", "v=a")


def test_a_holder_whose_keys_change_goes_on(guarded_site):
    """As when a session is refreshed: other keys of the same user, in the middle of an apply."""
    site = guarded_site
    work = site.directory("work")
    process = work.path / "credentials.py"
    now, process_keys = "datetime.datetime.now(datetime.timezone.utc)", work.path / "keys.json"
    work.write("credentials.py", f"""
import datetime, json
keys = json.load(open({str(process_keys)!r}))
expires = {now} + datetime.timedelta(seconds={KEYS_LIVE_SECONDS})
print(json.dumps(keys | {{"Version": 1, "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}}))
""")
    command = f"credential_process = {sys.executable} {process}"
    work.write("aws.config", f"[profile refreshed]\n{command}\n")

    def give(keys: Keys) -> None:
        pair = {"AccessKeyId": keys.access, "SecretAccessKey": keys.secret}
        work.write("keys.json", json.dumps(pair))

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del work.environment[name]
    work.environment["AWS_CONFIG_FILE"] = str(work.path / "aws.config")
    work.environment["AWS_PROFILE"] = "refreshed"
    give(site.keys)
    work.write("backend.tf", site.backend(KEY))
    work.write("main.tf", LOCAL)
    work.run("init", "-no-color")
    run = waiting(work)
    give(another_key(site))
    site.server.cli("key", "delete", site.keys.access, "--yes")
    time.sleep(KEYS_LIVE_SECONDS + 1)
    assert run.say("yes").code == 0
    listed = site.server.cli("object", "list", site.bucket, "-o", "json")
    assert [entry["key"] for entry in json.loads(listed)] == [KEY], "written, and unlocked"


def test_a_broken_lock_that_was_taken_by_nobody(guarded_site):
    """Broken and left free: the old holder is refused all the same."""
    site = guarded_site
    directory(site, "seed", LOCAL).run("apply", "-auto-approve")
    a = directory(site, "a", LOCAL)
    run_a = waiting(a, "v=a")
    directory(site, "b", LOCAL).run("force-unlock", "-no-color", "-force", lock_id(site))
    before = site.object(KEY)
    refused = run_a.say("yes")
    assert refused.code == 1, refused.output
    assert site.object(KEY) == before


def test_a_run_without_a_lock_is_refused(guarded_site):
    site = guarded_site
    directory(site, "seed", LOCAL).run("apply", "-auto-approve")
    as_root = replace(site, keys=ROOT)
    for number, (holding, asking) in enumerate([(site, as_root), (as_root, site)]):
        value = f"v=holder-{number}"
        holder = waiting(directory(holding, f"holder-{number}", LOCAL), value)
        before = site.object(KEY)
        other = directory(asking, f"other-{number}", LOCAL)
        other.run("plan", "-lock=false", "-no-color")
        flags = ("-auto-approve", "-no-color", "-lock=false", "-var", "v=other")
        refused = other.run("apply", *flags, code=1)
        assert "StatusCode: 4" in refused, refused.output
        assert site.object(KEY) == before
        assert holder.say("yes").code == 0
    flags = ("-auto-approve", "-no-color", "-lock=false", "-var", "v=nobody")
    unlocked = directory(site, "unlocked", LOCAL).run("apply", *flags, code=1)
    assert "StatusCode: 4" in unlocked, "nobody holds the lock, and one is asked for"


def test_state_push_by_force_under_its_own_lock(guarded_site):
    site = guarded_site
    work = directory(site, "work", LOCAL)
    work.run("apply", "-auto-approve", "-var", "v=1")
    first = site.object(KEY)
    work.run("apply", "-auto-approve", "-var", "v=2")
    (work.path / "first.tfstate").write_bytes(first)
    work.run("state", "push", "-force", "first.tfstate")
    assert state_of(site)["resources"] == json.loads(first)["resources"]
    foreign = json.loads(first) | {"lineage": "00000000-0000-0000-0000-000000000000"}
    (work.path / "foreign.tfstate").write_text(json.dumps(foreign))
    work.run("state", "push", "-force", "foreign.tfstate")
    assert state_of(site)["lineage"] == foreign["lineage"]
    assert_no_litter(site)


def test_migrations_both_ways(guarded_site):
    site = guarded_site
    work = site.directory("work")
    work.write("main.tf", LOCAL)
    work.run("init")
    work.run("apply", "-auto-approve", "-var", "v=default")
    work.run("workspace", "new", "dev")
    work.run("apply", "-auto-approve", "-var", "v=dev")
    migrate = ("init", "-migrate-state", "-force-copy", "-no-color")
    for key in (KEY, "other/terraform.tfstate"):
        work.write("backend.tf", site.backend(key))
        work.run(*migrate)
        assert state_of(site, key)["resources"] and state_of(site, f"env:/dev/{key}")["resources"]
        assert "No changes" in work.run("plan", "-no-color", "-var", "v=dev")
    # Over a state that is there already, of another lineage.
    over = directory(site, "over", LOCAL, "over/terraform.tfstate")
    over.run("apply", "-auto-approve")
    work.run("workspace", "select", "default")
    work.run("workspace", "delete", "-force", "dev")
    work.write("backend.tf", site.backend("over/terraform.tfstate"))
    work.run(*migrate)
    wanted = state_of(site, "other/terraform.tfstate")["lineage"]
    assert state_of(site, "over/terraform.tfstate")["lineage"] == wanted
    (work.path / "backend.tf").unlink()
    work.run(*migrate)
    assert "No changes" in work.run("plan", "-no-color", "-var", "v=default")
    assert_no_litter(site)


def test_what_is_not_the_next_state_is_refused(guarded_site):
    """Also under a lock of one's own: what no run of Terraform would write."""
    site = guarded_site
    directory(site, "work", LOCAL).run("apply", "-auto-approve")
    before = site.object(KEY)
    state = json.loads(before)
    # One client keeps one connection, as one run does.
    s3, bucket = site.s3, site.bucket
    lock = {"ID": "by-hand", "Operation": "OperationTypeApply", "Info": "", "Who": "test",
            "Version": "1.11.4", "Created": "2026-11-21T20:35:06Z", "Path": ""}
    after = json.dumps(state | {"serial": state["serial"] + 1}).encode()
    assert "lock" in refused_put(s3, bucket, after), "without a lock"
    foreign = state | {"serial": state["serial"] + 1, "lineage": "another"}
    # What no run would send says nothing of the run; a state that is out of date does: its run would
    # pass with the next serial, and is refused until it takes the lock anew.
    rows = [
        ("empty", b"", False),
        ("garbage", b"garbage", False),
        ("JSON, but no state", b"{}", False),
        ("foreign lineage", json.dumps(foreign).encode(), True),
        ("same serial, other bytes", json.dumps(state | {"outputs": {"a": {}}}).encode(), True),
        ("older serial", json.dumps(state | {"serial": state["serial"] - 1}).encode(), True),
    ]
    for name, body, sticks in rows:
        held = json.dumps(lock | {"ID": name}).encode()
        s3.put_object(Bucket=bucket, Key=LOCK, Body=held, IfNoneMatch="*")
        assert refused_put(s3, bucket, body), name
        if sticks:
            assert "lost the lock or was refused" in refused_put(s3, bucket, after), name
        assert site.object(KEY) == before, name
        s3.delete_object(Bucket=bucket, Key=LOCK)
    s3.put_object(Bucket=bucket, Key=LOCK, Body=json.dumps(lock).encode(), IfNoneMatch="*")
    s3.put_object(Bucket=bucket, Key=KEY, Body=before)
    s3.put_object(Bucket=bucket, Key=KEY, Body=after)
    s3.delete_object(Bucket=bucket, Key=LOCK)
    assert state_of(site)["serial"] == state["serial"] + 1
    s3.put_object(Bucket=bucket, Key="notes/readme.txt", Body=b"not a state, no lock")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_plans_leave_no_litter(guarded_site):
    site = guarded_site
    work = directory(site, "work", LOCAL)
    work.run("apply", "-auto-approve")
    for _ in range(PLANS):
        work.run("plan", "-no-color")
    assert_no_litter(site)
    assert site.keys_listed() == [KEY]
    place = f"{site.bucket}/{KEY}"
    history = json.loads(
        site.server.cli("lock", "history", place, "--limit", "10000", "-o", "json")
    )
    for event in ("acquired", "released"):
        plans = [
            row for row in history
            if row["event"] == event and row["operation"] == "OperationTypePlan"
        ]
        assert len(plans) == PLANS, f"{event}: {history}"


def test_a_rollback_is_accepted(guarded_site):
    """Three versions back: only the digits of the serial change, and Terraform goes on from there."""
    site = guarded_site
    work = directory(site, "work", LOCAL)
    for value in range(4):
        work.run("apply", "-auto-approve", "-no-color", "-var", f"v={value}")
    pages = site.s3.list_object_versions(Bucket=site.bucket, Prefix=KEY)["Versions"]
    ids = [version["VersionId"] for version in pages if version["Key"] == KEY]
    old = site.s3.get_object(Bucket=site.bucket, Key=KEY, VersionId=ids[3])["Body"].read()
    newest = state_of(site)["serial"]
    place = f"{site.bucket}/{KEY}"
    site.server.cli("state", "rollback", place, "--to", ids[3], "--yes")
    rolled_back = site.object(KEY)
    serial = json.loads(old)["serial"]
    wanted = old.replace(f'"serial": {serial}'.encode(), f'"serial": {newest + 1}'.encode(), 1)
    assert rolled_back == wanted, "every other byte is the old one"
    assert "1 to change" in work.run("plan", "-no-color", "-var", "v=3")
    assert "1 changed" in work.run("apply", "-auto-approve", "-no-color", "-var", "v=3")
    assert state_of(site)["serial"] == newest + 2
    shown = json.loads(site.server.cli("audit", "query", "--bucket", site.bucket, "-o", "json"))
    assert [it for it in shown if it["action"] == "StateRolledBack"], "the audit log says so"
    assert_no_litter(site)


def test_a_large_stale_state_is_refused_when_it_is_complete(guarded_http_site):
    site = guarded_http_site
    directory(site, "seed", LARGE).run("apply", "-auto-approve", "-no-color")
    assert len(site.object(KEY)) > 5 << 20
    a = directory(site, "a", LARGE)
    run_a = waiting(a, "v=a")
    b = directory(site, "b", LARGE)
    b.run("force-unlock", "-no-color", "-force", lock_id(site))
    b.run("apply", "-auto-approve", "-no-color", "-var", "v=b")
    before = site.object(KEY)
    refused = run_a.say("yes")
    assert refused.code == 1 and "StatusCode: 4" in refused, refused.output
    assert site.object(KEY) == before
    completed = [
        line for line in site.server.log
        if "CompleteMultipartUpload" in line and f'bucket="{site.bucket}"' in line
    ]
    assert any("status=200" in line for line in completed), completed
    assert any("status=4" in line for line in completed), completed
    assert (a.path / "errored.tfstate").stat().st_size > 5 << 20
