"""Signing in over an identity provider, in a browser: the way there and back, and whatever goes wrong."""

import json
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from conftest import Visitor
from providers import CLIENT, SECRET, Provider
from servers import ROOT, Server

BUCKET = "states"
# The audit log is written every half second.
WRITTEN_SECONDS_MAX = 10
# Who has told the audit log of a sign-in that came to nothing.
CONSOLE = "ConsoleSignIn"
STS = "QueryRequest"
BUTTON = "Sign in with Our id"
STATE = {
    "version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "l",
    "outputs": {}, "resources": [],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server whose console takes people over a provider, into a role that sees one prefix."""
    path = tmp_path_factory.mktemp("sign-in")
    provider = Provider()
    (path / "secret").write_text(SECRET + "\n")
    setting = f"issuer={provider.url},client-id={CLIENT},client-secret-file={path / 'secret'}"
    server = Server.start(path / "data", "--console-oidc", f"{setting},role=viewers,name=Our id")
    trust = f"issuer={provider.url},sub=?*,aud={CLIENT},groups=platform"
    states = ("--preset", "state-reader", "--bucket", BUCKET, "--prefix", "app/")
    server.cli("role", "create", "viewers", *states, "--trust", trust)
    s3 = server.s3()
    s3.create_bucket(Bucket=BUCKET)
    server.cli("bucket", "edit", BUCKET, "--guard", "observe")
    for key in ("app/terraform.tfstate", "secret/terraform.tfstate"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(STATE))
    yield SimpleNamespace(provider=provider, server=server)
    provider.close()
    assert server.stop() == 0


@pytest.fixture
def provider(world):
    """The provider, which does everything right."""
    world.provider.behave(groups=["all", "platform"])
    return world.provider


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def anybody(request, browser, world):
    """Somebody, with scripts and without."""
    visitor = Visitor(browser, world.server, java_script_enabled=request.param)
    yield visitor
    visitor.close()


@pytest.fixture
def somebody(browser, world):
    """Somebody, with scripts."""
    visitor = Visitor(browser, world.server)
    yield visitor
    visitor.close()


def button(visitor):
    """The way to the provider, on the page that signs in."""
    visitor.open("/sign-in")
    return visitor.page.get_by_role("link", name=BUTTON)


class Entries:
    """Entries of an action in the audit log."""

    def __init__(self, server, action: str):
        self.server, self.action = server, action
        self.known = len(self.all())

    def all(self) -> list[dict]:
        """All of them, the oldest first."""
        return json.loads(self.server.cli("audit", "query", "--action", self.action, "-o", "json"))

    def new(self) -> dict:
        """The one that came since; the server may take half a second to write it."""
        until = time.monotonic() + WRITTEN_SECONDS_MAX
        while len(entries := self.all()) == self.known and time.monotonic() < until:
            time.sleep(0.1)
        (entry,) = entries[self.known:]
        return entry


@pytest.mark.parametrize("asks", [False, True], ids=["at-once", "after-a-form"])
def test_people_sign_in_and_see_what_their_role_sees(world, provider, anybody, asks):
    provider.asks = asks
    page = anybody.open(f"/?bucket={BUCKET}&prefix=app/")
    page.get_by_role("link", name=BUTTON).click()
    if asks:
        page.get_by_role("button", name="Let me in").click()
    # The first page after the way back knows the session, and is the one that was asked for.
    expect(page.get_by_role("link", name="app/terraform.tfstate")).to_be_visible()
    expect(page.get_by_title("Signed in as")).to_have_text("assumed-role/viewers/ann@example.org")
    assert urlsplit(page.url).query == f"bucket={BUCKET}&prefix=app/"
    kept = {cookie["name"]: cookie for cookie in anybody.context.cookies()}
    assert list(kept) == ["tidelock_session"] and kept["tidelock_session"]["httpOnly"]
    anybody.open(f"/state?bucket={BUCKET}&key=secret/terraform.tfstate")
    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    anybody.open("/locks")
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


def test_the_page_that_signs_in_leads_to_the_provider_and_takes_keys(provider, somebody):
    expect(button(somebody)).to_be_visible()
    somebody.look("sign-in-with-a-provider")
    page = somebody.sign_in(ROOT)
    expect(page.get_by_title("Signed in as")).to_have_text("root")


def test_whom_the_role_does_not_trust(world, provider, somebody):
    provider.behave(sub="bob", email="bob@example.org", groups=["all"])
    refused = Entries(world.server, STS)
    button(somebody).click()
    alert = somebody.page.get_by_role("alert")
    expect(alert).to_contain_text("Our id knows you, as bob@example.org, but")
    somebody.look("sign-in-refused")
    assert refused.new()["code"] == "AccessDenied"
    # The next one is not asked for more than a click.
    provider.behave(groups=["all", "platform"])
    somebody.page.get_by_role("link", name=BUTTON).click()
    expect(somebody.page.get_by_title("Signed in as")).to_contain_text("ann@example.org")


# What the provider does wrong; what the page says; what the audit log has.
WRONG = {
    "declined": ({"over": {"error": "access_denied", "code": None}}, "you declined", "AccessDenied"),
    "an-error": ({"over": {"error": "server_error", "code": None}}, "the error server_error", "AccessDenied"),
    "an-error-of-words": ({"over": {"error": "call us", "code": None}}, "the error unknown", "AccessDenied"),
    "other-state": ({"over": {"state": "x" * 43}}, "This sign-in is over", "InvalidRequest"),
    "no-state": ({"over": {"state": None}}, "This sign-in is over", "InvalidRequest"),
    "other-issuer": ({"over": {"iss": "https://id.test"}}, "not one of Our id", "InvalidRequest"),
    "no-issuer": ({"over": {"iss": None}}, "not one of Our id", "InvalidRequest"),
    "no-code": ({"over": {"code": None}}, "not one of Our id", "InvalidRequest"),
    "a-code-of-nobody": ({"over": {"code": "x"}}, "does not take its own code", "InvalidIdentityToken"),
    "other-nonce": ({"claims": {"nonce": "x"}}, "not made for this sign-in", "InvalidIdentityToken"),
    "other-audience": ({"claims": {"audience": "x"}}, "not made for this sign-in", "InvalidIdentityToken"),
    "a-token-that-ended": ({"claims": {"lives_s": -600}}, "does not take what", "ExpiredTokenException"),
    "other-secret": ({"refuses": (401, {"error": "invalid_client"})}, "does not know this console", "IDPCommunicationError"),
    "no-token": ({"refuses": (200, {"access_token": "a"})}, "does not answer as it should", "IDPCommunicationError"),
    "broken": ({"refuses": (503, {})}, "does not answer as it should", "IDPCommunicationError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_told(world, provider, somebody, name):
    wrong, words, code = WRONG[name]
    vars(provider).update(wrong)
    refused = Entries(world.server, STS if name == "a-token-that-ended" else CONSOLE)
    button(somebody).click()
    expect(somebody.page.get_by_role("alert")).to_contain_text(words)
    assert "tidelock_session" not in [cookie["name"] for cookie in somebody.context.cookies()]
    entry = refused.new()
    assert (entry["code"], entry["principal"]) == (code, "anonymous"), entry


def test_an_answer_is_taken_once_and_by_the_browser_that_asked(world, provider, browser, somebody):
    answers = []
    page = somebody.page
    page.on("request", lambda it: answers.append(it.url) if "/oidc/callback" in it.url else None)
    button(somebody).click()
    expect(page.get_by_title("Signed in as")).to_be_visible()
    (answer,) = answers
    before = len(provider.exchanged)
    other = Visitor(browser, world.server)
    for visitor in (somebody, other):
        visitor.page.goto(answer)
        expect(visitor.page.get_by_role("alert")).to_contain_text("This sign-in is over")
    other.close()
    assert len(provider.exchanged) == before
    # Another site can neither answer for the provider nor begin a sign-in.
    page.goto(provider.site)
    page.evaluate("url => { location = url }", f"{world.server.endpoint}/_/console/oidc/start")
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


def test_a_provider_that_is_gone(browser, tmp_path):
    gone = Provider()
    gone.close()
    setting = f"issuer={gone.url},client-id={CLIENT},role=viewers"
    server = Server.start(tmp_path / "data", "--console-oidc", setting)
    visitor = Visitor(browser, server)
    visitor.open("/sign-in")
    visitor.page.get_by_role("link", name=f"Sign in with {urlsplit(gone.url).netloc}").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("sign in with an access key")
    visitor.close()
    assert server.stop() == 0


def test_without_a_provider_there_is_none(http_server, visitor):
    visitor.open("/sign-in")
    expect(visitor.page.get_by_role("link", name="Sign in with")).to_have_count(0)
    for path in ("/oidc/start", "/oidc/callback"):
        assert visitor.page.goto(f"/_/console{path}").status == 404
