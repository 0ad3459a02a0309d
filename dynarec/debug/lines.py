"""Addresses and lines of the source (DWARF 4 and 5, 6.2).

The rows of all line programs lie in arrays, sorted by address, made once when something is first looked up.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from dynarec.debug.info import Info
from dynarec.debug.line_program import IS_STMT, PROLOGUE_END, SEQUENCE_END, Columns, Header, read_header, read_rows
from dynarec.debug.paths import ends_with, join
from dynarec.debug.sections import BadDwarf, Reader

PATHS_PER_BYTE = 16
FREE_PATHS = 1 << 16


@dataclass(frozen=True, slots=True)
class Row:
    """What the addresses from low up to (not including) high belong to.

    file: as the compiler was told, with its directory. line: from 1; 0 for code of no line. column: from 1, 0 unknown.
    is_stmt: whether a stop here is at the beginning of a statement. prologue_end: whether the frame of the function
    is set up here.
    """

    low: int
    high: int
    file: str
    line: int
    column: int
    is_stmt: bool
    prologue_end: bool


@dataclass(slots=True)
class _Program:
    """A line program: its head, the directory of its unit, and the files whose numbers are known already."""

    header: Header
    directory: str
    numbers: dict[int, int] = field(default_factory=dict)


class Lines:
    """The line table of one program; empty when there is none."""

    def __init__(self, info: Info, is_code: Callable[[int], bool]) -> None:
        """is_code: whether an address can be executed. Tables keep rows of functions that the linker has dropped."""
        self._info = info
        self._is_code = is_code
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._programs: dict[int, _Program | None] = {}
        self._left = FREE_PATHS + PATHS_PER_BYTE * len(info.sections.data(".debug_line"))

    @property
    def files(self) -> list[str]:
        """The files that have code, sorted."""
        return sorted(self._names[number] for number in self._by_line)

    def at(self, address: int) -> Row | None:
        """The row an address belongs to; of several at one address, one that begins a statement."""
        rows = self._rows
        index = bisect.bisect_right(rows.address, address) - 1
        if index < 0 or rows.flags[index] & SEQUENCE_END:
            return None
        chosen = index
        while not rows.flags[chosen] & IS_STMT and chosen and rows.address[chosen - 1] == rows.address[index]:
            chosen -= 1
        best = chosen if rows.flags[chosen] & IS_STMT and not rows.flags[chosen] & SEQUENCE_END else index
        return self._row(best, rows.address[index + 1])

    def find_files(self, name: str) -> list[str]:
        """The files with code whose path ends in these names: `main.c`, `src/main.c`."""
        return [file for file in self.files if ends_with(file, name)]

    def addresses(self, name: str, line: int) -> list[int]:
        """Where code of a line begins, sorted: once for each stretch of it, in every copy of it.

        name: as for `find_files`, and every file that is found is meant. Empty: there is no code.
        """
        return sorted({address for table in self._tables(name) for address in table.get(line, ())})

    def nearest(self, name: str, line: int) -> int | None:
        """The first line from this one on that has code; None when there is none in these files."""
        return min((each for table in self._tables(name) for each in table if each >= line), default=None)

    def lines_with_code(self, name: str) -> list[int]:
        """The lines of these files that have code, sorted."""
        return sorted({line for table in self._tables(name) for line in table})

    def stretches(self) -> Iterator[tuple[str, int, int]]:
        """(file, line, address): where the code of each line begins, once for each stretch of it."""
        for file, table in self._by_line.items():
            for line, addresses in table.items():
                for address in addresses:
                    yield self._names[file], line, address

    def after_prologue(self, low: int, high: int) -> int:
        """Where the body of the function [low, high) begins: its parameters are in place there."""
        rows = self._rows
        second = None
        for index in range(bisect.bisect_left(rows.address, low), len(rows.address)):
            address, flags = rows.address[index], rows.flags[index]
            if address >= high or flags & SEQUENCE_END:
                break
            if flags & PROLOGUE_END:
                return address
            if second is None and address > low and rows.line[index] and flags & IS_STMT:
                second = address
        return low if second is None else second

    def file(self, program_at: int, number: int) -> str:
        """The path of a file by its number in the line program at an offset of .debug_line; "" when unknown."""
        program = self._program(program_at)
        return self._names[self._number(program, number)] if program else ""

    def _row(self, index: int, high: int) -> Row:
        rows = self._rows
        flags = rows.flags[index]
        return Row(
            low=rows.address[index],
            high=high,
            file=self._names[rows.file[index]],
            line=rows.line[index],
            column=rows.column[index],
            is_stmt=bool(flags & IS_STMT),
            prologue_end=bool(flags & PROLOGUE_END),
        )

    def _tables(self, name: str) -> Iterator[dict[int, array[int]]]:
        for file in self.find_files(name):
            yield self._by_line[self._numbers[file]]

    @cached_property
    def _by_line(self) -> dict[int, dict[int, array[int]]]:
        """File -> line -> where stretches of its code begin."""
        found: dict[int, dict[int, array[int]]] = {}
        rows = self._rows
        before = None
        for address, file, line, flags in zip(rows.address, rows.file, rows.line, rows.flags, strict=True):
            if flags & SEQUENCE_END:
                before = None
            elif line and flags & IS_STMT:
                if (file, line) != before:
                    found.setdefault(file, {}).setdefault(line, array("I")).append(address)
                before = (file, line)
        return found

    @cached_property
    def _rows(self) -> Columns:
        """All rows, sorted by address."""
        made = Columns()
        sequences: list[tuple[int, int, int]] = []
        for at in self._program_offsets():
            program = self._program(at)
            if program is None:
                continue
            first = len(made.address)
            for start, end in read_rows(self._section, program.header, made):
                sequences.append((made.address[start], start, end))
            for index in range(first, len(made.address)):
                made.file[index] = self._number(program, made.file[index])
        return self._sorted(made, sequences)

    def _sorted(self, made: Columns, sequences: list[tuple[int, int, int]]) -> Columns:
        """Those sequences that are of code which is there; of two that overlap, the first."""
        rows = Columns()
        end_before = 0
        for low, start, end in sorted(sequences):
            if low >= end_before and self._is_code(low):
                rows.extend(made, start, end)
                end_before = made.address[end - 1]
        return rows

    @property
    def _section(self) -> bytes:
        return self._info.sections.data(".debug_line")

    def _program_offsets(self) -> Iterator[int]:
        """Where line programs begin: one follows the other, whether a unit names it or not."""
        at = 0
        while at < len(self._section):
            yield at
            try:
                at, _ = Reader(self._section, at).initial_length()
            except BadDwarf:
                return

    def _program(self, at: int) -> _Program | None:
        if at not in self._programs:
            try:
                header = read_header(self._section, at)
            except BadDwarf:
                self._programs[at] = None
            else:
                self._programs[at] = _Program(header, self._directories.get(at, ""))
        return self._programs[at]

    @cached_property
    def _directories(self) -> dict[int, str]:
        """Line program -> the directory its unit was compiled in."""
        found = {}
        for unit in self._info.units:
            try:
                at = unit.top.number("DW_AT_stmt_list")
                if at is not None:
                    found[at] = unit.top.string("DW_AT_comp_dir")
            except BadDwarf:
                continue
        return found

    def _number(self, program: _Program, number: int) -> int:
        """Our number of a file of a line program."""
        if number not in program.numbers:
            program.numbers[number] = self._number_of(self._path(program, number))
        return program.numbers[number]

    def _number_of(self, path: str) -> int:
        if path not in self._numbers:
            self._left -= len(path)
            if self._left < 0:
                path = ""  # made to fill the memory
            self._numbers.setdefault(path, len(self._names))
            if self._numbers[path] == len(self._names):
                self._names.append(path)
        return self._numbers[path]

    def _path(self, program: _Program, number: int) -> str:
        header = program.header
        index = number - header.first_file
        if not 0 <= index < len(header.files):
            return ""
        directory_number, name = header.files[index]
        directory_index = directory_number - header.first_file
        directory = program.directory
        if 0 <= directory_index < len(header.directories):
            directory = join(directory, self._info.sections.string(*header.directories[directory_index]))
        return join(directory, self._info.sections.string(*name))
