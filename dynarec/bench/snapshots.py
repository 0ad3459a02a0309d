"""What snapshots cost: one, one to go back to, and a run that takes one every so often."""

from __future__ import annotations

import io
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from dynarec.bench.programs import BenchProgram
from dynarec.engine import Machine, StopReason
from dynarec.guest_pages import PAGE
from dynarec.machine.base import Access

SIZE = 64 << 20
START = 0x4000_0000
"""Guest memory that is filled with what is not zero; nothing else is there."""
DIRTY = 20
"""Pages written between two snapshots."""
ROUNDS = 50
PERIOD = 10_000_000
"""Guest instructions between two snapshots of a run: 10 ms of a guest that retires 1,000 million a second."""


@dataclass(frozen=True, slots=True)
class SnapshotCosts:
    """first, take, restore: microseconds of the first snapshot, of one with few dirty pages, of going back to it.

    program: that was run; taken: snapshots of its run; slowdown: its wall time with them, to that without.
    """

    first: float
    take: float
    restore: float
    program: str
    taken: int
    slowdown: float


def snapshot_costs(program: BenchProgram) -> SnapshotCosts:
    """Measure. Medians; the program is run twice in this process."""
    with _machine(program) as machine:
        machine.memory.map(START, SIZE, Access.READ | Access.WRITE)
        machine.memory.write(START, random.Random(0).randbytes(SIZE))
        first = _microseconds(machine.snapshot)
        takes, restores = zip(*(_round(machine, number) for number in range(ROUNDS)), strict=True)
    plain, _ = _run(program, None)
    often, taken = _run(program, PERIOD)
    slowdown = often / plain
    return SnapshotCosts(first, statistics.median(takes), statistics.median(restores), program.name, taken, slowdown)


def _machine(program: BenchProgram) -> Machine:
    return Machine.load(program.elf, "user", [str(program.rounds)], stdout=io.BytesIO())


def _round(machine: Machine, number: int) -> tuple[float, float]:
    _write(machine, 2 * number)
    take = _microseconds(machine.snapshot)
    kept = machine.snapshot()
    _write(machine, 2 * number + 1)
    return take, _microseconds(lambda: machine.restore(kept))


def _write(machine: Machine, number: int) -> None:
    """One word of each of some pages, which lie apart."""
    for page in range(DIRTY):
        machine.memory.write(START + page * (SIZE // DIRTY // PAGE) * PAGE, number.to_bytes(4, "little"))


def _microseconds(action: Callable[[], object]) -> float:
    since = time.perf_counter()
    action()
    return (time.perf_counter() - since) * 1e6


def _run(program: BenchProgram, period: int | None) -> tuple[float, int]:
    """Seconds of a whole run, and how many snapshots it took."""
    with _machine(program) as machine:
        since, taken = time.perf_counter(), 0
        while machine.run(period).reason is StopReason.BUDGET:
            machine.snapshot()
            taken += 1
        return time.perf_counter() - since, taken


def snapshots_text(costs: SnapshotCosts) -> str:
    return (
        f"snapshots of {SIZE >> 20} MiB with {DIRTY} dirty pages: {costs.take:.0f} microseconds to take, "
        f"{costs.restore:.0f} to go back, {costs.first:.0f} for the first; {costs.program} with {costs.taken}, one "
        f"every {PERIOD // 1_000_000} million instructions: {costs.slowdown:.3f} times the time without"
    )
