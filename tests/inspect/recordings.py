"""Recordings to look at: of a bundled program, and with counts and deaths that no short run has."""

from __future__ import annotations

import functools
import io
import random
from dataclasses import replace

from dynarec.engine import Machine
from dynarec.inspect.model import (
    Death,
    Event,
    Exit,
    Generation,
    Moment,
    Place,
    Recording,
    Totals,
    Unit,
)  # fmt: skip
from dynarec.inspect.recorder import Recorder
from tests.test_machine import ROMS


@functools.cache
def recorded(rom: str = "hello") -> Recording:
    """A run of a bundled program."""
    with Machine.load(ROMS / f"{rom}.elf", tier="jit", stdout=io.BytesIO()) as machine:
        recorder = Recorder(machine)
        machine.run(1_000_000)
        return recorder.record()


@functools.cache
def full(seed: int = 1) -> Recording:
    """A recording in which everything is there: counts, links, deaths, events, lines of source."""
    rng = random.Random(seed)
    recording = recorded()
    serials = [unit.serial for unit in recording.units]
    dead = set(rng.sample(serials, 5))
    units = tuple(_counted(unit, rng, [s for s in serials if s not in dead]) for unit in recording.units)
    units = tuple(_dead(unit, rng) if unit.serial in dead else unit for unit in units)
    executed = sum(unit.instructions or 0 for unit in units)
    size = recording.cache.size
    return replace(
        recording,
        counted=True,
        units=units,
        taken=Moment(recording.taken.time + 100, executed + 30),
        cache=replace(
            recording.cache,
            generations=(Generation(0, size // 2, size // 2), Generation(size // 2, size, size // 2)),
            stats={**recording.cache.stats, "seconds": 0.25},
        ),
        forgotten=Totals(2, 3, 10, 1),
        interpreted={0x10000: 5, 0x10004: 5},
        answered={0x10008: 10},
        first=7,
        retired=executed + 20,
        events=tuple(_events(units)),
        lost=3,
        elsewhere={"interpreter": 4, "python": 9},
        places={unit.key: Place(f"src/{rng.choice('ab')}.c", rng.randrange(1, 9)) for unit in units},
        texts={"src/a.c": ("int main(void)", "{", "\treturn 0;", "}"), "src/b.c": ("",), "src/none.c": ()},
    )


def _counted(unit: Unit, rng: random.Random, targets: list[int]) -> Unit:
    def exit_(each: Exit) -> Exit:
        linked = rng.choice(targets) if each.kind == "jump" and rng.random() < 0.7 else None
        taken = rng.randrange(1000)
        return replace(each, taken=taken, missed=taken if linked is None else 1, linked=linked)

    exits = tuple(map(exit_, unit.exits))
    rounds = sum(each.taken or 0 for each in exits) + rng.choice((0, 0, 50))
    return replace(
        unit,
        exits=exits,
        rounds=rounds,
        instructions=rounds * unit.charged,
        samples=rng.randrange(50),
        batch=unit.serial // 2,
    )


def _dead(unit: Unit, rng: random.Random) -> Unit:
    when = Moment(unit.born.time + 10, unit.born.instructions + 20)
    exits = tuple(replace(each, linked=None) for each in unit.exits)
    return replace(
        unit, exits=exits, died=Death(when, rng.choice(("store", "evicted", "fence.i")), unit.key, unit.key + 8)
    )


def _events(units: tuple[Unit, ...]) -> list[Event]:
    born = [Event(unit.born, "install", unit.serial, unit.batch, len(unit.code)) for unit in units]
    died = [Event(unit.died.when, "death", unit.serial, 0, unit.died.address) for unit in units if unit.died]
    return sorted([*born, *died], key=lambda event: event.when.time)


def many(count: int) -> Recording:
    """A recording of so many units, made of those of some runs."""
    rng = random.Random(count)
    recording = full()
    sources = [*recording.units, *recorded("words").units, *recorded("ledger").units]
    units = []
    for serial in range(1, count + 1):
        unit = rng.choice(sources)
        exits = tuple(
            replace(each, taken=rng.randrange(1 << 20), linked=rng.randrange(1, count + 1)) for each in unit.exits
        )
        phases = {name: seconds * rng.random() for name, seconds in unit.phases.items()}
        born = Moment(serial * 1_000_003, serial * 17_011)
        units.append(
            replace(
                unit,
                serial=serial,
                exits=exits,
                phases=phases,
                born=born,
                died=None,
                rounds=rng.randrange(1 << 24),
                instructions=rng.randrange(1 << 28),
                offset=serial * 32,
            )
        )
    return replace(recording, units=tuple(units), taken=Moment((count + 1) * 1_000_003, 1 << 40))
