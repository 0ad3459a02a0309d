"""Dumps: what is read is what was written, and hostile files are refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec.errors import DynarecError
from dynarec.inspect import dump
from dynarec.inspect.code import UnitCode
from dynarec.inspect.columns import COUNTS, NOT_SHOWN
from dynarec.inspect.dump import END_COUNTS, FORMAT, MAGIC, META, UNITS, VERSION
from dynarec.inspect.model import Exit, Label, Moment, Place, Recording
from dynarec.machine.state import State, decode, encode
from dynarec.sections import HEADER
from tests.fuzz.dump import few, packed, sections
from tests.fuzz.oracle import bounded_memory, check_line
from tests.inspect.recordings import full, many, recorded

BYTES_A_UNIT = 2048


def refusal(data: bytes) -> str:
    """What is said of bytes that are no recording."""
    with bounded_memory(len(data)), pytest.raises(DynarecError) as raised:
        dump.decode(data)
    check_line(str(raised.value))
    return str(raised.value)


@pytest.fixture(scope="module")
def small() -> Recording:
    return few(full(), 3)


@pytest.mark.parametrize("make", [recorded, full, lambda: replace(full(), units=(), events=())])
def test_what_is_read_is_what_was_written(make: Callable[[], Recording], tmp_path: Path) -> None:
    recording = make()
    path = tmp_path / "dump"
    dump.write(recording, path)
    assert dump.read(path) == recording
    assert path.read_bytes() == dump.encode(recording)
    assert [each.name for each in tmp_path.iterdir()] == ["dump"]


def test_many_units_take_little_room() -> None:
    recording = many(3000)
    data = dump.encode(recording)
    assert dump.decode(data) == recording
    assert len(data) < BYTES_A_UNIT * len(recording.units)


def test_units_that_are_all_the_same(small: Recording) -> None:
    """What is compressed too well for a reader is compressed less."""
    unit = replace(small.units[0], exits=())
    recording = replace(small, units=tuple(replace(unit, serial=serial) for serial in range(1, 5000)))
    assert dump.decode(dump.encode(recording)) == recording


def test_code_is_the_same_behind_a_dump() -> None:
    recording = dump.decode(dump.encode(recorded()))
    assert all(UnitCode(unit, recording.subject.guest).is_reproduced for unit in recording.units[:10])


def test_links_to_units_that_are_forgotten_are_left_out(small: Recording) -> None:
    unit = replace(small.units[0], exits=(Exit("jump", 0x10000, 0, 0, 1, 1, 9999),))
    read = dump.decode(dump.encode(replace(small, units=(unit,))))
    assert read.units[0].exits[0].linked is None


def test_moments_behind_the_recording_are_moved_to_it(small: Recording) -> None:
    early = replace(small, taken=Moment(1, 1))
    assert {unit.born.time for unit in dump.decode(dump.encode(early)).units} == {1}


def test_texts_are_shown_as_they_are(small: Recording) -> None:
    recording = replace(
        small,
        subject=replace(small.subject, program="a\x1b[31m\u202eb"),
        labels=(Label(0, 0, "x\ny", True),),
        places={4: Place("\x07", 1)},
        texts={"\x07": ("\tif (x)\x0c",)},
    )
    read = dump.decode(dump.encode(recording))
    assert read.subject.program == f"a{NOT_SHOWN}[31m{NOT_SHOWN}b"
    assert read.labels[0].name == f"x{NOT_SHOWN}y"
    assert read.texts == {read.places[4].file: (f"\tif (x){NOT_SHOWN}",)}


def test_every_byte_counts(small: Recording) -> None:
    """A file that is cut off anywhere, goes on behind its end, or has another byte anywhere, is refused."""
    data = dump.encode(small)
    for size in range(0, len(data), 7):
        refusal(data[:size])
    for place in range(0, len(data), 5):
        refusal(data[:place] + bytes((data[place] ^ 0x55,)) + data[place + 1 :])
    refusal(data + b"\0")


def test_other_files(tmp_path: Path) -> None:
    assert "is no dump: name a file that was written by" in refusal(b"\x7fELF" + bytes(100))
    assert f"format {VERSION + 1}, this dynarec reads {VERSION}" in refusal(HEADER.pack(MAGIC, VERSION + 1))
    with pytest.raises(DynarecError, match=r"is no file"):
        dump.read(tmp_path)
    with pytest.raises(DynarecError, match=r"none: cannot be read: No such file"):
        dump.read(tmp_path / "none")


def changed(recording: Recording, kind: bytes, change: Callable[[State], object]) -> bytes:
    """The bytes of a recording, one table of which was changed."""
    made = HEADER.pack(MAGIC, VERSION)
    for each, content in sections(dump.encode(recording)):
        if each == kind:
            table = decode(content)
            assert isinstance(table, dict)
            change(table)
            content = encode(table)
        made += packed(each, content)
    return made


def put(name: str, kind: str, number: float, index: int = 0) -> Callable[[State], object]:
    """A number of a column is another."""

    def change(table: State) -> None:
        data = table[name]
        assert isinstance(data, bytes)
        column = bytearray(data)
        size = struct.calcsize(f"<{kind}")
        struct.pack_into(f"<{kind}", column, index * size if index >= 0 else len(column) + index * size, number)
        table[name] = bytes(column)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("serial", "Q", 1 << 40), "comes behind unit"),
        (put("serial", "Q", 0), "unit 0 comes behind unit 0"),
        (put("samples", "Q", 1 << 63), "units.samples holds 9223372036854775808, which is too large"),
        (put("charged", "Q", 100), "more instructions than it has"),
        (put("offset", "Q", 1 << 50), "outside of the region"),
        (put("host insns", "Q", 1 << 20), "more host instructions than bytes"),
        (put("tier", "I", 9), "units.tier holds 9"),
        (put("circumstances", "I", 9), "units.circumstances holds 9"),
        (put("ranges", "I", 1 << 31, 1), "guest bytes that are not those of its ranges"),
        (put("ranges", "I", 0), "an instruction outside of its ranges"),
        (put("source" + COUNTS, "I", (1 << 32) - 1), "units.source counts holds 4294967295"),
        (put("pcs" + COUNTS, "I", 0), "units.pcs has"),
        (put("pcs", "I", 0), "an instruction outside of its ranges"),
        (put("mark offsets", "I", 9999), "marks in no order"),
        (put("mark offsets", "I", 9999, -1), "a mark behind its code"),
        (put("mark ops", "i", -3), "a mark of no op"),
        (put("op insns", "H", 999), "an op of no instruction"),
        (put("phases", "d", float("nan")), "units.phases holds what is no amount"),
        (put("phases", "d", -1.0), "units.phases holds what is no amount"),
        (put("reason", "B", 200), "units.reason holds 200"),
        (put("exit kinds", "B", 5), "units.exit kinds holds 5"),
        (put("exit offsets", "I", 9999), "an exit behind its code"),
        (put("exit executed", "I", 9999), "an exit behind its instructions"),
        (put("exit linked", "Q", 9999), "linked to a unit that does not exist"),
        (lambda table: table.pop("code"), "units.code is missing"),
    ],
)
def test_hostile_units(small: Recording, change: Callable[[State], object], words: str) -> None:
    assert words in refusal(changed(small, UNITS, change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("generations", "Q", 1 << 30), "outside of the region, or in another"),
        (put("generations", "Q", 1 << 40, 1), "outside of the region, or in another"),
        (put("more values", "d", float("inf")), "no amount"),
        (lambda table: table.update(current=2), "cache.current is 0x2"),
        (lambda table: table.update(size=1 << 40), "cache.size is"),
        (lambda table: table.update(stats={"x": -1}), "cache.stats holds what is no count"),
    ],
)
def test_a_hostile_cache(small: Recording, change: Callable[[State], object], words: str) -> None:
    def inside(table: State) -> None:
        cache = table["cache"]
        assert isinstance(cache, dict)
        change(cache)

    assert words in refusal(changed(small, META, inside))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.update(circumstances=[1]), "circumstances[0] is no table"),
        (put("label addresses", "I", (1 << 32) - 1), "meta.label addresses are in no order"),
        (put("place files", "I", 2), "meta.place files holds 2"),
        (put("place lines", "I", 0), "lines begin with 1"),
        (lambda table: table.update(first=-1), "meta.first is -0x1"),
        (lambda table: table.update(elsewhere={"x": "y"}), "meta.elsewhere holds what is no count"),
        (lambda table: table.update(subject=[]), "meta.subject is no dict"),
    ],
)
def test_hostile_facts(small: Recording, change: Callable[[State], object], words: str) -> None:
    assert words in refusal(changed(small, META, change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("kind", "B", 100), "events.kind holds 100"),
        (put("kind", "B", 1), "too large"),
        (put("serial", "Q", 1 << 63), "events.serial holds"),
    ],
)
def test_hostile_events(small: Recording, change: Callable[[State], object], words: str) -> None:
    recording = replace(small, events=tuple(replace(each, other=999) for each in small.events))
    assert words in refusal(changed(recording, b"EVNT", change))


def test_limits_of_translations(small: Recording) -> None:
    """A view that makes the IR again does not work for long."""
    units = tuple(
        replace(unit, circumstances=replace(unit.circumstances, limit=limit))
        for limit, unit in zip((1 << 20, 0, 1), small.units, strict=True)
    )
    assert "limit is" in refusal(dump.encode(replace(small, units=units)))


def test_sections_in_another_order(small: Recording) -> None:
    head, *rest, end = [packed(kind, content) for kind, content in sections(dump.encode(small))]
    start = HEADER.pack(MAGIC, VERSION)
    assert "a section is none, or too large" in refusal(start + b"".join([*rest, head, end]))
    assert "a section is none, or too large" in refusal(start + b"".join([head, *reversed(rest), end]))
    wrong = packed(b"END ", END_COUNTS.pack(7, 7))
    assert "does not end with its last unit" in refusal(start + b"".join([head, *rest, wrong]))


def test_a_section_that_is_compressed_too_well(small: Recording) -> None:
    data = HEADER.pack(MAGIC, VERSION) + packed(META, bytes(FORMAT.ratio << 20))
    assert "too large" in refusal(data)


@pytest.mark.parametrize(
    ("circumstances", "words"),
    [({"host": "z80"}, "z80"), ({"harden": ("magic",)}, "magic"), ({"homes": ("x99",)}, "x99")],
)
def test_what_is_unknown_here_is_said_when_it_is_needed(
    small: Recording, circumstances: dict[str, object], words: str
) -> None:
    unit = replace(small.units[0], circumstances=replace(small.units[0].circumstances, **circumstances))  # type: ignore[arg-type]
    read = dump.decode(dump.encode(replace(small, units=(unit,))))
    with pytest.raises(DynarecError, match=words):
        _ = UnitCode(read.units[0], read.subject.guest).host_lines
    with pytest.raises(DynarecError, match="toaster"):
        UnitCode(read.units[0], "toaster")
