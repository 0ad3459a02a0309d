"""Builds small ELF files, so that the tests need no compiler."""

from __future__ import annotations

import struct
from dataclasses import dataclass

LOAD, INTERP, NOTE = 1, 3, 4
R, W, X = 4, 2, 1
HEADERS_AT = 52


@dataclass
class Part:
    """One program header and its data."""

    address: int
    data: bytes = b""
    size: int | None = None
    flags: int = R | X
    kind: int = LOAD
    physical: int | None = None
    offset: int | None = None
    file_size: int | None = None


def build(
    parts: list[Part],
    entry: int = 0x10000,
    symbols: dict[str, tuple[int, int, int]] | None = None,
    *,
    elf_type: int = 2,
    machine: int = 243,
) -> bytes:
    """An ELF file; symbols: name -> (address, size, type)."""
    body = b""
    base = HEADERS_AT + 32 * len(parts)
    headers = b""
    for part in parts:
        size = len(part.data) if part.size is None else part.size
        offset = base + len(body) if part.offset is None else part.offset
        file_size = len(part.data) if part.file_size is None else part.file_size
        physical = part.address if part.physical is None else part.physical
        headers += struct.pack("<8I", part.kind, offset, part.address, physical, file_size, size, part.flags, 4)
        body += part.data
    tables, sections_at, count = _symbol_sections(symbols or {}, base + len(body))
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    fixed = (elf_type, machine, 1, entry, HEADERS_AT, sections_at, 1, 52, 32, len(parts), 40, count, 0)
    return ident + struct.pack("<HHIIIIIHHHHHH", *fixed) + headers + body + tables


def _symbol_sections(symbols: dict[str, tuple[int, int, int]], at: int) -> tuple[bytes, int, int]:
    if not symbols:
        return b"", 0, 0
    names, table = b"\0", bytes(16)
    for name, (address, size, kind) in symbols.items():
        table += struct.pack("<IIIBBH", len(names), address, size, 0x10 | kind, 0, 1)
        names += name.encode() + b"\0"
    sections = bytes(40)
    sections += struct.pack("<10I", 0, 2, 0, 0, at, len(table), 2, 1, 4, 16)
    sections += struct.pack("<10I", 0, 3, 0, 0, at + len(table), len(names), 0, 0, 1, 0)
    return table + names + sections, at + len(table) + len(names), 3


def simple(symbols: dict[str, tuple[int, int, int]] | None = None, code: bytes = b"\x13\0\0\0" * 8) -> bytes:
    """Code at 0x10000 and data with zeros after it at 0x20000."""
    return build([Part(0x10000, code), Part(0x20000, b"data", 0x3000, R | W)], symbols=symbols)
