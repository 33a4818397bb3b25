"""States that move: from a file into the bucket, from key to key, and back to a file."""

import json

KEY = "app/terraform.tfstate"

LOCAL = """
variable "v" { default = "1" }
resource "terraform_data" "x" { input = var.v }
"""


def migrate(work) -> None:
    """`init` that takes the state along without asking."""
    work.run("init", "-migrate-state", "-force-copy", "-no-color")


def input_of(state: bytes) -> str:
    """What the one resource of a state was given."""
    return json.loads(state)["resources"][0]["instances"][0]["attributes"]["input"]["value"]


def test_from_a_file_with_two_workspaces(some_site):
    site = some_site
    work = site.directory()
    work.write("main.tf", LOCAL)
    work.run("init")
    work.run("apply", "-auto-approve", "-var", "v=default")
    work.run("workspace", "new", "dev")
    work.run("apply", "-auto-approve", "-var", "v=dev")
    work.write("backend.tf", site.backend(KEY))
    migrate(work)
    assert input_of(site.object(KEY)) == "default"
    assert input_of(site.object(f"env:/dev/{KEY}")) == "dev"
    assert "No changes" in work.run("plan", "-no-color", "-var", "v=dev")
    assert not [key for key in site.keys_listed() if key.endswith(".tflock")]


def test_from_key_to_key(some_site):
    site = some_site
    work = site.initialised()
    work.run("apply", "-auto-approve", "-var", "v=moved")
    work.run("workspace", "new", "dev")
    work.run("apply", "-auto-approve", "-var", "v=dev")
    work.write("backend.tf", site.backend("other/terraform.tfstate"))
    migrate(work)
    assert input_of(site.object("other/terraform.tfstate")) == "moved"
    assert input_of(site.object("env:/dev/other/terraform.tfstate")) == "dev"
    assert input_of(site.object(KEY)) == "moved", "the source is not deleted"
    assert not [key for key in site.keys_listed() if key.endswith(".tflock")]


def test_back_to_a_file(some_site):
    site = some_site
    work = site.initialised()
    work.run("apply", "-auto-approve", "-var", "v=home")
    (work.path / "backend.tf").unlink()
    migrate(work)
    assert input_of((work.path / "terraform.tfstate").read_bytes()) == "home"
    assert "No changes" in work.run("plan", "-no-color", "-var", "v=home")
    assert site.keys_listed() == [KEY]
