"""The columns of the table of units: those of `dynarec.inspect.tables`, in few letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynarec.inspect import tables
from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.tui.heat import percent, short

MICRO = 1e6
DIED = "†"
SYMBOL_WIDTH = 15


@dataclass(frozen=True, slots=True)
class Column:
    """name: of tables.COLUMNS. width: letters. text: what is shown. is_text: it begins at the left."""

    name: str
    title: str
    width: int
    text: Callable[[Recording, Unit], str]
    role: str = ""
    is_text: bool = False

    @property
    def falls(self) -> bool:
        """Whether large values come first."""
        return tables.COLUMNS[self.name].descends


def _count(name: str, title: str, width: int) -> Column:
    value = tables.COLUMNS[name].value
    return Column(name, title, width, lambda r, u: "-" if (v := value(r, u)) is None else short(round(float(v))))


def _state(recording: Recording, unit: Unit) -> str:
    """Whether it lives, or what it died of."""
    return "live" if unit.died is None else f"{DIED} {unit.died.reason}"


def _place(recording: Recording, unit: Unit) -> str:
    place = recording.places.get(unit.key)
    return f"{place.file.rpartition('/')[2]}:{place.line}" if place else ""


def _symbol(recording: Recording, unit: Unit) -> str:
    """Long ones lose letters before the offset."""
    name = recording.name(unit.key)
    symbol, plus, offset = name.rpartition("+")
    room = SYMBOL_WIDTH - len(plus + offset) - 1
    return name if len(name) <= SYMBOL_WIDTH or not plus or room < 1 else f"{symbol[:room]}…{plus}{offset}"


COLUMNS = (
    Column("address", "address", 8, lambda r, u: f"{u.key:08x}", "address", True),
    Column("symbol", "symbol", SYMBOL_WIDTH, _symbol, "name", True),
    Column("share", "share", 6, lambda r, u: percent(r.share(u))),
    _count("rounds", "rounds", 7),
    _count("instructions", "instrs", 7),
    Column("reason", "state", 12, _state, "faint", True),
    _count("guest_insns", "guest", 6),
    _count("host_bytes", "bytes", 6),
    _count("links_out", "out", 4),
    _count("links_in", "in", 3),
    _count("translation_us", "us", 5),
    Column("place", "line", 16, _place, "source", True),
    Column("tier", "tier", 5, lambda r, u: u.tier, "faint", True),
    _count("serial", "serial", 7),
)
"""bytes: of host code. out, in: links to and from other units. us: microseconds that the translation took."""
NAMES = tuple(column.name for column in COLUMNS)
