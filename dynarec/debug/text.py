"""The text of source files, found where they are now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dynarec.debug.paths import is_absolute, parts

MAX_FILE = 16 << 20
"""Bytes of a file; larger ones are no source that anybody reads."""
MAX_LINE = 1000
MAX_LINES = 1000
"""Characters of a line, and lines of one request."""
REPLACEMENT = "\ufffd"


class SourceText:
    """Finds and reads the files that debugging information names.

    The names are those of the machine that compiled. A file is looked for under its own name, then in each folder of
    `substitutes`, then beside the program: there with as many of the last parts of its name as there are.
    """

    def __init__(self, program: Path | None, substitutes: Sequence[Path] = ()) -> None:
        self._folders = [*substitutes, *([program.parent] if program else [])]
        self._known: dict[str, Path | None] = {}
        self._lines: dict[Path, list[str]] = {}

    def find(self, file: str) -> Path | None:
        """Where a file is; None when it is nowhere."""
        if file not in self._known:
            self._known[file] = next((path for path in self._candidates(file) if _is_file(path)), None)
        return self._known[file]

    def lines(self, file: str, first: int = 1, most: int = MAX_LINES) -> list[str]:
        """At most so many lines, from a number on, as a terminal can show them; none when they are not there."""
        path = self.find(file)
        if path is None or first < 1:
            return []
        if path not in self._lines:
            self._lines[path] = _read(path)
        return [_shown(line) for line in self._lines[path][first - 1 : first - 1 + min(most, MAX_LINES)]]

    def line(self, file: str, number: int) -> str:
        """One line; "" when it is not there."""
        return next(iter(self.lines(file, number, 1)), "")

    def _candidates(self, file: str) -> list[Path]:
        names = parts(file)
        own = [Path(file)] if is_absolute(file) else []
        return own + [folder.joinpath(*names[at:]) for folder in self._folders for at in range(len(names))]


def _is_file(path: Path) -> bool:
    """Whether it is a file that can be read: reading a device or a pipe may never end."""
    try:
        return path.is_file() and path.stat().st_size <= MAX_FILE
    except (OSError, ValueError):
        return False


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE).decode(errors="replace").splitlines()
    except OSError:
        return []


def _shown(line: str) -> str:
    """The line with blanks for tabs, and without what would change the state of a terminal."""
    return "".join(each if each.isprintable() else REPLACEMENT for each in line[:MAX_LINE].expandtabs())[:MAX_LINE]
