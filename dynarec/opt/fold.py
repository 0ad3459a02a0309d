"""Constants, identities, idioms: each op is replaced by something cheaper that has the same value.

A rule may make an op use an older value only where the newer one usually dies with it: values that guest registers hold
are free, values that they no longer hold cost a host register.
"""

from __future__ import annotations

from dynarec.ir import ops
from dynarec.ir.ops import MASK32, NEGATED, SHIFT_MASK, OpKind
from dynarec.ir.unit import Branch, Jump, JumpTo, Op, Operand, Unit
from dynarec.opt.rewrite import Rule, rewrite


def fold(unit: Unit) -> None:
    """Fold the ops and the terminal of a unit."""
    rewrite(unit, _SIMPLIFIED)
    terminal = unit.terminal
    if isinstance(terminal, Branch) and isinstance(terminal.condition, int):
        unit.terminal = Jump(terminal.taken if terminal.condition else terminal.fallthrough)


def _simplify(op: Op) -> Operand | None:
    kind = op.kind
    if kind.evaluate is not None:
        for arg in op.args:
            if type(arg) is not int:
                break
        else:
            return kind.evaluate(*op.args)
        if kind.commutative and type(op.args[0]) is int:
            op.args = (op.args[1], op.args[0])
    rule = _RULES.get(kind)
    return rule(op) if rule is not None else None


def _become(op: Op, kind: OpKind, *args: Operand) -> Operand | None:
    """Turn the op into another one, and look at that."""
    op.kind, op.args = kind, args
    return _simplify(op)


def _add(op: Op) -> Operand | None:
    return op.args[0] if op.args[1] == 0 else None


def _sub(op: Op) -> Operand | None:
    a, b = op.args
    if type(b) is int:
        return _become(op, ops.ADD, a, -b & MASK32)
    return 0 if a is b else None


def _mul(op: Op) -> Operand | None:
    a, b = op.args
    if type(b) is not int:
        return None
    if b == 0:
        return 0
    if b & (b - 1) == 0:
        return _become(op, ops.SHL, a, b.bit_length() - 1)
    return None


def _divu(op: Op) -> Operand | None:
    a, b = op.args
    if type(b) is int and b and b & (b - 1) == 0:
        return _become(op, ops.SHR, a, b.bit_length() - 1)
    return None


def _remu(op: Op) -> Operand | None:
    a, b = op.args
    if type(b) is int and b and b & (b - 1) == 0:
        return _become(op, ops.AND, a, b - 1)
    return None


def _and(op: Op) -> Operand | None:
    a, b = op.args
    if b == 0:
        return 0
    if b == MASK32 or a is b:
        return a
    if b == 0xFF:
        return _become(op, ops.ZEXT8, a)
    if b == 0xFFFF:
        return _become(op, ops.ZEXT16, a)
    return None


def _or(op: Op) -> Operand | None:
    a, b = op.args
    if b == 0 or a is b:
        return a
    if b == MASK32:
        return MASK32
    if isinstance(a, Op) and isinstance(b, Op):
        count = _rotation(a, b) or _rotation(b, a)
        if count:
            op.kind, op.args = ops.ROR, (a.args[0], count)
    return None


def _rotation(up: Op, down: Op) -> int:
    """How far two shifts of one value turn it to the right, if together they move it round; else 0."""
    if up.kind is not ops.SHL or down.kind is not ops.SHR or up.args[0] is not down.args[0]:
        return 0
    left, right = up.args[1], down.args[1]
    if isinstance(left, int) and isinstance(right, int) and left + right == ops.WORD_BITS:
        return right
    return 0


def _xor(op: Op) -> Operand | None:
    a, b = op.args
    if a is b:
        return 0
    return a if b == 0 else None


def _shift(op: Op) -> Operand | None:
    a, b = op.args
    if a == 0:
        return 0
    if type(b) is not int:
        return None
    count = b & SHIFT_MASK
    if count == 0:
        return a
    op.args = (a, count)
    extension = _EXTENSIONS.get((op.kind, count))
    if extension is not None and isinstance(a, Op) and a.kind is ops.SHL and a.args[1] == count:
        return _become(op, extension, a.args[0])
    return None


_EXTENSIONS = {
    (ops.SHR, 24): ops.ZEXT8,
    (ops.SHR, 16): ops.ZEXT16,
    (ops.SAR, 24): ops.SEXT8,
    (ops.SAR, 16): ops.SEXT16,
}
"""A shift right by this count of a shift left by the same is an extension."""

_FITS = {
    ops.ZEXT8: (ops.LOAD8U, ops.ZEXT8, *ops.BIT_COUNTS),
    ops.ZEXT16: (ops.LOAD8U, ops.LOAD16U, ops.ZEXT8, ops.ZEXT16, *ops.BIT_COUNTS),
    ops.SEXT8: (ops.LOAD8S, ops.SEXT8, *ops.BIT_COUNTS),
    ops.SEXT16: (ops.LOAD8S, ops.LOAD8U, ops.LOAD16S, ops.SEXT8, ops.ZEXT8, ops.SEXT16, *ops.BIT_COUNTS),
}
"""Ops whose values an extension leaves as they are."""


def _extend(op: Op) -> Operand | None:
    (a,) = op.args
    return a if isinstance(a, Op) and a.kind in _FITS[op.kind] else None


def _bswap(op: Op) -> Operand | None:
    (a,) = op.args
    return a.args[0] if isinstance(a, Op) and a.kind is ops.BSWAP else None


def _equality(op: Op) -> Operand | None:
    """A test of a bit that was made from a comparison is the comparison."""
    a, b = op.args
    if a is b:
        return int(op.kind is ops.EQ)
    if b != 0 or not isinstance(a, Op) or a.kind is not ops.BIT:
        return None
    (condition,) = a.args
    if not isinstance(condition, Op) or not condition.kind.compares:
        return condition if op.kind is ops.NE else None
    kind = condition.kind if op.kind is ops.NE else NEGATED[condition.kind]
    return _become(op, kind, *condition.args)


def _ltu(op: Op) -> Operand | None:
    a, b = op.args
    if b == 0 or a is b:
        return 0
    if b == 1:
        return _become(op, ops.EQ, a, 0)
    return _become(op, ops.NE, b, 0) if a == 0 else None


def _geu(op: Op) -> Operand | None:
    a, b = op.args
    if b == 0 or a is b:
        return 1
    if b == 1:
        return _become(op, ops.NE, a, 0)
    return _become(op, ops.EQ, b, 0) if a == 0 else None


def _select(op: Op) -> Operand | None:
    condition, a, b = op.args
    if type(condition) is int:
        return a if condition else b
    if a is b or (type(a) is int and a == b):
        return a
    if a == 1 and b == 0:
        return _become(op, ops.BIT, condition)
    return None


def _exit_if(op: Op) -> Operand | None:
    if isinstance(op.attr, JumpTo) and isinstance(op.attr.target, int):
        op.attr = Jump(op.attr.target)
    return 0 if op.args[0] == 0 else None


_RULES: dict[OpKind, Rule] = {
    ops.ADD: _add,
    ops.SUB: _sub,
    ops.MUL: _mul,
    ops.DIVU: _divu,
    ops.REMU: _remu,
    ops.AND: _and,
    ops.OR: _or,
    ops.XOR: _xor,
    ops.SHL: _shift,
    ops.SHR: _shift,
    ops.SAR: _shift,
    ops.ROR: _shift,
    ops.ZEXT8: _extend,
    ops.ZEXT16: _extend,
    ops.SEXT8: _extend,
    ops.SEXT16: _extend,
    ops.BSWAP: _bswap,
    ops.EQ: _equality,
    ops.NE: _equality,
    ops.LTU: _ltu,
    ops.GEU: _geu,
    ops.SELECT: _select,
    ops.EXIT_IF: _exit_if,
}

_SIMPLIFIED = dict.fromkeys([kind for kind in ops.OPS.values() if kind.evaluate or kind in _RULES], _simplify)
