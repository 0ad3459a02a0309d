"""Sums with a constant count from the value that the first of them was made of, where nobody needs those in between.

What is only written to fields, by deferred writes, is not needed: it can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator

from dynarec.ir.ops import ADD, EXIT_IF, MASK32, OFFSET_OPERAND, is_near
from dynarec.ir.unit import Op, Operand, Unit

_CONSTANT = {**OFFSET_OPERAND, ADD: 1}


def sums(unit: Unit) -> None:
    """Let sums and accesses skip what nothing else uses."""
    found = list(_candidates(unit))
    needed = _needed(unit) if found else set()
    for op, place in found:
        base, constant = op.args[place - 1 : place + 1]
        assert isinstance(base, Op)
        assert isinstance(constant, int)
        first, offset = base.args
        if base not in needed and type(offset) is int and isinstance(first, Op) and is_near(offset):
            op.args = (*op.args[: place - 1], first, constant + offset & MASK32, *op.args[place + 1 :])


def _candidates(unit: Unit) -> Iterator[tuple[Op, int]]:
    """Sums of sums, and accesses behind sums; with which operand is the constant."""
    for op in unit.ops:
        place = _CONSTANT.get(op.kind)
        if place is not None:
            base = op.args[place - 1]
            if type(base) is not int and base.kind is ADD and type(op.args[place]) is int:  # type: ignore[union-attr]
                yield op, place


def _needed(unit: Unit) -> set[Operand]:
    """Values that have a use that is not such a sum or access."""
    needed: set[Operand] = set()
    if (value := unit.terminal_value()) is not None:
        needed.add(value)
    for op in unit.ops:
        kind, args = op.kind, op.args
        place = _CONSTANT.get(kind)
        if place is None or type(args[place]) is not int:
            needed.update(args)
        elif len(args) > 2:
            needed.update(args[: place - 1], args[place + 1 :])
        if kind is EXIT_IF and (value := op.leave_value) is not None:
            needed.add(value)
    return needed
