"""Line programs: the head with its files, and the rows that the program makes (DWARF 4 and 5, 6.2.4 and 6.2.5)."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from dynarec.debug.info import ADDRESS_SIZE, FIXED, FORMS, read_form
from dynarec.debug.sections import BadDwarf, Reader

VERSIONS = range(2, 6)
MAX_ADDRESS = 0xFFFF_FFFF
MAX_LINE = 0xFFFF_FFFF
MAX_COLUMN = 0xFFFF
MAX_FILE = 0xFFFF_FFFF
MAX_ENTRY_FORMS = 16
MAX_ROWS = 1 << 22
"""Of all programs together; what comes after them is left out."""
LNS_COPY, LNS_ADVANCE_PC, LNS_ADVANCE_LINE, LNS_SET_FILE, LNS_SET_COLUMN, LNS_NEGATE_STMT = range(1, 7)
LNS_BASIC_BLOCK, LNS_CONST_ADD_PC, LNS_FIXED_ADVANCE_PC, LNS_PROLOGUE_END = range(7, 11)
LNE_END_SEQUENCE, LNE_SET_ADDRESS = 1, 2
LNCT_PATH, LNCT_DIRECTORY = 1, 2
IS_STMT, PROLOGUE_END, SEQUENCE_END = 1, 2, 4
PATH_SECTIONS = {"DW_FORM_string": ".debug_line", "DW_FORM_strp": ".debug_str", "DW_FORM_line_strp": ".debug_line_str"}

Name = tuple[str, int]
"""A section, and the offset of a string in it."""


@dataclass(slots=True)
class Header:
    """The head of a line program.

    start, end: of the program. step: bytes of the smallest instruction. lengths: operands of each standard opcode, for
    those that are not known. first_file: what files and directories count from; before DWARF 5 directory 0 is that of
    the unit. files: directory and name.
    """

    start: int
    end: int
    step: int
    is_stmt: bool
    line_base: int
    line_range: int
    lengths: bytes
    first_file: int
    directories: list[Name]
    files: list[tuple[int, Name]]


@dataclass(slots=True)
class Columns:
    """Rows as columns: an object for each would take twenty times the memory."""

    address: array[int] = field(default_factory=lambda: array("I"))
    file: array[int] = field(default_factory=lambda: array("I"))
    line: array[int] = field(default_factory=lambda: array("I"))
    column: array[int] = field(default_factory=lambda: array("H"))
    flags: array[int] = field(default_factory=lambda: array("B"))

    def add(self, address: int, file: int, line: int, column: int, flags: int) -> None:
        """Append a row; numbers that no source has are cut."""
        self.address.append(min(address, MAX_ADDRESS))
        self.file.append(min(file, MAX_FILE))
        self.line.append(min(max(line, 0), MAX_LINE))
        self.column.append(min(column, MAX_COLUMN))
        self.flags.append(flags)

    def extend(self, other: Columns, start: int, end: int) -> None:
        """Append rows of another."""
        self.address.extend(other.address[start:end])
        self.file.extend(other.file[start:end])
        self.line.extend(other.line[start:end])
        self.column.extend(other.column[start:end])
        self.flags.extend(other.flags[start:end])


def read_header(data: bytes, at: int) -> Header:
    """The head of the program at an offset of .debug_line."""
    reader = Reader(data, at)
    end, offset_size = reader.initial_length()
    reader.end = end
    version = reader.unsigned(2)
    if version not in VERSIONS:
        raise BadDwarf("a line program of no known version")
    if version >= 5 and reader.unsigned(2) != ADDRESS_SIZE:
        raise BadDwarf("a line program of another address size")
    start = reader.unsigned(offset_size) + reader.at
    step = reader.unsigned(1)
    if version >= 4:
        reader.skip(1)  # operations of one instruction: more than one only for VLIW
    is_stmt, line_base, line_range = reader.unsigned(1) != 0, reader.signed(1), reader.unsigned(1)
    lengths = reader.take(max(reader.unsigned(1), 1) - 1)
    if not line_range or not reader.at <= start <= end:
        raise BadDwarf("a damaged line program")
    directories, files = _new_tables(reader, offset_size) if version >= 5 else _old_tables(reader)
    first_file = 0 if version >= 5 else 1
    return Header(start, end, step, is_stmt, line_base, line_range, lengths, first_file, directories, files)


def _old_tables(reader: Reader) -> tuple[list[Name], list[tuple[int, Name]]]:
    directories = list(_old_strings(reader))
    files = []
    for name in _old_strings(reader):
        files.append((reader.uleb(), name))
        reader.uleb()  # time of the last change
        reader.uleb()  # size
    return directories, files


def _old_strings(reader: Reader) -> Iterator[Name]:
    """Strings in place, up to an empty one."""
    while True:
        start = reader.at
        reader.skip_string()
        if reader.at == start + 1:
            return
        yield ".debug_line", start


def _new_tables(reader: Reader, offset_size: int) -> tuple[list[Name], list[tuple[int, Name]]]:
    directories = [name for _, name in _entries(reader, offset_size)]
    return directories, list(_entries(reader, offset_size))


def _entries(reader: Reader, offset_size: int) -> Iterator[tuple[int, Name]]:
    """A table of DWARF 5, which says itself what its entries have."""
    forms = [(reader.uleb(), FORMS.get(reader.uleb(), "")) for _ in range(reader.unsigned(1))]
    count = reader.uleb()
    if len(forms) > MAX_ENTRY_FORMS or (count and all(FIXED.get(form, 1) == 0 for _, form in forms)):
        raise BadDwarf("entries without bytes")
    for _ in range(count):
        directory, name = 0, ("", 0)
        for kind, form in forms:
            value = read_form(reader, form, 0, offset_size)
            if kind == LNCT_PATH and isinstance(value, int):
                name = PATH_SECTIONS.get(form, ""), value
            elif kind == LNCT_DIRECTORY and isinstance(value, int):
                directory = value
        yield directory, name


def read_rows(data: bytes, header: Header, rows: Columns) -> Iterator[tuple[int, int]]:
    """Append the rows of a program; yields the first and the last (not including) of each whole sequence.

    A damaged program gives what comes before the damage.
    """
    machine = _Machine(header, rows)
    reader = Reader(data, header.start, header.end)
    try:
        while reader.at < header.end and len(rows.address) < MAX_ROWS:
            if machine.step(reader):
                if machine.is_sorted():
                    yield machine.first, len(rows.address)
                machine.reset()
    except BadDwarf:
        return


class _Machine:
    """The state machine of 6.2.2."""

    def __init__(self, header: Header, rows: Columns) -> None:
        self.header = header
        self.rows = rows
        self.opcode_base = len(header.lengths) + 1
        self.reset()

    def reset(self) -> None:
        """Begin a sequence."""
        self.first = len(self.rows.address)
        self.address, self.file, self.line, self.column = 0, 1, 1, 0
        self.flags = IS_STMT if self.header.is_stmt else 0

    def is_sorted(self) -> bool:
        """Whether the addresses of the sequence do not go back, as they must not."""
        addresses = self.rows.address[self.first :]
        return len(addresses) > 1 and all(low <= high for low, high in itertools.pairwise(addresses))

    def row(self, flags: int = 0) -> None:
        """Append the state."""
        self.rows.add(self.address, self.file, self.line, self.column, self.flags | flags)
        self.flags &= IS_STMT

    def step(self, reader: Reader) -> bool:
        """Do one instruction; whether it ended the sequence."""
        opcode = reader.unsigned(1)
        if opcode >= self.opcode_base:
            advance, line = divmod(opcode - self.opcode_base, self.header.line_range)
            self.address += advance * self.header.step
            self.line += self.header.line_base + line
            self.row()
        elif opcode == 0:
            return self._extended(reader)
        else:
            self._standard(opcode, reader)
        return False

    def _extended(self, reader: Reader) -> bool:
        size = reader.uleb()
        end = reader.at + size
        opcode = reader.unsigned(1) if size else 0
        if opcode == LNE_END_SEQUENCE:
            self.row(SEQUENCE_END)
        elif opcode == LNE_SET_ADDRESS:
            self.address = reader.unsigned(ADDRESS_SIZE)
        reader.skip(end - reader.at)
        return opcode == LNE_END_SEQUENCE

    def _standard(self, opcode: int, reader: Reader) -> None:
        if opcode == LNS_COPY:
            self.row()
        elif opcode == LNS_ADVANCE_PC:
            self.address += reader.uleb() * self.header.step
        elif opcode == LNS_ADVANCE_LINE:
            self.line += reader.sleb()
        elif opcode == LNS_SET_FILE:
            self.file = reader.uleb()
        elif opcode == LNS_SET_COLUMN:
            self.column = reader.uleb()
        elif opcode == LNS_NEGATE_STMT:
            self.flags ^= IS_STMT
        elif opcode == LNS_CONST_ADD_PC:
            self.address += (255 - self.opcode_base) // self.header.line_range * self.header.step
        elif opcode == LNS_FIXED_ADVANCE_PC:
            self.address += reader.unsigned(2)
        elif opcode == LNS_PROLOGUE_END:
            self.flags |= PROLOGUE_END
        else:
            for _ in range(self.header.lengths[opcode - 1]):
                reader.uleb()
