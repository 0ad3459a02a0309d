"""Counting executed host instructions, exactly, by emulating the host: the same numbers on every computer."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, geometric_mean

from dynarec.bench.processes import WrongResult, last_line, run
from dynarec.bench.programs import BenchProgram, Subject
from dynarec.errors import DynarecError

COUNTED_HOSTS = ("arm64", "x86_64")
STATUS_FAILED = 125
"""Of the emulation's process, when it is dynarec that could not do it."""


@dataclass(frozen=True, slots=True)
class Count:
    """Instructions executed by one program on one emulated host."""

    guest: int
    host: int

    @property
    def ratio(self) -> float:
        """Host instructions for each guest instruction."""
        return self.host / self.guest


@dataclass(frozen=True, slots=True)
class Counted:
    """One program's counts, by host."""

    program: Subject
    counts: dict[str, Count]


@dataclass(frozen=True, slots=True)
class RatioMeans:
    """Means over programs of host instructions for each guest instruction."""

    arithmetic: float
    geometric: float


def count_program(program: BenchProgram, folder: Path, without: Sequence[str] = ()) -> Counted:
    """Run a program on each emulated host. folder: for temporary files. without: what is left out (`dynarec.features`).

    Raises WrongResult when it prints something else than it must, or when hosts disagree about the guest instructions,
    DynarecError when a host cannot be emulated.
    """
    counts = {host: count_on(program, host, folder, without) for host in COUNTED_HOSTS}
    guest = {host: count.guest for host, count in counts.items()}
    if len(set(guest.values())) > 1:
        raise WrongResult(f"{program.name}: the hosts disagree about the guest instructions: {guest}")
    return Counted(program, counts)


def count_on(program: BenchProgram, host: str, folder: Path, without: Sequence[str] = ()) -> Count:
    """As `count_program`, on one host. A process of its own, so that what the program prints can be read."""
    path = folder / f"{program.name}.{host}.json"
    module = "dynarec.bench.emulation"
    done = run([sys.executable, "-m", module, program.elf, host, str(program.rounds), path, *without])
    if done.status == STATUS_FAILED:
        raise DynarecError(last_line(done.errors))
    who = f"dynarec on emulated {host}"
    if done.status != 0:
        raise WrongResult(f"{program.name}: {who} ended with status {done.status}: {last_line(done.errors)}")
    if done.output != program.output:
        raise WrongResult(f"{program.name}: {who} printed {done.output!r} and not {program.output!r}")
    numbers = json.loads(path.read_text())
    return Count(numbers["guest"], numbers["host"])


def mean_ratios(counted: Sequence[Counted], host: str) -> RatioMeans:
    """Means over at least one program."""
    ratios = [each.counts[host].ratio for each in counted]
    return RatioMeans(fmean(ratios), geometric_mean(ratios))
