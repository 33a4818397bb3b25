"""Two servers on one PostgreSQL: a lock that is taken through one is the law at the other."""

import json

import pytest

from test_locks import KEY, LOCK, holding, lock_id

pytestmark = pytest.mark.shared


def test_a_run_through_the_other_server_is_refused(two_sites):
    one, other = two_sites
    holder = holding(one)
    held = lock_id(other)
    second = other.initialised("second")
    refused = second.run("apply", "-auto-approve", "-no-color", "-var", "v=2", code=1)
    for wanted in ("Error acquiring the state lock", "StatusCode: 412", "PreconditionFailed",
                   "Lock Info:", held, "OperationTypeApply"):
        assert wanted in refused, f"no {wanted!r} in:\n{refused.output}"
    assert lock_id(other) == held, "the holder's lock is untouched"
    assert other.object(KEY) is None, "nothing was written without the lock"
    assert holder.say("yes").code == 0
    assert other.object(LOCK) is None, "the lock is gone at once, everywhere"
    assert "1 changed" in second.run("apply", "-auto-approve", "-no-color", "-var", "v=2")
    assert json.loads(one.object(KEY))["serial"] == json.loads(other.object(KEY))["serial"] == 2


def test_force_unlock_through_the_other_server(two_sites):
    one, other = two_sites
    holder = holding(one)
    holder.kill()
    work = other.initialised("second")
    assert "successfully unlocked" in work.run("force-unlock", "-no-color", "-force", lock_id(one))
    one.initialised("third").run("apply", "-auto-approve")


def test_runs_through_both_servers_have_one_order(two_sites):
    runs = [site.initialised(f"run-{number}") for number, site in enumerate(two_sites * 2)]
    started = [
        work.start("apply", "-auto-approve", "-no-color", "-lock-timeout=120s", "-var", f"v={number}")
        for number, work in enumerate(runs)
    ]
    ended = [run.end() for run in started]
    for done in ended:
        # See test_locks: a lock released between a refusal and the read of its holder ends a wait early.
        assert done.code == 0 or "NoSuchKey" in done, done.output
    applied = sum(done.code == 0 for done in ended)
    for site in two_sites:
        assert json.loads(site.object(KEY))["serial"] == applied
        assert site.object(LOCK) is None
