"""Sums with a constant count from the value that the first of them was made of, where nobody needs those in between.

What is only written to fields, by deferred writes, is not needed: it can be made again.
"""

from __future__ import annotations

from dynarec.ir.ops import ADD, EXIT_IF, MASK32, is_near
from dynarec.ir.unit import Op, Operand, Unit
from dynarec.ir.verify import OFFSET_OPERAND


def sums(unit: Unit) -> None:
    """Let sums and accesses skip what nothing else uses."""
    needed = _needed(unit)
    for op in unit.ops:
        if op.kind is ADD:
            place = 1
        elif (found := OFFSET_OPERAND.get(op.kind)) is not None:
            place = found
        else:
            continue
        base, constant = op.args[place - 1 : place + 1]
        if isinstance(base, Op) and base.kind is ADD and base not in needed and type(constant) is int:
            first, offset = base.args
            if type(offset) is int and isinstance(first, Op) and is_near(offset):
                op.args = (*op.args[: place - 1], first, constant + offset & MASK32, *op.args[place + 1 :])


def _needed(unit: Unit) -> set[Operand]:
    """Values that have a use that is not such a sum or access."""
    needed: set[Operand] = set()
    if (value := unit.terminal_value()) is not None:
        needed.add(value)
    for op in unit.ops:
        kind, args = op.kind, op.args
        if kind is ADD:
            if type(args[1]) is not int:
                needed.update(args)
        elif (place := OFFSET_OPERAND.get(kind)) is not None:
            needed.update(args[: place - 1])
            needed.update(args[place + 1 :])
        else:
            needed.update(args)
            if kind is EXIT_IF and (value := op.leave_value) is not None:
                needed.add(value)
    return needed
