"""What arm64 does with an operand on the way: shifts it, inverts it, takes a field of bits out of it, multiplies it."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host.arm64.encode import Assembler, Shift
from dynarec.host.parts import Accepts, Part
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op

Emit = Callable[[Assembler, int, int, int, int, int], None]
"""(assembler, destination, first, second, shift, amount)"""

SHIFTED: dict[OpKind, Emit] = {
    ops.ADD: Assembler.add_rr,
    ops.SUB: Assembler.sub_rr,
    ops.AND: Assembler.and_rr,
    ops.OR: Assembler.orr_rr,
    ops.XOR: Assembler.eor_rr,
}
INVERTED: dict[OpKind, Emit] = {
    ops.AND: Assembler.bic_rr,
    ops.OR: Assembler.orn_rr,
    ops.XOR: Assembler.eon_rr,
}
PRODUCTS: dict[OpKind, Callable[[Assembler, int, int, int, int], None]] = {
    ops.ADD: Assembler.madd,
    ops.SUB: Assembler.msub,
}
"""(assembler, destination, factor, factor, other)"""
SHIFTS = {ops.SHL: Shift.LSL, ops.SHR: Shift.LSR, ops.SAR: Shift.ASR, ops.ROR: Shift.ROR}
_MASKS = {ops.ZEXT8: 0xFF, ops.ZEXT16: 0xFFFF}


def field_width(op: Op, part: Part) -> int:
    """Bits of the field that the op takes out of the part's source; 0 if it does something else."""
    mask = part.other if op.kind is ops.AND else _MASKS.get(op.kind)
    if not isinstance(mask, int) or part.shift not in (ops.SHR, ops.SAR) or part.inverted:
        return 0
    width = mask.bit_length()
    return width if mask == (1 << width) - 1 and part.amount + width <= ops.WORD_BITS else 0


def _sums(op: Op, part: Part) -> bool:
    return isinstance(part.other, Op) and not part.inverted and part.shift is not ops.ROR


def _logic(op: Op, part: Part) -> bool:
    return part.factor is None and (isinstance(part.other, Op) or field_width(op, part) > 0)


def _extends(op: Op, part: Part) -> bool:
    return field_width(op, part) > 0


ACCEPTS: dict[OpKind, Accepts] = {
    **dict.fromkeys((ops.ADD, ops.SUB), _sums),
    **dict.fromkeys((ops.AND, ops.OR, ops.XOR), _logic),
    **dict.fromkeys(_MASKS, _extends),
}
"""Whether one instruction does an op with a part."""
