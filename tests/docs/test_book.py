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

from pages import blocks
from servers import REPOSITORY, binary, clean_environment
from terminals import Terminal, said
from terraforms import Terraform, available

DOCS = REPOSITORY / "docs"
PORT = "127.0.0.1:9000"
TERRAFORMS = available()
RUN = ("start.md", "tutorial.md")


class Desk:
    """A home directory with a port, `tidelock`, `terraform`, and as many terminals as a page names."""

    def __init__(self, path: Path, terraform: Terraform):
        self.home, self.terminals = path / "home", {}
        programs, self.scripts = path / "bin", path / "scripts"
        for directory in (self.home, programs, self.scripts):
            directory.mkdir()
        (programs / "tidelock").symlink_to(Path(binary()).resolve())
        (programs / "terraform").write_text(f'#!/bin/sh\nexec {shlex.join(terraform.command)} "$@"\n')
        (programs / "terraform").chmod(0o755)
        (self.home / ".terraformrc").touch()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{taken.getsockname()[1]}"
        self.environment = clean_environment() | {
            "HOME": str(self.home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(self.home / ".terraformrc"),
            "TIDELOCK_LISTEN": self.address,
        }

    def terminal(self, name: str) -> Terminal:
        """The terminal of that name."""
        if name not in self.terminals:
            self.terminals[name] = Terminal(self.environment, self.home, self.scripts)
        return self.terminals[name]

    def run(self, block) -> None:
        """Does what a block says, and holds it to what it shows."""
        terminal = self.terminal(block.terminal)
        if block.manner == "input":
            for line in block.text.splitlines():
                terminal.type(line)
            assert terminal.ends()[0] == 0, terminal.output
        if block.manner == "ends":
            status, output = terminal.ends()
            assert status == 0 and said(output, block.text), output
        for number, (command, shown) in enumerate(block.commands, start=1):
            is_last = number == len(block.commands)
            stays = is_last and block.manner == "stays"
            terminal.start(command.replace(PORT, self.address), answers=stays)
            shown = shown.replace(PORT, self.address)
            if stays:
                terminal.shows(shown)
                continue
            status, output = terminal.ends()
            fails = is_last and block.manner == "fails"
            assert (status != 0) == fails, f"$ {command}\nended {status}:\n{output}"
            assert said(output, shown), f"$ {command}\ndid not say:\n{shown}\nbut:\n{output}"

    def close(self) -> None:
        """Ends all terminals and what runs in them."""
        for terminal in self.terminals.values():
            terminal.close()


@pytest.fixture
def desk(request, tmp_path):
    """A desk with the Terraform of the test."""
    desk = Desk(tmp_path, TERRAFORMS[request.param])
    yield desk
    desk.close()


@pytest.mark.parametrize("page", RUN)
@pytest.mark.parametrize("desk", sorted(TERRAFORMS), indirect=True)
def test_a_page_works_as_written(desk, page):
    for block in blocks(DOCS / page):
        try:
            desk.run(block)
        except AssertionError as error:
            raise AssertionError(f"{page}:{block.line} in terminal {block.terminal}: {error}") from error


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
