"""Ops that a host's instruction does on the way to another op: their value has one use, and needs no register.

What one instruction can do differs from host to host. Here is what all have in common: an operand that is shifted by a
constant, inverted, or both; or a product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from dynarec.features import PARTS
from dynarec.ir.ops import GET, MASK32, MUL, ROR, SAR, SET, SHIFT_MASK, SHL, SHR, XOR, OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Operand, Unit

_SHIFTS = (SHL, SHR, SAR, ROR)


@dataclass(frozen=True, slots=True)
class Part:
    """An operand that is `source`, shifted and then inverted; and the other operand (the same one where there is none).

    inner: the ops that make it of `source`, the last one first. factor: what `source` is multiplied by, if anything.
    """

    other: Operand
    source: Op
    shift: OpKind
    amount: int
    inverted: bool
    inner: tuple[Op, ...]
    factor: Op | None = None

    @property
    def sources(self) -> tuple[Op, ...]:
        """The values that it is made of."""
        return (self.source,) if self.factor is None else (self.source, self.factor)


@dataclass(slots=True)
class Parts:
    """What the emitter does in one instruction.

    outer: ops with their part. inner: the ops that are part of these.
    """

    outer: dict[Op, Part] = field(default_factory=dict)
    inner: set[Op] = field(default_factory=set)


Accepts = Callable[[Op, Part], bool]
"""Whether a host has an instruction for the op with this part."""


def find_parts(unit: Unit, uses: Mapping[Op, int], accepts: Mapping[OpKind, Accepts]) -> Parts:
    """The parts in a unit. uses: of each op. accepts: by the kinds of ops that can have a part."""
    found = Parts()
    if PARTS.name in unit.without:
        return found
    parts = {
        op: part for op in unit.ops if op.kind in accepts and (part := _part(op, uses, accepts[op.kind])) is not None
    }
    if not parts:
        return found
    places: dict[Op, int] = {}
    held: dict[Field, Operand] = {}
    lost: dict[Operand, int] = {}
    for place, op in enumerate(unit.ops):
        kind = op.kind
        if kind is SET:
            if op.attr in held:
                lost[held[op.attr]] = place
            held[op.attr] = op.args[0]
        elif kind is GET:
            held[op.attr] = op
        elif op in parts:
            part = parts[op]
            # Keeping a source that its register no longer holds would cost a move.
            if all(lost.get(each, -1) < places[part.inner[-1]] for each in part.sources):
                found.outer[op] = part
                found.inner.update(part.inner)
        places[op] = place
    return found


def _part(op: Op, uses: Mapping[Op, int], accepts: Accepts) -> Part | None:
    """The largest part that the host can do."""
    first, last = op.args[0], op.args[-1]
    for other, operand in ((first, last), (last, first)) if op.kind.commutative else ((first, last),):
        for part in _candidates(other, operand, uses):
            if accepts(op, part):
                return part
    return None


def _candidates(other: Operand, operand: Operand, uses: Mapping[Op, int]) -> Iterator[Part]:
    inner: tuple[Op, ...] = ()
    if isinstance(operand, Op) and uses[operand] == 1 and operand.kind is XOR and operand.args[1] == MASK32:
        inner, operand = (operand,), operand.args[0]
    if isinstance(operand, Op) and uses[operand] == 1 and operand.kind in _SHIFTS:
        source, count = operand.args
        if isinstance(source, Op) and isinstance(count, int) and count & SHIFT_MASK:
            yield Part(other, source, operand.kind, count & SHIFT_MASK, bool(inner), (*inner, operand))
    if not inner and isinstance(operand, Op) and uses[operand] == 1 and operand.kind is MUL:
        source, factor = operand.args
        if isinstance(source, Op) and isinstance(factor, Op):
            yield Part(other, source, SHL, 0, False, (operand,), factor)
    if inner and isinstance(operand, Op):
        yield Part(other, operand, SHL, 0, True, inner)
