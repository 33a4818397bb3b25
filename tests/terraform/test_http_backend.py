"""Terraform's `http` backend: the same states and the same locks as its `s3` backend."""

import json
from pathlib import Path

from terraforms import PROMPT, Directory, Done
from test_locks import KEY, LOCK, holding, lock_id

REFUSED = "Error acquiring the state lock"
RESOURCE = """
variable "v" { default = "1" }
resource "terraform_data" "x" { input = var.v }
output "v" { value = terraform_data.x.output }
"""


def http_backend(site, key: str = KEY) -> str:
    """A backend block as docs/http-backend.md has it."""
    address = f"{site.server.endpoint}/_/tf/{site.bucket}/{key}"
    return f"""
terraform {{
  backend "http" {{
    address        = "{address}"
    lock_address   = "{address}"
    unlock_address = "{address}"
  }}
}}
"""


def http_credentials(site) -> dict[str, str]:
    """What the block leaves out: an access key, and whom to trust."""
    variables = {"TF_HTTP_USERNAME": site.keys.access, "TF_HTTP_PASSWORD": site.keys.secret}
    if site.server.ca_bundle:
        authority = Path(site.server.ca_bundle).read_text()
        variables["TF_HTTP_CLIENT_CA_CERTIFICATE_PEM"] = authority
    return variables


def initialised(site, name: str = "http", key: str = KEY) -> Directory:
    """A working directory with the block and one resource, after `init`."""
    work = site.directory(name)
    work.environment |= http_credentials(site)
    work.write("backend.tf", http_backend(site, key))
    work.write("main.tf", RESOURCE)
    work.run("init", "-no-color")
    return work


def http_holding(site, name: str = "http-holder", *flags: str):
    """A run over `http` that holds the lock at its prompt."""
    running = initialised(site, name).start("apply", "-no-color", *flags)
    running.wait_for(PROMPT)
    return running


def serial(site, key: str = KEY) -> int:
    """The serial of the stored state."""
    return json.loads(site.object(key))["serial"]


def assert_refused(refused: Done, held: str, status: str) -> None:
    """A run that names the holder's lock and its ID."""
    for wanted in (REFUSED, status, held, "Lock Info:"):
        assert wanted in refused, f"no {wanted!r} in:\n{refused.output}"


def test_a_state_from_init_to_destroy(site):
    work = initialised(site)
    assert "1 added" in work.run("apply", "-auto-approve", "-no-color")
    assert serial(site) == 1, "the state is the same object as in S3"
    assert site.keys_listed() == [KEY], "the lock is gone"
    assert "No changes" in work.run("plan", "-no-color")
    assert json.loads(work.run("state", "pull").output) == json.loads(site.object(KEY))
    listed = site.server.cli("state", "list", site.bucket, keys=site.keys)
    assert KEY in listed
    over_s3 = site.initialised("s3")
    assert "1 changed" in over_s3.run("apply", "-auto-approve", "-no-color", "-var", "v=2")
    assert "No changes" in work.run("plan", "-no-color", "-var", "v=2")
    work.run("destroy", "-auto-approve", "-var", "v=2")
    assert json.loads(site.object(KEY))["resources"] == []


def test_a_run_over_http_is_refused_while_one_over_s3_holds_the_lock(some_site):
    site = some_site
    holder = holding(site)
    held = lock_id(site)
    second = initialised(site)
    refused = second.run("apply", "-auto-approve", "-no-color", code=1)
    assert_refused(refused, held, "HTTP remote state already locked")
    assert "OperationTypeApply" in refused
    unlocked = second.run("plan", "-no-color", "-lock=false")
    assert "1 to add" in unlocked, "reading needs no lock"
    forced = second.run("apply", "-auto-approve", "-no-color", "-lock=false", code=1)
    assert "423" in forced, forced.output
    assert site.object(KEY) is None and lock_id(site) == held
    assert holder.say("yes").code == 0
    assert "No changes" in second.run("plan", "-no-color")


def test_a_run_over_s3_is_refused_while_one_over_http_holds_the_lock(some_site):
    site = some_site
    holder = http_holding(site)
    held = lock_id(site)
    second = site.initialised("second")
    refused = second.run("apply", "-auto-approve", "-no-color", code=1)
    assert_refused(refused, held, "PreconditionFailed")
    third = initialised(site, "third")
    assert_refused(third.run("plan", "-no-color", code=1), held, "HTTP remote state already locked")
    assert lock_id(site) == held
    assert holder.say("yes").code == 0
    assert LOCK not in site.keys_listed()
    assert "No changes" in second.run("plan", "-no-color")


def test_runs_wait_for_each_other(some_site):
    site = some_site
    over_s3 = type(site).initialised
    for hold, wait in ((holding, initialised), (http_holding, over_s3)):
        name = f"{hold.__name__}-first"
        holder = hold(site, name)
        waiter = wait(site, f"{hold.__name__}-second").start(
            "apply", "-auto-approve", "-no-color", "-lock-timeout=60s", "-var", f"v={name}"
        )
        waiter.wait_for("Acquiring state lock")
        assert waiter.is_running()
        assert holder.say("yes").code == 0
        done = waiter.end()
        assert done.code == 0, done.output
    assert site.keys_listed() == [KEY]


def test_force_unlock(some_site):
    site = some_site
    for number, hold in enumerate((holding, http_holding)):
        holder = hold(site, f"killed-{number}")
        held = lock_id(site)
        holder.kill()
        work = initialised(site, f"work-{number}")
        work.run("plan", "-no-color", code=1)
        done = work.run("force-unlock", "-no-color", "-force", held)
        assert "successfully unlocked" in done
        assert LOCK not in site.keys_listed()
        work.run("apply", "-auto-approve", "-var", f"v={number}")


def test_a_run_whose_lock_was_broken_writes_nothing(some_site):
    site = some_site
    # Over no state at all, Terraform would read what the other run wrote and send that.
    initialised(site, "first").run("apply", "-auto-approve")
    holder = http_holding(site, "http-holder", "-var", "v=holder")
    other = initialised(site, "other")
    other.run("force-unlock", "-no-color", "-force", lock_id(site))
    other.run("apply", "-auto-approve", "-no-color", "-var", "v=other")
    before = site.object(KEY)
    refused = holder.say("yes")
    assert refused.code == 1 and "HTTP error: 409" in refused, refused.output
    assert site.object(KEY) == before, "the other run's state is intact"
    kept = json.loads((site.path / "http-holder" / "errored.tfstate").read_bytes())
    assert kept["outputs"]["v"]["value"] == "holder", "the refused run keeps what it did"


def test_state_push(some_site):
    site = some_site
    work = initialised(site)
    work.run("apply", "-auto-approve", "-var", "v=1")
    first = site.object(KEY)
    work.run("apply", "-auto-approve", "-var", "v=2")
    (work.path / "first.tfstate").write_bytes(first)
    work.run("state", "push", "first.tfstate", code=1)
    assert serial(site) == 2, "Terraform refuses an older serial itself"
    work.run("state", "push", "-force", "first.tfstate")
    assert json.loads(site.object(KEY))["resources"] == json.loads(first)["resources"]
    assert site.keys_listed() == [KEY]


def test_there_are_no_workspaces(some_site):
    work = initialised(some_site)
    refused = work.run("workspace", "new", "dev", "-no-color", code=1)
    assert "workspaces not supported" in refused


def test_a_wrong_key_is_told(some_site):
    site = some_site
    work = initialised(site)
    work.run("apply", "-auto-approve")
    work.environment["TF_HTTP_PASSWORD"] = "wrong"
    assert "requires auth" in work.run("plan", "-no-color", code=1)
    stranger = site.server.user(f"{site.bucket}-stranger")
    work.environment["TF_HTTP_USERNAME"] = stranger.access
    work.environment["TF_HTTP_PASSWORD"] = stranger.secret
    assert "invalid auth" in work.run("plan", "-no-color", code=1)


def test_from_s3_to_http_and_back(some_site):
    site = some_site
    work = site.initialised()
    work.environment |= http_credentials(site)
    work.run("apply", "-auto-approve", "-var", "v=moved")
    before = json.loads(site.object(KEY))
    moved = "moved/terraform.tfstate"
    work.write("backend.tf", http_backend(site, moved))
    work.run("init", "-migrate-state", "-force-copy", "-no-color")
    assert json.loads(site.object(moved))["resources"] == before["resources"]
    assert "No changes" in work.run("plan", "-no-color", "-var", "v=moved")
    work.write("backend.tf", site.backend("back/terraform.tfstate"))
    work.run("init", "-migrate-state", "-force-copy", "-no-color")
    back = json.loads(site.object("back/terraform.tfstate"))
    # Not its lineage: Terraform makes a new one when it copies to where there is no state.
    assert back["resources"] == before["resources"]
    assert not [key for key in site.keys_listed() if key.endswith(".tflock")]


def test_the_other_backend_on_the_same_state_is_no_migration(some_site):
    site = some_site
    work = site.initialised()
    work.environment |= http_credentials(site)
    work.run("apply", "-auto-approve", "-var", "v=stays")
    before = site.object(KEY)
    work.write("backend.tf", http_backend(site))
    work.run("init", "-reconfigure", "-no-color")
    assert "No changes" in work.run("plan", "-no-color", "-var", "v=stays")
    assert site.object(KEY) == before
