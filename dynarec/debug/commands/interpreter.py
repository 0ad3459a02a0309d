"""Executes lines of the command language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dynarec.debug.commands.completion import complete
from dynarec.debug.commands.session import Command, Context, Holder
from dynarec.debug.commands.table import GROUPS, find
from dynarec.errors import DynarecError

LINE = re.compile(r"(?P<word>[A-Za-z][A-Za-z-]*)(?P<rest>.*)", re.DOTALL)
END = "end"
NAME_WIDTH = 34


class Commands:
    """The command language, about the debugger that somebody holds. One thread at a time executes lines."""

    def __init__(self, holder: Holder) -> None:
        self.context = Context(holder)
        self._again = ""

    @property
    def ended(self) -> bool:
        """Whether the user has said that this is all."""
        return self.context.ended

    @property
    def is_collecting(self) -> bool:
        """Whether lines are commands for a breakpoint, up to `end`."""
        return self.context.collecting is not None

    def execute(self, line: str) -> Iterator[str]:
        """Execute a line; what it prints, as it comes. An empty one repeats the last, where that makes sense.

        When the program stops at a breakpoint that has commands, they are executed too. Raises DynarecError.
        """
        self.context.interrupted = False
        self.context.pending = []
        yield from self._execute(line)
        while self.context.pending and not self.context.interrupted:
            yield from self._one(self.context.pending.pop(0))

    def interrupt(self) -> None:
        """Stop what is being executed, and the program; from any thread."""
        self.context.interrupted = True
        self.context.debugger.interrupt()

    def complete(self, line: str) -> list[str]:
        """What a line may become: whole lines, sorted, with the last word completed."""
        return complete(self.context, line)

    def _execute(self, line: str) -> Iterable[str]:
        text = line.strip()
        collecting = self.context.collecting
        if collecting is not None:
            if text == END:
                self.context.collecting = None
            elif text:
                collecting.append(text)
            return ()
        if not text:
            return self._one(self._again) if self._again else ()
        self._again = ""
        return self._one(text, typed=True)

    def _one(self, text: str, typed: bool = False) -> Iterable[str]:
        match = LINE.fullmatch(text)
        if match is None:
            raise DynarecError(f"{text!r} is no command: help shows them")
        command = find(match["word"], ("help", "quit"))
        rest = match["rest"].strip()
        if command == "quit":
            self.context.ended = True
            return ()
        if isinstance(command, str):
            return self._help(rest)
        if typed:
            self._again = {"same": text, "on": match["word"], "": ""}[command.again]
        return command.run(self.context, rest)

    def _help(self, argument: str) -> Iterator[str]:
        if argument:
            command = find(argument)
            assert isinstance(command, Command)
            yield f"{command.usage}: {command.help}"
            if command.aliases:
                yield f"also {', '.join(command.aliases)}"
            return
        for title, group in GROUPS.items():
            yield f"{title}:"
            yield from (f"  {_names(command):<{NAME_WIDTH}}  {command.help}" for command in group)
        yield "help [COMMAND], quit. Beginnings of names do; an empty line repeats."


def _names(command: Command) -> str:
    return ", ".join([command.usage, *command.aliases])
