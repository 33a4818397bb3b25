"""Runs on one state: init, plan, apply, state commands, workspaces, destroy."""

import json
from concurrent.futures import ThreadPoolExecutor

KEY = "app/terraform.tfstate"
WORKSPACES = 1005


def stored(site, key=KEY) -> dict:
    """The stored state."""
    return json.loads(site.object(key))


def test_the_life_of_a_state(site):
    work = site.directory()
    work.write("backend.tf", site.backend(KEY))
    work.write("main.tf", '''
variable "v" { default = "1" }
resource "terraform_data" "x" { input = var.v }
output "v" { value = terraform_data.x.output }
''')
    assert "successfully initialized" in work.run("init", "-no-color")
    assert site.keys_listed() == [], "init writes nothing"
    assert "1 to add" in work.run("plan", "-no-color")
    assert site.keys_listed() == [], "a plan's lock is gone"
    assert "1 added" in work.run("apply", "-auto-approve", "-no-color")
    first = stored(site)
    assert (first["serial"], len(first["resources"])) == (1, 1)
    assert "No changes" in work.run("apply", "-auto-approve", "-no-color")
    assert stored(site) == first, "a run without changes writes no state"
    assert "1 changed" in work.run("apply", "-auto-approve", "-no-color", "-var", "v=2")
    second = stored(site)
    assert second["lineage"] == first["lineage"] and second["serial"] > first["serial"]
    assert work.run("output", "-raw", "v").output.startswith("2")
    assert site.keys_listed() == [KEY], "no lock is left"
    assert "1 destroyed" in work.run("destroy", "-auto-approve", "-no-color")
    assert stored(site)["resources"] == []


def test_state_commands(some_site):
    site = some_site
    work = site.initialised()
    work.run("apply", "-auto-approve")
    assert work.run("state", "list").output.split() == ["terraform_data.x"]
    pulled = work.run("state", "pull").output
    assert json.loads(pulled) == stored(site)
    work.run("state", "mv", "terraform_data.x", "terraform_data.y")
    assert stored(site)["resources"][0]["name"] == "y"
    work.run("state", "rm", "terraform_data.y")
    assert stored(site)["resources"] == []
    newer = json.loads(pulled)
    newer["serial"] = stored(site)["serial"] + 1
    work.write("pushed.tfstate", json.dumps(newer))
    work.run("state", "push", "pushed.tfstate")
    assert stored(site)["resources"][0]["name"] == "x"
    assert "terraform_data.x" in work.run("state", "show", "-no-color", "terraform_data.x")
    work.write("stale.tfstate", pulled)
    assert "serial" in work.run("state", "push", "stale.tfstate", code=1)


def test_workspaces(some_site):
    site = some_site
    work = site.initialised()
    work.run("workspace", "new", "dev")
    work.run("apply", "-auto-approve", "-var", "v=dev")
    assert stored(site, f"env:/dev/{KEY}")["resources"], "the state of dev"
    assert site.object(KEY) is None, "the default one has none yet"
    work.run("workspace", "select", "default")
    listed = work.run("workspace", "list").output
    assert "* default" in listed and "dev" in listed
    refused = work.run("workspace", "delete", "dev", code=1)
    assert "not empty" in refused or "resource instances" in refused
    work.run("workspace", "select", "dev")
    work.run("destroy", "-auto-approve")
    work.run("workspace", "select", "default")
    work.run("workspace", "delete", "dev")
    assert not any("dev" in key for key in site.keys_listed())


def test_more_workspaces_than_one_page_lists(some_site):
    site = some_site.unguarded()
    work = site.initialised()
    empty = json.dumps({
        "version": 4, "terraform_version": "1.11.4", "serial": 0,
        "lineage": "4f1a7f5e-5d0c-0b4f-8a55-8f0c2f6a9d3e", "outputs": {}, "resources": [],
        "check_results": None,
    })
    s3 = site.s3

    def put(number: int) -> None:
        s3.put_object(Bucket=site.bucket, Key=f"env:/ws-{number:04}/{KEY}", Body=empty)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(WORKSPACES)))
    listed = work.run("workspace", "list").output.replace("*", " ").split()
    assert len(listed) == WORKSPACES + 1, "and the default one"
    assert {"default", "ws-0000", "ws-0999", "ws-1000", "ws-1004"} <= set(listed)
    work.run("workspace", "select", "ws-1004")


def test_a_state_over_five_mebibytes(some_site):
    site = some_site
    work = site.initialised()
    work.write("main.tf", '''
variable "salt" { default = "a" }
resource "terraform_data" "big" {
  input = sensitive(join("", [for i in range(1000) : format("%s%03400d", var.salt, i)]))
}
''')
    work.run("apply", "-auto-approve", "-no-color")
    head = site.s3.head_object(Bucket=site.bucket, Key=KEY)
    assert head["ContentLength"] > 5 << 20
    assert "-" in head["ETag"], "it came as a multipart upload"
    assert "No changes" in work.run("plan", "-no-color")
    assert json.loads(work.run("state", "pull").output) == stored(site)
    work.run("apply", "-auto-approve", "-no-color", "-var", "salt=b")
    assert stored(site)["serial"] == 2
    uploads = site.s3.list_multipart_uploads(Bucket=site.bucket)
    assert not uploads.get("Uploads"), "no upload is left"
    work.run("destroy", "-auto-approve", "-no-color")


def test_encrypt(some_site):
    site = some_site
    work = site.directory()
    work.write("backend.tf", site.backend(KEY, "encrypt = true"))
    work.write("main.tf", 'resource "terraform_data" "x" {}\n')
    work.run("init")
    work.run("apply", "-auto-approve")
    head = site.s3.head_object(Bucket=site.bucket, Key=KEY)
    assert head["ServerSideEncryption"] == "AES256"


def test_remote_state(some_site):
    site = some_site
    site.initialised("producer").run("apply", "-auto-approve", "-var", "v=from afar")
    consumer = site.directory("consumer")
    settings = site.backend_body(KEY, site.server.endpoint, site.server.ca_bundle)
    consumer.write("main.tf", f'''
data "terraform_remote_state" "other" {{
  backend = "s3"
  config = {{
{settings}
  }}
}}
output "seen" {{ value = data.terraform_remote_state.other.outputs.v }}
''')
    consumer.write("backend.tf", site.backend("consumer/terraform.tfstate"))
    consumer.run("init")
    consumer.run("apply", "-auto-approve")
    assert consumer.run("output", "-raw", "seen").output.startswith("from afar")
