"""The inspector while its machine runs, and when the source makes trouble."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from dynarec.engine import Machine
from dynarec.errors import DynarecError
from dynarec.inspect.live import LiveSource
from dynarec.inspect.model import Moment, Recording
from dynarec.inspect.recorder import Recorder
from dynarec.inspect.tui.app import InspectorApp
from dynarec.inspect.tui.watcher import PERIOD
from tests.inspect.recordings import full
from tests.inspect.tui.driving import LARGE, SMALL, Driver, drive
from tests.test_machine import ROMS


class Growing:
    """A source with one more unit in each recording. gate: recordings wait for it; error: they fail."""

    name, live = "growing.elf", True

    def __init__(self) -> None:
        self.count = 0
        self.error = ""
        self.gate = threading.Event()
        self.gate.set()
        self.erased: list[int] = []
        self.retranslated: list[tuple[int, tuple[str, ...]]] = []
        self.is_closed = False

    def record(self) -> Recording:
        self.gate.wait()
        if self.error:
            raise DynarecError(self.error)
        self.count += 1
        recording = full()
        units = recording.units[: self.count]
        return replace(recording, units=units, taken=Moment(self.count, self.count), events=())

    def erase(self, serial: int) -> None:
        self.erased.append(serial)

    def retranslate(self, serial: int, without: Collection[str] = ()) -> None:
        self.retranslated.append((serial, tuple(without)))

    def close(self) -> None:
        self.is_closed = True


def test_the_view_grows_and_stands_still() -> None:
    source = Growing()

    async def test(driver: Driver) -> None:
        assert "live" in driver.status
        await driver.wait_for(lambda: len(driver.serials) >= 3, "three units")
        await driver.press("space")
        assert "FROZEN" in driver.status
        count = source.count
        await driver.pilot.pause(3 * PERIOD)
        assert source.count == count
        await driver.press("f5")
        assert source.count == count + 1
        assert len(driver.serials) == count + 1
        await driver.press("space")
        await driver.wait_for(lambda: source.count > count + 2, "more recordings")

    drive(test, source)
    assert source.is_closed


def test_the_selected_unit_stays_selected() -> None:
    async def test(driver: Driver) -> None:
        chosen = driver.app.selected
        await driver.wait_for(lambda: len(driver.serials) >= 4, "four units")
        table = driver.app.pane("units")
        assert driver.app.selected == chosen
        assert table.rows[table.cursor].key == str(chosen)

    drive(test, Growing())


def test_a_source_that_does_not_answer_holds_nothing_up() -> None:
    source = Growing()
    source.count = len(full().units)  # so that each recording has the same

    async def test(driver: Driver) -> None:
        source.gate.clear()
        driver.app.action_refresh()
        for key in ("down", "down", "2", "z", "z", "1"):
            await driver.pilot.press(key)
        await driver.wait_for(lambda: driver.app.pane("units").cursor == 2, "two rows below")
        assert not source.gate.is_set()
        source.gate.set()
        await driver.settled()

    drive(test, source)


def test_errors_are_one_line_and_pass() -> None:
    source = Growing()

    async def test(driver: Driver) -> None:
        source.error = "program.elf: the process is gone:\nstart it again"
        await driver.wait_for(lambda: "gone: start it again" in driver.status, "told")
        assert driver.serials
        source.error = ""
        count = source.count
        await driver.wait_for(lambda: source.count > count, "another recording")

    drive(test, source, SMALL)


def test_long_errors_are_read_whole() -> None:
    source = Growing()
    words = " ".join(f"word{number}" for number in range(20))

    async def test(driver: Driver) -> None:
        driver.app.note(words)
        await driver.settled()
        bar = driver.app.query_one("#status")
        assert bar.region.height == -(-len(words) // (SMALL[0] - 2))
        assert driver.app.screen.region.contains_region(driver.app.query_one("Footer").region)

    drive(test, source, SMALL)


def test_what_comes_after_the_end_is_dropped() -> None:
    """Timers and other threads do not know that the widgets are gone."""
    apps: list[InspectorApp] = []

    async def test(driver: Driver) -> None:
        driver.app.note("erased")
        apps.append(driver.app)

    drive(test, Growing(), SMALL)
    (app,) = apps
    app._forget("erased")
    app.tell(app.show_panes)
    app.on_arrived()


def test_the_first_recording_is_waited_for() -> None:
    source = Growing()
    source.error = "program.elf: the process does not answer"

    async def test(driver: Driver) -> None:
        await driver.wait_for(lambda: source.error in driver.status, "told")
        await driver.press("down", "enter", "d", "t", "c", "slash", "x", "escape", "6", "right", "z")
        source.error = ""
        await driver.wait_for(lambda: driver.app.view is not None, "a view")

    drive(test, source, SMALL)


def test_what_users_ask_for_is_asked_of_the_source() -> None:
    source = Growing()

    async def test(driver: Driver) -> None:
        unit = next(unit for unit in full().units if unit.alive)
        await driver.wait_for(lambda: unit.serial in driver.serials, "there")
        driver.app.select(unit.serial)
        await driver.press("d")
        assert source.erased == [unit.serial]
        assert f"unit {unit.serial} is erased" in driver.status
        await driver.press("t", "down", "space", "enter")
        assert source.retranslated == [(unit.serial, ("fold",))]
        await driver.press("t", "escape")
        assert len(source.retranslated) == 1

    drive(test, source)


@contextmanager
def running(rom: str) -> Iterator[tuple[LiveSource, Callable[[int], tuple[str, ...]]]]:
    """A bundled program that runs, and which passes are left out for a key."""
    with Machine.load(ROMS / rom, tier="jit", args=["100000000"], stdout=io.BytesIO()) as machine:
        source = LiveSource(machine, Recorder(machine))
        run = machine.start()
        try:
            assert machine.translator is not None
            yield source, machine.translator.left_out
        finally:
            run.stop()
            run.wait()
            source.close()


@pytest.mark.parametrize("size", [LARGE, SMALL] if "CI" in os.environ else [LARGE], ids="{0[0]}x{0[1]}".format)
def test_a_machine_that_runs(size: tuple[int, int]) -> None:
    with running("bench/crc32.elf") as (source, left_out):

        async def test(driver: Driver) -> None:
            app = driver.app
            await driver.wait_for(lambda: bool(driver.serials), "a unit")
            unit = app.unit
            assert unit is not None
            await driver.press("t", "space", "enter")
            await driver.wait_for(lambda: app.unit is not None and not app.unit.alive, "dead")

            # Whether control ever comes to that head again is up to the program; if it does, the pass is left out.
            assert left_out(unit.key) == ("forward",)
            await driver.press("c", "enter")
            assert "unit" in driver.text("compare")

        drive(test, source, size)
