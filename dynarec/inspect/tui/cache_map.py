"""The map of the code region, and how full it is."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from dynarec.inspect.model import Cache, Recording, Unit
from dynarec.inspect.tui.heat import HEAT, heat, percent, short, size
from dynarec.tui.rows import Row, Span

EMPTIED = ("evicted", "flush")
"""Units that died of these leave no bytes behind: where they were is filled anew."""
FREE, LIVE, DEAD, MIXED, BORDER = "·", "■", "▒", "◪", "┃"
SMALLEST_CELL = 64
"""Bytes."""
ZOOM_BITS, MOST_ZOOM = 2, 12
LEGEND = (
    (LIVE, HEAT[4]), (" live ", "faint"), (DEAD, "corpse"), (" dead ", "faint"), (FREE, "free"), (" free ", "faint"),
    (BORDER, "changed"), (" generation", "faint"),
)  # fmt: skip
FACTS = ("toggles", "flushes", "evictions", "links", "unlinks", "lookups", "misses", "faults", "mixed_pages")


@dataclass(slots=True)
class _Cell:
    live: int = 0
    dead: int = 0
    heat: float = 0.0
    serial: int = 0
    is_chosen: bool = False
    is_border: bool = False


@dataclass(frozen=True, slots=True)
class CacheMap:
    """rows: of which the first `facts` are text. bytes: of a cell. serials: the hottest unit in each cell, or 0."""

    rows: list[Row]
    facts: int
    width: int
    serials: list[int]

    def unit_at(self, x: int, y: int) -> int:
        """The serial of the unit at a cell of the pane; 0 if none is there."""
        at = (y - self.facts) * self.width + x
        return self.serials[at] if y >= self.facts and x < self.width and at < len(self.serials) else 0


def cache_map(recording: Recording, selected: int, width: int, height: int, scale: int = 0) -> CacheMap:
    """For a pane of so many columns and rows. scale: that often, a quarter of the region is looked at."""
    facts = list(fact_rows(recording, width))
    width = max(1, width)
    if not recording.cache.size:
        return CacheMap(facts, len(facts), width, [])
    room = width * max(1, height - len(facts) - 1)
    part = _part(recording, selected, scale, room)
    each = max(SMALLEST_CELL, -(-len(part) // room))
    cells = _cells(recording, selected, part, each)
    most = max((cell.heat for cell in cells), default=0.0)
    spans = [_span(cell, most) for cell in cells]
    rows = [Row(_joined(spans[at : at + width])) for at in range(0, len(spans), width)]
    legend = Row((*LEGEND, (_scale(recording.cache, part, each), "faint")))
    return CacheMap([*facts, legend, *rows], len(facts) + 1, width, [cell.serial for cell in cells])


def _part(recording: Recording, selected: int, scale: int, room: int) -> range:
    """The offsets that are looked at."""
    whole = recording.cache.size
    length = max(whole >> (ZOOM_BITS * scale), min(whole, room * SMALLEST_CELL))
    unit = recording.by_serial.get(selected)
    start = unit.offset // length * length if unit else 0
    return range(start, min(start + length, whole))


def _scale(cache: Cache, part: range, each: int) -> str:
    where = "" if len(part) == cache.size else f" from {part.start:#x}"
    return f"  a cell: {size(each)}{where}"


def held(cache: Cache, unit: Unit) -> bool:
    """Whether the bytes of a dead unit still take room."""
    if unit.died is None:
        return True
    if unit.died.reason in EMPTIED:
        return False
    return any(each.start <= unit.offset < each.fill for each in cache.generations)


def _cells(recording: Recording, selected: int, part: range, each: int) -> list[_Cell]:
    cache = recording.cache
    cells = [_Cell() for _ in range(-(-len(part) // each))]
    for unit in recording.units:
        if unit.code and held(cache, unit):
            first, last = unit.offset - part.start, unit.offset + len(unit.code) - 1 - part.start
            _paint(
                unit,
                recording.share(unit),
                unit.serial == selected,
                cells[max(0, first // each) : max(0, last // each + 1)],
            )
    for generation in cache.generations[1:]:
        if generation.start in part:
            cells[(generation.start - part.start) // each].is_border = True
    return cells


def _paint(unit: Unit, share: float, is_chosen: bool, cells: list[_Cell]) -> None:
    for cell in cells:
        cell.live += unit.alive
        cell.dead += not unit.alive
        cell.is_chosen |= is_chosen
        if not cell.serial or is_chosen or (unit.alive and share >= cell.heat and not cell.is_chosen):
            cell.serial = unit.serial
        if unit.alive:
            cell.heat += share


def _span(cell: _Cell, most: float) -> Span:
    if cell.is_chosen:
        return "◆", "chosen"
    if cell.is_border:
        return BORDER, "changed"
    if cell.live:
        return MIXED if cell.dead else LIVE, heat(cell.heat, most) if cell.heat else "birth"
    return (DEAD, "corpse") if cell.dead else (FREE, "free")


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """Neighbours of one role in one."""
    found: list[Span] = []
    for text, role in spans:
        if found and found[-1][1] == role:
            found[-1] = (found[-1][0] + text, role)
        else:
            found.append((text, role))
    return tuple(found)


def fact_rows(recording: Recording, width: int) -> Iterator[Row]:
    """Occupancy, fragmentation, generations, and the counters of the cache."""
    cache = recording.cache
    if not cache.size:
        yield Row((("no code region: this machine interprets everything", "faint"),))
        return
    live = sum(len(unit.code) for unit in recording.live)
    dead = int(cache.stats.get("code_dead", 0))
    filled = live + dead
    words = [
        f"{size(live)} of {size(cache.size)} live ({percent(live / cache.size)})",
        *([f"{percent(dead / filled)} of what is filled is dead"] if dead else []),
        f"generation {cache.current + 1} of {len(cache.generations)}",
        *(f"{short(int(count))} {name.replace('_', ' ')}" for name in FACTS if (count := cache.stats.get(name))),
    ]
    line = ""
    for word in words:
        if line and len(line) + 2 + len(word) > width:
            yield Row(((line, ""),))
            line = ""
        line = f"{line}, {word}" if line else word
    yield Row(((line, ""),))


def neighbour(recording: Recording, serial: int, step: int) -> int:
    """The unit that stands before or behind another one in the region."""
    units = sorted((unit.offset, unit.serial) for unit in recording.live)
    if not units:
        return 0
    chosen = recording.by_serial.get(serial)
    at = bisect.bisect_left(units, (chosen.offset, chosen.serial)) if chosen else 0
    return units[(at + step) % len(units)][1]
