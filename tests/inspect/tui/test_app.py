"""The inspector, by its keys, its filters and the mouse, on small and large terminals."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from textual.events import Key

from dynarec.inspect.filters import select
from dynarec.inspect.model import Generation, Moment, Recording
from dynarec.inspect.tables import ordered
from dynarec.inspect.tui.columns import COLUMNS
from dynarec.inspect.tui.keys import PANES
from dynarec.inspect.tui.pane import Rows
from dynarec.tui.rows import Row
from tests.inspect import made
from tests.inspect.recordings import full, many, recorded
from tests.inspect.tui.driving import LARGE, SMALL, Driver, drive

MANY = 20_000 if "CI" in os.environ else 5_000
KEYS = {SMALL: "1234567890", LARGE: "1234567890" if "CI" in os.environ else "150"}
"""They have every pane shown; a large terminal shows all but one at a time."""
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x45"])


def interpreted() -> Recording:
    """A machine that interprets everything."""
    base = recorded()
    cache = replace(base.cache, size=0, policy="none", generations=(), stats={})
    subject = replace(base.subject, host="", tier="interp")
    return replace(base, units=(), events=(), cache=cache, subject=subject, counted=False)


def bare() -> Recording:
    """A dead unit of which there is no code any more."""
    unit = replace(full().units[0], code=b"", marks=(), died=made.death("evicted", time=5))
    return replace(full(), units=(unit,), events=())


@SIZES
def test_a_session(size: tuple[int, int]) -> None:
    recording = full()

    async def test(driver: Driver) -> None:
        hottest = ordered(recording, recording.units)
        assert driver.serials == [unit.serial for unit in hottest]
        assert driver.app.selected == hottest[0].serial
        await driver.press("down")
        assert driver.app.selected == hottest[1].serial
        assert driver.facts.startswith(f"#{hottest[1].serial} {recording.name(hottest[1].key)}")
        await driver.press("enter")
        assert driver.app.chosen == "guest"
        assert f"{hottest[1].key:08x}" in driver.text("guest")
        await driver.press("4")
        assert "head" in driver.text("host")
        await driver.press("5")
        assert "exits" in driver.text("links")
        assert f"{len(recording.units)} units, {len(recording.dead)} dead" in driver.status

    drive(test, recording, size)


@SIZES
@pytest.mark.parametrize("make", [full, recorded, bare, interpreted, made.recording], ids=lambda make: make.__name__)
def test_everything_fits(size: tuple[int, int], make: object) -> None:
    async def test(driver: Driver) -> None:
        for number in KEYS[size]:
            await driver.press(number)
            for widget in driver.app.query("#status, #tabs, #facts, .pane, #prompt, Footer"):
                if widget.display:
                    assert driver.app.screen.region.contains_region(widget.region), widget
                    assert widget.region.height, widget

    assert callable(make)
    drive(test, make(), size)


def test_a_large_terminal_shows_everything() -> None:
    async def test(driver: Driver) -> None:
        assert driver.shown == set(PANES) - {"compare"}
        await driver.press("0")
        assert driver.shown == set(PANES) - {"guest", "ir", "host"}
        await driver.press("z")
        assert driver.shown == {"compare"}
        await driver.press("z", "escape")
        await driver.pilot.resize_terminal(*SMALL)
        await driver.settled()
        assert driver.shown == {"guest"}

    drive(test, full())


def test_a_small_terminal_shows_one_pane() -> None:
    async def test(driver: Driver) -> None:
        for number, name in enumerate(PANES, 1):
            await driver.press(str(number % 10))
            assert driver.shown == {name}
        await driver.press("tab")
        assert driver.shown == {"units"}
        await driver.press("shift+tab")
        assert driver.shown == {"compare"}
        await driver.click("#tabs", 3, 0)
        assert driver.shown == {"units"}

    drive(test, full(), SMALL)


def test_sorting() -> None:
    recording = full()

    async def test(driver: Driver) -> None:
        assert "▼share" in driver.heading
        x = driver.heading.index("bytes")
        await driver.click("#units", 1 + x, 1)
        sizes = [len(recording.by_serial[serial].code) for serial in driver.serials]
        assert sizes == sorted(sizes, reverse=True)
        await driver.press("r")
        assert "▲bytes" in driver.heading
        sizes = [len(recording.by_serial[serial].code) for serial in driver.serials]
        assert sizes == sorted(sizes)
        for column in COLUMNS:
            await driver.press("s")
            by = driver.app.watcher.wish.sort
            assert driver.serials == [unit.serial for unit in ordered(recording, recording.units, by)], column

    drive(test, recording)


def test_the_cursor_stays_on_its_unit() -> None:
    async def test(driver: Driver) -> None:
        await driver.press(*["down"] * 5)
        chosen = driver.app.selected
        await driver.press("s", "S", "r")
        table = driver.app.pane("units")
        assert driver.app.selected == chosen
        assert table.rows[table.cursor].key == str(chosen)

    drive(test, full())


FILTERS = ("dead", "live", "hot", "reason:evicted live", "main", "b.c:3")


def test_filters_are_those_of_the_tables() -> None:
    recording = full()
    unit = recording.units[0]

    async def test(driver: Driver) -> None:
        for text in (*FILTERS, f"{unit.key:#x}", f"#{unit.serial}"):
            await driver.filter(text)
            assert sorted(driver.serials) == [each.serial for each in select(recording, text)], text
            await driver.filter("")
            assert len(driver.serials) == len(recording.units)

    drive(test, recording, SMALL)


def test_keys_that_are_typed_ahead_go_where_they_belong() -> None:
    """All at once, as a slow connection delivers them."""

    async def test(driver: Driver) -> None:
        app = driver.app
        for key in ("8", "slash", "d", "e", "8", "enter"):
            app.post_message(Key(key, "/" if key == "slash" else key if len(key) == 1 else None))
        await driver.settled()
        await driver.wait_for(lambda: app.watcher.wish.events == "de8", "filtered")
        await driver.wait_for(lambda: app.focused is app.pane("events"), "back in the events")
        assert app.watcher.wish.filter == ""

    drive(test, full(), SMALL)


def test_a_filter_that_makes_no_sense() -> None:
    async def test(driver: Driver) -> None:
        await driver.filter("reason:boredom")
        assert "units do not die of 'boredom'" in driver.status
        assert len(driver.serials) == len(full().units)
        await driver.filter("dead")
        assert "boredom" not in driver.status

    drive(test, full(), SMALL)


def test_lines_are_linked() -> None:
    recording = full()

    async def test(driver: Driver) -> None:
        code = recording.by_serial[driver.app.selected]
        await driver.press("2", "down", "down")
        pane = driver.app.pane("guest")
        index = int(pane.rows[pane.cursor].key)
        ops = [str(op) for op, insn in enumerate(code.op_insns) if insn == index]
        assert set(ops) <= set(driver.marked("ir"))
        assert driver.marked("guest") == [str(index)]
        await driver.press("4", "end")
        assert driver.marked("host")
        await driver.press("3", "home", "down", "down")
        ir = driver.app.pane("ir")
        line = int(ir.rows[ir.cursor].key)
        assert driver.marked("guest") == [str(code.op_insns[line])]

    drive(test, recording)


def test_stages() -> None:
    async def test(driver: Driver) -> None:
        def chosen() -> list[str]:
            return [text.strip() for text, role in driver.app.pane("ir").rows[0].spans if role == "chosen"]

        assert chosen() == ["lower"]
        await driver.press("right_square_bracket")
        assert chosen() == ["lifted"]
        lifted = driver.text("ir")
        await driver.press("right_square_bracket")
        assert chosen() == ["forward"]
        assert driver.text("ir") != lifted
        await driver.press("left_square_bracket", "left_square_bracket")
        assert chosen() == ["lower"]

    drive(test, full())


@SIZES
def test_links_are_walked(size: tuple[int, int]) -> None:
    recording = full()
    unit = next(unit for unit in ordered(recording, recording.units) if unit.links_out and unit.alive)

    async def test(driver: Driver) -> None:
        driver.app.go(unit.serial)
        await driver.press("5")
        assert driver.text("links").count("not linked") == sum(
            each.kind == "jump" and each.linked is None for each in unit.exits
        )
        pane = driver.app.pane("links")
        at = next(at for at, row in enumerate(pane.rows) if "▸" in row.text)
        goal = next(serial for serial in unit.links_out)
        pane.move_to(at)
        count = len(pane.rows)
        await driver.press("right")
        assert len(pane.rows) == count + len(recording.by_serial[goal].exits)
        await driver.press("left")
        assert len(pane.rows) == count
        await driver.press("enter")
        assert driver.app.selected == goal
        assert recording.name(unit.key) in driver.text("links") or goal not in recording.links_in
        await driver.press("backspace")
        assert driver.app.selected == unit.serial

    drive(test, recording, size)


def test_the_map_selects() -> None:
    async def test(driver: Driver) -> None:
        await driver.press("6", *["plus"] * 8)
        pane = driver.app.pane("map")
        y = next(at for at, row in enumerate(pane.rows) if "◆" in row.text and "live" not in row.text)
        x = next(at for at, letter in enumerate(pane.rows[y].text) if letter == "■")
        await driver.click("#map", x, y)
        clicked = driver.app.selected
        offsets = sorted((unit.offset, unit.serial) for unit in full().live)
        await driver.press("right")
        at = offsets.index((full().by_serial[clicked].offset, clicked)) if full().by_serial[clicked].alive else None
        assert at is None or driver.app.selected == offsets[(at + 1) % len(offsets)][1]

    drive(test, full(), SMALL)


def test_events_are_filtered() -> None:
    recording = full()

    async def test(driver: Driver) -> None:
        await driver.press("8")
        assert len(driver.app.pane("events").rows) == len(recording.events)
        await driver.filter("death")
        rows = driver.app.pane("events").rows
        assert [int(row.key) for row in rows] == [e.serial for e in reversed(recording.events) if e.kind == "death"]
        await driver.press("home", "enter")
        assert driver.app.selected == int(rows[0].key)
        await driver.filter(f"#{rows[0].key}")
        assert len(driver.app.pane("events").rows) == 2
        assert len(driver.serials) == len(recording.units)

    drive(test, recording)


def test_comparing() -> None:
    async def test(driver: Driver) -> None:
        await driver.press("c", "enter")
        assert driver.app.chosen == "compare"
        assert "then" in driver.text("compare")
        other = "arm64" if "x86_64" in driver.status else "x86_64"
        assert f"the host {other}" in driver.text("compare")
        await driver.press("escape", "1", "m", "down", "c", "enter")
        assert driver.text("compare").count("unit ") >= 2

    drive(test, full())


def test_a_recording_cannot_be_changed() -> None:
    async def test(driver: Driver) -> None:
        await driver.press("d")
        assert "a recording cannot be changed" in driver.status
        await driver.press("t", "space", "enter")
        assert "a recording cannot be changed" in driver.status
        await driver.press("space")
        assert "nothing changes any more" in driver.status

    drive(test, full(), SMALL)


def test_help_and_themes() -> None:
    async def test(driver: Driver) -> None:
        await driver.press("question_mark")
        assert len(driver.app.screen_stack) == 2
        await driver.press("escape")
        assert len(driver.app.screen_stack) == 1
        theme = driver.app.theme
        await driver.press("T")
        assert driver.app.theme != theme

    drive(test, full(), SMALL)


def test_nothing_was_translated() -> None:
    async def test(driver: Driver) -> None:
        await driver.press("down", "enter", "d", "t", "c", "m", "backspace", "right_square_bracket")
        await driver.press("2", "down", "5", "right", "6", "right", "plus", "8", "enter", "9", "enter", "0")
        assert "nothing has been translated" in driver.facts

    drive(test, interpreted(), SMALL)


def test_a_dead_unit_without_code() -> None:
    async def test(driver: Driver) -> None:
        assert "its code was not kept" in driver.text("guest")
        assert "died of evicted" in driver.facts
        await driver.press("c", "enter")
        assert "cannot be compared" in driver.status

    drive(test, bare())


def test_a_guest_that_is_not_installed() -> None:
    base = full()

    async def test(driver: Driver) -> None:
        assert "z80" in driver.text("guest")

    drive(test, replace(base, subject=replace(base.subject, guest="z80")))


@pytest.mark.parametrize("size", [1 << 16, 1 << 27])
def test_small_and_large_caches(size: int) -> None:
    base = full()
    half = size // 2
    cache = replace(base.cache, size=size, generations=(Generation(0, half, half), Generation(half, size, half)))

    async def test(driver: Driver) -> None:
        await driver.press("6")
        assert "┃" in driver.text("map")
        for _ in range(15):
            await driver.press("plus")
        assert "◆" in driver.text("map")

    drive(test, replace(base, cache=cache))


def test_many_units() -> None:
    recording = many(MANY)

    async def test(driver: Driver) -> None:
        table = driver.app.pane("units")
        assert len(table.rows) == len(recording.units)
        await driver.press("end")
        last = ordered(recording, recording.units)[-1]
        assert driver.app.selected == last.serial
        await driver.filter(f"#{last.serial - 1}")
        assert driver.serials == [last.serial - 1]

    drive(test, recording)


def test_only_what_is_in_sight_is_made() -> None:
    asked: list[int] = []

    def row(at: int) -> Row:
        asked.append(at)
        return Row(((str(at), ""),), str(at))

    async def test(driver: Driver) -> None:
        pane = driver.app.pane("events")
        pane.show_long(Rows(1_000_000, row), 10, 0)
        await driver.pilot.pause()
        pane.move_to(999_999)
        await driver.pilot.pause()
        assert 0 in asked
        assert 999_999 in asked
        assert len(set(asked)) < 100

    drive(test, replace(full(), taken=Moment(5, 5)))
