"""Snapshots in files: files of sections (dynarec/sections.py).

    magic     89 "DRSNAP" 0A
    version   1
    sections  "META", then "PAGE" any number of times, then "END " and nothing behind it

META is one table of values (dynarec/machine/state.py): what the snapshot is of, registers and time, the permissions of
guest pages as runs of pages, the state of the machine profile. PAGE is the numbers of up to 256 pages (u32), in
ascending order through the whole file, and behind them their bytes, 4096 each. Pages that are zero are left out. END
has the number of pages (u32).

A reader trusts nothing: sizes are checked before anything is allocated, and what the values mean when they are used.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dynarec.guest_pages import PAGE, Moment, Pages, Run
from dynarec.machine.state import BadState, Fields, State, Value, decode, encode
from dynarec.sections import Format, SectionReader
from dynarec.snapshot import Origin, Snapshot

MAGIC = b"\x89DRSNAP\n"
VERSION = 1
FORMAT = Format(MAGIC, VERSION, "snapshot", "written by Snapshot.save or --save-snapshot")
COUNT = struct.Struct("<I")
META, PAGES, END = b"META", b"PAGE", b"END "
PAGES_IN_SECTION = 256
MOST_META = 64 << 20
MOST_PAGES = PAGES_IN_SECTION * (COUNT.size + PAGE)
WORDS = 48
WORD, LONG = 1 << 32, 1 << 64
STATUS_END = 256


# -- writing ----------------------------------------------------------------------------------------------------------


def save(snapshot: Snapshot, path: Path) -> None:
    """Write a snapshot to a file that appears when it is complete. Raises DynarecError."""
    FORMAT.save(path, lambda file: _write(snapshot, file))


def _write(snapshot: Snapshot, file: BinaryIO) -> None:
    FORMAT.write_header(file)
    FORMAT.write_section(file, META, encode(_meta(snapshot)))
    numbers = snapshot.pages.numbers
    for start in range(0, len(numbers), PAGES_IN_SECTION):
        some = numbers[start : start + PAGES_IN_SECTION]
        data = b"".join([struct.pack(f"<{len(some)}I", *some), *(snapshot.pages[number] for number in some)])
        FORMAT.write_section(file, PAGES, data)
    FORMAT.write_section(file, END, COUNT.pack(len(numbers)))


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
    return FORMAT.load(path, lambda file, size: read(file, size, str(path)))


def read(file: BinaryIO, size: int, source: str) -> Snapshot:
    """Read a snapshot from a file of so many bytes; messages about it call it `source`. Raises DynarecError."""
    reader = SectionReader(FORMAT, file, size)
    _, data = reader.section((META,), MOST_META)
    meta = Fields(decode(data), "meta")
    pages = Pages.make(_runs(meta))
    _fill(pages, reader)
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


def _fill(pages: Pages, reader: SectionReader) -> None:
    count, last = 0, -1
    while True:
        kind, data = reader.section((PAGES, END), MOST_PAGES)
        if kind == END:
            break
        for number, content in _pages(data):
            if number <= last:
                raise BadState("the snapshot is damaged: its pages are in no order")
            pages.put(number, content)
            count, last = count + 1, number
    if data != COUNT.pack(count) or not reader.at_end:
        raise BadState("the snapshot is damaged: it does not end with its last page")


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
