"""Snapshots in files.

A file is, in little-endian order:

    magic     8 bytes   89 "DRSNAP" 0A
    version   u32       1
    sections, each
        kind  4 bytes   "META", then "PAGE" any number of times, then "END " and nothing behind it
        size  u32       bytes as they are stored: compressed by zlib
        full  u32       bytes uncompressed
        crc   u32       CRC-32 of the bytes as they are stored

META is one table of values (dynarec/machine/state.py): what the snapshot is of, registers and time, the permissions of
guest pages as runs of pages, the state of the machine profile. PAGE is the numbers of up to 256 pages (u32), in
ascending order through the whole file, and behind them their bytes, 4096 each. Pages that are zero are left out. END
has the number of pages (u32).

A reader trusts nothing: sizes are checked before anything is allocated, and what the values mean when they are used.
"""

from __future__ import annotations

import itertools
import os
import secrets
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from dynarec.errors import DynarecError
from dynarec.guest_pages import PAGE, Moment, Pages, Run
from dynarec.machine.state import BadState, Fields, State, Value, decode, encode
from dynarec.snapshot import Origin, Snapshot

MAGIC = b"\x89DRSNAP\n"
VERSION = 1
HEADER = struct.Struct("<8sI")
SECTION = struct.Struct("<4sIII")
COUNT = struct.Struct("<I")
META, PAGES, END = b"META", b"PAGE", b"END "
LEVEL = 1
"""Of compression: memory is mostly easy to compress, and nobody likes to wait for a file."""
PAGES_IN_SECTION = 256
MOST_META = 64 << 20
MOST_PAGES = PAGES_IN_SECTION * (COUNT.size + PAGE)
MOST_RATIO = 1100
"""What zlib makes of one byte at the most is less than so many."""
WORDS = 48
WORD, LONG = 1 << 32, 1 << 64
STATUS_END = 256


# -- writing ----------------------------------------------------------------------------------------------------------


def save(snapshot: Snapshot, path: Path) -> None:
    """Write a snapshot to a file that appears when it is complete. Raises DynarecError."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if path.exists() and not path.is_file():
            raise DynarecError(f"{path}: is no file, so no snapshot is written to it: choose another name")
        try:
            with partial.open("xb") as file:
                _write(snapshot, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink()
    except (OSError, ValueError) as error:
        raise DynarecError(f"{path}: the snapshot cannot be written: {_reason(error)}") from error


def _write(snapshot: Snapshot, file: BinaryIO) -> None:
    file.write(HEADER.pack(MAGIC, VERSION))
    _write_section(file, META, encode(_meta(snapshot)))
    numbers = snapshot.pages.numbers
    for start in range(0, len(numbers), PAGES_IN_SECTION):
        some = numbers[start : start + PAGES_IN_SECTION]
        data = b"".join([struct.pack(f"<{len(some)}I", *some), *(snapshot.pages[number] for number in some)])
        _write_section(file, PAGES, data)
    _write_section(file, END, COUNT.pack(len(numbers)))


def _write_section(file: BinaryIO, kind: bytes, data: bytes) -> None:
    stored = zlib.compress(data, LEVEL)
    file.write(SECTION.pack(kind, len(stored), len(data), zlib.crc32(stored)) + stored)


def _meta(snapshot: Snapshot) -> State:
    origin, moment = snapshot.origin, snapshot.moment
    runs: list[Value] = list(itertools.chain.from_iterable(snapshot.pages.runs))
    meta: State = {
        "guest": origin.guest, "program": origin.program, "digest": origin.digest,
        "machine": origin.machine, "parts": origin.parts, "registers": list(origin.registers),
        "instructions": moment.instructions, "skipped": moment.skipped, "elapsed": moment.elapsed,
        "deadline": moment.deadline, "deadline lines": moment.deadline_lines, "lines": moment.lines,
        "pc": moment.pc, "passed": moment.passed + 1, "waits": moment.waits + 1, "begins": int(moment.begins),
        "state": list(moment.state),
        "answered": snapshot.answered, "runs": runs, "profile": snapshot.profile, "devices": snapshot.devices,
    }  # fmt: skip
    if snapshot.exited is not None:
        meta["exited"] = snapshot.exited
    return meta


# -- reading ----------------------------------------------------------------------------------------------------------


def load(path: Path) -> Snapshot:
    """Read a snapshot. Raises DynarecError, one line that names the file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DynarecError("is no file: name one that was written by Snapshot.save or --save-snapshot")
        with path.open("rb") as file:
            return read(file, os.fstat(file.fileno()).st_size, str(path))
    except DynarecError as error:
        raise DynarecError(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise DynarecError(f"{path}: cannot be read: {_reason(error)}") from error


def read(file: BinaryIO, size: int, source: str) -> Snapshot:
    """Read a snapshot from a file of so many bytes; messages about it call it `source`. Raises DynarecError."""
    return _Reader(file, size).snapshot(source)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class _Reader:
    """One file; messages do not name it."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def snapshot(self, source: str) -> Snapshot:
        self._check_header()
        _, data = self._section((META,), MOST_META)
        meta = Fields(decode(data), "meta")
        pages = Pages.make(_runs(meta))
        self._fill(pages)
        return Snapshot(
            origin=_origin(meta),
            moment=_moment(meta),
            pages=pages,
            answered=meta.number("answered"),
            exited=meta.number("exited", STATUS_END) if "exited" in meta else None,
            profile=meta.state("profile"),
            devices=meta.state("devices"),
            source=source,
        )

    def _check_header(self) -> None:
        magic, version = HEADER.unpack(self._take(HEADER.size)) if self._left >= HEADER.size else (b"", 0)
        if magic != MAGIC:
            raise DynarecError("is no snapshot: name a file that was written by Snapshot.save or --save-snapshot")
        if version != VERSION:
            raise DynarecError(f"is a snapshot of format {version}, this dynarec reads {VERSION}: take it again")

    def _take(self, size: int) -> bytes:
        if size > self._left:
            raise BadState("the snapshot is truncated: take it again")
        self._left -= size
        data = self._file.read(size)
        if len(data) != size:
            raise BadState("the snapshot became shorter while it was read")
        return data

    def _section(self, kinds: tuple[bytes, ...], most: int) -> tuple[bytes, bytes]:
        """Kind and bytes of the next section, which is one of these kinds."""
        kind, size, full, crc = SECTION.unpack(self._take(SECTION.size))
        if kind not in kinds or full > min(most, size * MOST_RATIO):
            raise BadState("the snapshot is damaged: a section is none, or too large")
        stored = self._take(size)
        if zlib.crc32(stored) != crc:
            raise BadState("the snapshot is damaged: a checksum is wrong")
        return kind, _uncompressed(stored, full)

    def _fill(self, pages: Pages) -> None:
        count, last = 0, -1
        while True:
            kind, data = self._section((PAGES, END), MOST_PAGES)
            if kind == END:
                break
            for number, content in _pages(data):
                if number <= last:
                    raise BadState("the snapshot is damaged: its pages are in no order")
                pages.put(number, content)
                count, last = count + 1, number
        if data != COUNT.pack(count) or self._left:
            raise BadState("the snapshot is damaged: it does not end with its last page")


def _uncompressed(stored: bytes, full: int) -> bytes:
    """Exactly `full` bytes; never more are made."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(stored, full + 1)
    except zlib.error as error:
        raise BadState(f"the snapshot is damaged: {error}") from error
    if len(data) != full or not stream.eof or stream.unused_data:
        raise BadState("the snapshot is damaged: a section has another size than it says")
    return data


def _pages(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Numbers and bytes of the pages in a section."""
    count, rest = divmod(len(data), COUNT.size + PAGE)
    if rest:
        raise BadState("the snapshot is damaged: a section ends within a page")
    view = memoryview(data)
    for place, number in enumerate(struct.unpack_from(f"<{count}I", data)):
        start = count * COUNT.size + place * PAGE
        yield number, view[start : start + PAGE]


def _runs(meta: Fields) -> list[Run]:
    numbers = meta.numbers("runs", WORD)
    if len(numbers) % 3:
        raise meta.bad("runs", "is not made of runs")
    return list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))


def _origin(meta: Fields) -> Origin:
    return Origin(
        guest=meta.text("guest"),
        program=meta.text("program"),
        digest=meta.data("digest"),
        machine=meta.text("machine"),
        parts=meta.state("parts"),
        registers=tuple(meta.texts("registers")),
    )


def _moment(meta: Fields) -> Moment:
    return Moment(
        instructions=meta.number("instructions"),
        skipped=meta.number("skipped"),
        elapsed=meta.number("elapsed"),
        deadline=meta.number("deadline"),
        deadline_lines=meta.number("deadline lines", WORD),
        lines=meta.number("lines", WORD),
        pc=meta.number("pc", WORD),
        passed=meta.number("passed", WORD + 1) - 1,
        waits=meta.number("waits", WORD + 1) - 1,
        begins=meta.flag("begins"),
        state=tuple(meta.numbers("state", WORD, WORDS)),
    )
