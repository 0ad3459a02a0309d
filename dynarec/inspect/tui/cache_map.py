"""The map of the code region, and how full it is."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from dynarec.inspect.model import Cache, Recording, Unit
from dynarec.inspect.tui.heat import percent, short, size, warmth
from dynarec.tui.rows import Row, Span

EMPTIED = ("evicted", "flush")
"""Units that died of these leave no bytes behind: where they were is filled anew."""
FREE, LIVE, DEAD, MIXED, BORDER, CHOSEN = "·", "■", "▒", "◪", "┃", "◆"
SMALLEST_CELL = 64
"""Bytes."""
ZOOM_BITS, MOST_ZOOM = 2, 12
LEGEND = (
    (LIVE, "warm4"), ("live ", "faint"), (DEAD, "corpse"), ("dead ", "faint"), (FREE, "free"), ("free ", "faint"),
    (BORDER, "changed"), ("generation", "faint"),
)  # fmt: skip
FACTS = ("toggles", "flushes", "evictions", "links", "unlinks", "lookups", "misses")


@dataclass(slots=True)
class Cell:
    """live, dead: units that have bytes in it. heat: of those that live. serial: of the hottest, or 0."""

    live: int = 0
    dead: int = 0
    heat: float = 0.0
    hottest: float = -1.0
    serial: int = 0
    is_border: bool = False


@dataclass(frozen=True, slots=True)
class CacheMap:
    """A part of the region, as cells of `each` bytes in rows of `width`. facts: the rows above it."""

    facts: list[Row]
    part: range
    each: int
    width: int
    cells: list[Cell]

    def rows(self, chosen: Unit | None) -> list[Row]:
        """With the place of a unit marked."""
        most = max((cell.heat for cell in self.cells), default=0.0)
        spans = [_span(cell, most) for cell in self.cells]
        if chosen is not None:
            for at in self._places(chosen):
                spans[at] = (CHOSEN, "chosen")
        lines = [Row(_joined(spans[at : at + self.width])) for at in range(0, len(spans), self.width)]
        return [*self.facts, *lines]

    def unit_at(self, x: int, y: int) -> int:
        """The serial of the hottest unit in a cell of the pane; 0 if none is there."""
        at = (y - len(self.facts)) * self.width + x
        is_inside = y >= len(self.facts) and x < self.width and at < len(self.cells)
        return self.cells[at].serial if is_inside else 0

    def paint(self, unit: Unit, share: float) -> None:
        """Add a unit."""
        for at in self._places(unit):
            cell = self.cells[at]
            cell.live += unit.alive
            cell.dead += not unit.alive
            cell.heat += share if unit.alive else 0.0
            weight = share if unit.alive else -0.5
            if weight > cell.hottest:
                cell.hottest, cell.serial = weight, unit.serial

    def _places(self, unit: Unit) -> range:
        first, last = unit.offset - self.part.start, unit.offset + len(unit.code) - 1 - self.part.start
        return range(max(0, first // self.each), min(len(self.cells), last // self.each + 1))


def cache_map(recording: Recording, selected: int, width: int, height: int, scale: int = 0) -> CacheMap:
    """For a pane of so many columns and rows. scale: that often, a quarter of the region is looked at: the one with
    the selected unit."""
    facts = list(fact_rows(recording, width))
    width, cache = max(1, width), recording.cache
    if not cache.size:
        return CacheMap(facts, range(0), SMALLEST_CELL, width, [])
    room = width * max(1, height - len(facts) - 1)
    part = _part(recording, selected, scale, room)
    each = max(SMALLEST_CELL, -(-len(part) // room))
    facts.append(Row(((_scale(cache, part, each), "faint"), *LEGEND)))
    made = CacheMap(facts, part, each, width, [Cell() for _ in range(-(-len(part) // each))])
    for unit in held(recording):
        made.paint(unit, recording.share(unit))
    for generation in cache.generations[1:]:
        if generation.start in part:
            made.cells[(generation.start - part.start) // each].is_border = True
    return made


def _part(recording: Recording, selected: int, scale: int, room: int) -> range:
    """The offsets that are looked at."""
    whole = recording.cache.size
    length = max(whole >> (ZOOM_BITS * scale), min(whole, room * SMALLEST_CELL))
    unit = recording.by_serial.get(selected)
    start = unit.offset // length * length if unit else 0
    return range(start, min(start + length, whole))


def _scale(cache: Cache, part: range, each: int) -> str:
    where = "" if len(part) == cache.size else f" from {part.start:#x}"
    return f"{size(each)}{where}  "


def held(recording: Recording) -> Iterator[Unit]:
    """The units whose bytes take room: those that live, and the dead since whose birth their place was not emptied."""
    starts = [each.start for each in recording.cache.generations]
    emptied = [-1] * (len(starts) + 1)
    for unit in recording.dead:
        if unit.died and unit.died.reason in EMPTIED:
            at = bisect.bisect_right(starts, unit.offset)
            emptied[at] = max(emptied[at], unit.died.when.time)
    for unit in recording.units:
        if unit.alive or unit.born.time > emptied[bisect.bisect_right(starts, unit.offset)]:
            yield unit


def _span(cell: Cell, most: float) -> Span:
    if cell.is_border:
        return BORDER, "changed"
    if cell.live:
        return MIXED if cell.dead else LIVE, warmth(cell.heat, most)
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
    dead = sum(len(unit.code) for unit in held(recording) if not unit.alive)
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
