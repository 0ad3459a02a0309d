"""A `set` that another one overwrites is made only if the unit is left in between: by a side exit, or by a fault.

Exits, and accesses that may fault, carry what is to be written then. What remains is the state at the end of the unit.
"""

from __future__ import annotations

from dynarec.ir.ops import CALL, GET, SET
from dynarec.ir.state import Field
from dynarec.ir.unit import Deferred, Op, Operand, Unit


def defer_sets(unit: Unit) -> None:
    """Leave state writes that are overwritten to where somebody may look."""
    overwritten = _overwritten(unit)
    content: dict[Field, Operand] = {}
    pending: dict[Field, tuple[Field, Operand]] = {}
    listed: Deferred | None = ()
    kept: list[Op] = []
    for op in unit.ops:
        kind, field = op.kind, op.attr
        if kind is SET:
            if op in overwritten:
                pending[field] = (field, op.args[0])
                listed = None
                continue
            if pending.pop(field, None):
                listed = None
            if content.get(field) == op.args[0]:
                continue
            content[field] = op.args[0]
        elif kind is GET:
            content.setdefault(field, op)
        elif kind.exits:
            if listed is None:
                listed = tuple(pending.values())
            op.deferred = _joined(listed, op.deferred) if op.deferred else listed
        kept.append(op)
    unit.ops = kept


def _overwritten(unit: Unit) -> set[Op]:
    """State writes that another one follows before the field is read."""
    found: set[Op] = set()
    later: set[Field] = set()
    for op in reversed(unit.ops):
        kind = op.kind
        if kind is SET:
            if op.attr in later:
                found.add(op)
            later.add(op.attr)
        elif kind is GET:
            later.discard(op.attr)
        elif kind is CALL:
            later.clear()
    return found


def _joined(earlier: Deferred, later: Deferred) -> Deferred:
    fields = {field for field, _ in later}
    return (*(each for each in earlier if each[0] not in fields), *later)
