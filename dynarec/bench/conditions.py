"""What a hook costs where its condition does not hold: one of code, and one of memory that the guest reads."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from dynarec.bench.devices import FUNCTION, MEMORY, PROGRAM, loop_nanoseconds
from dynarec.conditions import Condition, Insn, Op
from dynarec.engine import Machine

FUNCTION_SIZE = 64
"""Bytes that its loop lies in: a basic block."""
COUNT, FEW = 1_000_000, 100_000
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class ConditionCosts:
    """Nanoseconds that a condition takes which does not hold: of a basic block, and of a load from memory."""

    code: float
    memory: float


def condition_costs(folder: Path) -> ConditionCosts:
    """Measure: the least of some rounds. folder: of the ROMs. Raises DynarecError."""
    with Machine.load(folder / PROGRAM, "virt", stdin=io.BytesIO(), stdout=io.BytesIO()) as machine:
        machine.run(until="main")
        counter = Insn(Op.REGISTER, machine.guest.layout["a1"].index)
        never = Condition((counter, Insn(Op.NUMBER, 2 * COUNT), Insn(Op.EQ)))
        plain = _least(machine, COUNT)
        start = machine.address(FUNCTION)
        with machine.hook_block(_unexpected, start, start + FUNCTION_SIZE, when=never):
            code = _least(machine, COUNT)
        with machine.hook_memory(_unexpected, MEMORY, when=never):
            memory = _least(machine, FEW)
    return ConditionCosts(code - plain, memory - plain)


def _unexpected(machine: Machine, what: object) -> None:
    raise AssertionError(f"a condition held that cannot: {what}")


def _least(machine: Machine, count: int) -> float:
    return min(loop_nanoseconds(machine, MEMORY, count) for _ in range(ROUNDS))


def conditions_text(costs: ConditionCosts) -> str:
    return f"nanoseconds of a condition that does not hold: {costs.code:.0f} of code, {costs.memory:.0f} of a load"
