"""Homes on loan: a loop that uses fields without a home keeps them in homes that it does not use.

The moves are made at the unit's edges, where it is entered from elsewhere and where it is left; rounds of the loop cost
nothing. Meanwhile the field that lives in a lent home is in its word of the CPU state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from dynarec.features import LOANS
from dynarec.ir.ops import GET, SET
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Unit

MIN_USES = 2
"""A field that is read or written less often is not worth the moves."""
FREE_READS = 7
"""So many operations can take a field from memory before that is worth as much as one more use."""
MAX_LOANS = 8


class Loan(NamedTuple):
    """While the unit runs, `register` holds `borrower` and not `owner`."""

    register: int
    owner: Field
    borrower: Field


def loans(unit: Unit, homes: Mapping[Field, int]) -> list[Loan]:
    """The loans for a unit: none unless it loops, and mostly repeats."""
    if not (unit.is_loop and unit.repeats) or LOANS.name in unit.without:
        return []
    uses = _uses(unit)
    borrowers = [field for field, count in uses.most_common() if field not in homes and count >= MIN_USES]
    owners = [field for field in homes if field not in uses]
    pairs = zip(borrowers[:MAX_LOANS], reversed(owners), strict=False)
    return [Loan(homes[owner], owner, borrower) for borrower, owner in pairs]


def _uses(unit: Unit) -> Counter[Field]:
    """How often fields are read or written."""
    uses = Counter([op.attr for op in unit.ops if op.kind is GET or op.kind is SET])
    read = Counter([arg.attr for op in unit.ops for arg in op.args if isinstance(arg, Op) and arg.kind is GET])
    for field, count in read.items():
        uses[field] += count // (FREE_READS + 1)
    return uses


def with_loans(homes: Mapping[Field, int], lent: list[Loan]) -> dict[Field, int]:
    """The homes as they are inside the unit."""
    inside = dict(homes)
    for loan in lent:
        del inside[loan.owner]
        inside[loan.borrower] = loan.register
    return inside
