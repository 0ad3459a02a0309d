"""Addresses that one instruction can compute: base + index * scale.

Guest code makes the address of an array element from a shift and a sum. On x86-64 the sum is one lea, and the access
that comes right behind it does not have to wait for that: it can compute the same address itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dynarec.ir.ops import ADD, EXIT_IF, GET, LOADS, SET, SHL, STORES
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Operand, Unit

MAX_SHIFT = 3
NEAR = 4
"""An access this many ops behind the sum still computes the address itself: its parts are kept for it."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """base + (index << shift)."""

    base: Op
    index: Op
    shift: int


@dataclass(slots=True)
class ScaledAddresses:
    """What the emitter does by scaled addresses.

    sums: additions that are one lea. shifts: the shifts that are part of these and of nothing else. accesses: loads and
    stores that compute the address of a sum themselves.
    """

    sums: dict[Op, Scaled] = field(default_factory=dict)
    shifts: set[Op] = field(default_factory=set)
    accesses: dict[Op, Scaled] = field(default_factory=dict)

    def kept(self) -> list[Op]:
        """The parts that accesses use besides the sums."""
        return [part for parts in self.accesses.values() for part in (parts.base, parts.index)]


def find_scaled(unit: Unit) -> ScaledAddresses:
    """The scaled addresses of a unit."""
    found = ScaledAddresses()
    if not any(op.kind is SHL for op in unit.ops):
        return found
    uses = _uses(unit)
    near: dict[Op, int] = {}
    """Where the sums are whose parts an access may use, too."""
    for place, op in enumerate(unit.ops):
        if op.kind is ADD:
            _look_at_sum(op, uses, found)
            if op in found.sums:
                near[op] = place
        elif op.kind in LOADS or op.kind in STORES:
            address = op.args[0]
            if isinstance(address, Op) and address in near and place - near[address] <= NEAR:
                found.accesses[op] = found.sums[address]
        elif op.kind is SET and isinstance(op.args[0], Op) and _replaces_part(op.args[0], op.attr, found):
            near.pop(op.args[0], None)
    return found


def _uses(unit: Unit) -> Counter[Operand | None]:
    uses: Counter[Operand | None] = Counter([arg for op in unit.ops for arg in op.args])
    uses.update([op.leave_value for op in unit.ops if op.kind is EXIT_IF])
    uses.update({value for op in unit.ops for _, value in op.deferred})
    return uses


def _look_at_sum(op: Op, uses: Counter[Operand | None], found: ScaledAddresses) -> None:
    for base, shift in (op.args, reversed(op.args)):
        if not isinstance(base, Op) or not isinstance(shift, Op) or shift.kind is not SHL or uses[shift] != 1:
            continue
        index, count = shift.args
        if isinstance(index, Op) and isinstance(count, int) and count <= MAX_SHIFT and shift not in found.shifts:
            found.sums[op] = Scaled(base, index, count)
            found.shifts.add(shift)
            return


def _replaces_part(total: Op, target: Field, found: ScaledAddresses) -> bool:
    """Whether the sum goes to the register of its base or index: keeping that for an access would cost a move."""
    parts = found.sums.get(total)
    return parts is not None and any(part.kind is GET and part.attr is target for part in (parts.base, parts.index))
