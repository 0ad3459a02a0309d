"""Call frame information: how the registers of a caller are found (DWARF 5, 6.4; LSB, "Exception Frames")."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from dynarec.debug.sections import BadDwarf, Budget, Reader, Section, Sections

ADDRESS_SIZE = 4
ADDRESS_SPACE = 1 << 32
MAX_STATES = 64
"""Remembered states within each other; compilers nest none."""
CIE_ID = {4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}
PE_ABSOLUTE, PE_PC_RELATIVE, PE_OMITTED = 0x00, 0x10, 0xFF
PE_FORMATS = {0: (4, False), 2: (2, False), 3: (4, False), 4: (8, False), 10: (2, True), 11: (4, True), 12: (8, True)}
PE_UNSIGNED_LEB, PE_SIGNED_LEB = 1, 9
ADVANCE, OFFSET, RESTORE = 0x40, 0x80, 0xC0
NOP, SET_LOC, ADVANCE1, ADVANCE2, ADVANCE4, OFFSET_EXTENDED, RESTORE_EXTENDED, UNDEFINED, SAME_VALUE = range(9)
REGISTER, REMEMBER, RECALL, DEF_CFA, DEF_CFA_REGISTER, DEF_CFA_OFFSET, DEF_CFA_EXPRESSION, EXPRESSION = range(9, 17)
OFFSET_EXTENDED_SF, DEF_CFA_SF, DEF_CFA_OFFSET_SF, VAL_OFFSET, VAL_OFFSET_SF, VAL_EXPRESSION = range(17, 23)
GNU_ARGS_SIZE = 0x2E


@dataclass(frozen=True, slots=True)
class Rule:
    """How one register of the caller is found.

    kind: "undefined"; "same" value; saved "at" cfa + offset; the "value" cfa + offset; in a "register"; saved where an
    expression "points"; what an expression "computes".
    """

    kind: str
    number: int = 0
    expression: bytes = b""


@dataclass(slots=True)
class Row:
    """The rules at one address. The CFA is a register and an offset, or what an expression computes."""

    register: int = 0
    offset: int = 0
    expression: bytes | None = None
    rules: dict[int, Rule] = field(default_factory=dict)

    def copy(self) -> Row:
        """Another one with the same rules."""
        return Row(self.register, self.offset, self.expression, dict(self.rules))


@dataclass(frozen=True, slots=True)
class Common:
    """A CIE: what functions share. return_address: the column with it. signal: frames that no call made."""

    code_factor: int
    data_factor: int
    return_address: int
    encoding: int
    augmented: bool
    signal: bool
    program: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """An FDE: the instructions for one function."""

    low: int
    high: int
    common: Common
    program: bytes

    def row(self, address: int, budget: Budget) -> Row:
        """The rules at an address of the function."""
        return _Program(self.common, self.low, address, budget).run(self.program)


class CallFrames:
    """The call frame information of one program, of both sections that may have it; empty when there is none."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections

    def at(self, address: int) -> Entry | None:
        """The instructions for the function at an address."""
        entries = self._entries
        index = bisect.bisect_right(entries, address, key=lambda each: each.low) - 1
        return entries[index] if index >= 0 and address < entries[index].high else None

    @cached_property
    def _entries(self) -> list[Entry]:
        found = []
        for name in (".debug_frame", ".eh_frame"):
            found += list(_Table(self._sections.section(name), name == ".eh_frame").entries())
        return sorted(found, key=lambda each: each.low)


class _Table:
    """One section."""

    def __init__(self, section: Section, is_eh: bool) -> None:
        self.section = section
        self.is_eh = is_eh
        self.common: dict[int, Common | None] = {}
        self.budget = Budget(len(section.data))

    def entries(self) -> Iterator[Entry]:
        """The functions; damaged ones are left out."""
        reader = Reader(self.section.data)
        while reader.at < reader.end:
            start = reader.at
            try:
                end, offset_size = reader.initial_length()
            except BadDwarf:
                return
            if end == reader.at:  # the end of one part of .eh_frame
                continue
            try:
                entry = self._entry(Reader(self.section.data, reader.at, end), offset_size)
            except BadDwarf:
                entry = None
            if entry is not None:
                yield entry
            reader = Reader(self.section.data, max(end, start + 4))

    def _entry(self, reader: Reader, offset_size: int) -> Entry | None:
        here = reader.at
        identity = reader.unsigned(4 if self.is_eh else offset_size)
        if identity == (0 if self.is_eh else CIE_ID[offset_size]):
            return None
        common = self._common(here - identity if self.is_eh else identity)
        low = self._pointer(reader, common.encoding)
        size = self._pointer(reader, common.encoding & 0x0F)
        if common.augmented:
            reader.skip(reader.uleb())
        low &= ADDRESS_SPACE - 1
        if not 0 < size <= ADDRESS_SPACE - low or not low:
            return None
        return Entry(low, low + size, common, self._program(reader))

    def _program(self, reader: Reader) -> bytes:
        return reader.take(reader.end - reader.at)

    def _common(self, at: int) -> Common:
        if at not in self.common:
            self.common[at] = None
            reader = Reader(self.section.data, at)
            reader.end, offset_size = reader.initial_length()
            self.budget.spend(reader.end - reader.at)
            self.common[at] = self._read_common(reader, offset_size)
        found = self.common[at]
        if found is None:
            raise BadDwarf("a damaged CIE")
        return found

    def _read_common(self, reader: Reader, offset_size: int) -> Common:
        identity = reader.unsigned(4 if self.is_eh else offset_size)
        if identity != (0 if self.is_eh else CIE_ID[offset_size]):
            raise BadDwarf("no CIE where there should be one")
        version = reader.unsigned(1)
        start = reader.at
        reader.skip_string()
        letters = reader.data[start : reader.at - 1].decode("latin-1")
        if version >= 4 and (reader.unsigned(1), reader.unsigned(1)) != (ADDRESS_SIZE, 0):
            raise BadDwarf("a CIE of another address size")
        code_factor, data_factor = reader.uleb(), reader.sleb()
        return_address = reader.unsigned(1) if version == 1 else reader.uleb()
        encoding = PE_ABSOLUTE
        if letters.startswith("z"):
            size = reader.uleb()
            start = reader.at
            reader.skip(size)
            encoding = self._augmentation(Reader(reader.data, start, reader.at), letters)
        elif letters:
            raise BadDwarf("a CIE with an augmentation that is not known")
        augmented, signal = letters.startswith("z"), "S" in letters
        return Common(code_factor, data_factor, return_address, encoding, augmented, signal, self._program(reader))

    def _augmentation(self, reader: Reader, letters: str) -> int:
        """How the FDEs encode addresses."""
        encoding = PE_ABSOLUTE
        for letter in letters[1:]:
            if letter == "R":
                encoding = reader.unsigned(1)
            elif letter == "L":
                reader.skip(1)
            elif letter == "P":
                self._pointer(reader, reader.unsigned(1))
            elif letter not in "SB":
                raise BadDwarf("a CIE with an augmentation that is not known")
        return encoding

    def _pointer(self, reader: Reader, encoding: int) -> int:
        here = self.section.address + reader.at
        kind = encoding & 0x0F
        if kind == PE_UNSIGNED_LEB:
            value = reader.uleb()
        elif kind == PE_SIGNED_LEB:
            value = reader.sleb()
        elif kind in PE_FORMATS:
            size, signed = PE_FORMATS[kind]
            value = reader.signed(size) if signed else reader.unsigned(size)
        else:
            raise BadDwarf("a pointer of no known kind")
        if encoding & 0x70 == PE_PC_RELATIVE:
            return value + here
        if encoding & 0x70 != PE_ABSOLUTE:
            raise BadDwarf("a pointer relative to something that is not known")
        return value


class _Program:
    """Call frame instructions up to an address."""

    def __init__(self, common: Common, low: int, address: int, budget: Budget) -> None:
        self.common = common
        self.budget = budget
        self.location = low
        self.address = address
        self.row = Row()
        self.initial = Row()
        self.states: list[Row] = []

    def run(self, program: bytes) -> Row:
        """The rules that hold at the address."""
        self._run(self.common.program)
        self.initial = self.row.copy()
        self._run(program)
        return self.row

    def _run(self, program: bytes) -> None:
        reader = Reader(program)
        while reader.at < reader.end and self.location <= self.address:
            self.budget.spend()
            code = reader.unsigned(1)
            low = code & 0x3F
            if code & 0xC0 == ADVANCE:
                self._advance(low)
            elif code & 0xC0 == OFFSET:
                self._rule(low, "at", reader.uleb() * self.common.data_factor)
            elif code & 0xC0 == RESTORE:
                self._restore(low)
            elif not (self._move(code, reader) or self._cfa(code, reader) or self._register(code, reader)):
                raise BadDwarf("a call frame instruction that is not known")

    def _advance(self, distance: int) -> None:
        self.location += distance * self.common.code_factor

    def _move(self, code: int, reader: Reader) -> bool:
        if code == SET_LOC:
            self.location = reader.unsigned(ADDRESS_SIZE)
        elif code in (ADVANCE1, ADVANCE2, ADVANCE4):
            self._advance(reader.unsigned({ADVANCE1: 1, ADVANCE2: 2, ADVANCE4: 4}[code]))
        elif code == REMEMBER:
            if len(self.states) >= MAX_STATES:
                raise BadDwarf("too many remembered states")
            self.budget.spend(len(self.row.rules))
            self.states.append(self.row.copy())
        elif code == RECALL:
            if not self.states:
                raise BadDwarf("no remembered state")
            self.row = self.states.pop()
        elif code == GNU_ARGS_SIZE:
            reader.uleb()
        else:
            return code == NOP
        return True

    def _cfa(self, code: int, reader: Reader) -> bool:
        row, factor = self.row, self.common.data_factor
        if code in (DEF_CFA, DEF_CFA_SF):
            row.register = reader.uleb()
            row.offset = reader.uleb() if code == DEF_CFA else reader.sleb() * factor
            row.expression = None
        elif code == DEF_CFA_REGISTER:
            row.register, row.expression = reader.uleb(), None
        elif code in (DEF_CFA_OFFSET, DEF_CFA_OFFSET_SF):
            row.offset = reader.uleb() if code == DEF_CFA_OFFSET else reader.sleb() * factor
        elif code == DEF_CFA_EXPRESSION:
            row.expression = reader.take(reader.uleb())
        else:
            return False
        return True

    def _register(self, code: int, reader: Reader) -> bool:
        factor = self.common.data_factor
        if code in (RESTORE_EXTENDED, UNDEFINED, SAME_VALUE):
            number = reader.uleb()
            if code == RESTORE_EXTENDED:
                self._restore(number)
            else:
                self._rule(number, "undefined" if code == UNDEFINED else "same")
        elif code in (OFFSET_EXTENDED, VAL_OFFSET):
            self._rule(reader.uleb(), "at" if code == OFFSET_EXTENDED else "value", reader.uleb() * factor)
        elif code in (OFFSET_EXTENDED_SF, VAL_OFFSET_SF):
            self._rule(reader.uleb(), "at" if code == OFFSET_EXTENDED_SF else "value", reader.sleb() * factor)
        elif code == REGISTER:
            self._rule(reader.uleb(), "register", reader.uleb())
        elif code in (EXPRESSION, VAL_EXPRESSION):
            number = reader.uleb()
            kind = "points" if code == EXPRESSION else "computes"
            self.row.rules[number] = Rule(kind, expression=reader.take(reader.uleb()))
        else:
            return False
        return True

    def _rule(self, number: int, kind: str, value: int = 0) -> None:
        self.row.rules[number] = Rule(kind, value)

    def _restore(self, number: int) -> None:
        if number in self.initial.rules:
            self.row.rules[number] = self.initial.rules[number]
        else:
            self.row.rules.pop(number, None)
