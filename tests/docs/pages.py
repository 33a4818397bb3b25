"""The pages of the book as blocks: what to type in which terminal, and what is shown then."""

import re
from dataclasses import dataclass, field
from pathlib import Path

DIRECTIVE = re.compile(r"^<!-- (terminal: (?P<terminal>\w+)(, (?P<manner>\w+))?|not run: .+) -->$")
# What a reader types is in these; every other block is only shown.
TYPED = ("sh", "console")
MANNERS = (None, "fails", "stays", "input", "ends")


@dataclass
class Block:
    """One block of a page. Its comment says where it is typed, and how:
    nothing: every command ends well · fails: the last one does not · stays: the last one does not end ·
    input: lines for the command that stays · ends: the command that stayed ends well, and said this."""

    line: int
    language: str
    terminal: str
    manner: str | None
    text: str
    commands: list[tuple[str, str]] = field(default_factory=list)


def blocks(page: Path) -> list[Block]:
    """All that is to be run of a page, in its order."""
    found, lines = [], page.read_text().splitlines()
    at = 0
    while at < len(lines):
        if not lines[at].startswith("```"):
            at += 1
            continue
        language, start = lines[at][3:], at + 1
        at = lines.index("```", start)
        directive = DIRECTIVE.match(lines[start - 2])
        place = f"{page.name}:{start}"
        assert directive or language not in TYPED, f"{place}: no comment says where this is typed"
        if directive and directive["terminal"]:
            assert directive["manner"] in MANNERS, place
            text = "\n".join(lines[start:at])
            block = Block(start, language, directive["terminal"], directive["manner"], text)
            block.commands = commands(block) if language in TYPED else []
            found.append(block)
        at += 1
    return found


def commands(block: Block) -> list[tuple[str, str]]:
    """Commands with what each shows; a block of `sh` is one command that shows nothing."""
    if block.language == "sh":
        return [(block.text, "")]
    found, lines = [], iter(block.text.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            command, shown = found[-1]
            found[-1] = (command, f"{shown}{line}\n")
            continue
        command = line[2:]
        if here := re.search(r"<<'(\w+)'$", command):
            while not command.endswith(f"\n{here[1]}"):
                command += "\n" + next(lines)
        found.append((command, ""))
    return found
