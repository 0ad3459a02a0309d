"""A `get` of a field whose value is known is that value; a `set` to the value it has already is nothing."""

from __future__ import annotations

from dynarec.ir.ops import GET, SET
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Operand, Unit
from dynarec.opt.rewrite import rewrite


def forward(unit: Unit) -> None:
    """Forward state writes and reads to later reads."""
    known: dict[Field, Operand] = {}

    def read(op: Op) -> Operand | None:
        value = known.setdefault(op.attr, op)
        return None if value is op else value

    def write(op: Op) -> Operand | None:
        value = op.args[0]
        if known.get(op.attr) == value:
            return value
        known[op.attr] = value
        return None

    rewrite(unit, {GET: read, SET: write})
