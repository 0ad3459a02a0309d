"""Timing programs: native code, dynarec as the command line runs it, and QEMU, by turns."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean, median
from typing import Literal

from dynarec.bench.processes import Run, WrongResult, peak_bytes, run, run_checked
from dynarec.bench.programs import BenchProgram
from dynarec.errors import DynarecError

Clock = Literal["cpu", "wall"]
CLOCKS: tuple[Clock, ...] = ("cpu", "wall")
HELLO = "hello.elf"
"""The program that shows start-up alone, in the folder above the benchmark programs."""
MICRO = 1e-6
MEGA = 1e6


@dataclass(slots=True)
class Samples:
    """Seconds of each run of one command: processor time and wall time."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, done: Run) -> None:
        self.cpu.append(done.cpu_seconds)
        self.wall.append(done.wall_seconds)

    def median(self, clock: Clock) -> float:
        """Seconds."""
        return median(self.cpu if clock == "cpu" else self.wall)


@dataclass(frozen=True, slots=True)
class Work:
    """What dynarec did, from one more run with --stats-json, which is not timed.

    instructions: guest instructions executed; translated: guest instructions in translated code.
    """

    instructions: int
    translated: int
    translation_seconds: float

    @property
    def translation_micros(self) -> float:
        """Microseconds of translation for each translated guest instruction."""
        return self.translation_seconds / MICRO / max(1, self.translated)


@dataclass(frozen=True, slots=True)
class Timing:
    """One program's runs. qemu: None where it is not installed."""

    program: BenchProgram
    work: Work
    native: Samples
    dynarec: Samples
    qemu: Samples | None

    @property
    def mips(self) -> float:
        """Millions of guest instructions in a second of dynarec's processor time, start-up and translation included."""
        return self.work.instructions / MEGA / self.dynarec.median("cpu")

    def slowdown(self, clock: Clock) -> float:
        """dynarec's median time as a multiple of the native one."""
        return self.dynarec.median(clock) / self.native.median(clock)

    def qemu_slowdown(self, clock: Clock) -> float | None:
        """QEMU's median time as a multiple of the native one."""
        return self.qemu.median(clock) / self.native.median(clock) if self.qemu is not None else None


@dataclass(frozen=True, slots=True)
class Means:
    """Geometric means over programs of multiples of the native time. qemu: None where it is not installed."""

    clock: Clock
    programs: int
    dynarec: float
    qemu: float | None

    @property
    def speedup(self) -> float | None:
        """How many times faster than QEMU dynarec is."""
        return self.qemu / self.dynarec if self.qemu is not None else None


@dataclass(frozen=True, slots=True)
class Hello:
    """Start-up: processes that run hello.elf. peak_bytes: peak resident size."""

    samples: Samples
    peak_bytes: int


def dynarec_command(elf: Path, arguments: Sequence[str] = (), options: Sequence[str | Path] = ()) -> list[str | Path]:
    """The command line that runs a program with the Python and the dynarec of this process."""
    return [sys.executable, "-m", "dynarec", "run", elf, *options, "--", *arguments]


def time_program(program: BenchProgram, native: Path, qemu: str | None, repeat: int, folder: Path) -> Timing:
    """Run a program `repeat` times in each way. native: its host binary. folder: for temporary files.

    Raises WrongResult when a run fails or prints something else than it must.
    """
    rounds = str(program.rounds)
    commands: dict[str, list[str | Path]] = {
        "native": [native, rounds],
        "dynarec": dynarec_command(program.elf, [rounds]),
    }
    if qemu is not None:
        commands["qemu"] = [qemu, program.elf, rounds]
    work = measure_work(program, folder)
    samples = {who: Samples() for who in commands}
    for _ in range(repeat):
        for who, command in commands.items():
            samples[who].add(run_checked(program, who, command))
    return Timing(program, work, samples["native"], samples["dynarec"], samples.get("qemu"))


def measure_work(program: BenchProgram, folder: Path) -> Work:
    """dynarec's own numbers about a run. Raises WrongResult as `time_program` does."""
    path = folder / f"{program.name}.json"
    run_checked(program, "dynarec", dynarec_command(program.elf, [str(program.rounds)], ["--stats-json", path]))
    stats = json.loads(path.read_text())
    return Work(stats["instructions"], stats["translated_instructions"], stats["translation_seconds"])


def mean_slowdowns(timings: Sequence[Timing], clock: Clock) -> Means:
    """Geometric means over at least one program."""
    dynarec = geometric_mean(timing.slowdown(clock) for timing in timings)
    qemu = [slowdown for timing in timings if (slowdown := timing.qemu_slowdown(clock)) is not None]
    return Means(clock, len(timings), dynarec, geometric_mean(qemu) if qemu else None)


def measure_hello(elf: Path, repeat: int) -> Hello:
    """Start-up time and size. Raises WrongResult when the program fails, DynarecError when it is missing."""
    if not elf.is_file():
        raise DynarecError(f"{elf} is missing: --bench-dir must name roms/bench of a checkout")
    samples = Samples()
    for _ in range(repeat):
        done = run(dynarec_command(elf))
        if done.status != 0 or not done.output:
            raise WrongResult(f"{elf.name}: dynarec ended with status {done.status} and printed {done.output!r}")
        samples.add(done)
    return Hello(samples, peak_bytes(dynarec_command(elf)))
