"""States and locks in a browser, while real Terraform works on them."""

import json
import re

from playwright.sync_api import expect

from readers import reader
from terraforms import PROMPT

KEY = "app/terraform.tfstate"
SENSITIVE = """
variable "v" { default = "1" }
resource "terraform_data" "x" { input = var.v }
output "v" { value = terraform_data.x.output }
output "secret" {
  value     = "hunter-${var.v}"
  sensitive = true
}
"""


def guarded(site):
    """The bucket as `bootstrap` leaves it."""
    site.server.cli("bucket", "edit", site.bucket, "--guard", "enforce")
    return site


def written(site, *values, name="work"):
    """A state with one version for each value."""
    work = site.initialised(name)
    work.write("main.tf", SENSITIVE)
    for value in values:
        work.run("apply", "-auto-approve", "-no-color", "-var", f"v={value}")
    return work


def test_a_lock_comes_and_is_released_with_a_reason(http_site, visitor):
    site = guarded(http_site)
    work = written(site, "1")
    page = visitor.sign_in(site.keys)
    expect(page.get_by_role("heading", name="States", exact=True)).to_be_visible()
    expect(page.get_by_text("Nobody holds a lock.")).to_be_visible()
    running = work.start("apply", "-no-color", "-var", "v=2")
    running.wait_for(PROMPT)
    # Nobody reloads: the lock comes by itself.
    board = page.locator("#board")
    expect(board.get_by_text("apply", exact=True)).to_be_visible(timeout=15_000)
    looks = [
        entry
        for entry in json.loads(site.server.cli("audit", "query", "--action", "ListLocks", "-o", "json"))
        if entry["user_agent"].endswith("(again)")
    ]
    assert looks == [], "it was looked each second, and told once"
    visitor.look("home-locked")
    board.get_by_role("link", name=KEY).click()
    held = json.loads(site.object(f"{KEY}.tflock"))
    for said in (held["ID"], held["Who"]):
        expect(page.get_by_text(said).first).to_be_visible()
    visitor.look("state-locked")
    page.get_by_role("link", name="Release…").click()
    visitor.look("release")
    page.get_by_label("Why?").fill("the runner is gone")
    page.get_by_label("Type the key").fill("something else")
    page.get_by_role("button", name="Release the lock").click()
    expect(page.get_by_role("alert")).to_contain_text("Type the key of the state")
    assert site.object(f"{KEY}.tflock") is not None, "nothing was released"
    page.get_by_label("Type the key").fill(KEY)
    page.get_by_role("button", name="Release the lock").click()
    expect(page.get_by_role("status")).to_have_text("The lock is released.")
    assert site.object(f"{KEY}.tflock") is None
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("the runner is gone").first).to_be_visible()
    visitor.look("state-activity")
    assert running.say("yes").code == 1, "a run that lost its lock writes nothing"
    page.get_by_role("link", name="Refused").click()
    expect(page.get_by_text("tidelock state refused get").first).to_be_visible()
    visitor.look("state-refused")


def test_versions_are_compared_and_rolled_back(http_site, visitor):
    site = guarded(http_site)
    work = written(site, "1", "2")
    page = visitor.sign_in(site.keys)
    page.get_by_role("link", name=KEY).click()
    expect(page.get_by_text("terraform_data.x", exact=True)).to_be_visible()
    visitor.look("state-resources")
    page.get_by_role("link", name="Outputs").click()
    expect(page.get_by_text("(sensitive value)")).to_be_visible()
    assert "hunter-2" not in page.content()
    visitor.look("state-outputs")
    page.get_by_role("button", name="Show sensitive values").click()
    expect(page.get_by_text("hunter-2")).to_be_visible()
    reveals = site.server.cli(
        "audit", "query", "--bucket", site.bucket, "--prefix", KEY, "-o", "json"
    )
    assert "(reveal)" in reveals, "the audit log tells a reveal from a read"
    page.get_by_role("link", name="Versions").click()
    expect(page.get_by_text("Serial 2", exact=True)).to_be_visible()
    visitor.look("state-versions")
    page.get_by_role("link", name="What changed").first.click()
    expect(page.get_by_text("terraform_data.x").first).to_be_visible()
    assert "hunter" not in page.content()
    visitor.look("diff")
    page.go_back()
    page.get_by_role("link", name="Roll back to this…").first.click()
    expect(page.get_by_text("Only the state changes")).to_be_visible()
    visitor.look("rollback")
    page.get_by_label("Type the key").fill(KEY)
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status")).to_contain_text("as serial 3")
    state = json.loads(site.object(KEY))
    assert (state["serial"], state["outputs"]["v"]["value"]) == (3, "1")
    assert "will be updated in-place" in work.run("plan", "-no-color", "-var", "v=2")
    page.get_by_role("link", name="Backend block").click()
    expect(page.locator("#block")).to_contain_text(f'key            = "{KEY}"')
    visitor.look("state-backend")
    page.get_by_role("link", name="Search").click()
    page.get_by_label("Type", exact=True).fill("terraform_data")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("terraform_data.x").first).to_be_visible()
    visitor.look("search")


def test_a_long_search_goes_on_where_it_has_ended(http_server, visitor):
    """More buckets than one page looks into; the state that is searched for is in the last."""
    s3 = http_server.s3()
    for number in range(16):
        bucket = f"search-{number:02}"
        s3.create_bucket(Bucket=bucket)
        http_server.cli("bucket", "edit", bucket, "--guard", "observe")
        kind = "random_pet" if number == 15 else "terraform_data"
        resource = {
            "mode": "managed", "type": kind, "name": "sought",
            "provider": 'provider["registry.terraform.io/hashicorp/random"]',
            "instances": [{"schema_version": 0, "attributes": {"id": "x"}}],
        }
        state = {
            "version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": bucket,
            "outputs": {}, "resources": [resource],
        }
        s3.put_object(Bucket=bucket, Key="a.tfstate", Body=json.dumps(state))
    page = visitor.sign_in()
    page.get_by_role("link", name="Search").click()
    page.get_by_label("Type", exact=True).fill("random_pet")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("there are more")).to_be_visible()
    for _ in range(10):
        further = page.get_by_role("link", name="Look further")
        if not further.count():
            break
        further.click()
    expect(page.get_by_text("random_pet.sought")).to_be_visible()
    expect(page.get_by_label("Type", exact=True)).to_have_value("random_pet")


def test_everything_works_without_scripts(http_site, visitor_without_scripts):
    site, visitor = guarded(http_site), visitor_without_scripts
    written(site, "1", "2")
    page = visitor.sign_in(site.keys)
    page.get_by_label("Colours").select_option("dark")
    page.get_by_role("button", name="Set").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("link", name=KEY).click()
    page.get_by_role("link", name="Versions").click()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/_/console/")
    assert re.search("/sign-in$", page.url), "the session is over"


def test_a_wrong_key_and_a_forged_form_are_refused(http_site, visitor):
    site = guarded(http_site)
    page = visitor.open("/state?bucket=a&key=b")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    visitor.look("sign-in")
    page.get_by_label("Access key id").fill(site.keys.access)
    page.get_by_label("Secret access key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    visitor.sign_in(site.keys)
    forged = page.evaluate(
        """async () => {
            const form = new URLSearchParams({ bucket: "a", key: "b", confirm: "b", reason: "r" });
            return (await fetch("/_/console/release", { method: "POST", body: form })).status;
        }"""
    )
    assert forged == 403


def test_a_user_of_a_prefix_sees_only_theirs(http_site, visitor):
    site = guarded(http_site)
    written(site, "1")
    other = site.initialised("other", key="secret/terraform.tfstate")
    other.run("apply", "-auto-approve", "-no-color")
    keys = reader(site, f"reader-{site.bucket}")
    page = visitor.sign_in(keys)
    visitor.open(f"/?bucket={site.bucket}&prefix=app/")
    expect(page.get_by_role("link", name=KEY)).to_be_visible()
    assert "secret/" not in page.content()
    visitor.look("home-of-a-prefix")
    visitor.open(f"/state?bucket={site.bucket}&key=secret/terraform.tfstate")
    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    visitor.look("denied")
