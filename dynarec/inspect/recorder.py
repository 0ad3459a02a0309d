"""Watches the code cache of one machine, and makes recordings of it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from dynarec.core import DEATHS
from dynarec.errors import DynarecError
from dynarec.host import base as host
from dynarec.inspect.model import (
    Cache,
    Circumstances,
    Death,
    Event,
    Exit,
    Generation,
    Label,
    Moment,
    Place,
    Recording,
    Subject,
    Totals,
    Unit,
)
from dynarec.ir.unit import Jump
from dynarec.records import EVENTS, CoreEvent, Records, UnitState
from dynarec.watcher import Watcher

if TYPE_CHECKING:
    from dynarec.debug.source import Source
    from dynarec.engine import Machine
    from dynarec.host.base import HostCode
    from dynarec.stats import Stats
    from dynarec.translate import Translation, Translator

EVENT_ROOM = 1 << 16
DEAD_ROOM = 1 << 14
SAMPLE_SECONDS = 0.004
UNREAD = 4096
"""Units that are installed, at least, until the core is asked what became of them though nobody wants a recording."""
MOST_SOURCE_LINES = 100_000
"""Of one source file."""
TRIES = 3
TIER = "trace"
BY_RUN_LOOP = frozenset({host.ExitKind.INTERPRET, host.ExitKind.BUDGET})
"""Exits that always come to it."""
BLAMING = frozenset({"store", "fence.i", "device"})
"""Deaths that the instruction at pc brought about."""
OWN_ADDRESS = frozenset({"evicted", "fence.i"})
"""Deaths for which the core gives the unit's own address: nothing is known to be written."""
STATS = (
    "blocks", "code_bytes", "code_dead", "discarded", "evictions", "faults", "flushes", "instructions",
    "interpreted", "links", "lookups", "misses", "mixed_pages", "run_seconds", "install_seconds", "toggles",
    "translated", "translated_instructions", "translation_seconds", "unlinks",
)  # fmt: skip
"""Of dynarec.stats.Stats, what a recording has."""


@dataclass(slots=True)
class _Known:
    """A unit, with what its translation said, and what the core said last."""

    unit: Unit
    made: HostCode
    state: UnitState | None = None


class Recorder(Watcher):
    """Watches one machine until it is closed. Any thread may ask it to `record`, at any time."""

    def __init__(
        self, machine: Machine, *, counts: bool = True, sampling: float | None = SAMPLE_SECONDS, keep: int = DEAD_ROOM
    ) -> None:
        """keep: dead units that are remembered one by one. counts: have translated code count how often it is executed,
        exactly. sampling: seconds between two looks at where the time goes; None: none.

        The code cache is emptied, for what is in it does not count. Raises DynarecError when the machine interprets
        everything, has a recorder, or is closed.
        """
        if machine.translator is None:
            raise DynarecError(f"{machine.program.name}: everything is interpreted: there is no code cache to inspect")
        if any(isinstance(each, Recorder) for each in machine.watchers):
            raise DynarecError(f"{machine.program.name}: is recorded already: close the other recorder first")
        self._machine = machine
        self._translator: Translator = machine.translator
        self._counts = counts
        self._asking = threading.Lock()  # one at a time, and none when this is closed
        self._lock = threading.Lock()  # for the units
        self._since = _now()
        self._alive: dict[int, _Known] = {}
        self._unread = UNREAD
        self._dead: deque[Unit] = deque()
        self._keep = keep
        self._forgotten = Totals()
        self._events: deque[Event] = deque(maxlen=EVENT_ROOM)
        self._lost = 0
        self._answered: Counter[int] = Counter()
        self._death_times: dict[int, int] = {}
        self._places: dict[int, Place | None] = {}
        self._texts: dict[str, tuple[str, ...]] = {}
        self._closed = False
        machine.perform(lambda: self._begin(sampling))

    def _begin(self, sampling: float | None) -> None:
        machine = self._machine
        self._translator.host.counting = self._counts  # before the cache is emptied: a new epoch begins with that
        try:
            self._records = Records(machine.core, EVENT_ROOM)
        except DynarecError:
            self._translator.host.counting = False
            raise
        self._first = machine.instructions
        self._first_retired = machine.stats().instructions
        machine.add_watcher(self)
        try:
            if sampling is not None:
                self._records.sample_every(sampling)
        except DynarecError:
            self._end()
            raise

    def close(self) -> None:
        """Watch no more; the cache is emptied. Waits for a recording that is being made. May be called twice."""
        with self._asking:
            is_first, self._closed = not self._closed, True
        if is_first:
            self._machine.perform(self._end)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """The core goes on recording meanwhile. Raises DynarecError when this is closed."""
        with self._asking:
            if self._closed:
                raise DynarecError(f"{self._machine.program.name}: is not recorded any more: begin anew")
            yield

    def _end(self) -> None:
        self._machine.remove_watcher(self)
        self._translator.host.counting = False
        self._translator.overrides.clear()
        self._records.close()

    # -- what can be changed ------------------------------------------------------------------------------------------

    def erase(self, serial: int) -> None:
        """Let a unit die; its block is translated again when it is reached. Raises DynarecError if it does not live."""
        key = self._key(serial)
        self._machine.perform(lambda: self._machine.core.erase(key))

    def retranslate(self, serial: int, without: Collection[str] = ()) -> None:
        """Let a unit die, and leave out passes whenever its block is translated. Raises DynarecError."""
        key = self._key(serial)
        self._translator.leave_out(key, without)
        self._machine.perform(lambda: self._machine.core.erase(key))

    def _key(self, serial: int) -> int:
        with self._asked(), self._lock:
            self._update()
            known = self._alive.get(serial)
        if known is None:
            raise DynarecError(f"unit {serial} is not in the cache: choose one that lives")
        return known.unit.key

    # -- on the CPU thread --------------------------------------------------------------------------------------------

    def installed(self, translation: Translation, serial: int, seconds: float) -> None:
        """A unit to be watched."""
        if serial:
            unit = self._describe(translation, serial, seconds)
            with self._lock:
                self._alive[serial] = _Known(unit, translation.code)
                self._unread -= 1
                if not self._unread:
                    self._update()

    def answered(self, pc: int) -> None:
        """A system call."""
        self._answered[pc] += 1

    def _describe(self, translation: Translation, serial: int, seconds: float) -> Unit:
        """What is known of a unit when it is installed."""
        unit, made = translation.unit, translation.code
        offset = self._machine.core.find(unit.key)
        assert offset is not None
        code = self._machine.core.read_code(offset, len(made.code))
        return Unit(
            serial=serial,
            key=unit.key,
            tier=TIER,
            ranges=tuple(translation.ranges),
            source=translation.source,
            pcs=tuple(insn.pc for insn in unit.insns),
            charged=unit.retired,
            offset=offset,
            code=code,
            host_insns=0,
            marks=tuple((mark.offset, mark.op) for mark in made.marks),
            op_insns=tuple(op.at for op in unit.ops),
            exits=(),
            circumstances=self._circumstances(translation),
            phases={**translation.phases, "install": seconds},
            batch=0,
            born=Moment(self._clock(), self._machine.core.instructions),
            died=None,
            rounds=None,
            instructions=None,
            samples=0,
            onward=translation.onward,
        )

    def _circumstances(self, translation: Translation) -> Circumstances:
        translator, unit = self._translator, translation.unit
        hooked = [(unit.key, True)] if unit.hooked else []
        if isinstance(unit.terminal, Jump):
            where = (unit.terminal.target, not unit.cut)
            hooked += [where] if self._translator.is_hooked(*where) else []
        return Circumstances(
            host=translator.host.name,
            homes=tuple(field.name for field in translator.host.home_fields),
            limit=translation.limit,
            left=tuple(insn.pc for insn in unit.insns[-1:] if insn.pc in self._translator.left),
            hooked=tuple(hooked),
            checked=translation.checked,
            features=translator.host.features,
            without=tuple(self._translator.left_out(unit.key)),
            harden=tuple(sorted(each.value for each in translator.host.harden)),
            counted=translator.host.counting,
            repeats=unit.repeats,
        )

    # -- recording ----------------------------------------------------------------------------------------------------

    def record(self) -> Recording:
        """Everything that is known now. Raises DynarecError when this or the machine is closed."""
        with self._asked():
            recording = self._record()
            return replace(recording, units=tuple(self._with_host_insns(recording.units)))

    def _record(self) -> Recording:
        with self._lock:
            self._update()
            self._read_code()
            alive = [known.unit for known in self._alive.values()]
            units = tuple(sorted((*self._dead, *alive), key=lambda unit: unit.serial))
            events = tuple(self._events)
            forgotten, lost = self._forgotten, self._lost
        stats = self._machine.stats()
        return Recording(
            subject=self._subject,
            taken=Moment(self._clock(), self._machine.core.instructions),
            counted=self._counts,
            cache=self._cache(stats),
            units=units,
            forgotten=forgotten,
            interpreted=self._records.interpreted,
            answered=dict(self._answered),
            first=self._first,
            retired=stats.instructions - self._first_retired,
            events=events,
            lost=lost,
            elsewhere=self._records.samples_elsewhere,
            labels=self._labels,
            places=self._find_places(units),
            texts=dict(self._texts),
        )

    def _update(self) -> None:
        """Learn from the core what has happened since the last time."""
        self._take_events()
        states = self._records.units()
        self._unread = max(UNREAD, len(states))
        for state in states:
            known = self._alive.get(state.serial)
            if known is None:
                continue  # just being installed
            known.state = state
            known.unit = self._updated(known, state)
            if not state.alive:
                self._bury(self._alive.pop(state.serial).unit)

    def _take_events(self) -> None:
        events, lost = self._records.take_events()
        self._lost += lost + max(0, len(self._events) + len(events) - EVENT_ROOM)
        for event in events:
            if EVENTS[event.kind] == "death":
                self._death_times[event.serial] = event.time - self._since
            self._events.append(self._event(event))

    def _event(self, event: CoreEvent) -> Event:
        when = Moment(event.time - self._since, event.instructions)
        kind = EVENTS[event.kind]
        value = _written(DEATHS[event.other], event.value) if kind == "death" else event.value
        return Event(when, kind, event.serial, event.other, value)

    def _bury(self, unit: Unit) -> None:
        self._dead.append(unit)
        if len(self._dead) > self._keep:
            old, totals = self._dead.popleft(), self._forgotten
            self._forgotten = Totals(
                totals.units + 1,
                totals.rounds + (old.rounds or 0),
                totals.instructions + (old.instructions or 0),
                totals.samples + old.samples,
            )

    def _updated(self, known: _Known, state: UnitState) -> Unit:
        unit, made = known.unit, known.made
        faulted = tuple(
            (unit.charged - site.refund, count) for site, count in zip(made.sites, state.faults, strict=True) if count
        )
        rounds, instructions = _executions(unit, made, state, faulted)
        return replace(
            unit,
            exits=tuple(_exits(unit, made, state)),
            batch=state.batch,
            died=None if state.alive else self._death(state),
            rounds=rounds,
            instructions=instructions,
            samples=state.samples,
            faulted=faulted,
        )

    def _death(self, state: UnitState) -> Death:
        when = Moment(self._death_times.pop(state.serial, self._clock()), state.died)
        reason = DEATHS[state.reason]
        return Death(when, reason, _written(reason, state.address), state.pc if reason in BLAMING else 0)

    def _with_host_insns(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Counted once for each unit, which takes too long for the CPU thread to wait for."""
        new = [unit for unit in units if not unit.host_insns]
        counts = {unit.serial: len(self._translator.host.disassemble(unit.code)) for unit in new}

        def counted(unit: Unit) -> Unit:
            count = counts.get(unit.serial)
            return unit if count is None else replace(unit, host_insns=count)

        with self._lock:
            for known in self._alive.values():
                known.unit = counted(known.unit)
            self._dead = deque(map(counted, self._dead))
        return map(counted, units)

    def _read_code(self) -> None:
        """Read the code of all units back, with its links as they are, from places that stay theirs meanwhile."""
        for _ in range(TRIES):
            turns = self._turns()
            codes = {
                serial: self._machine.core.read_code(known.unit.offset, len(known.unit.code))
                for serial, known in self._alive.items()
            }
            if self._turns() == turns:
                for serial, code in codes.items():
                    self._alive[serial].unit = replace(self._alive[serial].unit, code=code)
                return

    def _turns(self) -> tuple[int, int]:
        stats = self._machine.stats()
        return stats.evictions, stats.flushes

    def _cache(self, stats: Stats) -> Cache:
        generations = list(self._records.generations)
        return Cache(
            size=max((each.end for each in generations), default=0),
            policy=stats.policy,
            generations=tuple(Generation(each.start, each.end, each.fill) for each in generations),
            current=next((at for at, each in enumerate(generations) if each.current), 0),
            stats={name: getattr(stats, name) for name in STATS},
            deaths=dict(stats.deaths),
            exits=dict(stats.exits),
        )

    @cached_property
    def _subject(self) -> Subject:
        machine, program = self._machine, self._machine.program
        return Subject(
            program=program.name,
            digest=hashlib.sha256(b"".join(segment.data for segment in program.segments)).hexdigest(),
            guest=machine.guest.name,
            machine=machine.profile.name,
            host=self._translator.host.name,
            tier=machine.core.tier.name.lower(),
            entry=program.entry,
        )

    @cached_property
    def _labels(self) -> tuple[Label, ...]:
        found = (Label(each.address, each.size, each.name, each.is_function) for each in self._machine.symbols)
        return tuple(sorted(found, key=lambda label: (label.address, label.is_function, label.size, label.name)))

    # -- source -------------------------------------------------------------------------------------------------------

    @cached_property
    def _source(self) -> Source:
        from dynarec.debug.source import Source

        return Source(self._machine.program)

    def _find_places(self, units: Iterable[Unit]) -> dict[int, Place]:
        wanted = {pc for unit in units for pc in unit.pcs}
        for pc in wanted - self._places.keys():
            row = self._source.lines.at(pc)
            self._places[pc] = Place(row.file, row.line) if row is not None and row.line else None
        found = {pc: place for pc in sorted(wanted) if (place := self._places[pc]) is not None}
        for place in found.values():
            if place.file not in self._texts:
                self._texts[place.file] = tuple(self._lines(place.file))
        return found

    def _lines(self, file: str) -> list[str]:
        lines: list[str] = []
        while len(lines) < MOST_SOURCE_LINES:
            more = self._source.text.lines(file, len(lines) + 1)
            if not more:
                break
            lines += more
        return lines

    def _clock(self) -> int:
        return _now() - self._since


def _now() -> int:
    """The clock of native/record.c."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def _written(reason: str, address: int) -> int:
    """The address whose change was the reason, or 0."""
    return 0 if reason in OWN_ADDRESS else address


def _executions(
    unit: Unit, made: HostCode, state: UnitState, faulted: Iterable[tuple[int, int]]
) -> tuple[int | None, int | None]:
    """Rounds, and guest instructions that have retired in them: all of each round, less what was left out."""
    if not made.counted:
        return None, None
    ends = list(zip(state.counters, made.unexecuted, strict=True))
    ends += [(count, unit.charged - at) for at, count in faulted]
    ends += [(missed, each.refund) for each, missed in _interpreted(made, state)]
    rounds = sum(count for count, _ in ends)
    return rounds, rounds * unit.charged - sum(count * missing for count, missing in ends)


def _interpreted(made: HostCode, state: UnitState) -> Iterator[tuple[host.Exit, int]]:
    """Exits to the interpreter, which the run loop counts."""
    for each, (missed, _) in zip(made.exits, state.exits, strict=True):
        if each.kind is host.ExitKind.INTERPRET:
            yield each, missed


def _exits(unit: Unit, made: HostCode, state: UnitState) -> Iterator[Exit]:
    """Its exits, and where a round ends early to begin anew."""
    for each, (missed, linked) in zip(made.exits, state.exits, strict=True):
        counted = None if each.counter is None else state.counters[each.counter]
        taken = missed if each.kind in BY_RUN_LOOP else counted
        kind = each.kind.name.lower()
        yield Exit(kind, each.target, unit.charged - each.refund, each.ret, taken, missed, linked or None)
    used = {each.counter for each in made.exits}
    for counter in made.counters:
        missing = made.unexecuted[counter.number]
        if missing and counter.number not in used:
            taken = state.counters[counter.number]
            yield Exit("round", unit.key, unit.charged - missing, counter.offset, taken, 0, unit.serial)
