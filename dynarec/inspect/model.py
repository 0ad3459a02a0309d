"""A recording: the code cache of one machine at one moment, with what was in it before. Plain, immutable values.

Times are nanoseconds since the recorder began; addresses are the guest's unless they are called offsets.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened: nanoseconds since the recorder began, and guest instructions retired by then, without
    the system calls that the machine answered."""

    time: int
    instructions: int


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All that a translation depends on beside the guest's bytes: with these it can be made again, anywhere.

    host: name of the host; features: of what its processors may have, what was used. homes: guest registers in its home
    registers, in their order. limit: guest instructions of the longest trace; which way that went, the unit's own tell.
    left: addresses of instructions that were left to the interpreter. hooked: (pc, begins) of what no trace ran across.
    checked: it compares its bytes. without: passes left out. harden: names of hardening. counted: it counts its
    executions. repeats: it was expected to, if it loops.
    """

    host: str
    homes: tuple[str, ...]
    limit: int
    left: tuple[int, ...] = ()
    hooked: tuple[tuple[int, bool], ...] = ()
    checked: bool = False
    features: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    harden: tuple[str, ...] = ()
    counted: bool = False
    repeats: bool = True


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out of a unit, in the order in which its code has them.

    kind: "jump", "indirect", "interpret" or "budget"; or "round": not out of the unit, but to its head before a round
    is whole. target: where it leads; of an indirect one, 0. executed: guest instructions that a round has retired when
    it is left here. offset: of its call of the exit stub, from the start of the unit. taken: how often it was; None if
    that was not counted. missed: how often the run loop was asked where to go. linked: serial of the unit that it jumps
    to by itself.
    """

    kind: str
    target: int
    executed: int
    offset: int
    taken: int | None
    missed: int
    linked: int | None


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a unit: when, and why (a name of dynarec.core.DEATHS).

    address: that was written, or 0. pc: of the instruction that was being executed.
    """

    when: Moment
    reason: str
    address: int
    pc: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One translation, alive or dead.

    serial: units are numbered from 1 in the order in which they were installed. tier: what made it.
    ranges, source: the guest bytes it was made from: where as (address, size), and which, one after the other.
    pcs: addresses of its guest instructions in the order of the trace, which may hold one several times.
    charged: guest instructions that a whole round retires.
    offset: of its code in the region; code: the bytes, read back from there. host_insns: instructions in them.
    marks: (offset, op): host code from there on belongs to that op of the final IR; -1 is the head, -2 the exits.
    op_insns: for each op of the final IR, the index in `pcs` of the guest instruction it came from.
    phases: seconds that its translation took, by phase ("form", the names of the passes, "emit", "install").
    batch: number of the W^X batch that wrote it.
    rounds: how often its head was executed; None if that was not counted. instructions: guest instructions retired in
    it, the same. samples: how often the sampler found the CPU thread in it.
    faulted: (index in `pcs`, times): rounds that ended before that instruction, since its access faulted.
    onward: where the trace would have gone on behind its last instruction, if it did not end with that.
    """

    serial: int
    key: int
    tier: str
    ranges: tuple[tuple[int, int], ...]
    source: bytes
    pcs: tuple[int, ...]
    charged: int
    offset: int
    code: bytes
    host_insns: int
    marks: tuple[tuple[int, int], ...]
    op_insns: tuple[int, ...]
    exits: tuple[Exit, ...]
    circumstances: Circumstances
    phases: Mapping[str, float]
    batch: int
    born: Moment
    died: Death | None
    rounds: int | None
    instructions: int | None
    samples: int
    faulted: tuple[tuple[int, int], ...] = ()
    onward: int | None = None

    @property
    def alive(self) -> bool:
        return self.died is None

    @property
    def body(self) -> int:
        """Bytes of host code before the exits."""
        return next((offset for offset, op in self.marks if op == EXITS), len(self.code))

    @property
    def guest_bytes(self) -> int:
        return len(self.source)

    @property
    def links_out(self) -> tuple[int, ...]:
        """Serials of the units that it jumps to by itself."""
        return tuple(each.linked for each in self.exits if each.linked is not None)

    @property
    def seconds(self) -> float:
        """What its translation took."""
        return sum(self.phases.values())

    def executed(self) -> list[int] | None:
        """How often each instruction of the trace has retired in it: in rounds that had not ended before.

        Instructions that it leaves to the interpreter have not. None: that was not counted.
        """
        if self.rounds is None:
            return None
        ended = Counter(dict(self.faulted))
        for each in self.exits:
            if each.kind != OUT_OF_BUDGET:
                ended[each.executed] += each.taken or 0
        counts, left = [], self.rounds
        for index in range(len(self.pcs)):
            left -= ended[index]
            counts.append(max(0, left) if index < self.charged else 0)
        return counts

    def holds(self, address: int) -> bool:
        """Whether it was made from the byte at an address."""
        return any(0 <= address - start < size for start, size in self.ranges)


OUT_OF_BUDGET = "budget"
"""Kind of the exit that is taken before a round begins."""
HEAD, EXITS = -1, -2
"""Marks that are no ops."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the cache.

    kind, serial, other, value:
    "install": a unit; the batch; bytes of host code. "death": a unit; index into DEATHS; the address.
    "link" and "unlink": from a unit; to a unit; the number of the exit. "evict": 0; the generation; its bytes.
    "flush": 0; 0; units that died. "batch": 0; patches in it; nanoseconds that the region was open, verifying included.
    "mixed": 0; 0; the address of a page that is code and data alike.
    """

    when: Moment
    kind: str
    serial: int
    other: int
    value: int


@dataclass(frozen=True, slots=True)
class Generation:
    """A part of the region that is filled and emptied as a whole: offsets; `fill` is where the next unit goes."""

    start: int
    end: int
    fill: int


@dataclass(frozen=True, slots=True)
class Cache:
    """The code region. size: bytes. current: index of the generation that is being filled.

    stats: the counters of dynarec.stats.Stats, lookups and misses, by name.
    """

    size: int
    policy: str
    generations: tuple[Generation, ...]
    current: int
    stats: Mapping[str, int | float]
    deaths: Mapping[str, int]
    exits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """Units of which no more than this is kept."""

    units: int = 0
    rounds: int = 0
    instructions: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What was run, and how. digest: SHA-256 of the program, hexadecimal."""

    program: str
    digest: str
    guest: str
    machine: str
    host: str
    tier: str
    entry: int


@dataclass(frozen=True, slots=True)
class Label:
    """A symbol: its size is 0 when the program does not say."""

    address: int
    size: int
    name: str
    is_function: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a source file, from 1."""

    file: str
    line: int


@dataclass(frozen=True)
class Recording:
    """Everything that was known at one moment.

    units: by serial, alive and dead. forgotten: dead ones that are not among them any more.
    interpreted: instructions that the interpreter retired, by address. answered: system calls that the machine
    answered, by address. first: instructions that the machine had retired when the recorder began.
    events: in their order; lost: older ones that the log has no room for.
    retired: those that it has retired since then, ones that were undone included: what `instructions` comes to.
    elsewhere: samples outside of units: "core" (the C core: run loop, interpreter, devices), "python" (translation,
    system calls, waiting).
    labels: by address. places: lines of the units' instructions, where the program has them. texts: source files'
    lines, where they were found.
    """

    subject: Subject
    taken: Moment
    counted: bool
    cache: Cache
    units: tuple[Unit, ...]
    forgotten: Totals = Totals()
    interpreted: Mapping[int, int] = field(default_factory=dict)
    answered: Mapping[int, int] = field(default_factory=dict)
    first: int = 0
    retired: int = 0
    events: tuple[Event, ...] = ()
    lost: int = 0
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[Label, ...] = ()
    places: Mapping[int, Place] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def by_serial(self) -> Mapping[int, Unit]:
        return {unit.serial: unit for unit in self.units}

    @cached_property
    def live(self) -> tuple[Unit, ...]:
        return tuple(unit for unit in self.units if unit.alive)

    @cached_property
    def dead(self) -> tuple[Unit, ...]:
        return tuple(unit for unit in self.units if not unit.alive)

    @cached_property
    def links_in(self) -> Mapping[int, tuple[tuple[int, int], ...]]:
        """For the serial of a unit, (serial, number of the exit) of the exits that jump to it."""
        found: dict[int, list[tuple[int, int]]] = {}
        for unit in self.live:
            for number, each in enumerate(unit.exits):
                if each.linked is not None:
                    found.setdefault(each.linked, []).append((unit.serial, number))
        return {serial: tuple(links) for serial, links in found.items()}

    def holding(self, address: int) -> Iterator[Unit]:
        """The units that were made from the byte at an address."""
        return (unit for unit in self.units if unit.holds(address))

    @cached_property
    def _starts(self) -> list[int]:
        return [label.address for label in self.labels]

    def label_at(self, address: int) -> Label | None:
        """The last symbol at or below an address; None outside of every symbol."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        label = self.labels[index]
        return None if label.size and address - label.address >= label.size else label

    def name(self, address: int) -> str:
        """ "main", "main+0x10", or "0x00010074" where there is no symbol."""
        label = self.label_at(address)
        if label is None:
            return f"{address:#010x}"
        offset = address - label.address
        return f"{label.name}+{offset:#x}" if offset else label.name

    @cached_property
    def instructions(self) -> int:
        """Guest instructions that were counted: in units, by the interpreter, and system calls."""
        in_units = sum(unit.instructions or 0 for unit in self.units) + self.forgotten.instructions
        return in_units + sum(self.interpreted.values()) + sum(self.answered.values())

    @cached_property
    def samples(self) -> int:
        """All samples, in units and elsewhere."""
        in_units = sum(unit.samples for unit in self.units) + self.forgotten.samples
        return in_units + sum(self.elsewhere.values())

    def share(self, unit: Unit) -> float:
        """The unit's share of the time: of the samples, or of the instructions if there are none. 0 to 1."""
        if self.samples:
            return unit.samples / self.samples
        return (unit.instructions or 0) / self.instructions if self.instructions else 0.0
