"""The book: every page is in it, and the pages for newcomers are run as they stand there.

A block of `sh` or `console` has a comment before it that says in which terminal it is typed, and how
(pages.py). Lines that do not begin with `$` must be said, in their order; `…` is anything. Only the port
differs: the server of the test takes a free one."""

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from desks import Desk
from pages import blocks
from servers import REPOSITORY, binary, clean_environment
from terminals import Place
from terraforms import Terraform, available

DOCS = REPOSITORY / "docs"
TERRAFORMS = available()
RUN = ("start.md", "tutorial.md")


def open_desk(path: Path, terraform: Terraform) -> Desk:
    """A desk with a home directory, a port, `tidelock` and `terraform` of its own."""
    home, programs, scripts = path / "home", path / "bin", path / "scripts"
    for directory in (home, programs, scripts):
        directory.mkdir()
    (programs / "tidelock").symlink_to(Path(binary()).resolve())
    (programs / "terraform").write_text(f'#!/bin/sh\nexec {shlex.join(terraform.command)} "$@"\n')
    (programs / "terraform").chmod(0o755)
    (home / ".terraformrc").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    environment = clean_environment() | {
        "HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(home / ".terraformrc"),
        "TIDELOCK_LISTEN": address,
    }
    return Desk(Place(environment, home, scripts, scripts), address)


@pytest.fixture
def desk(request, tmp_path):
    """A desk with the Terraform of the test."""
    desk = open_desk(tmp_path, TERRAFORMS[request.param])
    yield desk
    desk.close()


@pytest.mark.parametrize("page", RUN)
@pytest.mark.parametrize("desk", sorted(TERRAFORMS), indirect=True)
def test_a_page_works_as_written(desk, page):
    desk.follow(page, blocks(DOCS / page))


def test_every_page_is_in_the_book():
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", (DOCS / "SUMMARY.md").read_text()))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"SUMMARY.md"}
    assert listed == pages


@pytest.mark.skipif(shutil.which("mdbook") is None, reason="there is no mdbook")
def test_the_book_can_be_built(tmp_path):
    done = subprocess.run(
        ["mdbook", "build", DOCS, "--dest-dir", tmp_path / "book"], capture_output=True, text=True, timeout=120
    )
    said_of_it = done.stdout + done.stderr
    assert done.returncode == 0 and "WARN" not in said_of_it and "ERROR" not in said_of_it, said_of_it
    start = (tmp_path / "book/start.html").read_text()
    assert "tidelock serve" in start
