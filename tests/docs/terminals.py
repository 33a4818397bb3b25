"""Terminals for pages to be run in: a shell each, that keeps its directory and variables."""

import itertools
import os
import re
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

COMMAND_SECONDS_MAX = 120
# Colours, and the frames of tables and of Terraform's messages.
NOISE = re.compile(r"\x1b\[[0-9;]*m|[│╷╵┆┌┐└┘├┤╞╡═─┬┴┼╪]")


def plain(text: str) -> str:
    """Text without colours, frames and line breaks: what was said, however it was laid out."""
    return re.sub(r"\s+", " ", NOISE.sub(" ", text)).strip()


@dataclass(frozen=True)
class Place:
    """Where terminals are opened. `scripts` is a directory that both sides read, `seen` its name there."""

    environment: dict[str, str]
    directory: Path
    scripts: Path
    seen: Path
    shell: list[str] = field(default_factory=lambda: ["bash", "--noprofile", "--norc"])


class Terminal:
    """One shell. A command either ends before the next one is given, or stays until it is waited for."""

    def __init__(self, place: Place):
        self.shell = subprocess.Popen(
            place.shell,
            cwd=place.directory,
            env=place.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.place, self.numbers, self.pending = place, itertools.count(), None
        self.output, self.changed = "", threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while read := self.shell.stdout.read1(65536):
            with self.changed:
                self.output += read.decode(errors="replace")
                self.changed.notify_all()

    def _wait(self, found) -> str:
        """Until `found(output)` is something; that."""
        with self.changed:
            done = self.changed.wait_for(lambda: found(self.output), COMMAND_SECONDS_MAX)
            assert done, f"after {COMMAND_SECONDS_MAX} s:\n{self.output}"
            return found(self.output)

    def start(self, command: str, *, answers: bool = False) -> None:
        """Gives the shell a command; only one that `answers` reads what is typed."""
        assert self.pending is None, "the terminal is busy"
        number = next(self.numbers)
        name = f"{id(self)}-{number}"
        (self.place.scripts / name).write_text(f"trap 'failed=$?' ERR; failed=0\n{command}\n")
        self.pending, self.output = f"<<end {number}:", ""
        source = f". {self.place.seen / name}" + ("" if answers else " </dev/null")
        # In two parts, so that an echo of the line is not taken for the end.
        self.type(f"{source}; echo \"<<end\" {number}:${{failed}}:")

    def type(self, line: str) -> None:
        """Types a line."""
        self.shell.stdin.write((line + "\n").encode())
        self.shell.stdin.flush()

    def shows(self, expected: str) -> None:
        """Waits until the command that stays has said it."""
        self._wait(lambda output: said(output, expected) or self.pending in output)
        assert said(self.output, expected), f"it did not say:\n{expected}\nbut:\n{self.output}"

    def ends(self) -> tuple[int, str]:
        """Waits for the end of the command: status and output."""
        mark = re.compile(re.escape(self.pending) + r"(\d+):")
        found = self._wait(mark.search)
        self.pending = None
        return int(found.group(1)), self.output[: found.start()]

    def close(self) -> None:
        """Ends the shell and all that it runs."""
        os.killpg(self.shell.pid, signal.SIGTERM)
        try:
            self.shell.wait(1)
        except subprocess.TimeoutExpired:
            os.killpg(self.shell.pid, signal.SIGKILL)
            self.shell.wait()


def said(output: str, expected: str) -> bool:
    """Whether the lines were said, in their order; `…` stands for anything, also within a line."""
    parts = [part for line in expected.splitlines() for part in plain(line).split("…")]
    pattern = ".*?".join(re.escape(part.strip()) for part in parts if part.strip())
    return re.search(pattern, plain(output), re.DOTALL) is not None
