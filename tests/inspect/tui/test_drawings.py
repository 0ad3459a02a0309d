"""The map of the cache, the time line, code beside code, and numbers in few letters."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest

from dynarec.host import HOSTS
from dynarec.inspect.model import EXITS, HEAD, Cache, Generation, Moment, Recording, Unit
from dynarec.inspect.tui.cache_map import cache_map, held
from dynarec.inspect.tui.choices import comparisons
from dynarec.inspect.tui.compare import compare_rows, other
from dynarec.inspect.tui.compare import recorded as as_recorded
from dynarec.inspect.tui.heat import HEAT, heat, percent, short
from dynarec.inspect.tui.time_line import EIGHTHS, time_rows
from tests.inspect import made
from tests.inspect.recordings import full, recorded

REGION = 1 << 16


def placed(serial: int, offset: int, size: int, reason: str = "", born: int = 0, died: int = 0) -> Unit:
    """A unit of so many bytes at an offset; one that died if there is a reason."""
    death = made.death(reason, time=died) if reason else None
    unit = made.unit(serial, 0x1000 + serial, died=death, samples=serial)
    return replace(unit, offset=offset, code=bytes(size), born=Moment(born, 0))


def in_region(*units: Unit, size: int = REGION) -> Recording:
    half = size // 2
    generations = (Generation(0, half, half), Generation(half, size, half))
    return made.recording(*units, cache=Cache(size, "dualmap", generations, 0, {}, {}, {}))


def test_each_cell_shows_what_is_in_it() -> None:
    recording = in_region(placed(1, 0, 4096), placed(2, 4096, 4096, "store"), placed(3, 8192, 100))
    made_map = cache_map(recording, 0, 16, 6)
    assert made_map.each * len(made_map.cells) == REGION
    per = 4096 // made_map.each
    assert all(cell.live == 1 and not cell.dead for cell in made_map.cells[:per])
    assert all(cell.dead == 1 and not cell.live for cell in made_map.cells[per : 2 * per])
    assert [cell.serial for cell in made_map.cells if cell.live or cell.dead] == [1] * per + [2] * per + [3]


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 1 << 24, 1 << 27])
@pytest.mark.parametrize("scale", [0, 1, 3, 12])
def test_the_cells_are_the_region(size: int, scale: int) -> None:
    unit = placed(1, size // 2 + 64, 200)
    made_map = cache_map(in_region(unit, size=size), 1, 40, 12, scale)
    assert unit.offset in made_map.part
    assert made_map.each * (len(made_map.cells) - 1) < len(made_map.part) <= made_map.each * len(made_map.cells)
    rows = made_map.rows(unit)
    assert len(rows) <= 12
    assert "◆" in rows[-1].text + "".join(row.text for row in rows)
    assert any(cell.is_border for cell in made_map.cells) == (size // 2 in made_map.part)


def test_emptied_generations_hold_nothing() -> None:
    gone = placed(1, 0, 64, "store", born=1, died=2)
    evicted = placed(2, 64, 64, "evicted", born=1, died=10)
    after = placed(3, 0, 64, "store", born=11, died=12)
    elsewhere = placed(4, REGION // 2, 64, "store", born=1, died=2)
    lives = placed(5, 128, 64)
    recording = in_region(gone, evicted, after, elsewhere, lives)
    assert [unit.serial for unit in held(recording)] == [3, 4, 5]


def test_a_cell_is_pointed_at() -> None:
    recording = in_region(placed(1, 0, 64), placed(2, REGION - 64, 64))
    made_map = cache_map(recording, 0, 16, 8)
    first = len(made_map.facts)
    assert made_map.unit_at(0, first) == 1
    assert made_map.unit_at(15, first + len(made_map.cells) // 16 - 1) == 2
    assert made_map.unit_at(3, first) == 0
    assert made_map.unit_at(0, 0) == 0
    assert made_map.unit_at(0, 1000) == 0


def test_bars_are_where_things_happened() -> None:
    units = [placed(serial, 0, 64, "store" if serial == 3 else "", born=0, died=made.SECOND) for serial in (1, 2, 3)]
    rows = time_rows(in_region(*units), 20, 10)
    bars = [row.text for row in rows if row.spans and row.spans[0][1] == "birth" and set(row.text) <= set(EIGHTHS)]
    assert bars
    assert all(bar.strip() == bar[0] for bar in bars)
    below = [row for row in rows if any(role == "death0" for _, role in row.spans)]
    assert all(row.spans[-1] == ("█", "death0") for row in below[1:])
    assert "1 store" in rows[0].text


@pytest.mark.parametrize("height", [1, 3, 10, 40])
@pytest.mark.parametrize("width", [1, 20, 200])
@pytest.mark.parametrize("make", [full, made.recording], ids=["full", "empty"])
def test_drawings_have_any_size(width: int, height: int, make: object) -> None:
    assert callable(make)
    recording = make()
    assert time_rows(recording, width, height)
    assert cache_map(recording, 1, width, height).rows(None)


def test_a_unit_beside_itself_is_the_same() -> None:
    guest = recorded().subject.guest
    for unit in recorded().units:
        left = as_recorded(unit, guest, "left")
        rows = compare_rows(left, other(unit, guest, "right", without=unit.circumstances.without), 100)
        assert "+0.0% bytes" in rows[0].text
        assert not [row.text for row in rows if any(role == "changed" for _, role in row.spans)]


def test_every_comparison_can_be_made() -> None:
    recording = recorded()
    unit, marked = recording.units[0], recording.units[1]
    made_all = {each.title: each.make() for each in comparisons(recording, unit, marked.serial)}
    assert {f"the host {host}" for host in HOSTS} - set(made_all) == {f"the host {unit.circumstances.host}"}
    for left, right in made_all.values():
        assert left.bytes == len(unit.code)
        assert right.bytes
        for side in (left, right):
            assert all(HEAD >= line.insn >= EXITS or 0 <= line.insn < len(side.pcs) for line in side.lines)


def test_what_a_pass_saves_is_shown() -> None:
    recording = recorded()
    unit = max(recording.units, key=lambda unit: len(unit.pcs))
    comparison = next(each for each in comparisons(recording, unit, 0) if each.title == "without any pass")
    left, right = comparison.make()
    assert right.bytes > left.bytes
    assert any("changed" in (role for _, role in row.spans) for row in compare_rows(left, right, 120))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (9999, "9999"), (10_000, "10.0k"), (99_949, "99.9k"), (123_456, "123k"),
     (999_499, "999k"), (999_999, "1.0M"), (10**9, "1.0G"), (18 * 10**18, "18.0E")],
)  # fmt: skip
def test_short_counts(value: int | None, text: str) -> None:
    assert short(value) == text
    assert len(text) <= 5


def test_shares_and_heat() -> None:
    assert [percent(share) for share in (0, 0.00001, 0.0123, 0.456, 1)] == ["-", "<.01%", "1.23%", "45.6%", "100.0%"]
    assert [heat(value, 100) for value in (0, None, 0.5, 1, 100)] == [HEAT[0], HEAT[0], HEAT[1], HEAT[2], HEAT[-1]]
    assert all(letter in string.printable for role in HEAT for letter in role)
