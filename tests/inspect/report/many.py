"""A recording of any number of units: those of a bundled program, again and again at other addresses."""

from __future__ import annotations

import functools
import random
from dataclasses import replace
from itertools import accumulate

from dynarec.core import DEATHS
from dynarec.inspect.model import Death, Event, Exit, Generation, Label, Moment, Recording, Unit
from tests.inspect.recordings import recorded

APART = 0x10_0000
"""Bytes between one copy of the program and the next."""
STEP = 100_000
"""Nanoseconds, and instructions, from one translation to the next."""
DEAD = 0.3


@functools.cache
def many(count: int, rom: str = "ledger", seed: int = 1) -> Recording:
    """The same each time."""
    base, rng = recorded(rom), random.Random(seed)
    copies = -(-count // len(base.units))
    units = [unit for copy in range(copies) for unit in _copied(base.units, copy)][:count]
    offsets = list(accumulate((len(unit.code) for unit in units), initial=0))
    units = [_lived(replace(unit, offset=at), rng, count) for unit, at in zip(units, offsets[:-1], strict=True)]
    units = [replace(unit, offset=offsets[-1] + unit.offset) if _made_room(unit) else unit for unit in units]
    labels = [_moved(label, copy) for copy in range(copies) for label in base.labels]
    instructions = sum(unit.instructions or 0 for unit in units)
    return replace(
        base,
        units=tuple(units),
        taken=Moment(count * STEP, instructions),
        labels=tuple(sorted(labels, key=lambda label: (label.address, label.size, label.name))),
        cache=replace(base.cache, size=2 * offsets[-1], generations=_generations(offsets[-1]), current=0),
        events=tuple(_events(units)),
        interpreted={},
        answered={},
        elsewhere={},
        retired=instructions,
    )


def _made_room(unit: Unit) -> bool:
    """Whether its bytes are gone with it: such units were in the generation that is empty."""
    return unit.died is not None and unit.died.reason in ("evicted", "flush")


def _generations(filled: int) -> tuple[Generation, ...]:
    return Generation(0, filled, filled), Generation(filled, 2 * filled, filled)


def _copied(units: tuple[Unit, ...], copy: int) -> list[Unit]:
    by, first = copy * APART, copy * len(units)
    return [
        replace(
            unit,
            serial=first + unit.serial,
            key=unit.key + by,
            ranges=tuple((start + by, size) for start, size in unit.ranges),
            pcs=tuple(pc + by for pc in unit.pcs),
            exits=tuple(_led(each, by, first) for each in unit.exits),
            samples=0,
        )
        for unit in units
    ]


def _led(each: Exit, by: int, first: int) -> Exit:
    target = each.target + by if each.target else 0
    return replace(each, target=target, linked=None if each.linked is None else first + each.linked)


def _moved(label: Label, copy: int) -> Label:
    return replace(label, address=label.address + copy * APART, name=f"{label.name}.{copy}" if copy else label.name)


def _lived(unit: Unit, rng: random.Random, count: int) -> Unit:
    born = unit.serial * STEP
    rounds = int(10 * rng.paretovariate(0.6))
    died = None
    if rng.random() < DEAD:
        when = rng.randrange(born, count * STEP + 1)
        died = Death(Moment(when, when), rng.choice(DEATHS), unit.key, unit.key)
    exits = unit.exits if died is None else tuple(replace(each, linked=None) for each in unit.exits)
    return replace(
        unit,
        rounds=rounds,
        instructions=rounds * unit.charged,
        exits=tuple(_taken(each, rounds, len(exits)) for each in exits),
        faulted=(),
        born=Moment(born, born),
        died=died,
    )


def _taken(each: Exit, rounds: int, among: int) -> Exit:
    return replace(each, taken=0 if each.kind == "budget" else rounds // among)


def _events(units: list[Unit]) -> list[Event]:
    found = [Event(unit.born, "install", unit.serial, 1, len(unit.code)) for unit in units]
    for unit in units:
        if unit.died is not None:
            number = DEATHS.index(unit.died.reason)
            found.append(Event(unit.died.when, "death", unit.serial, number, unit.died.address))
    return sorted(found, key=lambda event: event.when.time)
