"""What is shown of a recording: sorted, filtered, drawn."""

from __future__ import annotations

from dataclasses import dataclass

from dynarec.errors import DynarecError
from dynarec.inspect.filters import select
from dynarec.inspect.hints import Hint, hints
from dynarec.inspect.model import Event, Recording, Unit
from dynarec.inspect.tables import ordered
from dynarec.inspect.tui.cache_map import CacheMap, cache_map
from dynarec.inspect.tui.events import events
from dynarec.inspect.tui.time_line import time_rows
from dynarec.tui.rows import Row

NOT_SHOWN = (0, 0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be shown.

    filter: of units; events: of these. sort: a name of tables.COLUMNS. map, time: sizes of the panes. scale: of the
    map; selected: the serial of a unit that is on it.
    """

    filter: str = ""
    sort: str = "share"
    is_reversed: bool = False
    events: str = ""
    selected: int = 0
    map: tuple[int, int] = NOT_SHOWN
    scale: int = 0
    time: tuple[int, int] = NOT_SHOWN


@dataclass(frozen=True, slots=True)
class Table:
    """The units in their order. rank: their places by their serials. problem: what is wrong with the filter."""

    units: tuple[Unit, ...]
    rank: dict[int, int]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A recording, and of it what is wished for. most: the largest share of a unit."""

    recording: Recording
    wish: Wish
    table: Table
    most: float
    hints: tuple[Hint, ...]
    events: tuple[Event, ...]
    map: CacheMap | None
    time: list[Row]


def make_view(recording: Recording, wish: Wish, before: View | None = None) -> View:
    """before: the last view, of which is taken what would be the same."""
    if before is None or before.recording is not recording:
        most = max(map(recording.share, recording.units), default=0.0)
        said = tuple(hints(recording))
        shown = tuple(events(recording, wish.events))
        cells, bars = _map(recording, wish), _time(recording, wish)
        return View(recording, wish, _table(recording, wish), most, said, shown, cells, bars)
    old = before.wish
    is_same = (old.filter, old.sort, old.is_reversed) == (wish.filter, wish.sort, wish.is_reversed)
    table = before.table if is_same else _table(recording, wish)
    shown = before.events if old.events == wish.events else tuple(events(recording, wish.events))
    is_same = (old.map, old.scale, old.selected) == (wish.map, wish.scale, wish.selected)
    cells = before.map if is_same else _map(recording, wish)
    bars = before.time if old.time == wish.time else _time(recording, wish)
    return View(recording, wish, table, before.most, before.hints, shown, cells, bars)


def _table(recording: Recording, wish: Wish) -> Table:
    """A filter that makes no sense, perhaps since it is being typed, leaves everything."""
    problem = ""
    try:
        chosen = select(recording, wish.filter)
    except DynarecError as error:
        chosen, problem = list(recording.units), str(error)
    units = ordered(recording, chosen, wish.sort, reverse=wish.is_reversed)
    return Table(tuple(units), {unit.serial: at for at, unit in enumerate(units)}, problem)


def _map(recording: Recording, wish: Wish) -> CacheMap | None:
    return None if wish.map == NOT_SHOWN else cache_map(recording, wish.selected, *wish.map, wish.scale)


def _time(recording: Recording, wish: Wish) -> list[Row]:
    return [] if wish.time == NOT_SHOWN else time_rows(recording, *wish.time)
