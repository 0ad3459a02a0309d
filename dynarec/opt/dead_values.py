"""A value that nobody uses is not computed."""

from __future__ import annotations

from dynarec.ir.ops import EXIT_IF, GET
from dynarec.ir.unit import Deferred, Op, Operand, Unit


def dead_values(unit: Unit) -> None:
    """Drop ops without effects whose values have no use; a load stays, since it may fault."""
    used: set[Operand] = set()
    if (value := unit.terminal_value()) is not None:
        used.add(value)
    kept: list[Op] = []
    deferred: Deferred = ()
    for op in reversed(unit.ops):
        if (op.kind.pure or op.kind is GET) and op not in used:
            continue
        used.update(op.args)
        if op.kind is EXIT_IF and (value := op.leave_value) is not None:
            used.add(value)
        if op.deferred is not deferred:
            deferred = op.deferred
            used.update([value for _, value in deferred])
        kept.append(op)
    kept.reverse()
    unit.ops = kept
