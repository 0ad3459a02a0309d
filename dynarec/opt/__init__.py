"""The passes, in their one order. Each rewrites a unit in place and leaves its meaning as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynarec.ir.unit import Unit
from dynarec.opt.dead_values import dead_values
from dynarec.opt.defer_sets import defer_sets
from dynarec.opt.fold import fold
from dynarec.opt.forward import forward
from dynarec.opt.remainders import remainders
from dynarec.opt.sums import sums


class Pass(NamedTuple):
    """A pass by the name that people switch it off with."""

    name: str
    run: Callable[[Unit], None]
    doc: str


PASSES = (
    Pass("forward", forward, "reads of state become the values written before"),
    Pass("fold", fold, "constants, identities and idioms"),
    Pass("remainders", remainders, "a remainder needs no division beside its quotient's"),
    Pass("defer-sets", defer_sets, "state writes that are overwritten are left to the exits in between"),
    Pass("sums", sums, "sums with constants skip sums that nothing else uses"),
    Pass("dead-values", dead_values, "values without a use go"),
)
"""Followed by the host's own `lower`."""

PASS_NAMES = tuple(each.name for each in PASSES)
