"""Programs: static 32-bit little-endian ELF executables, read and checked before anything is run.

Nothing here allocates what a header merely claims: the data held is never more than the file.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dynarec.errors import BadProgram
from dynarec.symbols import Strings, Symbols

ADDRESS_SPACE = 1 << 32
ELF_MAGIC = b"\x7fELF"
HEADER_FORMAT = "<16x2H5I6H"
HEADER_SIZE = struct.calcsize(HEADER_FORMAT)
PROGRAM_HEADER_FORMAT = "<8I"
PROGRAM_HEADER_SIZE = struct.calcsize(PROGRAM_HEADER_FORMAT)
MAX_PROGRAM_HEADERS = 256
"""More than any linker writes; a larger count is a damaged or hostile header."""
CLASS_AT, CLASS_32, CLASS_64 = 4, 1, 2
DATA_AT, DATA_LITTLE, DATA_BIG = 5, 1, 2
ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
PT_LOAD, PT_INTERP, PT_NOTE = 1, 3, 4
PF_X, PF_W, PF_R = 1, 2, 4
NOTE_HEADER = "<III"
NOTE_ALIGN = 4
SECTION_FORMAT = "<10I"
SECTION_SIZE = struct.calcsize(SECTION_FORMAT)
SHT_SYMTAB, SHT_DYNSYM = 2, 11
BYTES_NAME = "program"
"""The name of a program that was given as bytes, in messages and in the guest's argv[0]."""


class Header(NamedTuple):
    """The ELF header after its identification (ELF specification, "ELF Header"); sizes and offsets in bytes."""

    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class ProgramHeader(NamedTuple):
    """A program header (ELF specification, "Program Header"); sizes and offsets in bytes."""

    type: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    flags: int
    align: int


@dataclass(slots=True)
class Segment:
    """A PT_LOAD segment: `data` at `address`, then zeros up to `size` bytes.

    physical: where the file says the data is stored before startup code copies it (p_paddr); mostly `address`.
    """

    address: int
    data: bytes
    size: int
    readable: bool
    writable: bool
    executable: bool
    physical: int = 0

    @property
    def end(self) -> int:
        """The first address after the segment."""
        return self.address + self.size


@dataclass(slots=True)
class Program:
    """A checked program, ready to be loaded.

    name: the file name. entry: the first pc. notes: (owner, type) -> bytes. machine_id, flags: e_machine, e_flags.
    elf: the whole file, for those who look for more in it; empty when the program is no ELF file.
    headers_address, headers_count: the program headers in guest memory (0 when no segment holds them).
    """

    name: str
    entry: int
    segments: list[Segment]
    symbols: Symbols
    machine_id: int
    flags: int
    notes: dict[tuple[str, int], bytes] = field(default_factory=dict)
    path: Path | None = None
    elf: bytes = field(default=b"", repr=False, compare=False)
    headers_address: int = 0
    headers_count: int = 0

    @property
    def end(self) -> int:
        """The first address after the last segment."""
        return max(segment.end for segment in self.segments)

    def digest(self) -> bytes:
        """32 bytes that only programs share which load the same to the same places."""
        import hashlib  # which loads OpenSSL

        digest = hashlib.sha256()
        for part in self.parts():
            digest.update(part)
        return digest.digest()

    def parts(self) -> Iterator[bytes]:
        """What `digest` is made of."""
        yield struct.pack("<3I", self.machine_id, self.flags, self.entry)
        for each in self.segments:
            access = each.readable | each.writable << 1 | each.executable << 2
            yield struct.pack("<4QI", each.address, each.physical, each.size, len(each.data), access)
            yield each.data


def load_program(source: Path | str | bytes, machine_ids: Mapping[int, str]) -> Program:
    """Read a program from a file, or from bytes.

    machine_ids: the e_machine values of the installed guests, with their names. Raises BadProgram, one line.
    """
    if isinstance(source, bytes):
        return _Loader(BYTES_NAME, None, source, machine_ids).program()
    path = Path(source)
    return _Loader(str(path), path, _read_file(path), machine_ids).program()


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        reason = "there is no such file"
    except IsADirectoryError:
        reason = "is a directory, not a program"
    except PermissionError:
        reason = "cannot be read: permission denied"
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise BadProgram(f"{_printable(str(path))}: {reason}")


def _printable(name: str) -> str:
    return name if name.isprintable() else repr(name)


class _Loader:
    """The checks of one file; each failure names the file."""

    def __init__(self, name: str, path: Path | None, data: bytes, machine_ids: Mapping[int, str]) -> None:
        self.name = _printable(name)
        self.path = path
        self.data = data
        self.machine_ids = machine_ids

    def bad(self, reason: str) -> BadProgram:
        return BadProgram(f"{self.name}: {reason}")

    def program(self) -> Program:
        self._check_identity()
        header = _read_header(self.data)
        headers = self._headers(header)
        self._check_kind(header, headers)
        segments = list(self._segments(headers))
        self._check_layout(header.entry, segments)
        return Program(
            name=self.path.name if self.path else BYTES_NAME,
            entry=header.entry,
            segments=segments,
            symbols=Symbols(lambda: _symbol_tables(self.data)),
            machine_id=header.machine,
            flags=header.flags,
            notes=dict(self._notes([h for h in headers if h.type == PT_NOTE])),
            path=self.path,
            elf=self.data,
            headers_address=_headers_address(header, headers),
            headers_count=len(headers),
        )

    def _check_identity(self) -> None:
        data = self.data
        if not data:
            raise self.bad("is empty")
        if data[: len(ELF_MAGIC)] != ELF_MAGIC:
            raise self.bad("is not an ELF program" if not ELF_MAGIC.startswith(data) else "is truncated: no ELF header")
        if len(data) > DATA_AT and data[CLASS_AT] == CLASS_64:
            raise self.bad("is a 64-bit program; only 32-bit programs can be run")
        if len(data) > DATA_AT and data[DATA_AT] == DATA_BIG:
            raise self.bad("is a big-endian program; only little-endian programs can be run")
        if len(data) < HEADER_SIZE:
            raise self.bad(f"is truncated: {len(data)} bytes, the ELF header needs {HEADER_SIZE}")
        if data[CLASS_AT] != CLASS_32 or data[DATA_AT] != DATA_LITTLE:
            raise self.bad("is damaged: its ELF header names no known class or byte order")

    def _headers(self, header: Header) -> list[ProgramHeader]:
        start, count = header.phoff, header.phnum
        if count and header.phentsize != PROGRAM_HEADER_SIZE:
            raise self.bad(f"is damaged: program headers of {header.phentsize} bytes, not {PROGRAM_HEADER_SIZE}")
        if count > MAX_PROGRAM_HEADERS:
            raise self.bad(f"is damaged: {count} program headers, the limit is {MAX_PROGRAM_HEADERS}")
        end = start + count * PROGRAM_HEADER_SIZE
        if end > len(self.data):
            raise self.bad("is truncated: its program headers lie beyond the end of the file")
        return list(map(ProgramHeader._make, struct.iter_unpack(PROGRAM_HEADER_FORMAT, self.data[start:end])))

    def _check_kind(self, header: Header, headers: list[ProgramHeader]) -> None:
        if header.machine not in self.machine_ids:
            known = ", ".join(f"{name} ({n})" for n, name in self.machine_ids.items()) or "none"
            raise self.bad(f"is for another machine: {_machine_name(header.machine)}; installed guests: {known}")
        if header.type == ET_DYN or any(h.type == PT_INTERP for h in headers):
            raise self.bad("is dynamically linked: link with -static")
        if header.type == ET_REL:
            raise self.bad("is an object file, not a program: link it")
        if header.type != ET_EXEC:
            raise self.bad(f"is not an executable program (ELF type {header.type})")

    def _segments(self, headers: list[ProgramHeader]) -> Iterator[Segment]:
        """The segments to load. However often headers name a part of the file, no more than the file is copied."""
        left = len(self.data)
        for header in headers:
            if header.type == PT_LOAD and header.memsz:
                yield self._segment(header)
                left -= header.filesz
                if left < 0:
                    raise self.bad("is damaged: its segments have more data than the file")

    def _segment(self, header: ProgramHeader) -> Segment:
        address, size, file_size, start = header.vaddr, header.memsz, header.filesz, header.offset
        if file_size > size:
            raise self.bad(f"is damaged: the segment at {address:#010x} has more data than memory")
        if file_size and start + file_size > len(self.data):
            raise self.bad(f"is truncated: the data of the segment at {address:#010x} lies beyond the end of the file")
        if address + size > ADDRESS_SPACE:
            raise self.bad(f"has a segment at {address:#010x} that reaches beyond 4 GiB")
        access = (bool(header.flags & PF_R), bool(header.flags & PF_W), bool(header.flags & PF_X))
        return Segment(address, self.data[start : start + file_size], size, *access, physical=header.paddr)

    def _check_layout(self, entry: int, segments: list[Segment]) -> None:
        if not segments:
            raise self.bad("has nothing to load: no PT_LOAD segment")
        segments.sort(key=lambda s: s.address)
        for low, high in itertools.pairwise(segments):
            if high.address < low.end:
                raise self.bad(f"has segments that overlap, at {low.address:#010x} and {high.address:#010x}")
        if not any(s.executable and s.address <= entry < s.end for s in segments):
            raise self.bad(f"has its entry {entry:#010x} outside of its executable segments")

    def _notes(self, headers: list[ProgramHeader]) -> Iterator[tuple[tuple[str, int], bytes]]:
        if sum(header.filesz for header in headers) > len(self.data):
            raise self.bad("is damaged: its notes have more data than the file")
        for header in headers:
            yield from self._notes_of(header)

    def _notes_of(self, header: ProgramHeader) -> Iterator[tuple[tuple[str, int], bytes]]:
        data = self.data[header.offset :][: header.filesz]
        at = 0
        while at + struct.calcsize(NOTE_HEADER) <= len(data):
            name_size, size, kind = struct.unpack_from(NOTE_HEADER, data, at)
            name_at = at + struct.calcsize(NOTE_HEADER)
            start = name_at + _aligned(name_size)
            if start + size > len(data):
                raise self.bad("is damaged: a note lies beyond its segment")
            owner = data[name_at : name_at + name_size].rstrip(b"\0").decode("latin-1")
            yield (owner, kind), data[start : start + size]
            at = start + _aligned(size)


def _aligned(size: int) -> int:
    return (size + NOTE_ALIGN - 1) & -NOTE_ALIGN


def _read_header(data: bytes) -> Header:
    return Header._make(struct.unpack_from(HEADER_FORMAT, data))


def _machine_name(number: int) -> str:
    from elftools.elf.enums import ENUM_E_MACHINE  # not for programs that can be run

    name = next((name for name, known in ENUM_E_MACHINE.items() if known == number), None)
    return f"{name.removeprefix('EM_')} ({number})" if name else f"machine {number}"


def _headers_address(header: Header, headers: list[ProgramHeader]) -> int:
    """Where the program headers are in guest memory: in the segment whose file range holds them."""
    start, end = header.phoff, header.phoff + len(headers) * PROGRAM_HEADER_SIZE
    for h in headers:
        if h.type == PT_LOAD and h.memsz and h.offset <= start and end <= h.offset + h.filesz:
            return h.vaddr + start - h.offset
    return 0


def _symbol_tables(data: bytes) -> tuple[bytes, bytes]:
    """The bytes of the symbol table and its names; empty when stripped or damaged (symbols are only a convenience)."""
    sections = [header for _, header in section_headers(data)]
    for wanted in (SHT_SYMTAB, SHT_DYNSYM):
        for section in sections:
            if section[1] == wanted and section[6] < len(sections):
                return _section_data(data, section), _section_data(data, sections[section[6]])
    return b"", b""


def section_headers(data: bytes) -> list[tuple[str, tuple[int, ...]]]:
    """The sections of an ELF file, with their names: none when they are missing or damaged."""
    if len(data) < HEADER_SIZE:
        return []
    elf = _read_header(data)
    end = elf.shoff + elf.shnum * SECTION_SIZE
    if elf.shentsize != SECTION_SIZE or end > len(data):
        return []
    headers = list(struct.iter_unpack(SECTION_FORMAT, data[elf.shoff : end]))
    names = Strings(_section_data(data, headers[elf.shstrndx]) if elf.shstrndx < elf.shnum else b"")
    return [(names.at(header[0]), header) for header in headers]


def _section_data(data: bytes, section: tuple[Any, ...]) -> bytes:
    offset, size = section[4], section[5]
    return data[offset : offset + size]
