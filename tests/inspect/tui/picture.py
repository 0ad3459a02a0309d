"""The picture of the README: `python -m tests.inspect.tui.picture` makes it anew."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dynarec.engine import Machine
from dynarec.inspect.model import Cache, Event, Moment, Recording, Unit
from dynarec.inspect.recorder import Recorder
from dynarec.inspect.source import FixedSource
from tests.inspect.tui.driving import driven
from tests.test_machine import ROMS

PICTURE = Path(__file__).with_suffix(".svg")
ROM = "mandelbrot.elf"
INSTRUCTIONS = 400_000_000
SIZE = (140, 45)
KEYS = ("6", *["plus"] * 5, "2", *["down"] * 20)
TICK = 1_000_000
"""Nanoseconds between two units: what clocks say is another thing each time."""
PHASES = {"form": 210e-6, "forward": 40e-6, "fold": 20e-6, "defer-sets": 20e-6, "dead-values": 10e-6, "emit": 270e-6}


def record() -> Recording:
    """A run of a bundled program, all of which but the times is the same whenever it is made."""
    with Machine.load(ROMS / ROM, tier="jit", stdout=io.BytesIO()) as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run(INSTRUCTIONS)
        return timed(recorder.record())


def timed(recording: Recording) -> Recording:
    """With times that follow from the order of things."""
    units = tuple(_timed(unit) for unit in recording.units)
    end = Moment((len(units) + 1) * TICK, recording.taken.instructions)
    return replace(recording, units=units, taken=end, cache=_timeless(recording.cache), events=tuple(_log(units)))


def _timed(unit: Unit) -> Unit:
    born = replace(unit.born, time=unit.serial * TICK)
    died = unit.died and replace(unit.died, when=replace(unit.died.when, time=unit.serial * TICK + TICK // 2))
    return replace(unit, born=born, died=died, phases=PHASES)


def _timeless(cache: Cache) -> Cache:
    return replace(cache, stats={name: value for name, value in cache.stats.items() if not name.endswith("seconds")})


def _log(units: Iterable[Unit]) -> Iterable[Event]:
    for unit in units:
        yield Event(unit.born, "install", unit.serial, unit.batch, len(unit.code))
        for number, each in enumerate(unit.exits):
            if each.linked:
                yield Event(unit.born, "link", unit.serial, each.linked, number)


async def picture() -> str:
    """An SVG of a session."""
    async with driven(FixedSource(ROM, record()), SIZE) as driver:
        await driver.press(*KEYS)
        return driver.app.export_screenshot(title=f"dynarec inspect {ROM}", simplify=True)


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(picture()))
