"""The ELF loader: any bytes are a program or refused, and a program is what its headers say."""

from __future__ import annotations

import itertools
import struct

from elftools.elf import enums  # noqa: F401 - what an import takes is not the loader's

from dynarec.errors import BadProgram
from dynarec.program import ADDRESS_SPACE, HEADER_SIZE, PF_R, PF_W, PF_X, PROGRAM_HEADER_SIZE, Program, load_program
from dynarec.symbols import SHARING, Symbols
from guest_isa.rv32 import ELF_MACHINE, GUEST
from tests.fuzz.oracle import bounded_memory, check_line, may_refuse

MAX_SIZE = 4096
MACHINE_IDS = {ELF_MACHINE: GUEST.name}
HEADER = "<16sHHIIIIIHHHHHH"
PT_LOAD = 1


def check(data: bytes) -> None:
    """Load it, and look at all that a program has."""
    with bounded_memory(len(data)), may_refuse(BadProgram):
        program = load_program(data, MACHINE_IDS)
        _check_segments(program, data)
        _check_headers(program, data)
        _check_notes(program, data)
        _check_symbols(program.symbols, program.entry, len(data))


def _headers(data: bytes) -> list[tuple[int, ...]]:
    """The program headers, read without the loader."""
    header = struct.unpack(HEADER, data[:HEADER_SIZE])
    start, count = header[5], header[10]
    return list(struct.iter_unpack("<8I", data[start : start + count * PROGRAM_HEADER_SIZE]))


def _check_segments(program: Program, data: bytes) -> None:
    wanted = sorted(
        (address, data[start : start + file_size], size, bool(flags & PF_R), bool(flags & PF_W), bool(flags & PF_X), at)
        for kind, start, address, at, file_size, size, flags, _ in _headers(data)
        if kind == PT_LOAD and size
    )
    found = [
        (each.address, each.data, each.size, each.readable, each.writable, each.executable, each.physical)
        for each in program.segments
    ]
    assert found == wanted
    assert all(len(each.data) <= each.size and each.end <= ADDRESS_SPACE for each in program.segments)
    assert all(low.end <= high.address for low, high in itertools.pairwise(program.segments))
    assert any(each.executable and each.address <= program.entry < each.end for each in program.segments)
    assert sum(len(each.data) for each in program.segments) <= len(data)


def _check_headers(program: Program, data: bytes) -> None:
    """Where they are said to be in guest memory, they are."""
    headers = _headers(data)
    assert program.headers_count == len(headers)
    if not program.headers_address:
        return
    raw = b"".join(struct.pack("<8I", *each) for each in headers)
    home = next(each for each in program.segments if each.address <= program.headers_address < each.end)
    start = program.headers_address - home.address
    assert home.data[start : start + len(raw)] == raw


def _check_notes(program: Program, data: bytes) -> None:
    assert sum(len(note) for note in program.notes.values()) <= len(data)
    assert all(note in data for note in program.notes.values())


def _check_symbols(symbols: Symbols, entry: int, size: int) -> None:
    names = [symbol.name for symbol in Symbols(symbols._read_tables)]
    assert sum(len(name) for name in names) <= SHARING * size
    for name in names:
        check_line(name)
        assert name in Symbols(symbols._read_tables), name
    assert len(symbols) == len(set(names))
    for function in symbols.functions:
        assert symbols.lookup(function.name) == function.address
    nearest = symbols.nearest(entry)
    if nearest is not None:
        name, offset = nearest
        assert symbols.lookup(name) == entry - offset
