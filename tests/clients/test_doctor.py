"""`tidelock doctor` against stores of others, whose conditional writes were raced before: its verdicts
are what those races have shown. And with real Terraform against our own."""

import json
import subprocess

import pytest

from servers import ROOT, Keys, binary, clean_environment
from stores import Moto, S3rver, S3sFs, SeaweedFs
from terraforms import available

DOCTOR_SECONDS_MAX = 280
RACERS = ["--racers", "8"]
OVER_MARKER = {"put-over-delete-marker", "race-put-over-delete-marker"}


def doctor(endpoint: str, keys: Keys, *arguments: str, **variables: str):
    """The exit code and the report."""
    done = subprocess.run(
        [binary(), "doctor", endpoint, *arguments, "-o", "json"],
        env=clean_environment() | keys.environment() | {"AWS_REGION": "us-east-1"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DOCTOR_SECONDS_MAX,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    print(json.dumps(report, indent=1))
    assert done.returncode == (0 if report["safe"] else 1), done.stderr
    return report


def named(report, *verdicts: str) -> set[str]:
    """The checks that came to one of these."""
    return {check["check"] for check in report["checks"] if check["verdict"] in verdicts}


def buckets(server) -> list[str]:
    """The names of all buckets."""
    return [bucket["Name"] for bucket in server.s3().list_buckets()["Buckets"]]


@pytest.fixture
def start(tmp_path):
    """Starts a store."""
    started = []

    def start(kind):
        started.append(kind.start(tmp_path))
        return started[-1]

    yield start
    for store in started:
        store.stop()


def test_moto_ignores_the_conditions_of_copies(start):
    store = start(Moto)
    report = doctor(store.endpoint, store.keys, *RACERS, "--rounds", "10")
    assert {"put-if-none-match", "put-over-delete-marker", "put-if-match"} <= named(report, "pass")
    assert {"copy-if-none-match", "race-copy"} <= named(report, "warn")
    # One round in eighty has two winners: it may be seen, and is not always.
    assert named(report, "fail") <= {"race-put", "race-put-over-delete-marker"}


def test_seaweedfs_has_several_winners_of_completions_only(start):
    store = start(SeaweedFs)
    # A lost race for a lock takes seconds there.
    report = doctor(store.endpoint, store.keys, *RACERS, "--rounds", "10")
    assert report["safe"], report["verdict"]
    assert {"put-if-none-match", "race-put", "complete-if-none-match"} | OVER_MARKER <= named(report, "pass")
    assert "race-complete" in named(report, "warn")


def test_s3rver_knows_no_conditions(start):
    store = start(S3rver)
    report = doctor(store.endpoint, store.keys, *RACERS, "--rounds", "5")
    assert report["verdict"].startswith("NOT safe: put-if-none-match"), report["verdict"]
    assert {"put-if-none-match", "race-put"} <= named(report, "fail")


def test_s3s_fs_keeps_conditions_until_it_is_raced(start):
    store = start(S3sFs)
    report = doctor(store.endpoint, store.keys, *RACERS, "--rounds", "20")
    assert "put-if-none-match" in named(report, "pass")
    assert "race-put" in named(report, "fail")
    assert report["verdict"].startswith("NOT safe: race-put"), report["verdict"]


@pytest.mark.parametrize("name", sorted(available()))
def test_terraform_is_run_twice(server, tmp_path, name):
    program = tmp_path / "terraform"
    command = " ".join(f"'{word}'" for word in available()[name].command)
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    trust = {"AWS_CA_BUNDLE": server.ca_bundle} if server.ca_bundle else {}
    brief = ["--racers", "2", "--rounds", "1", "--terraform", str(program)]
    before = buckets(server)
    report = doctor(server.endpoint, ROOT, *brief, **trust)
    assert report["verdict"] == "safe for state locks"
    assert "terraform" in named(report, "pass")
    assert buckets(server) == before, "something is left behind"
