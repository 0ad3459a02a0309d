"""Tables of units: what columns say, sorting, filters, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields, replace

import pytest

from dynarec.errors import DynarecError
from dynarec.inspect import filters, tables
from dynarec.inspect.json_form import to_json
from dynarec.inspect.model import Label, Moment, Place, Recording, Unit
from tests.inspect.recordings import full, recorded


def test_columns_say_what_the_units_are() -> None:
    recording = full()
    for unit, row in zip(recording.units, tables.rows(recording, recording.units, list(tables.COLUMNS)), strict=True):
        found = dict(zip(tables.COLUMNS, row, strict=True))
        assert (found["serial"], found["address"], found["guest_insns"]) == (unit.serial, unit.key, len(unit.pcs))
        assert found["body_bytes"] + found["exit_bytes"] == found["host_bytes"] == len(unit.code)  # type: ignore[operator]
        assert found["links_out"] == len(unit.links_out)
        assert found["links_in"] == sum(other.links_out.count(unit.serial) for other in recording.live)
        assert found["reason"] == (unit.died.reason if unit.died else None)
        assert found["share"] == recording.share(unit)


def test_links_in_and_out_are_as_many() -> None:
    recording = full()
    ins, outs = zip(*tables.rows(recording, recording.live, ["links_in", "links_out"]), strict=True)
    gone = sum(link in {unit.serial for unit in recording.dead} for unit in recording.live for link in unit.links_out)
    assert sum(ins) + gone == sum(outs) > 0  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(tables.COLUMNS))
def test_sorting(name: str) -> None:
    """What people look for first comes first, what is unknown last; all units are there."""
    recording = full()
    found = tables.ordered(recording, recording.units, name)
    values = [row[0] for row in tables.rows(recording, found, [name])]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=tables.column(name).descends)  # type: ignore[type-var]
    assert values[len(known) :] == [None] * (len(values) - len(known))
    assert {unit.serial for unit in found} == {unit.serial for unit in recording.units}
    back = tables.ordered(recording, recording.units, name, reverse=True)
    assert [row[0] for row in tables.rows(recording, back, [name])][: len(known)] == known[::-1]


def test_equal_units_are_by_what_they_retired() -> None:
    recording = replace(full(), units=tuple(replace(unit, samples=1) for unit in full().units))
    retired = [unit.instructions or 0 for unit in tables.top(recording, 10)]
    assert retired == sorted((unit.instructions or 0 for unit in recording.units), reverse=True)[:10]


def test_an_unknown_column() -> None:
    with pytest.raises(DynarecError, match="unknown column 'speed': choose one of serial, address"):
        tables.ordered(full(), full().units, "speed")


def test_text() -> None:
    recording = full()
    lines = tables.as_text(recording, tables.top(recording, 5)).splitlines()
    assert len(lines) == 6
    assert lines[0].split()[:4] == ["share", "rounds", "retired", "address"]
    assert f"{tables.top(recording, 1)[0].key:#010x}" in lines[1]
    columns = ("address", "symbol", "rounds")
    uncounted = replace(recording, units=tuple(replace(unit, rounds=None) for unit in recording.units))
    assert "rounds" not in tables.as_text(uncounted, uncounted.units, columns)
    assert tables.as_text(recording, []) == ""


def test_csv_is_read_back() -> None:
    recording = full()
    name = 'a "quoted", one'
    recording = replace(recording, labels=(Label(0, 1 << 32, name, True),))
    rows = list(csv.DictReader(io.StringIO(tables.as_csv(recording, recording.units))))
    assert [int(row["serial"]) for row in rows] == [unit.serial for unit in recording.units]
    assert all(row["symbol"].startswith(name) for row in rows)
    assert [float(row["share"]) for row in rows] == [recording.share(unit) for unit in recording.units]


def test_json_holds_everything() -> None:
    recording = full()
    content = json.loads(to_json(recording))
    assert {field.name for field in fields(Recording)} <= content.keys()
    assert content["format"] == 1
    assert sum(unit["instructions"] for unit in content["units"]) == sum(
        unit.instructions or 0 for unit in recording.units
    )
    for unit, found in zip(recording.units, content["units"], strict=True):
        assert {field.name for field in fields(Unit)} <= found.keys()
        assert bytes.fromhex(found["code"]) == unit.code
        assert found["exits"] == [
            {field.name: getattr(each, field.name) for field in fields(each)} for each in unit.exits
        ]
        assert found["name"] == recording.name(unit.key)
    assert content["interpreted"] == [[address, count] for address, count in recording.interpreted.items()]
    assert content["texts"] == {name: list(lines) for name, lines in recording.texts.items()}


def test_json_of_some_units() -> None:
    recording = full()
    assert [unit["serial"] for unit in json.loads(to_json(recording, recording.units[3:5]))["units"]] == [4, 5]


def test_the_summary() -> None:
    recording = full()
    text = tables.summary(recording)
    assert f"{len(recording.live)} alive, {len(recording.dead) + recording.forgotten.units} dead" in text
    assert ", ".join(f"{count} {where}" for where, count in recording.elsewhere.items()) in text


# -- filters ----------------------------------------------------------------------------------------------------------


def serials(recording: Recording, expression: str) -> set[int]:
    return {unit.serial for unit in filters.select(recording, expression)}


def those(recording: Recording, holds: object) -> set[int]:
    return {unit.serial for unit in recording.units if holds(unit)}  # type: ignore[operator]


def test_filters() -> None:
    recording = full()
    everything = serials(recording, "")
    assert everything == {unit.serial for unit in recording.units}
    assert (
        serials(recording, "dead")
        == those(recording, lambda unit: unit.died)
        == everything - serials(recording, "live")
    )
    assert serials(recording, "hot") == those(recording, lambda unit: recording.share(unit) >= 0.01) != everything
    assert serials(recording, "reason:store") == those(
        recording, lambda unit: unit.died and unit.died.reason == "store"
    )
    assert serials(recording, "#3") == {3}
    assert serials(recording, "MAIN") == those(recording, lambda unit: "main" in recording.name(unit.key).split("+")[0])
    assert serials(recording, "hot live") == serials(recording, "hot") & serials(recording, "live")
    assert serials(recording, "nowhere") == set()


def test_filters_by_place() -> None:
    recording = full()
    unit = max(recording.units, key=lambda unit: len(unit.pcs))
    pc = unit.pcs[-1]
    label = recording.label_at(pc)
    assert label is not None
    holding = those(recording, lambda unit: unit.holds(pc))
    assert unit.serial in holding
    for word in (hex(pc), str(pc), f"{label.name}+{pc - label.address:#x}", f"{label.name}+{pc - label.address}"):
        assert serials(recording, word) == holding, word


@pytest.mark.parametrize("word", ["a.c:3", "src/a.c:3"])
def test_filters_by_line(word: str) -> None:
    recording = full()
    lines = {address for address, place in recording.places.items() if place == Place("src/a.c", 3)}
    assert serials(recording, word) == those(recording, lambda unit: not lines.isdisjoint(unit.pcs)) != set()


def test_symbols_that_look_like_something_else() -> None:
    recording = full()
    key = recording.units[5].key
    named = replace(recording, labels=(Label(key, 4, "operator+1", True),))
    assert filters.addresses(named, "operator+1") == {key}
    assert filters.addresses(named, "operator+1+2") == {key + 2}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("reason:boredom", "units do not die of 'boredom': choose one of store, fence.i"),
        ("#x", "'#x' is no number of a unit"),
        ("nowhere+4", "nothing is known of 'nowhere.4'"),
        ("a.c:999", "nothing is known of 'a.c:999'"),
    ],
)
def test_filters_that_make_no_sense(word: str, text: str) -> None:
    with pytest.raises(DynarecError, match=text):
        filters.select(full(), word)


def test_the_unit_at_a_place() -> None:
    recording = full()
    unit = recording.live[3]
    assert filters.at(recording, hex(unit.key))[0].key == unit.key
    assert filters.at(recording, f"#{unit.serial}") == [unit]
    inside = max(recording.units, key=lambda unit: len(unit.pcs)).pcs[3]
    assert all(unit.holds(inside) for unit in filters.at(recording, hex(inside)))
    with pytest.raises(DynarecError, match="no unit was made from 0x4"):
        filters.at(recording, "0x4")


def test_the_living_and_young_come_first() -> None:
    recording = full()
    first, *_ = recording.live
    again = replace(first, serial=1000, exits=())
    dead = replace(recording.dead[0], serial=1001, key=first.key, exits=())
    more = replace(recording, units=(*recording.units, again, dead))
    found = filters.at(more, hex(first.key))
    assert [unit.serial for unit in found][:2] == [1000, first.serial]
    assert found[-1].serial == 1001


def test_ages() -> None:
    recording = recorded()
    unit = replace(recording.units[0], born=Moment(recording.taken.time - 2_000_000_000, 0))
    assert tables.age(recording, unit) == 2.0
    dead = full().dead[0]
    assert tables.age(full(), dead) == 1e-8
