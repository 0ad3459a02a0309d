"""What a machine has done, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from dynarec.core import DEATHS, EXIT_KINDS, Core
from dynarec.pauses import Pauses

if TYPE_CHECKING:
    from dynarec.translate import Translation

CORE_COUNTS = (
    "interpreted", "blocks", "code_bytes", "code_dead", "discarded", "flushes", "evictions", "mixed_pages", "links",
    "unlinks", "faults", "toggles", "lookups", "misses",
)  # fmt: skip
"""Counters that `Stats` takes from the core as they are."""


NS_PER_SECOND = 1e9


class Stats(NamedTuple):
    """What a machine has done so far.

    instructions: guest instructions retired, with the system calls answered; interpreted: by the interpreter.
    run_seconds: wall time in runs. translation_seconds: processor time of translations, from guest bytes to installed
    code, beside the guest or while it waited; install_seconds: of these, in the core, while it waited.
    translated: units; translated_instructions: the guest instructions in them. stale: of these units, those that were
    dropped because what they were made from had changed meanwhile.
    kept: units of earlier runs, from the persistent translation cache, that were installed.
    pauses: how often the guest stood still for translations, for less than 2 ** i microseconds and no less than
    2 ** (i - 1), with i the index; longest_pause: in seconds. pause_work, longest_pause_work: the same of the processor
    time of the pauses in which the CPU thread had something to do; what is missing to their length, it waited.
    blocks: units in the cache now. code_bytes: host code in it, with code_dead, that of units that have died.
    discarded: units that have died; deaths: of these, by reason. flushes: times the cache was emptied; evictions: times
    a generation of it was. mixed_pages: guest pages that turned out to be code and data alike.
    links, unlinks: direct jumps from unit to unit made and taken back.
    faults: host faults in generated code. toggles: times the code region was opened for writing.
    lookups: times the run loop looked for a unit; misses: of these, there was none.
    exits: returns to the run loop by kind. policy: of W^X ("none": no code region). tier: auto, jit or interp.
    """

    instructions: int
    interpreted: int
    run_seconds: float
    translation_seconds: float
    install_seconds: float
    translated: int
    translated_instructions: int
    stale: int
    kept: int
    pauses: Sequence[int]
    longest_pause: float
    pause_work: Sequence[int]
    longest_pause_work: float
    blocks: int
    code_bytes: int
    code_dead: int
    discarded: int
    deaths: Mapping[str, int]
    flushes: int
    evictions: int
    mixed_pages: int
    links: int
    unlinks: int
    faults: int
    toggles: int
    lookups: int
    misses: int
    exits: Mapping[str, int]
    policy: str
    tier: str

    @property
    def mips(self) -> float:
        """Millions of guest instructions in a second of the runs' wall time."""
        return self.instructions / self.run_seconds / 1e6 if self.run_seconds else 0.0


@dataclass(slots=True)
class Counters:
    """What the engine itself counts. answered: instructions that trapped and that the profile then did."""

    answered: int = 0
    stale: int = 0
    kept: int = 0
    pauses: Pauses = field(default_factory=Pauses)
    run_seconds: float = 0.0
    translation_seconds: float = 0.0
    install_seconds: float = 0.0
    translated: int = 0
    translated_instructions: int = 0

    def count(self, translation: Translation, serial: int, seconds: float) -> None:
        """One more translation, installed in so many seconds; or not, without a serial."""
        self.translation_seconds += translation.seconds + seconds
        self.install_seconds += seconds
        self.translated += 1
        self.stale += not serial
        self.translated_instructions += len(translation.unit.insns)

    def count_kept(self, serials: Sequence[int], seconds: float) -> None:
        """Units of earlier runs, installed in so many seconds; those with a serial."""
        self.install_seconds += seconds
        self.kept += sum(map(bool, serials))


def collect(core: Core, counters: Counters) -> Stats:
    """The numbers of the core and of the engine in one."""
    native = core.stats()
    return Stats(
        instructions=cast(int, native["instructions"]) + counters.answered,
        run_seconds=counters.run_seconds,
        translation_seconds=counters.translation_seconds,
        install_seconds=counters.install_seconds,
        translated=counters.translated,
        translated_instructions=counters.translated_instructions,
        stale=counters.stale,
        kept=counters.kept,
        pauses=tuple(counters.pauses.counts),
        longest_pause=counters.pauses.longest / NS_PER_SECOND,
        pause_work=tuple(counters.pauses.work.counts),
        longest_pause_work=counters.pauses.work.longest / NS_PER_SECOND,
        deaths=dict(zip(DEATHS, cast("list[int]", native["deaths"]), strict=True)),
        exits=dict(zip(EXIT_KINDS, cast("list[int]", native["exits"]), strict=True)),
        policy=core.policy,
        tier=core.tier.name.lower(),
        **{name: cast(int, native[name]) for name in CORE_COUNTS},
    )
