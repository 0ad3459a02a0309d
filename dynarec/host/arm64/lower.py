"""What arm64 lacks: memory operands of guest memory take one register and no offset.

The address of an access becomes an op of its own, shared by accesses that compute the same one soon after each other:
one that is kept for long costs more than the instruction that makes it anew.
"""

from __future__ import annotations

from dynarec.ir import ops
from dynarec.ir.unit import Op, Operand, Unit

_ADDRESS = {**dict.fromkeys((*ops.LOADS, *ops.STORES), 0), ops.STORE32_IF: 1}
"""Where an access has its base; its offset comes next."""
_KEPT = 8
"""Addresses that are remembered for later accesses."""


def lower(unit: Unit) -> None:
    """Split offsets from accesses."""
    sums: dict[tuple[Operand, int], Op] = {}
    lowered: list[Op] = []
    for op in unit.ops:
        place = _ADDRESS.get(op.kind)
        if place is not None and op.args[place + 1] != 0:
            _split(op, place, sums, lowered)
        lowered.append(op)
    unit.ops = lowered


def _split(op: Op, place: int, sums: dict[tuple[Operand, int], Op], lowered: list[Op]) -> None:
    base, offset = op.args[place], op.args[place + 1]
    assert isinstance(offset, int)
    if isinstance(base, int):
        address: Operand = (base + offset) & ops.MASK32
    elif (base, offset) in sums:
        address = sums[base, offset]
    else:
        address = sums[base, offset] = Op(ops.ADD, (base, offset), None, op.at)
        lowered.append(address)
        if len(sums) > _KEPT:
            del sums[next(iter(sums))]
    op.args = (*op.args[:place], address, 0, *op.args[place + 2 :])
