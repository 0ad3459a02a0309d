"""Comparing recordings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dynarec.errors import DynarecError
from dynarec.inspect.diff import Condition, Thresholds, as_text, compare, lowered, to_json
from dynarec.inspect.model import Recording, Unit
from tests.inspect.recordings import full, recorded

BEFORE = replace(
    recorded(),
    units=tuple(replace(unit, instructions=100, samples=0, exits=()) for unit in recorded().units[:20]),
    interpreted={},
    answered={},
    elsewhere={},
)


def changed(number: int, **values: object) -> Recording:
    """The recording with another unit of that place."""
    units = list(BEFORE.units)
    units[number] = replace(units[number], **values)  # type: ignore[arg-type]
    return replace(BEFORE, units=tuple(units))


def kinds(after: Recording, before: Recording = BEFORE) -> list[tuple[str, int]]:
    """Kinds and serials of all changes."""
    sides = [(change.kind, change.after or change.before) for change in compare(before, after).changes]
    return [(kind, side.serial) for kind, side in sides if side]


def test_nothing_is_different() -> None:
    found = compare(BEFORE, BEFORE)
    assert found.changes == found.warnings == ()
    assert found.same == 20
    assert all(first == second for first, second in found.totals.values())


def test_hotter_and_colder() -> None:
    assert kinds(changed(3, instructions=200)) == [("hotter", 4)]
    assert kinds(BEFORE, changed(3, instructions=200)) == [("colder", 4)]
    assert kinds(changed(3, instructions=101)) == []


def test_what_takes_no_time_is_neither() -> None:
    units = (replace(BEFORE.units[0], instructions=1_000_000), *BEFORE.units[1:])
    before = replace(BEFORE, units=units)
    after = replace(BEFORE, units=(*units[:5], replace(units[5], instructions=300), *units[6:]))
    assert kinds(after, before) == []


def test_larger_and_smaller() -> None:
    unit = BEFORE.units[7]
    assert kinds(changed(7, code=unit.code * 2)) == [("larger", 8)]
    assert kinds(changed(7, code=unit.code[:-20])) == [("smaller", 8)]


def test_slower() -> None:
    slow = {name: seconds * 5 + 1e-3 for name, seconds in BEFORE.units[2].phases.items()}
    assert kinds(changed(2, phases=slow)) == [("slower", 3)]
    barely = {"form": 1e-6}
    assert kinds(changed(2, phases={"form": 50e-6}), changed(2, phases=barely)) == []


def test_dead_new_and_gone() -> None:
    assert kinds(changed(1, died=full().dead[0].died)) == [("died", 2)]
    less = replace(BEFORE, units=BEFORE.units[:-1])
    assert ("gone", 20) in kinds(less)
    assert ("new", 20) in kinds(BEFORE, less)


def again(unit: Unit, serial: int) -> Unit:
    return replace(unit, serial=serial)


def test_a_unit_that_was_translated_several_times_counts_as_one() -> None:
    died = replace(BEFORE.units[0], instructions=60, died=full().dead[0].died)
    after = replace(BEFORE, units=(died, *BEFORE.units[1:], replace(again(BEFORE.units[0], 21), instructions=40)))
    assert kinds(after) == []
    first, second = compare(BEFORE, after).totals["deaths"]
    assert (first, second) == (0, 1)


def test_units_are_found_where_other_bytes_are_now() -> None:
    unit = BEFORE.units[4]
    found = compare(BEFORE, changed(4, source=unit.source[::-1], code=unit.code + b"\x90" * 99))
    assert [(change.kind, change.note) for change in found.changes] == [("larger", "made from other bytes")]


def test_circumstances_are_told_but_for_counting() -> None:
    unit = BEFORE.units[4]
    for values, note in (({"counted": False}, ""), ({"without": ("fold",)}, "translated under other circumstances")):
        circumstances = replace(unit.circumstances, **values)  # type: ignore[arg-type]
        found = compare(BEFORE, changed(4, circumstances=circumstances, code=unit.code * 2))
        assert [(change.kind, change.note) for change in found.changes] == [("larger", note)]


def test_warnings() -> None:
    other = replace(BEFORE, subject=replace(BEFORE.subject, digest="0", host="z80"), counted=False)
    assert [text.split(":")[0].split(",")[0] for text in compare(BEFORE, other).warnings] == [
        "these are recordings of different programs",
        "the host is different",
        "only one of them was counted",
    ]


def test_the_largest_comes_first() -> None:
    units = [replace(unit, instructions=100 * (1 + index)) for index, unit in enumerate(BEFORE.units)]
    found = compare(BEFORE, replace(BEFORE, units=tuple(units))).of("hotter")
    gains = [(change.after.share - change.before.share) for change in found if change.after and change.before]
    assert gains == sorted(gains, reverse=True) != []


@pytest.mark.parametrize(
    ("text", "number", "values", "fails"),
    [
        ("hotter:10%", 3, {"instructions": 115}, True),
        ("hotter:20%", 3, {"instructions": 115}, False),
        ("hotter", 3, {"instructions": 200}, True),
        ("died", 3, {"died": full().dead[0].died}, True),
        ("deaths", 3, {"died": full().dead[0].died}, True),
        ("gone", 3, {}, False),
        ("host-bytes:1", 3, {"code": BEFORE.units[3].code * 9}, True),
        ("host-bytes:9000%", 3, {"code": BEFORE.units[3].code * 9}, False),
        ("units", 3, {}, False),
    ],
)
def test_conditions(text: str, number: int, values: dict[str, object], fails: bool) -> None:
    condition = Condition.parse(text)
    found = compare(BEFORE, changed(number, **values), lowered(Thresholds(), [condition]))
    assert (condition.fails(found) is not None) == fails


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("louder", "unknown change 'louder': choose one of hotter"),
        ("hotter:x%", "'x%' is no percentage: write hotter:10%"),
        ("hotter:-1%", "is no percentage"),
        ("hotter:inf", "is no percentage"),
        ("new:5%", "a unit is new or not"),
    ],
)
def test_conditions_that_make_no_sense(text: str, words: str) -> None:
    with pytest.raises(DynarecError, match=words):
        Condition.parse(text)


def test_texts() -> None:
    found = compare(full(1), full(2))
    text = as_text(found, 3)
    count = len(found.of("hotter"))
    assert f"hotter (a larger share of the time): {count}" in text
    assert f"and {count - 3} more" in text
    content = json.loads(to_json(found))
    assert len(content["changes"]) == len(found.changes)
    assert content["totals"]["units"] == [len(each.units) + each.forgotten.units for each in (full(1), full(2))]
