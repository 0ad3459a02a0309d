"""Executes lines of the command language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from dynarec.debug.commands.completion import complete
from dynarec.debug.commands.session import Command, Context, Holder
from dynarec.debug.commands.table import COMMANDS, GROUPS, by_name, find
from dynarec.errors import DynarecError

LINE = re.compile(r"(?P<word>[A-Za-z][A-Za-z-]*)(?P<rest>.*)", re.DOTALL)
END = "end"
NAME_WIDTH = 32


class Commands:
    """The command language, about the debugger that somebody holds. One thread at a time executes lines."""

    def __init__(self, holder: Holder, own: Sequence[Command] = ()) -> None:
        """own: commands of the front end."""
        self.context = Context(holder)
        help_ = Command(lambda _, argument: self._help(argument), "help [COMMAND]", "this list", completes="command")
        quit_ = Command(lambda *_: self._quit(), "quit", "end the debugger", ("exit",))
        self._own = (*own, help_, quit_)
        self._names = by_name((*COMMANDS, *self._own))
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
        return complete(self.context, self._names, line)

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
        command = find(match["word"], self._names)
        rest = match["rest"].strip()
        if typed:
            self._again = {"same": text, "on": match["word"], "": ""}[command.again]
        return command.run(self.context, rest)

    def _help(self, argument: str) -> Iterator[str]:
        if argument:
            command = find(argument, self._names)
            yield f"{command.usage}: {command.help}"
            if command.aliases:
                yield f"also {', '.join(command.aliases)}"
            return
        groups = {**GROUPS, "Here": self._own}
        for title, group in groups.items():
            yield f"{title}:"
            yield from (f"  {_names(command):<{NAME_WIDTH}}  {command.help}" for command in group)
        yield "Beginnings of names do; an empty line repeats."

    def _quit(self) -> Iterable[str]:
        self.context.ended = True
        return ()


def _names(command: Command) -> str:
    return ", ".join([command.usage, *command.aliases])
