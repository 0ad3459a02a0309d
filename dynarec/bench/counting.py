"""What it costs a program that its code counts how often it is executed, and that a sampler looks where it is."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from dynarec.bench.programs import BenchProgram
from dynarec.engine import Machine
from dynarec.inspect.recorder import SAMPLE_SECONDS, Recorder

LENGTHENED = 4
"""Times the usual rounds, so that there is something to measure behind the warm-up."""
WARM_UP, COUNT = 450_000_000, 1_000_000_000
"""Instructions; the first home registers are chosen by then."""
REPEAT = 5


@dataclass(frozen=True, slots=True)
class CountingCosts:
    """Run times, as multiples of those without: geometric means over the programs, and the longest.

    counts: with exact counters. sampled: with these and the sampler. worst: of the former.
    """

    counts: float
    sampled: float
    worst: float
    worst_program: str


def counting_costs(programs: Sequence[BenchProgram], warm_up: int = WARM_UP, count: int = COUNT) -> CountingCosts:
    """Measure, each program with and without by turns. Raises DynarecError."""
    ratios = {program.name: _ratios(program, warm_up, count) for program in programs}
    worst = max(ratios, key=lambda name: ratios[name][0])
    counts, sampled = (_mean([pair[at] for pair in ratios.values()]) for at in (0, 1))
    return CountingCosts(counts, sampled, ratios[worst][0], worst)


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(fmean(math.log(ratio) for ratio in ratios))


def _ratios(program: BenchProgram, warm_up: int, count: int) -> tuple[float, float]:
    """Of the program with counters, and with counters and sampler."""
    kinds = (_plain, _counted, _sampled)
    times: tuple[list[float], ...] = ([], [], [])
    for _ in range(REPEAT):
        for kind, found in zip(kinds, times, strict=True):
            found.append(_seconds(program, kind, warm_up, count))
    plain, counted, sampled = map(median, times)
    return counted / plain, sampled / plain


def _plain(machine: Machine) -> None:
    """For comparison."""


def _counted(machine: Machine) -> None:
    Recorder(machine, sampling=None)


def _sampled(machine: Machine) -> None:
    Recorder(machine, sampling=SAMPLE_SECONDS)


def _seconds(program: BenchProgram, prepare: Callable[[Machine], None], warm_up: int, count: int) -> float:
    """CPU seconds of an instruction."""
    arguments = [str(program.rounds * LENGTHENED)]
    streams = {"stdin": io.BytesIO(), "stdout": io.BytesIO()}
    with Machine.load(program.elf, args=arguments, tier="jit", **streams) as machine:  # type: ignore[arg-type]
        prepare(machine)
        machine.run(warm_up)
        since = time.process_time()
        retired = machine.run(count).instructions
        return (time.process_time() - since) / max(retired, 1)


def counting_text(costs: CountingCosts) -> str:
    return (
        f"a run with exact counters: {costs.counts:.3f} times as long on the mean, at most {costs.worst:.3f} "
        f"({costs.worst_program}); with the sampler too: {costs.sampled:.3f}"
    )
