"""What a line that is being typed may become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from dynarec.debug.commands.session import Context
from dynarec.debug.commands.table import NAMES, find
from dynarec.debug.stoppers import CAUGHT
from dynarec.errors import DynarecError

WORD = re.compile(r"[^\s=+*/&|()<>!,~^-]*$")
MOST = 500
"""Completions that are given."""


def complete(context: Context, line: str) -> list[str]:
    """Whole lines, sorted: the last word completed in each way that there is."""
    head, space, _ = line.partition(" ")
    if not space:
        return sorted({name for name in [*NAMES, "help", "quit"] if name.startswith(line) and len(name) > 2})[:MOST]
    try:
        command = find(head.partition("/")[0], ("help", "quit"))
    except DynarecError:
        return []
    kind = ("command" if command == "help" else "") if isinstance(command, str) else command.completes
    if kind == "file":
        return _files(line)
    match = WORD.search(line)
    word = match[0] if match else ""
    before = line[: len(line) - len(word)]
    found = {each for each in _words(context, kind, word) if each.startswith(word)}
    return [before + each for each in sorted(found)[:MOST]]


def _words(context: Context, kind: str, word: str) -> Iterable[str]:
    from dynarec.debug.commands.looking import TOPICS

    sources: dict[str, Callable[[], Iterable[str]]] = {
        "command": lambda: NAMES,
        "topic": lambda: TOPICS,
        "catch": lambda: CAUGHT,
        "number": lambda: map(str, context.debugger.stoppers),
        "place": lambda: _places(context),
        "expression": lambda: _names(context, word),
    }
    return sources[kind]() if kind in sources else ()


def _places(context: Context) -> Iterable[str]:
    """Functions, symbols, and files with the colon that a line follows."""
    source = context.debugger.source
    yield from (symbol.name for symbol in context.debugger.machine.symbols)
    yield from (f"{file.rpartition('/')[2]}:" for file in source.lines.files)


def _names(context: Context, word: str) -> Iterable[str]:
    """Registers behind $; variables, registers and symbols without."""
    machine = context.debugger.machine
    if word.startswith("$"):
        yield from (f"${name}" for name in ("pc", *machine.guest.layout.names))
        return
    yield from (each.name for each in context.debugger.view.variables(context.frame))
    yield from (symbol.name for symbol in machine.symbols)
    yield from ("pc", *machine.guest.layout.names)


def _files(line: str) -> list[str]:
    """The last word as the beginning of a path."""
    before, _, word = line.rpartition(" ")
    path = Path(word).expanduser()
    folder = path if word.endswith("/") or not word else path.parent
    start = "" if word.endswith("/") or not word else path.name
    try:
        entries = [each for each in folder.iterdir() if each.name.startswith(start)]
    except OSError:
        return []
    prefix = word[: len(word) - len(start)]
    return [f"{before} {prefix}{each.name}{'/' if each.is_dir() else ''}" for each in sorted(entries)[:MOST]]
