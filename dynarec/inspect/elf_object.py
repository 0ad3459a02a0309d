"""ELF objects that describe generated code to debuggers: symbols, functions, lines, and how to unwind.

ELF-64 (System V ABI, chapter 4), DWARF 4: .debug_info and .debug_abbrev (7.5), .debug_line (6.2), .debug_frame (6.4).
Addresses are absolute; the code itself is not in the file. Both hosts are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

EXEC, CURRENT = 2, 1
MACHINES = {"x86_64": 62, "arm64": 183}
HEADER = struct.Struct("<16s2HI3QI6H")
SECTION = struct.Struct("<2I4Q2I2Q")
SYMBOL = struct.Struct("<I2BH2Q")
IDENT = b"\x7fELF" + bytes([2, 1, CURRENT]) + bytes(9)
PROGBITS, SYMTAB, STRTAB, NOBITS = 1, 2, 3, 8
ALLOC, EXECUTE = 2, 4
GLOBAL_FUNCTION = 1 << 4 | 2
TEXT = 1
"""Number of the section of the code."""

RETURN_COLUMNS = {"x86_64": 16, "arm64": 30}
STACK_POINTERS = {"x86_64": 7, "arm64": 31}
"""Columns of a frame's table: System V AMD64 ABI, figure 3.36; AADWARF64, 4.1."""
DATA_ALIGNMENT = -8
CFA_DEF_CFA, CFA_VAL_EXPRESSION, OP_ADDR = 0x0C, 0x16, 0x03
NO_CIE = 0xFFFF_FFFF

TAG_COMPILE_UNIT, TAG_SUBPROGRAM = 0x11, 0x2E
AT_NAME, AT_STMT_LIST, AT_LOW_PC, AT_HIGH_PC, AT_LANGUAGE, AT_COMP_DIR, AT_PRODUCER, AT_EXTERNAL = (
    0x03, 0x10, 0x11, 0x12, 0x13, 0x1B, 0x25, 0x3F,
)  # fmt: skip
FORM_ADDR, FORM_DATA2, FORM_DATA8, FORM_STRING, FORM_SEC_OFFSET, FORM_FLAG_PRESENT = 0x01, 0x05, 0x07, 0x08, 0x17, 0x19
ASSEMBLER = 0x8001
PRODUCER = "dynarec"

LINE_BASE, LINE_RANGE, OPCODE_BASE = -5, 14, 13
OPERANDS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])
LNS_COPY, LNS_ADVANCE_PC, LNS_ADVANCE_LINE = 1, 2, 3
LNE_END_SEQUENCE, LNE_SET_ADDRESS = 1, 2


@dataclass(frozen=True, slots=True)
class Function:
    """Generated code with a name. rows: (address, line) in ascending order; the first is that of its start."""

    name: str
    address: int
    size: int
    rows: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        return self.address + self.size


def make(host: str, source: PurePath, functions: Sequence[Function], entry: int) -> bytes:
    """An object for functions in ascending order; nothing else is between them.

    source: the file of their lines. entry: the address that they seem to have been called from, with nothing pushed.
    """
    low, high = functions[0].address, functions[-1].end
    names = _Strings()
    symbols = b"".join(
        SYMBOL.pack(names.add(each.name), GLOBAL_FUNCTION, 0, TEXT, each.address, each.size) for each in functions
    )
    sections = [
        _Section(".text", NOBITS, ALLOC | EXECUTE, address=low, size=high - low, align=16),
        _Section(".debug_info", data=_info(source, functions)),
        _Section(".debug_abbrev", data=_abbreviations()),
        _Section(".debug_line", data=_lines(source, functions)),
        _Section(".debug_frame", data=_frames(host, low, high, entry), align=8),
        _Section(".symtab", SYMTAB, data=bytes(SYMBOL.size) + symbols, link=7, info=1, each=SYMBOL.size, align=8),
        _Section(".strtab", STRTAB, data=names.data),
    ]
    return _assemble(MACHINES[host], sections)


# -- ELF --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Section:
    name: str
    kind: int = PROGBITS
    flags: int = 0
    data: bytes = b""
    address: int = 0
    size: int = 0
    link: int = 0
    info: int = 0
    align: int = 1
    each: int = 0


class _Strings:
    """A string table."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


def _assemble(machine: int, sections: list[_Section]) -> bytes:
    """The header, the sections' data, their headers."""
    names = _Strings()
    numbers = [names.add(section.name) for section in sections]
    own = names.add(".shstrtab")
    sections = [*sections, _Section(".shstrtab", STRTAB, data=names.data)]
    body, headers = b"", bytes(SECTION.size)
    for section, name in zip(sections, [*numbers, own], strict=True):
        body += bytes(-(HEADER.size + len(body)) % section.align)
        place, size = HEADER.size + len(body), section.size or len(section.data)
        headers += SECTION.pack(
            name, section.kind, section.flags, section.address, place, size,
            section.link, section.info, section.align, section.each,
        )  # fmt: skip
        body += section.data
    body += bytes(-(HEADER.size + len(body)) % 8)
    count = len(sections) + 1
    header = HEADER.pack(
        IDENT, EXEC, machine, CURRENT, 0, 0, HEADER.size + len(body), 0,
        HEADER.size, 0, 0, SECTION.size, count, count - 1,
    )  # fmt: skip
    return header + body + headers


# -- functions --------------------------------------------------------------------------------------------------------


def _abbreviations() -> bytes:
    unit = (
        (AT_PRODUCER, FORM_STRING), (AT_LANGUAGE, FORM_DATA2), (AT_NAME, FORM_STRING), (AT_COMP_DIR, FORM_STRING),
        (AT_LOW_PC, FORM_ADDR), (AT_HIGH_PC, FORM_DATA8), (AT_STMT_LIST, FORM_SEC_OFFSET),
    )  # fmt: skip
    function = (
        (AT_EXTERNAL, FORM_FLAG_PRESENT), (AT_NAME, FORM_STRING), (AT_LOW_PC, FORM_ADDR), (AT_HIGH_PC, FORM_DATA8),
    )  # fmt: skip
    return _abbreviation(1, TAG_COMPILE_UNIT, True, unit) + _abbreviation(2, TAG_SUBPROGRAM, False, function) + b"\0"


def _abbreviation(number: int, tag: int, has_children: bool, attributes: Sequence[tuple[int, int]]) -> bytes:
    pairs = b"".join(_uleb(name) + _uleb(form) for name, form in (*attributes, (0, 0)))
    return _uleb(number) + _uleb(tag) + bytes([has_children]) + pairs


def _info(source: PurePath, functions: Sequence[Function]) -> bytes:
    low, high = functions[0].address, functions[-1].end
    unit = b"\1" + _text(PRODUCER) + struct.pack("<H", ASSEMBLER) + _text(source.name) + _text(str(source.parent))
    unit += struct.pack("<QQI", low, high - low, 0)
    each = b"".join(b"\2" + _text(f.name) + struct.pack("<QQ", f.address, f.size) for f in functions)
    return _sized(struct.pack("<HIB", 4, 0, 8) + unit + each + b"\0")


# -- lines ------------------------------------------------------------------------------------------------------------


def _lines(source: PurePath, functions: Sequence[Function]) -> bytes:
    tables = _text(str(source.parent)) + b"\0" + _text(source.name) + b"\1\0\0" + b"\0"
    head = struct.pack("<BBBbBB", 1, 1, 1, LINE_BASE, LINE_RANGE, OPCODE_BASE) + OPERANDS + tables
    program = b"".join(_sequence(each) for each in functions)
    return _sized(struct.pack("<HI", 4, len(head)) + head + program)


def _sequence(function: Function) -> bytes:
    """The rows of one function."""
    address, line = function.address, 1
    program = bytes([0, 9, LNE_SET_ADDRESS]) + struct.pack("<Q", address)
    for place, number in function.rows:
        program += _row(place - address, number - line)
        address, line = place, number
    end = bytes([LNS_ADVANCE_PC]) + _uleb(function.end - address)
    return program + end + bytes([0, 1, LNE_END_SEQUENCE])


def _row(advance: int, lines: int) -> bytes:
    """Advance both and append a row: in one byte if that is possible."""
    special = OPCODE_BASE + (lines - LINE_BASE) + LINE_RANGE * advance
    if LINE_BASE <= lines < LINE_BASE + LINE_RANGE and special <= 0xFF:
        return bytes([special])
    return bytes([LNS_ADVANCE_PC]) + _uleb(advance) + bytes([LNS_ADVANCE_LINE]) + _sleb(lines) + bytes([LNS_COPY])


# -- frames -----------------------------------------------------------------------------------------------------------


def _frames(host: str, low: int, high: int, entry: int) -> bytes:
    """Generated code pushes nothing: the frame is empty, and the caller goes on at `entry`."""
    column = RETURN_COLUMNS[host]
    address = bytes([OP_ADDR]) + struct.pack("<Q", entry)
    rules = bytes([CFA_DEF_CFA]) + _uleb(STACK_POINTERS[host]) + _uleb(0)
    rules += bytes([CFA_VAL_EXPRESSION]) + _uleb(column) + _uleb(len(address)) + address
    common = struct.pack("<IBB", NO_CIE, 1, 0) + _uleb(1) + _sleb(DATA_ALIGNMENT) + bytes([column]) + rules
    return _padded(common) + _padded(struct.pack("<IQQ", 0, low, high - low))


def _padded(body: bytes) -> bytes:
    """With a length, and as many times "do nothing" as make it a multiple of an address."""
    return _sized(body + bytes(-(4 + len(body)) % 8))


# -- numbers and texts ------------------------------------------------------------------------------------------------


def _sized(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _uleb(number: int) -> bytes:
    return bytes(_uleb_bytes(number))


def _uleb_bytes(number: int) -> Iterator[int]:
    while number > 0x7F:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number


def _sleb(number: int) -> bytes:
    found = []
    while not -0x40 <= number < 0x40:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number & 0x7F])
