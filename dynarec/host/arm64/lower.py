"""What arm64 lacks: guest memory is reached through one register, without an offset.

Accesses that count from the same base go through a pointer that the emitter keeps, and stay as they are. The address of
any other access with an offset becomes an op of its own, shared by accesses that compute the same one soon after each
other: one that is kept for long costs more than the instruction that makes it anew.
"""

from __future__ import annotations

from collections import Counter

from dynarec.ir import ops
from dynarec.ir.unit import Op, Operand, Unit

_ADDRESS = {**dict.fromkeys((*ops.LOADS, *ops.STORES), 0), ops.STORE32_IF: 1}
"""Where an access has its base; its offset comes next."""
_KEPT = 8
"""Addresses that are remembered for later accesses."""
_UNSCALED_END = 256
_SCALED_STEPS = 4096


def reaches(offset: int, bits: int) -> bool:
    """Whether an access of so many bits can have this offset (Arm ARM, LDR and LDUR immediate)."""
    size = bits // 8
    return -_UNSCALED_END <= offset < _UNSCALED_END or (0 <= offset < _SCALED_STEPS * size and offset % size == 0)


def signed_offset(operand: Operand) -> int:
    """The constant offset of an access as a signed number."""
    assert isinstance(operand, int)
    return ops.signed(operand)


def lower(unit: Unit) -> None:
    """Split offsets from accesses that have their base for themselves."""
    shared = Counter(op.args[0] for op in unit.ops if _wants_pointer(op))
    sums: dict[tuple[Operand, int], Op] = {}
    lowered: list[Op] = []
    for op in unit.ops:
        place = _ADDRESS.get(op.kind)
        if place is not None and op.args[place + 1] != 0 and not (_wants_pointer(op) and shared[op.args[0]] > 1):
            _split(op, place, sums, lowered)
        lowered.append(op)
    unit.ops = lowered


def _wants_pointer(op: Op) -> bool:
    """Whether the access has an offset, and a base in a register from which a pointer reaches it."""
    if _ADDRESS.get(op.kind) != 0 or isinstance(op.args[0], int) or op.args[1] == 0:
        return False
    return reaches(signed_offset(op.args[1]), op.kind.bits)


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
