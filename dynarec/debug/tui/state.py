"""What the interface remembers of a program from one session to the next: a file for each program, private to its user.

What is damaged, or of another version, is as good as nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dynarec.debug.commands.session import Context, Display, Format
from dynarec.debug.debugger import Debugger
from dynarec.debug.stoppers import Breakpoint, Catchpoint, Stopper, Watchpoint
from dynarec.errors import DynarecError

VERSION = 1
MOST_HISTORY = 1000
LARGEST = 1 << 20
"""Bytes of a file; a larger one is none of ours."""
PRIVATE_FOLDER, NAME_DIGITS = 0o700, 16


@dataclass(slots=True)
class Remembered:
    """theme: of Textual. pane: the chosen one. style: of the code. stoppers, displays: as `restore` reads them."""

    theme: str = ""
    pane: str = ""
    style: str = ""
    history: list[str] = field(default_factory=list)
    stoppers: list[dict[str, Any]] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)


def path_for(program: Path, folder: Path) -> Path:
    """The file of a program: by its name, and by where it is."""
    where = hashlib.sha256(os.fsencode(program.resolve())).hexdigest()[:NAME_DIGITS]
    return folder / f"{program.stem[:40]}-{where}.json"


def read(path: Path) -> tuple[Remembered, str]:
    """What is remembered, and a note for the user when that could not be read."""
    try:
        with path.open("rb") as file:
            return _checked(json.loads(file.read(LARGEST))), ""
    except FileNotFoundError:
        return Remembered(), ""
    except (OSError, ValueError, RecursionError) as error:
        return Remembered(), f"what was remembered of this program is not used: {path}: {_line(error)}"


def _checked(value: object) -> Remembered:
    """Raises ValueError for what is not of the form that `write` gives."""
    if not isinstance(value, dict) or value.pop("version", None) != VERSION:
        raise ValueError("it is of another version")
    example = Remembered()
    names = {each.name for each in fields(Remembered)}
    if value.keys() != names or any(type(value[name]) is not type(getattr(example, name)) for name in names):
        raise ValueError("it is damaged")
    if not all(isinstance(line, str) and line.isprintable() for line in value["history"]):
        raise ValueError("its history is damaged")
    if not all(isinstance(each, dict) for each in (*value["stoppers"], *value["displays"])):
        raise ValueError("its breakpoints are damaged")
    return Remembered(**value)


def write(path: Path, remembered: Remembered) -> None:
    """All of it or nothing, for the user alone. Raises OSError."""
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    del remembered.history[:-MOST_HISTORY]
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".state-")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"version": VERSION, **asdict(remembered)}, file)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


# -- breakpoints and displays -----------------------------------------------------------------------------------------


def keep(context: Context, remembered: Remembered) -> None:
    """Remember the breakpoints and displays of now."""
    remembered.stoppers = [_described(each) for each in context.debugger.stoppers.values() if not each.temporary]
    remembered.displays = [
        {"expression": each.expression, "format": asdict(each.format)} for each in context.displays.values()
    ]


def _described(stopper: Stopper) -> dict[str, Any]:
    described: dict[str, Any] = {"when": stopper.when, "commands": stopper.commands, "enabled": stopper.enabled}
    if isinstance(stopper, Breakpoint):
        return {"kind": "breakpoint", "where": stopper.where, **described}
    if isinstance(stopper, Watchpoint):
        where = {"where": stopper.addresses.start, "size": len(stopper.addresses), "watched": stopper.watched}
        return {"kind": "watchpoint", **where, **described}
    assert isinstance(stopper, Catchpoint)
    return {"kind": "catchpoint", "what": stopper.what, "selector": stopper.selector, **described}


def restore(context: Context, remembered: Remembered) -> Iterator[str]:
    """Have them again; notes about those that the program has no place for any more."""
    for described in remembered.stoppers:
        try:
            stopper = _made(context.debugger, described)
            if not described["enabled"]:
                stopper.disable()
        except DynarecError as error:
            yield f"a {described.get('kind')} is gone: {error}"
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            yield f"a breakpoint that was remembered is damaged: {_line(error)}"
    for number, described in enumerate(remembered.displays, 1):
        with suppress(KeyError, TypeError):
            context.displays[number] = Display(Format(**described["format"]), str(described["expression"]))


def _made(debugger: Debugger, described: dict[str, Any]) -> Stopper:
    more: dict[str, Any] = {"when": described["when"], "commands": described["commands"]}
    match described["kind"]:
        case "breakpoint":
            return debugger.break_at(described["where"], **more)
        case "watchpoint":
            return debugger.watch(described["where"], described["size"], described["watched"], **more)
        case "catchpoint":
            return debugger.catch(described["what"], described["selector"], **more)
    raise ValueError(f"unknown kind {described['kind']!r}")


def _line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())
