"""Files made to take much time or memory with few bytes."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

from dynarec.debug.sections import MAX_EXPANSION, SHF_COMPRESSED, Sections
from dynarec.debug.source import Source
from dynarec.program import load_program
from guest_isa.rv32 import GUEST
from tests.fuzz import dwarf
from tests.fuzz.oracle import bounded_memory

MANY = 60_000


def check(sections: dict[str, bytes]) -> Source:
    """Look at everything; what the sections are read as. A piece of an input holds no more than 64 KiB."""
    dwarf.check(dwarf.pack(sections))
    return Source(load_program(dwarf.elf_with(sections), dwarf.MACHINE_IDS), GUEST.dwarf)


def unit(entries: bytes, version: int = 4) -> bytes:
    body = struct.pack("<HIB", version, 0, 4) + entries
    return struct.pack("<I", len(body)) + body


def test_entries_with_many_attributes_that_take_no_bytes() -> None:
    """Each entry of one byte has 250 flags."""
    flags = b"".join(bytes([0x80 | n & 0x7F, 0x40 | n >> 7, 0x19]) for n in range(250))
    abbreviations = b"\x01\x11\x01\0\0" + b"\x02\x2e\x00" + flags + b"\0\0\0"
    check({".debug_info": unit(b"\x01" + b"\x02" * MANY), ".debug_abbrev": abbreviations})


def test_blocks_nested_without_end() -> None:
    """Each block opens another."""
    abbreviations = b"\x01\x11\x01\0\0" + b"\x02\x2e\x01\x11\x01\x12\x06\0\0" + b"\x03\x0b\x01\0\0\0"
    function = b"\x02" + struct.pack("<II", dwarf.CODE, 64)
    source = check({".debug_info": unit(b"\x01" + function + b"\x03" * MANY), ".debug_abbrev": abbreviations})
    found = source.functions.at(dwarf.CODE)
    assert found is not None
    assert found.high == dwarf.CODE + 64


def test_types_in_circles() -> None:
    """A global whose type is a typedef of itself, and one whose array has itself as elements."""
    abbreviations = (
        b"\x01\x11\x01\0\0"
        b"\x02\x34\x00\x03\x08\x49\x13\x02\x18\0\0"
        b"\x03\x16\x00\x49\x13\0\0"
        b"\x04\x01\x01\x49\x13\0\0"
        b"\x05\x21\x00\x2f\x0b\0\0\0"
    )
    at = 12 + 2 * 13
    entries = b"\x01"
    for target in (at, at + 5):
        entries += b"\x02x\0" + struct.pack("<I", target) + b"\x05\x03" + struct.pack("<I", dwarf.CODE)
    entries += b"\x03" + struct.pack("<I", at) + b"\x04" + struct.pack("<I", at + 5) + b"\x05\xff\0\0"
    source = check({".debug_info": unit(entries), ".debug_abbrev": abbreviations})
    assert [die.offset for die in source.functions.globals("x")] == [12, 25]


def test_tables_of_entries_that_take_no_bytes() -> None:
    """A line table of 2^32 files without any attribute."""
    head = b"\x01\x01\x01\x00\x01\x01" + b"\0" + b"\0" + b"\0" + b"\xff\xff\xff\xff\x0f"
    body = struct.pack("<HBBI", 5, 4, 0, len(head)) + head
    check({".debug_line": struct.pack("<I", len(body)) + body})


def test_rows_take_memory_in_proportion() -> None:
    """A line program of special opcodes only: a row for each byte."""
    head = b"\x01\x01\x01\x00\x04\x0a" + b"\0\x01\x01\x01\x01\0\0\0\x01" + b"\0" + b"a.c\0\0\0\0\0"
    program = b"\0\x05\x02" + struct.pack("<I", dwarf.CODE) + b"\x0b" * MANY + b"\0\x01\x01"
    body = struct.pack("<HI", 4, len(head)) + head + program
    tracemalloc.start()
    with bounded_memory(MANY):
        source = check({".debug_line": struct.pack("<I", len(body)) + body})
    tracemalloc.stop()
    assert source.lines.files == ["a.c"]


def test_a_compressed_section_that_expands_without_end() -> None:
    """It says that it is larger than a file of its size may have."""
    data = struct.pack("<III", 1, 1 << 26, 1) + zlib.compress(bytes(1 << 26), 9)
    elf = bytearray(dwarf.elf_with({".debug_info": data}))
    table = struct.unpack_from("<I", elf, 32)[0]
    struct.pack_into("<I", elf, table + 40 + 8, SHF_COMPRESSED)
    assert len(elf) * MAX_EXPANSION < 1 << 26
    assert Sections(bytes(elf)).data(".debug_info") == b""
