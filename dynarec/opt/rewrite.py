"""The forward walk that rewriting passes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynarec.ir.ops import EXIT_IF, OpKind
from dynarec.ir.unit import Op, Operand, Unit

Rule = Callable[[Op], Operand | None]


def rewrite(unit: Unit, rules: Mapping[OpKind, Rule]) -> None:
    """Visit the ops in order, their arguments already rewritten; where the rule of its kind gives a value, it replaces
    the op.

    A rule may change the op it is given; for an op without a value, any answer but None drops it.
    """
    replaced: dict[Operand, Operand] = {}
    kept: list[Op] = []
    for op in unit.ops:
        kind = op.kind
        if replaced:
            for arg in op.args:
                if arg in replaced:
                    op.args = tuple([replaced.get(each, each) for each in op.args])
                    break
            for _, written in op.deferred:
                if written in replaced:
                    op.deferred = tuple([(field, replaced.get(each, each)) for field, each in op.deferred])
                    break
            if kind is EXIT_IF and (used := op.leave_value) in replaced:
                op.replace_leave_value(replaced[used])
        if kind in rules and (value := rules[kind](op)) is not None:
            replaced[op] = value
        else:
            kept.append(op)
    unit.ops = kept
    last = unit.terminal_value()
    if last is not None and last in replaced:
        unit.replace_terminal_value(replaced[last])
