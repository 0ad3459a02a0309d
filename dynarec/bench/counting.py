"""What it costs a program that its code counts how often it is executed, and that a sampler looks where it is."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import geometric_mean, median

from dynarec.bench.programs import BenchProgram
from dynarec.engine import Machine
from dynarec.inspect.recorder import SAMPLE_SECONDS, Recorder

LENGTHENED = 4
"""Times the usual rounds, so that there is something to measure behind the warm-up."""
WARM_UP = 450_000_000
"""Instructions; the first home registers are chosen by then."""
SLICE, SLICES = 100_000_000, 15
"""Instructions that each of the machines runs by turns, and how often."""


@dataclass(frozen=True, slots=True)
class CountingCosts:
    """Run times, as multiples of those without: geometric means over the programs, and the longest.

    counts: with exact counters. sampled: with these and the sampler. worst: of the former.
    """

    counts: float
    sampled: float
    worst: float
    worst_program: str


def counting_costs(programs: Sequence[BenchProgram], warm_up: int = WARM_UP, slice_: int = SLICE) -> CountingCosts:
    """Measure: of each program, machines with and without run slices by turns. Raises DynarecError."""
    ratios = {program.name: _ratios(program, warm_up, slice_) for program in programs}
    worst = max(ratios, key=lambda name: ratios[name][0])
    counts, sampled = (geometric_mean(pair[at] for pair in ratios.values()) for at in (0, 1))
    return CountingCosts(counts, sampled, ratios[worst][0], worst)


def _ratios(program: BenchProgram, warm_up: int, slice_: int) -> tuple[float, float]:
    """Of the program with counters, and with counters and sampler: medians of those of slices that ran in turn."""
    with ExitStack() as stack:
        machines = [stack.enter_context(_load(program)) for _ in range(3)]
        Recorder(machines[1], sampling=None)
        Recorder(machines[2], sampling=SAMPLE_SECONDS)
        for machine in machines:
            machine.run(warm_up)
        times = [[_seconds(machine, slice_) for machine in machines] for _ in range(SLICES)]
    counted, sampled = (median(each[at] / each[0] for each in times) for at in (1, 2))
    return counted, sampled


def _load(program: BenchProgram) -> Machine:
    arguments = [str(program.rounds * LENGTHENED)]
    return Machine.load(program.elf, args=arguments, tier="jit", stdin=io.BytesIO(), stdout=io.BytesIO())


def _seconds(machine: Machine, count: int) -> float:
    """CPU seconds of an instruction."""
    since = time.process_time()
    retired = machine.run(count).instructions
    return (time.process_time() - since) / max(retired, 1)


def counting_text(costs: CountingCosts) -> str:
    return (
        f"a run with exact counters: {costs.counts:.3f} times as long on the mean, at most {costs.worst:.3f} "
        f"({costs.worst_program}); with the sampler too: {costs.sampled:.3f}"
    )
