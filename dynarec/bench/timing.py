"""Timing programs: native code, dynarec as the command line runs it, and its peers, by turns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean, median
from typing import Literal

from dynarec.bench.processes import Run, run_checked
from dynarec.bench.programs import BenchProgram, Subject
from dynarec.bench.runners import DYNAREC, NATIVE, QEMU, Runner, Words, dynarec_command

Clock = Literal["cpu", "wall"]
CLOCKS: tuple[Clock, ...] = ("cpu", "wall")
MICRO = 1e-6
WORK_RUNS = 3
"""What disturbs one of them is not in the result."""
MEGA = 1e6


@dataclass(slots=True)
class Samples:
    """Seconds of each run of one command: processor time and wall time."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, done: Run) -> None:
        self.cpu.append(done.cpu_seconds)
        self.wall.append(done.wall_seconds)

    def of(self, clock: Clock) -> list[float]:
        """Seconds of each run."""
        return self.cpu if clock == "cpu" else self.wall

    def median(self, clock: Clock) -> float:
        """Seconds."""
        return median(self.of(clock))


@dataclass(frozen=True, slots=True)
class Work:
    """What dynarec did, from more runs with --stats-json and --sync, which are not timed.

    instructions: guest instructions executed; translated: those of all units that were made, also of those made again.
    translation_seconds: processor time for these, from guest bytes to installed code; the median of the runs.
    """

    instructions: int
    translated: int
    translation_seconds: float

    @property
    def translation_micros(self) -> float:
        """Microseconds of `translation_seconds` for each translated guest instruction."""
        return self.translation_seconds / MICRO / max(1, self.translated)


@dataclass(frozen=True, slots=True)
class Timing:
    """One program's runs, by who ran it."""

    program: Subject
    work: Work
    runs: dict[str, Samples]

    @property
    def mips(self) -> float:
        """Millions of guest instructions in a second of dynarec's processor time, start-up and translation included."""
        return self.work.instructions / MEGA / self.runs[DYNAREC].median("cpu")

    def slowdowns(self, who: str, clock: Clock) -> list[float]:
        """The times of each run as multiples of the native one of the same round."""
        # Who takes part in the first round alone has fewer.
        pairs = zip(self.runs[who].of(clock), self.runs[NATIVE].of(clock), strict=False)
        return [seconds / native for seconds, native in pairs]

    def slowdown(self, who: str, clock: Clock) -> float:
        """The median of `slowdowns`: what disturbs both runs of a round is not in it."""
        return median(self.slowdowns(who, clock))


@dataclass(frozen=True, slots=True)
class Means:
    """Geometric means over programs of multiples of the native time, by who ran them."""

    clock: Clock
    programs: int
    slowdowns: dict[str, float]

    @property
    def speedup(self) -> float | None:
        """How many times faster than QEMU dynarec is; None without QEMU."""
        return self.slowdowns[QEMU] / self.slowdowns[DYNAREC] if QEMU in self.slowdowns else None


def time_program(
    program: BenchProgram, native: Path, runners: Sequence[Runner], repeat: int, tier: str, folder: Path
) -> Timing:
    """Run a program `repeat` times in each way, by turns. native: its host binary. tier: that `Work` is of.

    folder: for temporary files. Raises WrongResult when a run fails or prints something else than it must.
    """
    work = measure_work(program, tier, folder)
    samples = {runner.who: Samples() for runner in runners}
    for number in range(repeat):
        for runner in runners:
            if number == 0 or not runner.once:
                samples[runner.who].add(run_checked(program, runner.who, runner.command(program, native)))
    return Timing(program, work, samples)


def measure_work(program: BenchProgram, tier: str, folder: Path) -> Work:
    """dynarec's own numbers. Raises WrongResult as `time_program` does."""
    path = folder / f"{program.name}.json"
    options: Words = ["--tier", tier, "--sync", "--stats-json", path]
    seconds = []
    for _ in range(WORK_RUNS):
        run_checked(program, DYNAREC, dynarec_command(program.elf, [str(program.rounds)], options))
        stats = json.loads(path.read_text())
        seconds.append(stats["translation_seconds"])
    return Work(stats["instructions"], stats["translated_instructions"], median(seconds))


def mean_slowdowns(timings: Sequence[Timing], clock: Clock) -> Means:
    """Geometric means over at least one program."""
    slowdowns = {
        who: geometric_mean(timing.slowdown(who, clock) for timing in timings)
        for who in timings[0].runs
        if who != NATIVE
    }
    return Means(clock, len(timings), slowdowns)
