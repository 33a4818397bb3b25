"""A browser, and somebody who signs in with it. Chromium is Debian's, driven by Playwright."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from servers import REPOSITORY, ROOT, Keys, Server
from sites import FIRST, TERRAFORMS, Site, site_at

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
# Nothing of the browser's own leaves this machine.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = REPOSITORY / ".cache/node/node_modules/axe-core/axe.min.js"
# Where the pictures of the pages go, for people to look at.
PICTURES = Path(os.environ.get("TIDELOCK_PICTURES", REPOSITORY / ".cache/pictures"))
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="session")
def browser():
    """One browser for all tests of a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def http_site(http_server, tmp_path) -> Site:
    """A bucket with a user of its own, and a Terraform that works on it."""
    return site_at(TERRAFORMS[FIRST], http_server, tmp_path)


class Visitor:
    """Somebody in front of a page, who notices every error of its scripts."""

    def __init__(self, browser: Browser, server: Server, **options):
        self.server = server
        self.context = browser.new_context(base_url=server.endpoint, **options)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)

    def _console(self, message) -> None:
        # What the browser says itself of a refusal that the page shows is no error of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def open(self, path: str = "/") -> Page:
        """Goes to a page of the console."""
        self.page.goto(f"/_/console{path}")
        return self.page

    def sign_in(self, keys: Keys = ROOT) -> Page:
        """Signs in with an access key."""
        self.open("/sign-in")
        self.page.get_by_label("Access key id").fill(keys.access)
        self.page.get_by_label("Secret access key").fill(keys.secret)
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def look(self, name: str) -> None:
        """Takes a picture of the page in light and dark, and holds it to what axe-core finds."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        for colours in ("light", "dark"):
            self.page.emulate_media(color_scheme=colours)
            self.page.screenshot(path=PICTURES / f"{name}-{colours}.png", full_page=True)
            if AXE.exists():
                assert self.violations() == [], f"{name}, {colours}"
        self.page.emulate_media(color_scheme="light")

    def violations(self) -> list[str]:
        """What axe-core finds on the page that is serious."""
        # The page's policy lets no script in; the debugger's protocol does.
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("async () => (await axe.run()).violations")
        return [
            f"{it['id']}: {node['html']}"
            for it in found
            if it["impact"] in SERIOUS
            for node in it["nodes"]
        ]

    def close(self) -> None:
        """Leaves; no page may have had an error."""
        self.context.close()
        assert self.errors == []


@pytest.fixture
def visitor(browser, http_server):
    """Somebody at a server over http."""
    visitor = Visitor(browser, http_server)
    yield visitor
    visitor.close()


@pytest.fixture
def visitor_without_scripts(browser, http_server):
    """The same, whose browser runs no scripts."""
    visitor = Visitor(browser, http_server, java_script_enabled=False)
    yield visitor
    visitor.close()


@pytest.fixture
def tls_visitor(browser, tls_server):
    """Somebody at a server over TLS, whose browser is told not to mind whose certificate it is."""
    visitor = Visitor(browser, tls_server, ignore_https_errors=True)
    yield visitor
    visitor.close()
