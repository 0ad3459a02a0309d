"""Dumps: any bytes are a recording that every view takes, or are refused.

`python -m tests.fuzz.dump` writes the corpus anew, for when the format has changed.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dynarec.inspect import diff, dump, tables
from dynarec.inspect.code import UnitCode
from dynarec.inspect.columns import COUNTS
from dynarec.inspect.graph import graph, to_dot
from dynarec.inspect.hints import hints
from dynarec.inspect.json_form import to_json
from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.unit_text import describe
from dynarec.machine.state import State, Value, decode, encode
from dynarec.sections import HEADER, SECTION
from tests.fuzz.oracle import bounded_memory, check_line, may_refuse

MAX_SIZE = 8192
MAX_UNITS = 3
"""Units whose code is looked at."""
OTHER = {"x86_64": "arm64", "arm64": "x86_64"}
STRANGE = (0, 1, 2, 0x7F, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1)


NAMES = ("", "\x1b[2J", "x\ny", "rv32", "chip8", "x86_64", "arm64", "bti", "lower", "x5")


def check(data: bytes) -> None:
    """Read it, and look at it."""
    with bounded_memory(len(data)), may_refuse():
        recording = dump.decode(data)
        assert dump.decode(dump.encode(recording)) == recording
        _look(recording)
        for unit in recording.units[:MAX_UNITS]:
            with may_refuse():
                check_text("\n".join(describe(recording, unit, stages=True)))
                _look_at_code(unit, recording.subject.guest)


def check_text(text: str) -> None:
    """Raise AssertionError unless a terminal shows all its lines as they are."""
    assert all(line.isprintable() for line in text.split("\n"))


def _look(recording: Recording) -> None:
    to_dot(graph(recording, recording.units))
    json.loads(to_json(recording))
    tables.as_csv(recording, recording.units)
    check_text(tables.summary(recording))
    assert not diff.compare(recording, recording).changes
    for hint in hints(recording):
        check_line(hint.text)
    for unit in recording.units:
        check_line(recording.name(unit.key))
        assert 0 <= recording.share(unit) <= 1
        assert all(serial in recording.by_serial for serial in unit.links_out)


def _look_at_code(unit: Unit, guest: str) -> None:
    code = UnitCode(unit, guest)
    lines = [(each.text, unit.pcs[each.index]) for each in code.guest_lines]
    assert [pc for _, pc in lines] == list(unit.pcs)
    host = code.host_lines
    assert b"".join(each.data for each in host) == unit.code
    for text in (*(text for text, _ in lines), *(each.text for each in host)):
        check_line(text)
    for stage in code.stages:
        for line in stage.lines:
            check_line(line.text)
    _ = code.is_reproduced
    other = OTHER[unit.circumstances.host]
    code.listing(code.translate(host=other), other)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change what is in a section, and let sizes and checksums fit again."""
    rng = random.Random(seed)
    parts = list(sections(data))
    if not parts:
        return data[:max_size]
    place = rng.randrange(max(1, len(parts) - 1))  # the last one only says how many there are
    kind, content = parts[place]
    parts[place] = (kind, _changed(content, rng))
    again = (packed(kind, content) for kind, content in parts)
    made = data[: HEADER.size] + b"".join(again)
    return made if len(made) <= max_size else data[:max_size]


def sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and contents."""
    at = HEADER.size
    while at + SECTION.size <= len(data):
        kind, size, _, _ = SECTION.unpack_from(data, at)
        stream = zlib.decompressobj()
        try:
            yield kind, stream.decompress(data[at + SECTION.size :][:size], 1 << 20)
        except zlib.error:
            return
        at += SECTION.size + size


def packed(kind: bytes, content: bytes) -> bytes:
    """A section."""
    stored = zlib.compress(content)
    return SECTION.pack(kind, len(stored), len(content), zlib.crc32(stored)) + stored


def _changed(content: bytes, rng: random.Random) -> bytes:
    """A value of the table is another; or, where there is no table, a byte is."""
    with may_refuse():
        table = decode(content)
        if isinstance(table, dict) and table:
            _change_one(table, rng)
            return encode(table)
    at = rng.randrange(len(content) + 1)
    return content[:at] + bytes((rng.getrandbits(8),)) + content[at + 1 :]


def _change_one(table: State, rng: random.Random) -> None:
    name = rng.choice(list(table))
    table[name] = _another(table[name], rng, COUNTS in name)


def _another(value: Value, rng: random.Random, is_count: bool) -> Value:
    match value:
        case int():
            return rng.choice((*STRANGE, -1, value + 1))
        case str():
            return rng.choice((*NAMES, value[1:], value * 2))
        case bytes():
            return _other_bytes(value, rng)
        case []:
            return [rng.choice(NAMES)]
        case list():
            at = rng.randrange(len(value))
            return [*value[:at], *([_another(value[at], rng, is_count)] * rng.randrange(3)), *value[at + 1 :]]
        case dict() if value:
            _change_one(value, rng)
    return value


def _other_bytes(value: bytes, rng: random.Random) -> bytes:
    """A number of some size is another, or missing."""
    size = rng.choice((1, 2, 4, 8))
    at = rng.randrange(len(value) // size + 1) * size
    number = struct.pack("<Q", rng.choice((*STRANGE, rng.getrandbits(64))))[:size]
    return value[:at] + rng.choice((number, number, number, b"")) + value[at + size :]


def write_corpus(folder: Path) -> None:
    """Recordings of few units: as they come, with all there can be, and with code that compares its own bytes."""
    from tests.inspect.recordings import full, recorded

    folder.mkdir(exist_ok=True)
    small = replace(recorded(), labels=(), events=recorded().events[:4])
    everything = few(full(), 3)
    checked = [
        replace(unit, circumstances=replace(unit.circumstances, checked=True, left=(unit.pcs[-1],)))
        for unit in everything.units
    ]
    dump.write(few(small, 2), folder / "plain")
    dump.write(replace(small, units=()), folder / "empty")
    dump.write(everything, folder / "full")
    dump.write(replace(everything, units=tuple(checked[:2]), texts={}), folder / "checked")


def few(recording: Recording, count: int) -> Recording:
    """The smallest units, and links between them only."""
    units = sorted(sorted(recording.units, key=lambda unit: len(unit.pcs))[:count], key=lambda unit: unit.serial)
    kept = tuple(_first_linked(unit, units[0].serial) for unit in units)
    return replace(recording, units=kept, events=recording.events[:4], labels=recording.labels[:2])


def _first_linked(unit: Unit, target: int) -> Unit:
    return replace(unit, exits=tuple(replace(each, linked=each.linked and target) for each in unit.exits))


if __name__ == "__main__":
    write_corpus(Path(__file__).parent / "corpus" / "dump")
