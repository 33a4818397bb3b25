"""The lock: conflicts between runs, waiting, force-unlock, and a reply that got lost."""

import json

from proxies import LosesFirstLockReply
from terraforms import PROMPT

KEY = "app/terraform.tfstate"
LOCK = f"{KEY}.tflock"


def holding(site, name="holder"):
    """A run that holds the lock at its prompt."""
    running = site.initialised(name).start("apply", "-no-color")
    running.wait_for(PROMPT)
    return running


def lock_id(site) -> str:
    """The ID in the lock object."""
    return json.loads(site.object(LOCK))["ID"]


def test_a_second_run_is_refused(site):
    holder = holding(site)
    held = lock_id(site)
    listed = site.server.cli("object", "list", site.bucket, keys=site.keys)
    assert LOCK in listed, "the waiting run's lock is shown"
    second = site.initialised("second")
    refused = second.run("apply", "-auto-approve", "-no-color", code=1)
    for wanted in ("Error acquiring the state lock", "StatusCode: 412", "PreconditionFailed",
                   "Lock Info:", held, "OperationTypeApply"):
        assert wanted in refused, f"no {wanted!r} in:\n{refused.output}"
    assert lock_id(site) == held, "the holder's lock is untouched"
    assert holder.say("yes").code == 0
    assert site.keys_listed() == [KEY]
    assert "No changes" in second.run("plan", "-no-color")


def test_a_waiting_run_gets_its_turn(some_site):
    site = some_site
    holder = holding(site)
    second = site.initialised("second")
    waiter = second.start("apply", "-auto-approve", "-no-color", "-lock-timeout=60s", "-var", "v=2")
    waiter.wait_for("Acquiring state lock")
    assert waiter.is_running()
    assert holder.say("yes").code == 0
    done = waiter.end()
    assert done.code == 0, done.output
    assert json.loads(site.object(KEY))["serial"] == 2


def test_a_wait_ends(some_site):
    site = some_site
    holder = holding(site)
    second = site.initialised("second")
    refused = second.run("plan", "-no-color", "-lock-timeout=3s", code=1)
    assert "Error acquiring the state lock" in refused
    assert holder.say("no").code == 1
    assert site.object(LOCK) is None, "a run that was told no takes its lock away"


def test_force_unlock(some_site):
    site = some_site
    holder = holding(site)
    held = lock_id(site)
    holder.kill()
    assert lock_id(site) == held, "a run that was killed leaves its lock"
    work = site.initialised("second")
    work.run("plan", "-no-color", code=1)
    wrong = work.run("force-unlock", "-force", "00000000-0000-0000-0000-000000000000", code=1)
    assert "does not match" in wrong
    assert lock_id(site) == held
    assert "successfully unlocked" in work.run("force-unlock", "-no-color", "-force", held)
    assert site.object(LOCK) is None
    work.run("apply", "-auto-approve")


def test_a_run_without_locks(some_site):
    site = some_site
    holder = holding(site)
    second = site.initialised("second")
    second.run("plan", "-lock=false")
    assert holder.say("yes").code == 0


def test_a_lost_reply_leaves_no_ghost_lock(http_site):
    site = http_site
    proxy = LosesFirstLockReply(site.server.endpoint)
    try:
        site.endpoint = proxy.endpoint
        work = site.initialised()
        applied = work.run("apply", "-auto-approve", "-no-color")
        assert "1 added" in applied
        assert proxy.lost, "no reply was lost"
        locks = [status for method, path, status in proxy.seen
                 if method == "PUT" and ".tflock" in path]
        assert locks == [200, 200], "the repetition is the same lock, not a conflict"
        assert site.keys_listed() == [KEY], "the lock is gone"
    finally:
        proxy.close()
    site.endpoint = ""
    site.initialised("second").run("apply", "-auto-approve", "-var", "v=2")


def test_many_runs_at_once_have_one_order(some_site):
    """Runs that all wait for each other: every one gets through, and none is lost."""
    site = some_site
    runs = [site.initialised(f"run-{number}") for number in range(3)]
    started = [
        work.start("apply", "-auto-approve", "-no-color", "-lock-timeout=120s", "-var", f"v={number}")
        for number, work in enumerate(runs)
    ]
    ended = [run.end() for run in started]
    fair = [done for done in ended if done.code == 0]
    # A lock that is released between a refusal and the read of its holder ends a wait early in
    # Terraform itself; such a run has changed nothing.
    for done in ended:
        assert done.code == 0 or "NoSuchKey" in done, done.output
    assert json.loads(site.object(KEY))["serial"] == len(fair)
    assert site.object(LOCK) is None
