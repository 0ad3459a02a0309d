"""Debugging information: any bytes are a program with source or one without, and a stop in it costs no more than that.

An input is the sections of an ELF file one after the other, each with its number in `NAMES` and its size.
"""

from __future__ import annotations

import random
import struct

from dynarec.debug.source import Frame, Source
from dynarec.debug.values import Variable
from dynarec.errors import GuestMemoryError
from dynarec.program import load_program, section_headers
from guest_isa.rv32 import ELF_MACHINE, GUEST
from tests.fuzz.oracle import bounded_memory, check_line
from tests.machine.elf import Part, R, W, X, build

MAX_SIZE = 16384
MACHINE_IDS = {ELF_MACHINE: GUEST.name}
NAMES = (
    *(".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_line_str", ".debug_frame", ".eh_frame"),
    *(".debug_ranges", ".debug_rnglists", ".debug_loc", ".debug_loclists", ".debug_addr", ".debug_str_offsets"),
)
PIECE = struct.Struct("<BH")
CODE, CODE_SIZE = 0x10000, 0x2000
STACK = 0x40000
PLACES = 24
"""Addresses that are looked at."""


class _Memory:
    """Bytes that depend on where they are, and a hole."""

    def read(self, address: int, size: int) -> bytes:
        if address < 0x1000 or address + size > 1 << 32:
            raise GuestMemoryError(address, size, "read")
        return bytes((address + n) * 37 >> 3 & 0xFF for n in range(size))

    def write(self, address: int, data: bytes) -> None:
        self.read(address, len(data))


class _Registers:
    """Some point to the stack, some to code."""

    def __getitem__(self, number: int) -> int:
        return STACK + 16 * number if number % 2 == 0 else CODE + 8 * number

    def __setitem__(self, number: int, value: int) -> None:
        raise AssertionError("looking changes nothing")


def pack(sections: dict[str, bytes]) -> bytes:
    """An input with these sections."""
    found = [PIECE.pack(NAMES.index(name), len(data)) + data for name, data in sections.items() if name in NAMES]
    return b"".join(found)


def unpack(data: bytes) -> dict[str, bytes]:
    """The sections of an input; the last one may be cut."""
    found = {}
    at = 0
    while at + PIECE.size <= len(data):
        number, size = PIECE.unpack_from(data, at)
        at += PIECE.size
        found[NAMES[number % len(NAMES)]] = data[at : at + size]
        at += size
    return found


def sections_of(elf: bytes) -> dict[str, bytes]:
    """The sections of a file that an input may have."""
    return {name: elf[header[4] : header[4] + header[5]] for name, header in section_headers(elf) if name in NAMES}


def elf_with(sections: dict[str, bytes]) -> bytes:
    """A program of `CODE_SIZE` bytes of code at `CODE` with these sections."""
    parts = [Part(CODE, bytes(CODE_SIZE), flags=R | X), Part(CODE + 0x10000, bytes(64), flags=R | W)]
    elf = bytearray(build(parts, entry=CODE))
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    headers = [bytes(40)]
    for name, data in (*sections.items(), (".shstrtab", names)):
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        headers.append(struct.pack("<10I", at, 1, 0, 0, len(elf), len(data), 0, 0, 1, 0))
        elf += data
    struct.pack_into("<I", elf, 32, len(elf))
    struct.pack_into("<HHH", elf, 46, 40, len(headers), len(headers) - 1)
    return bytes(elf) + b"".join(headers)


def check(data: bytes) -> None:
    """Look at all that a program's source has."""
    with bounded_memory(len(data)):
        program = load_program(elf_with(unpack(data)), MACHINE_IDS)
        source = Source(program, GUEST.dwarf)
        _check_lines(source)
        for name in source.functions.names()[:PLACES]:
            for function in source.functions.find(name):
                assert function.low < function.high
                assert all(isinstance(each, str) for each in function.parameters)
                assert function.low <= source.after_prologue(function) < function.high
        for address in range(CODE, CODE + CODE_SIZE, CODE_SIZE // PLACES & ~1):
            frames = source.frames(address, _Registers(), _Memory(), PLACES)
            assert 1 <= len(frames) <= PLACES
            for frame in frames:
                _check_frame(source, frame)
        for name in source.functions.global_names()[:PLACES]:
            variable = source.variable(name, None, _Memory())
            if variable is not None:  # its type may be damaged
                _check_variable(variable)


def _check_lines(source: Source) -> None:
    for file in source.lines.files[:PLACES]:
        for line in source.lines.lines_with_code(file)[:PLACES]:
            addresses = source.lines.addresses(file, line)
            assert addresses == sorted(set(addresses))
            assert source.lines.nearest(file, line) == line
            assert len(source.breakpoints(file, line)) <= len(addresses)
        assert not source.text.find("/dev/zero")
    for address in range(CODE, CODE + CODE_SIZE, 2):
        row = source.lines.at(address)
        assert row is None or row.low <= address < row.high


def _check_frame(source: Source, frame: Frame) -> None:
    assert source.is_code(frame.pc)
    for variable in source.variables(frame, _Memory())[:PLACES]:
        _check_variable(variable)


def _check_variable(variable: Variable) -> None:
    check_line(str(variable))
    for child in variable.children(most=3):
        check_line(str(child))


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change numbers within sections: most changes of the sizes between them only lose what follows."""
    random_state = random.Random(seed)
    sections = unpack(data) or {".debug_info": b""}
    name = random_state.choice(list(sections))
    changed = bytearray(sections[name])
    for _ in range(random_state.randint(1, 4)):
        at = random_state.randrange(len(changed) + 1)
        kind = random_state.randrange(4)
        if kind == 0:
            changed[at : at + 1] = bytes([random_state.randrange(256)])
        elif kind == 1:
            changed[at : at + 4] = struct.pack("<I", random_state.choice([0, 1, 0xFFFF_FFFF, CODE, len(changed)]))
        elif kind == 2:
            changed[at:at] = changed[at : at + random_state.randint(1, 32)]
        else:
            del changed[at : at + random_state.randint(1, 8)]
    return pack(sections | {name: bytes(changed[:0xFFFF])})[:max_size]
