"""People and the server in a browser: the audit log, users and their keys, roles, the policy tester, health."""

import json
import re

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import expect

from servers import Keys

READ_APP = json.dumps({
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "app", "Effect": "Allow", "Action": "s3:GetObject",
         "Resource": "arn:aws:s3:::states/app/*"},
    ],
})


def main_link(page, name: str):
    """An entry of the navigation."""
    return page.get_by_role("navigation", name="Main").get_by_role("link", name=name)


def tab(page, name: str):
    """An entry below it."""
    return page.get_by_role("navigation", name="People").get_by_role("link", name=name)


def test_the_audit_log_is_filtered_and_paged(http_server, visitor):
    s3 = http_server.s3()
    s3.create_bucket(Bucket="audited")
    for number in range(120):
        s3.put_object(Bucket="audited", Key=f"k/{number:03}", Body=b"x")
    s3.delete_object(Bucket="audited", Key="k/000")
    page = visitor.sign_in()
    main_link(page, "Audit").click()
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    page.get_by_label("Bucket").fill("audited")
    page.get_by_label("Keys that begin with").fill("k/")
    page.get_by_label("Since").fill("1h")
    page.get_by_role("button", name="Show").click()
    rows = page.locator("tbody tr")
    expect(rows.first).to_contain_text("DeleteObject")
    expect(rows.first).to_contain_text("audited/k/000")
    expect(page.locator(".command")).to_contain_text(
        "tidelock audit query --bucket audited --prefix k/ --since 1h"
    )
    visitor.look("audit")
    page.get_by_label("Action").fill("PutObject")
    page.get_by_role("button", name="Show").click()
    expect(rows.first).to_contain_text("audited/k/119")
    expect(rows).to_have_count(100)
    page.get_by_role("link", name="Older entries").click()
    expect(rows.first).to_contain_text("audited/k/019")
    expect(rows).to_have_count(20)
    expect(page.get_by_role("link", name="Older entries")).to_have_count(0)
    page.get_by_role("link", name="Back to the latest").click()
    expect(rows.first).to_contain_text("audited/k/119")
    page.get_by_label("Since").fill("yesterday")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("neither a time nor an age")).to_be_visible()


def test_a_user_gets_a_key_and_a_policy_and_loses_both(http_server, visitor):
    page = visitor.sign_in()
    main_link(page, "People").click()
    page.get_by_label("New user").fill("no/body")
    page.get_by_role("button", name="Make").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("New user").fill("ann")
    page.get_by_role("button", name="Make").click()
    expect(page.get_by_role("status")).to_contain_text("The user is made.")
    expect(page.get_by_role("heading", name="ann", exact=True)).to_be_visible()
    page.get_by_label("New key that ends after").fill("90")
    page.get_by_role("button", name="Make a key").click()
    keys = Keys(page.locator("#made-id").inner_text(), page.locator("#made-secret").inner_text())
    visitor.look("user-with-a-new-key")
    assert http_server.s3(keys).list_buckets()["Buckets"] == []
    main_link(page, "People").click()
    expect(page.get_by_text(keys.access)).to_be_visible()
    assert keys.secret not in page.content(), "a secret is shown once"
    visitor.look("users")
    page.get_by_role("link", name="ann", exact=True).click()
    assert keys.secret not in page.content()
    page.get_by_text("Give a policy, or replace one").click()
    page.get_by_label("Its name").fill("app")
    page.get_by_label("Its document").fill('{"Statement": 7}')
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Its name")).to_have_value("app")
    page.get_by_label("Its document").fill(READ_APP)
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("status")).to_have_text("The policy is in force.")
    assert '"app"' in http_server.cli("user", "policy", "list", "ann", "-o", "json")
    page.get_by_text("app", exact=True).click()
    visitor.look("user")
    http_server.cli("group", "create", "ops", "--preset", "planner", "--bucket", "states")
    http_server.cli("group", "add", "ops", "ann")
    page.reload()
    expect(page.get_by_role("heading", name="ops", exact=True)).to_be_visible()
    page.get_by_text("planner of the group ops").click()
    visitor.look("user-in-a-group")
    page.get_by_text("app", exact=True).click()
    page.get_by_label("may do this no more").check()
    page.get_by_role("button", name="Take it away").click()
    expect(page.get_by_role("status")).to_have_text("The policy is taken away.")
    page.get_by_label("Type the name").fill("ann")
    page.get_by_role("button", name="Delete the user").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_text("Delete the key " + keys.access).click()
    page.get_by_label("Requests signed with it").check()
    page.get_by_role("button", name="Delete the key").click()
    expect(page.get_by_role("status")).to_have_text("The key is deleted.")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        http_server.s3(keys).list_buckets()
    page.get_by_label("Type the name").fill("bob")
    page.get_by_role("button", name="Delete the user").click()
    expect(page.get_by_role("alert")).to_contain_text("Type the name of the user")
    page.get_by_label("Type the name").fill("ann")
    page.get_by_role("button", name="Delete the user").click()
    expect(page.get_by_role("status")).to_have_text("The user is deleted.")
    assert page.get_by_role("link", name="ann", exact=True).count() == 0


def test_a_role_is_made_of_a_preset_and_deleted(http_server, visitor_without_scripts):
    page = visitor_without_scripts.sign_in()
    main_link(page, "People").click()
    tab(page, "Roles").click()
    page.get_by_label("Name").fill("plans")
    page.get_by_label("What it may do", exact=True).select_option("planner")
    page.get_by_label("In the bucket").fill("states")
    page.get_by_label("For keys that begin with").fill("app/")
    page.get_by_label("Who may assume it", exact=True).fill("github:acme")
    page.get_by_role("button", name="Make the role").click()
    expect(page.get_by_role("alert")).to_contain_text("github:OWNER/REPOSITORY")
    expect(page.get_by_label("In the bucket")).to_have_value("states")
    page.get_by_label("Who may assume it", exact=True).fill("user:ann")
    page.get_by_role("button", name="Make the role").click()
    expect(page.get_by_role("status")).to_contain_text("The role is made.")
    made = json.loads(http_server.cli("role", "get", "plans", "-o", "json"))
    same = ["role", "create", "same", "--preset", "planner", "--bucket", "states"]
    same += ["--prefix", "app/", "--trust", "user:ann", "-o", "json"]
    same = json.loads(http_server.cli(*same))
    assert (made["policies"], made["trust_policy"]) == (same["policies"], same["trust_policy"])
    expect(page.get_by_text("s3:GetObjectVersion")).to_be_visible()
    tab_of = page.get_by_role("link", name="Roles")
    tab_of.click()
    expect(page.get_by_role("link", name="same")).to_be_visible()
    for name in ("plans", "same"):
        page.get_by_role("link", name=name).click()
        page.get_by_label("Type the name").fill(name)
        page.get_by_role("button", name="Delete the role").click()
        expect(page.get_by_role("status")).to_contain_text("its sessions are over")
    assert json.loads(http_server.cli("role", "list", "-o", "json")) == []


def test_the_policy_tester_says_which_statement_decides(http_server, visitor, tmp_path):
    http_server.user("tess")
    s3 = http_server.s3()
    s3.create_bucket(Bucket="states")
    path = tmp_path / "app.json"
    path.write_text(READ_APP)
    http_server.cli("user", "policy", "put", "tess", "readers", str(path))
    trust = ["--trust", "github:acme/infra"]
    http_server.cli(
        "role", "create", "ci", "--preset", "applier", "--bucket", "states", *trust
    )
    page = visitor.sign_in()
    visitor.open("/roles")
    visitor.look("roles")
    page.get_by_role("link", name="ci", exact=True).click()
    expect(page.get_by_text("oidc-provider/token.actions")).to_be_visible()
    visitor.look("role")
    visitor.open("/policy-test")
    # Who, what, with what; which policies; what is said.
    rows = [
        ("tess", "s3:GetObject", "states/app/x", "allowed", "'readers' of the user tess"),
        ("tess", "s3:PutObject", "states/app/x", "not allowed", "No statement allows it"),
        ("nobody", "s3:PutObject", "states/app/x", None, "NoSuchUser"),
        ("tess", "s3:GetObject", "arn:aws:iam::0:user/x", None, "takes BUCKET"),
    ]
    for who, action, resource, decision, why in rows:
        page.get_by_label("Who").fill(who)
        page.get_by_label("Does what").fill(action)
        page.get_by_label("With what").fill(resource)
        page.get_by_role("button", name="Test").click()
        said = page.get_by_role("status" if decision else "alert")
        expect(said).to_contain_text(why)
        if decision:
            expect(said.get_by_role("heading")).to_have_text(decision)
    page.get_by_label("With what").fill("states/app/x")
    page.get_by_text("Try other policies").click()
    deny = {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::states/*",
            "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    page.get_by_label("The policy of the bucket").fill(policy)
    page.get_by_label("Condition keys").fill("aws:SourceIp=10.1.2.3")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_role("status")).to_contain_text(
        "Statement 1 ('no') of the bucket policy that was entered"
    )
    visitor.look("policy-test")
    page.get_by_label("Condition keys").fill("aws:SourceIp=192.0.2.1")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_role("status").get_by_role("heading")).to_have_text("allowed")
    http_server.cli("role", "delete", "ci", "--yes")


def test_the_server_tells_root_how_it_is(http_server, visitor):
    page = visitor.sign_in()
    main_link(page, "Server").click()
    expect(page.get_by_text("serving", exact=True)).to_be_visible()
    expect(page.locator(".command")).to_contain_text("tidelock admin status")
    status = json.loads(http_server.cli("admin", "status", "-o", "json"))
    assert (status["health"], status["certificate"]) == ("serving", None)
    assert status["minutes"][-1]["requests"] > 0
    expect(page.get_by_text(status["version"]).first).to_be_visible()
    visitor.look("server")
    assert "health       serving" in http_server.cli("admin", "status")


def test_a_certificate_is_told_with_its_end(tls_visitor):
    page = tls_visitor.sign_in()
    main_link(page, "Server").click()
    expect(page.get_by_text("localhost", exact=True)).to_be_visible()
    tls_visitor.look("server-with-tls")


def test_who_is_not_root_is_told_in_a_word(http_server, visitor):
    keys = http_server.user("una")
    http_server.s3(keys).create_bucket(Bucket="unas")
    page = visitor.sign_in(keys)
    rows = [
        ("/audit", "The whole log is for root"),
        ("/users", "Users are for root"),
        ("/roles", "Roles are for root"),
        ("/server", "is for root to see"),
    ]
    for path, words in rows:
        visitor.open(path)
        expect(page.get_by_text(words)).to_be_visible()
        assert page.get_by_role("heading", name="You may not do this").count() == 0
    visitor.look("server-denied")
    visitor.open("/audit?bucket=unas")
    expect(page.locator("tbody tr").last).to_contain_text("CreateBucket")
    forged = page.evaluate(
        """async () => {
            const form = new URLSearchParams({ name: "eve" });
            return (await fetch("/_/console/users", { method: "POST", body: form })).status;
        }"""
    )
    assert forged == 403
    assert not re.search("eve", http_server.cli("user", "list"))
