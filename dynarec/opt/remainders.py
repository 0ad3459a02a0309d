"""Of a quotient and a remainder of the same two values, only the quotient is a division.

What its product leaves is the remainder, also where the divisor is zero or the quotient overflows, as the IR defines
both.
"""

from __future__ import annotations

from dynarec.ir.ops import DIVS, DIVU, MUL, REMS, REMU, SUB
from dynarec.ir.unit import Op, Unit

_QUOTIENTS = {REMU: DIVU, REMS: DIVS}


def remainders(unit: Unit) -> None:
    """Make remainders of quotients that the unit has, too; one that comes later comes earlier then."""
    quotients = {(op.kind, op.args): op for op in reversed(unit.ops) if op.kind in (DIVU, DIVS)}
    if not quotients:
        return
    made: set[Op] = set()
    changed: list[Op] = []
    for op in unit.ops:
        if op in made:
            continue
        if op.kind in _QUOTIENTS and (quotient := quotients.get((_QUOTIENTS[op.kind], op.args))) is not None:
            if quotient not in made:
                quotient.at = op.at
                changed.append(quotient)
                made.add(quotient)
            product = Op(MUL, (quotient, op.args[1]), None, op.at)
            changed.append(product)
            op.kind, op.args = SUB, (op.args[0], product)
        made.add(op)
        changed.append(op)
    unit.ops = changed
