"""The forward walk that rewriting passes share."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.ir.ops import EXIT_IF
from dynarec.ir.unit import Op, Operand, Unit

Simplify = Callable[[Op], Operand | None]


def rewrite(unit: Unit, simplify: Simplify) -> None:
    """Visit the ops in order, their arguments already rewritten; where `simplify` gives a value, it replaces the op.

    `simplify` may change the op it is given; for an op without a value, any answer but None drops it.
    """
    replaced: dict[Operand, Operand] = {}
    kept: list[Op] = []
    for op in unit.ops:
        for arg in op.args:
            if arg in replaced:
                op.args = tuple([replaced.get(each, each) for each in op.args])
                break
        for _, written in op.deferred:
            if written in replaced:
                op.deferred = tuple([(field, replaced.get(each, each)) for field, each in op.deferred])
                break
        if op.kind is EXIT_IF and (used := op.leave_value) in replaced:
            op.replace_leave_value(replaced[used])
        value = simplify(op)
        if value is None:
            kept.append(op)
        else:
            replaced[op] = value
    unit.ops = kept
    last = unit.terminal_value()
    if last is not None and last in replaced:
        unit.replace_terminal_value(replaced[last])
