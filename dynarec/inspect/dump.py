"""Recordings in files: files of sections (dynarec/sections.py).

    magic     89 "DRDUMP" 0A
    version   1
    sections  "META", then "UNIT" any number of times, "EVNT" any number of times, "TEXT" any number of times, then
              "END " and nothing behind it

Each section but the last is one table of values (dynarec/machine/state.py: names, and behind them numbers, texts,
bytes, lists or tables). A column is bytes, one number behind the other, little-endian: B, H, I, Q are unsigned numbers
of 1, 2, 4, 8 bytes, i is a signed one of 4, d a real one of 8. A column of lists has another one beside it whose name
ends in " counts" (I): how many numbers, or bytes, belong to each item.

META  "subject": the fields of Subject. "taken": Q, time and instructions. "counted": 0 or 1. "first", "retired",
      "lost": numbers. "forgotten": Q, the fields of Totals. "cache": "size", "policy", "current", "generations" (Q:
      start, end, fill of each), "deaths" and "exits" (numbers by name), "stats" (whole numbers by name), "more stats"
      (names) with "more values" (d). "elsewhere": numbers by name. "interpreted addresses" I, "interpreted" Q;
      "answered" likewise. "labels": names, with "label addresses" I, "label sizes" I, "label functions" B. "files":
      names, with "place addresses" I, "place files" I (index into them), "place lines" I. What units refer to by index:
      "tiers" (names), "phases" (names), "circumstances" (tables of the fields of Circumstances; of the lists, "left" is
      I and "hooked" is Q, twice the address, and 1 if it begins a block).
UNIT  up to 1024 units by serial. Q: "serial", "key", "charged", "offset", "host insns", "batch", "samples"; "rounds",
      "instructions" and "onward" are one more than the number, and 0 for what was not counted, or is not there. I:
      "tier", "circumstances".
      Lists: "ranges" I (address, size), "pcs" I, "faulted" Q (index into pcs, times), "mark offsets" I, "mark ops" i,
      "op insns" H, "phase names" H, "phases" d, "exit kinds" B (index into unit_columns.KINDS), "exit targets" I, "exit
      executed" I, "exit offsets" I, "exit taken" Q (as rounds), "exit missed" Q, "exit linked" Q (a serial, or 0).
      Bytes: "source", "code". "born" Q: time, instructions. "reason" B: 0 for a living one, or one more than the index
      into dynarec.core.DEATHS; "died" Q: time, instructions, address, pc of each that is dead.
EVNT  up to 65536 events in their order. B: "kind" (index into dynarec.records.EVENTS). Q: "time", "instructions",
      "serial", "other", "value".
TEXT  "file": its name; "lines": its text; each line ends in a line feed.
END   Q: the numbers of units and of events.

A reader trusts nothing: sizes are checked before anything is allocated, and views may rely on what it returns: serials
are unique and ascend, links are to units that exist, ranges, marks and exits fit the bytes they are about, texts are
printable (other characters are replaced). Guest, host and passes are names that this dynarec may not know; who needs
one says so. Serials of events and of deaths may be those of units that are forgotten.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from dynarec.core import DEATHS
from dynarec.inspect import unit_columns
from dynarec.inspect.columns import BYTE, LONG, REAL, WHAT, WORD, Table, Writer, damaged, indexed, shown
from dynarec.inspect.model import (
    Cache,
    Circumstances,
    Event,
    Generation,
    Label,
    Moment,
    Place,
    Recording,
    Subject,
    Totals,
    Unit,
)  # fmt: skip
from dynarec.inspect.unit_columns import Shared
from dynarec.machine.state import State, Value
from dynarec.machine.state import encode as encode_state
from dynarec.records import EVENTS
from dynarec.sections import Format, SectionReader
from dynarec.trace import TRACE_LIMIT

MAGIC = b"\x89DRDUMP\n"
VERSION = 1
FORMAT = Format(MAGIC, VERSION, WHAT, "written by dynarec run --dump or dynarec inspect --dump", ratio=64)
META, UNITS, EVENTS_OF, TEXT, END = b"META", b"UNIT", b"EVNT", b"TEXT", b"END "
END_COUNTS = struct.Struct("<QQ")
MOST_SECTION = 64 << 20
UNITS_IN_SECTION = 1024
EVENTS_IN_SECTION = 1 << 16
MOST_CACHE = 1 << 32
MOST_LINE = 1 << 31
"""Of a source file."""
ADDRESS_END = 1 << 32
SUBJECT = ("program", "digest", "guest", "machine", "host", "tier")
TOTALS = ("units", "rounds", "instructions", "samples")
FLAGS = ("checked", "counted", "repeats")
NAMES = ("homes", "features", "without", "harden")


def write(recording: Recording, path: Path) -> None:
    """Write a recording to a file that appears when it is complete. Raises DynarecError."""
    FORMAT.save(path, lambda file: _write(recording, file))


def read(path: Path) -> Recording:
    """Read a recording. Raises DynarecError, one line that names the file."""
    return FORMAT.load(path, _read)


def encode(recording: Recording) -> bytes:
    """The bytes of such a file."""
    file = io.BytesIO()
    _write(recording, file)
    return file.getvalue()


def decode(data: bytes) -> Recording:
    """The recording that such bytes are of. Raises DynarecError."""
    return _read(io.BytesIO(data), len(data))


# -- writing ----------------------------------------------------------------------------------------------------------


def _write(recording: Recording, file: BinaryIO) -> None:
    FORMAT.write_header(file)
    units, events = recording.units, recording.events
    tiers, _ = indexed(unit.tier for unit in units)
    phases, _ = indexed(name for unit in units for name in unit.phases)
    circumstances, _ = indexed(unit.circumstances for unit in units)
    shared = Shared(tiers, phases, circumstances)
    FORMAT.write_section(file, META, encode_state(_meta(recording, shared)))
    known = frozenset(recording.by_serial)
    for start in range(0, len(units), UNITS_IN_SECTION):
        table = unit_columns.write(units[start : start + UNITS_IN_SECTION], shared, known)
        FORMAT.write_section(file, UNITS, encode_state(table.state))
    for start in range(0, len(events), EVENTS_IN_SECTION):
        FORMAT.write_section(file, EVENTS_OF, encode_state(_events(events[start : start + EVENTS_IN_SECTION])))
    for name, lines in recording.texts.items():
        FORMAT.write_section(file, TEXT, encode_state({"file": name, "lines": "".join(f"{line}\n" for line in lines)}))
    FORMAT.write_section(file, END, END_COUNTS.pack(len(units), len(events)))


def _meta(recording: Recording, shared: Shared) -> State:
    table = Writer()
    subject = recording.subject
    table.state |= {
        "subject": {**{name: getattr(subject, name) for name in SUBJECT}, "entry": subject.entry},
        "counted": int(recording.counted), "first": recording.first, "retired": recording.retired,
        "lost": recording.lost,
        "cache": _cache(recording.cache), "elsewhere": dict(recording.elsewhere),
        "tiers": list(shared.tiers), "phases": list(shared.phases),
        "circumstances": [_circumstances(each) for each in shared.circumstances],
    }  # fmt: skip
    table.column("taken", LONG, (recording.taken.time, recording.taken.instructions))
    table.column("forgotten", LONG, (getattr(recording.forgotten, name) for name in TOTALS))
    table.counts("interpreted", recording.interpreted)
    table.counts("answered", recording.answered)
    _write_labels(table, recording)
    return table.state


def _cache(cache: Cache) -> State:
    table = Writer()
    table.column("generations", LONG, (n for each in cache.generations for n in (each.start, each.end, each.fill)))
    whole = {name: value for name, value in cache.stats.items() if isinstance(value, int)}
    more = {name: value for name, value in cache.stats.items() if name not in whole}
    table.column("more values", REAL, more.values())
    table.state |= {
        "size": cache.size, "policy": cache.policy, "current": cache.current,
        "deaths": dict(cache.deaths), "exits": dict(cache.exits), "stats": dict(whole), "more stats": list(more),
    }  # fmt: skip
    return table.state


def _circumstances(each: Circumstances) -> Value:
    table = Writer()
    table.column("left", WORD, each.left)
    table.column("hooked", LONG, (2 * pc + begins for pc, begins in each.hooked))
    table.state |= {name: list(getattr(each, name)) for name in NAMES}
    table.state |= {name: int(getattr(each, name)) for name in FLAGS}
    return table.state | {"host": each.host, "limit": each.limit}


def _write_labels(table: Writer, recording: Recording) -> None:
    labels = recording.labels
    table.state["labels"] = [label.name for label in labels]
    table.column("label addresses", WORD, (label.address for label in labels))
    table.column("label sizes", WORD, (label.size for label in labels))
    table.column("label functions", BYTE, (label.is_function for label in labels))
    files, index = indexed(place.file for place in recording.places.values())
    table.state["files"] = list(files)
    table.column("place addresses", WORD, recording.places)
    table.column("place files", WORD, (index(place.file) for place in recording.places.values()))
    table.column("place lines", WORD, (place.line for place in recording.places.values()))


def _events(events: Sequence[Event]) -> State:
    table = Writer()
    table.column("kind", BYTE, (EVENTS.index(each.kind) for each in events))
    table.column("time", LONG, (each.when.time for each in events))
    table.column("instructions", LONG, (each.when.instructions for each in events))
    for name in ("serial", "other", "value"):
        table.column(name, LONG, (getattr(each, name) for each in events))
    return table.state


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(file: BinaryIO, size: int) -> Recording:
    reader = SectionReader(FORMAT, file, size)
    _, data = reader.section((META,), MOST_SECTION)
    meta = Table.decode(data, "meta")
    cache = _read_cache(meta)
    taken = Moment(*meta.column("taken", LONG, 2))
    shared = Shared(meta.labels("tiers"), meta.labels("phases"), _read_circumstances(meta))
    units: list[Unit] = []
    events: list[Event] = []
    texts: dict[str, tuple[str, ...]] = {}
    kinds: tuple[bytes, ...] = (UNITS, EVENTS_OF, TEXT, END)
    while True:
        kind, data = reader.section(kinds, MOST_SECTION)
        kinds = kinds[kinds.index(kind) :]
        if kind == UNITS:
            units += unit_columns.read(Table.decode(data, "units"), shared, taken.time)
        elif kind == EVENTS_OF:
            events += _read_events(Table.decode(data, "events"), taken.time, len(cache.generations))
        elif kind == TEXT:
            text = Table.decode(data, "text")
            texts[text.label("file")] = tuple(shown(line, "\t") for line in text.text("lines").split("\n")[:-1])
        else:
            break
    if data != END_COUNTS.pack(len(units), len(events)) or not reader.at_end:
        raise damaged("it does not end with its last unit or event")
    _check_serials(units)
    _check_places(units, cache)
    return Recording(
        subject=_read_subject(meta), taken=taken, counted=meta.flag("counted"), cache=cache, units=tuple(units),
        forgotten=Totals(*meta.column("forgotten", LONG, len(TOTALS))),
        interpreted=meta.counts("interpreted"), answered=meta.counts("answered"),
        first=meta.number("first", 1 << 63), retired=meta.number("retired", 1 << 63), events=tuple(events),
        lost=meta.number("lost", 1 << 63),
        elsewhere=meta.named("elsewhere"), labels=_read_labels(meta), places=_read_places(meta), texts=texts,
    )  # fmt: skip


def _read_subject(meta: Table) -> Subject:
    fields = meta.table("subject")
    names = {name: fields.label(name) for name in SUBJECT}
    return Subject(**names, entry=fields.number("entry", ADDRESS_END))


def _read_cache(meta: Table) -> Cache:
    fields = meta.table("cache")
    size = fields.number("size", MOST_CACHE + 1)
    numbers = fields.column("generations", LONG)
    if len(numbers) % 3:
        raise fields.bad("generations", "is not made of triples")
    generations = tuple(map(Generation, numbers[::3], numbers[1::3], numbers[2::3]))
    end = 0
    for each in generations:
        if not end <= each.start <= each.fill <= each.end <= size:
            raise fields.bad("generations", "holds one outside of the region, or in another")
        end = each.end
    more = fields.labels("more stats")
    values = fields.reals("more values", len(more))
    return Cache(
        size=size, policy=fields.label("policy"), generations=generations,
        current=fields.number("current", max(1, len(generations))),
        stats=fields.named("stats") | dict(zip(more, values, strict=True)),
        deaths=fields.named("deaths"), exits=fields.named("exits"),
    )  # fmt: skip


def _read_circumstances(meta: Table) -> list[Circumstances]:
    return [_circumstances_of(fields) for fields in meta.tables("circumstances")]


def _circumstances_of(fields: Table) -> Circumstances:
    hooked = tuple((number >> 1, bool(number & 1)) for number in fields.column("hooked", LONG, end=2 * ADDRESS_END))
    names = {name: tuple(fields.labels(name)) for name in NAMES}
    return Circumstances(
        host=fields.label("host"), homes=names["homes"], limit=fields.number("limit", TRACE_LIMIT + 1, 1),
        left=fields.column("left", WORD), hooked=hooked, checked=fields.flag("checked"), features=names["features"],
        without=names["without"], harden=names["harden"], counted=fields.flag("counted"),
        repeats=fields.flag("repeats"),
    )  # fmt: skip


def _read_labels(meta: Table) -> tuple[Label, ...]:
    names = meta.labels("labels")
    addresses = meta.column("label addresses", WORD, len(names))
    if list(addresses) != sorted(addresses):
        raise meta.bad("label addresses", "are in no order")
    sizes = meta.column("label sizes", WORD, len(names))
    functions = map(bool, meta.column("label functions", BYTE, len(names)))
    return tuple(map(Label, addresses, sizes, names, functions))


def _read_places(meta: Table) -> dict[int, Place]:
    files = meta.labels("files")
    addresses = meta.column("place addresses", WORD)
    indexes = meta.column("place files", WORD, len(addresses), len(files))
    lines = meta.column("place lines", WORD, len(addresses), MOST_LINE)
    if 0 in lines:
        raise meta.bad("place lines", "holds 0, and lines begin with 1")
    return {address: Place(files[index], line) for address, index, line in zip(addresses, indexes, lines, strict=True)}


def _read_events(table: Table, now: int, generations: int) -> Iterator[Event]:
    kinds = table.column("kind", BYTE, end=len(EVENTS))
    columns = (table.column(name, LONG, len(kinds)) for name in ("time", "instructions", "serial", "other", "value"))
    ends = {"death": len(DEATHS), "evict": generations}
    for index, time, instructions, serial, other, value in zip(kinds, *columns, strict=True):
        kind = EVENTS[index]
        if other >= ends.get(kind, other + 1):
            raise table.bad("other", f"is {other} in a {kind}, which is too large")
        yield Event(Moment(min(time, now), instructions), kind, serial, other, value)


def _check_serials(units: Sequence[Unit]) -> None:
    known: set[int] = set()
    last = 0
    for unit in units:
        if unit.serial <= last:
            raise damaged(f"unit {unit.serial} comes behind unit {last}")
        last = unit.serial
        known.add(last)
    for unit in units:
        if not known.issuperset(unit.links_out):
            raise damaged(f"unit {unit.serial} is linked to a unit that does not exist")


def _check_places(units: Sequence[Unit], cache: Cache) -> None:
    for unit in units:
        if unit.offset + len(unit.code) > cache.size:
            raise damaged(f"unit {unit.serial} is outside of the region")
