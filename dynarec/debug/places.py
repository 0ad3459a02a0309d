"""Places in a program as users write them: `main`, `main+8`, `0x10074`, `program.c:12`, `12`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynarec.debug.source import Source
from dynarec.errors import DynarecError

ADDRESS_SPACE = 1 << 32
NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
WITH_OFFSET = re.compile(r"(?P<name>.+?)\s*\+\s*(?P<offset>0[xX][0-9a-fA-F]+|[0-9]+)")
WITH_LINE = re.compile(r"(?P<file>.+):(?P<line>[0-9]+)")


@dataclass(frozen=True, slots=True)
class Places:
    """Turns what a user writes into addresses."""

    source: Source

    def find(self, where: int | str, file: str = "") -> list[int]:
        """The addresses to stop at, sorted: several for a line that was compiled in several copies.

        A function is stopped at where its variables are in place. file: which one a bare line number is of. Raises
        DynarecError for a place that there is not.
        """
        if isinstance(where, int):
            return [self._address(where)]
        text = where.strip()
        if text.startswith("*"):
            return [self._number_or_symbol(text[1:].strip())]
        if file and text.isdecimal():
            return self._line(file, int(text))
        if match := WITH_LINE.fullmatch(text):
            return self._line(match["file"], int(match["line"]))
        functions = self.source.functions.find(text)
        if functions:
            return sorted({self.source.after_prologue(function) for function in functions})
        return [self._number_or_symbol(text)]

    def address(self, where: int | str) -> int:
        """One address: a number, a symbol, or one of these with an offset. Raises DynarecError."""
        return self._address(where) if isinstance(where, int) else self._number_or_symbol(where.strip())

    def _line(self, file: str, line: int) -> list[int]:
        found = self.source.breakpoints(file, line)
        if found:
            return found
        if not self.source.lines.find_files(file):
            raise DynarecError(
                f"{self._name}: no file {file!r} has lines in the debugging information (compile with -g)"
            )
        raise DynarecError(f"{self._name}: {file} has no code at line {line} or behind it")

    def _number_or_symbol(self, text: str) -> int:
        if NUMBER.fullmatch(text):
            return self._address(int(text, 0 if text[:2].lower() == "0x" else 10))
        symbol = self.source.program.symbols.lookup(text)
        if symbol is not None:
            return symbol
        if match := WITH_OFFSET.fullmatch(text):
            return self._address(self._number_or_symbol(match["name"]) + int(match["offset"], 0))
        raise DynarecError(f"{self._name}: there is no function, symbol or address {text!r}")

    def _address(self, number: int) -> int:
        if not 0 <= number < ADDRESS_SPACE:
            raise DynarecError(f"{number:#x} is no address of 32 bits")
        return number

    @property
    def _name(self) -> str:
        return self.source.program.name
