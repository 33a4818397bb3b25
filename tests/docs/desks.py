"""A desk: as many terminals as a page names, and what a page says done in them."""

from pages import Block
from terminals import Place, Terminal, said

# Where the pages have their server.
PORT = "127.0.0.1:9000"


class Desk:
    """The terminals of one place; the server of the pages listens on `address` instead."""

    def __init__(self, place: Place, address: str = PORT):
        self.place, self.address, self.terminals = place, address, {}

    def follow(self, page: str, blocks: list[Block]) -> None:
        """Does what the blocks of a page say, in their order."""
        for block in blocks:
            try:
                self.run(block)
            except AssertionError as error:
                raise AssertionError(f"{page}:{block.line} in terminal {block.terminal}: {error}") from error

    def terminal(self, name: str) -> Terminal:
        """The terminal of that name."""
        if name not in self.terminals:
            self.terminals[name] = Terminal(self.place)
        return self.terminals[name]

    def run(self, block: Block) -> None:
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
