"""A `set` that another one overwrites before anybody can see it is nothing.

Everything that may leave the unit sees the whole state: side exits, and accesses that may fault.
"""

from __future__ import annotations

from dynarec.ir.ops import GET, SET
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Unit


def dead_sets(unit: Unit) -> None:
    """Drop state writes that are never seen."""
    overwritten: set[Field] = set()
    kept: list[Op] = []
    for op in reversed(unit.ops):
        kind = op.kind
        if kind is SET:
            if op.attr in overwritten:
                continue
            overwritten.add(op.attr)
        elif kind is GET:
            overwritten.discard(op.attr)
        elif not kind.pure:
            overwritten.clear()
        kept.append(op)
    kept.reverse()
    unit.ops = kept
