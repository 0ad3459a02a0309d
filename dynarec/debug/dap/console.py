"""The debug console of the editor: it takes expressions, and the debugger's commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.debug.commands.interpreter import Commands
from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Stopped

if TYPE_CHECKING:
    from dynarec.debug.dap.session import Session

CATEGORY = "console"
PRINT = "print "
"""A command that takes an expression."""


class Console:
    """Executes commands for a session; it is the holder that they know (`dynarec.debug.commands.session.Holder`)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._commands = Commands(self)

    @property
    def debugger(self) -> Debugger:
        return self._session.debugger

    @property
    def ended(self) -> bool:
        """Whether the user has said that this is all."""
        return self._commands.ended

    def restart(self) -> None:
        """For commands. Raises DynarecError."""
        self._session.restart()

    def execute(self, line: str) -> Stopped:
        """Execute a line; what it prints goes to the editor. Where the program is then. Raises DynarecError."""
        for text in self._commands.execute(line):
            self._session.outbox.output(CATEGORY, f"{text}\n")
        return self.debugger.stopped

    def interrupt(self) -> None:
        """Stop what is being executed."""
        self._commands.interrupt()

    def complete(self, text: str) -> dict[str, str]:
        """What a text may become, as a command or as an expression, by the word that was completed."""
        found = self._commands.complete(text)
        found += [each.removeprefix(PRINT) for each in self._commands.complete(PRINT + text)]
        start = text.rfind(" ") + 1
        return {each[start:]: each for each in found if each != text}
