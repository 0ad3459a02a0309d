"""What translations can do without, by name: the passes, and what traces, emitters and links do beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dynarec.errors import DynarecError
from dynarec.opt import PASSES


class Feature(NamedTuple):
    """What saves host instructions, by the name that people switch it off with."""

    name: str
    doc: str


TRACES = Feature("traces", "units go on behind jumps and branches")
PROFILE = Feature("profile", "traces go where the interpreter has gone before")
UNROLLING = Feature("unrolling", "short loops are unrolled")
PARTS = Feature("parts", "one host instruction does several ops")
COMPARES = Feature("compare-reuse", "what has just been compared is not compared again")
LOANS = Feature("loans", "loops lend homes that they do not use to fields without one")
EDGES = Feature(
    "edges", "units are paid for on the way to them, together with what is given back (emulated hosts alone)"
)
FEATURES = (TRACES, PROFILE, UNROLLING, PARTS, COMPARES, LOANS, EDGES)
ALL = (*(Feature(each.name, each.doc) for each in PASSES), *FEATURES)
"""Passes first, in their order."""
NAMES = tuple(each.name for each in ALL)


def check_names(names: Iterable[str]) -> None:
    """Raise DynarecError for an unknown one."""
    for name in names:
        if name not in NAMES:
            raise DynarecError(f"unknown pass {name!r}: choose from {', '.join(NAMES)}")
