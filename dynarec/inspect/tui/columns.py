"""The columns of the table of units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.tui.heat import percent, short

MICRO = 1e6


@dataclass(frozen=True, slots=True)
class Column:
    """value: what is sorted by. text: what is shown. falls: it is sorted with the largest first."""

    name: str
    width: int
    value: Callable[[Recording, Unit], Any]
    text: Callable[[Recording, Unit], str]
    falls: bool = True
    role: str = ""

    @property
    def is_text(self) -> bool:
        return not self.falls


def _count(name: str, width: int, value: Callable[[Recording, Unit], int | None]) -> Column:
    return Column(name, width, lambda r, u: -1 if (v := value(r, u)) is None else v, lambda r, u: short(value(r, u)))


def links_in(recording: Recording, unit: Unit) -> int:
    """How many exits jump to a unit."""
    return len(recording.links_in.get(unit.serial, ()))


def state(unit: Unit) -> str:
    """Whether it lives, or what it died of."""
    return "live" if unit.died is None else f"dead: {unit.died.reason}"


COLUMNS = (
    Column("address", 8, lambda r, u: u.key, lambda r, u: f"{u.key:08x}", False, "address"),
    Column("symbol", 18, lambda r, u: r.name(u.key), lambda r, u: r.name(u.key), False, "name"),
    Column("share", 6, lambda r, u: r.share(u), lambda r, u: percent(r.share(u))),
    _count("rounds", 6, lambda r, u: u.rounds),
    _count("instrs", 6, lambda r, u: u.instructions),
    _count("guest", 5, lambda r, u: len(u.pcs)),
    _count("bytes", 5, lambda r, u: len(u.code)),
    _count("out", 3, lambda r, u: len(u.links_out)),
    _count("in", 3, links_in),
    Column("us", 5, lambda r, u: u.seconds, lambda r, u: short(round(u.seconds * MICRO)), role="faint"),
    Column("state", 16, lambda r, u: state(u), lambda r, u: state(u), False, "faint"),
    Column("tier", 5, lambda r, u: u.tier, lambda r, u: u.tier, False, "faint"),
    Column("serial", 6, lambda r, u: u.serial, lambda r, u: str(u.serial), False, "faint"),
)
"""bytes: of host code. out, in: links to and from other units. us: microseconds that the translation took."""
NAMES = tuple(column.name for column in COLUMNS)
BY_NAME = {column.name: column for column in COLUMNS}
