"""What the core tells of itself while it records (native/record.h)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dynarec._native import ffi, lib

if TYPE_CHECKING:
    from dynarec.core import Core

EVENTS = ("install", "death", "link", "unlink", "evict", "flush", "batch", "mixed")
"""Names of enum dr_event_kind, in its order."""
PLACES = ("core", "python")
"""Names of enum dr_place, in its order."""
SLACK = 64


class CoreEvent(NamedTuple):
    """struct dr_event; kind is an index into EVENTS."""

    time: int
    instructions: int
    kind: int
    serial: int
    other: int
    value: int


@dataclass(frozen=True, slots=True)
class UnitState:
    """struct dr_unit_state with its words.

    reason: index into DEATHS; it, address, pc and died (instructions by then) mean something for a dead unit.
    counters: of its executions. exits: for each, how often the run loop was asked where it leads, and the serial of the
    unit that it is linked to, or 0. faults: for each site, how often it faulted.
    """

    serial: int
    alive: bool
    start: int
    size: int
    samples: int
    batch: int
    reason: int
    address: int
    pc: int
    died: int
    counters: list[int]
    exits: list[tuple[int, int]]
    faults: list[int]


class Generation(NamedTuple):
    """struct dr_generation_info: offsets in the code region."""

    start: int
    end: int
    fill: int
    current: bool


class Records:
    """Of one core, which records as long as this is open. Made and closed on the CPU thread; read on any."""

    def __init__(self, core: Core, events: int) -> None:
        """events: how many the log holds. The code cache is emptied. Raises DynarecError."""
        self._core = core
        self._next_event = 0
        self._events = ffi.new("struct dr_event[]", events)
        core.check(lib.dr_record(core.pointer, events))

    def close(self) -> None:
        """Record no more; the cache is emptied."""
        self._core.check(lib.dr_record(self._core.pointer, 0))

    def sample_every(self, seconds: float) -> None:
        """Note where the CPU thread is, in such intervals. Raises DynarecError."""
        self._core.check(lib.dr_sample_every(self._core.pointer, max(1, round(seconds * 1e6))))

    @property
    def samples_elsewhere(self) -> dict[str, int]:
        """How often it was not in a unit, by PLACES."""
        return {name: int(lib.dr_samples_elsewhere(self._core.pointer, at)) for at, name in enumerate(PLACES)}

    def take_events(self) -> tuple[list[CoreEvent], int]:
        """What has happened since the last time, and how much of it was lost."""
        first = ffi.new("uint64_t *", self._next_event)
        count = lib.dr_take_events(self._core.pointer, first, self._events, len(self._events))
        lost = int(first[0]) - self._next_event
        self._next_event = int(first[0]) + count
        taken = self._events[0:count]
        return [CoreEvent(e.time, e.instructions, e.kind, e.serial, e.other, e.value) for e in taken], lost

    def units(self) -> list[UnitState]:
        """All units in the cache, dead or alive, and those that have left it since the last time."""
        states, words = _collect(self._core)
        place = 0
        found = []
        for state in states:
            size = state.counter_count + 2 * state.exit_count + state.site_count
            found.append(_unit(state, words[place : place + size]))
            place += size
        return found

    @property
    def interpreted(self) -> dict[int, int]:
        """How often the interpreter has executed the instructions at some addresses."""
        room = 0
        while True:
            tallies = ffi.new("struct dr_tally[]", room)
            count = int(lib.dr_interpreted_pcs(self._core.pointer, tallies, room))
            if count <= room:
                return {tally.pc: tally.count for tally in tallies[0:count]}
            room = count + SLACK

    @property
    def generations(self) -> Iterator[Generation]:
        """The parts of the code region, in its order."""
        info = ffi.new("struct dr_generation_info *")
        number = 0
        while not lib.dr_generation_info(self._core.pointer, number, info):
            yield Generation(info.start, info.end, info.fill, bool(info.current))
            number += 1


def _collect(core: Core) -> tuple[list[Any], list[int]]:
    unit_room = word_room = 0
    while True:
        states, words = ffi.new("struct dr_unit_state[]", unit_room), ffi.new("uint64_t[]", word_room)
        needed = ffi.new("uint64_t *", word_room)
        count = int(lib.dr_collect_units(core.pointer, states, unit_room, words, needed))
        if count <= unit_room and needed[0] <= word_room:
            return list(states[0:count]), list(words[0 : int(needed[0])])
        unit_room, word_room = count + SLACK, int(needed[0]) + SLACK * SLACK


def _unit(state: Any, words: list[int]) -> UnitState:
    exits = words[state.counter_count : state.counter_count + 2 * state.exit_count]
    death = state.death
    return UnitState(
        serial=state.serial,
        alive=bool(state.alive),
        start=state.start,
        size=state.size,
        samples=state.samples,
        batch=state.batch,
        reason=death.reason,
        address=death.address,
        pc=death.pc,
        died=death.instructions,
        counters=words[: state.counter_count],
        exits=list(zip(exits[::2], exits[1::2], strict=True)),
        faults=words[state.counter_count + 2 * state.exit_count :],
    )
