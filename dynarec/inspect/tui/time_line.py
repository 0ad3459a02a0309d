"""Translations and deaths by time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from dynarec.inspect.model import Recording
from dynarec.inspect.tui.heat import seconds
from dynarec.inspect.tui.pane import DEATH_ROLES
from dynarec.tui.rows import Row, Span

EIGHTHS = " ▁▂▃▄▅▆▇█"
FULL = "█"


def time_rows(recording: Recording, width: int, height: int) -> list[Row]:
    """Translations upwards, deaths downwards and coloured by their reasons, for a pane of so many columns and rows."""
    width = max(8, width)
    births, deaths = _by_time(recording, width)
    reasons = Counter(unit.died.reason for unit in recording.units if unit.died)
    legend = _legend(recording, reasons)
    room = max(2, height - 2)
    below = 0 if not reasons else max(1, room // 2)
    most = max(births, default=0)
    rows = [_bars(births, most, room - below - level - 1, room - below) for level in range(room - below)]
    rows.append(_axis(recording, width, most))
    return [Row(legend), *rows, *_falling(deaths, below)]


def _by_time(recording: Recording, width: int) -> tuple[list[int], list[Counter[str]]]:
    """How many units were born, and died of what, in each column's time."""
    whole = max(1, recording.taken.time)
    births, deaths = [0] * width, [Counter[str]() for _ in range(width)]
    for unit in recording.units:
        births[min(width - 1, max(0, unit.born.time * width // whole))] += 1
        if unit.died is not None:
            deaths[min(width - 1, max(0, unit.died.when.time * width // whole))][unit.died.reason] += 1
    return births, deaths


def _legend(recording: Recording, reasons: Counter[str]) -> tuple[Span, ...]:
    spans: list[Span] = [(f"{FULL} ", "birth"), (f"{len(recording.units):,} translated  ", "")]
    for reason, count in reasons.most_common():
        spans += [(f"{FULL} ", DEATH_ROLES.get(reason, "faint")), (f"{count:,} {reason}  ", "")]
    if not reasons:
        spans.append(("no unit has died", "faint"))
    return tuple(spans)


def _bars(counts: Sequence[int], most: int, level: int, levels: int) -> Row:
    """One row of rising bars; level 0 is the lowest."""
    steps = len(EIGHTHS) - 1
    scale = levels * steps / most if most else 0.0
    heights = (_ceil(count * scale) - level * steps for count in counts)
    return Row((("".join(EIGHTHS[max(0, min(steps, height))] for height in heights), "birth"),))


def _ceil(value: float) -> int:
    return -int(-value // 1)


def _axis(recording: Recording, width: int, most: int) -> Row:
    end = seconds(recording.taken.time)
    text = f"0{f' {most} in a column at most ':─^{max(0, width - len(end) - 1)}}{end}"
    return Row(((text[:width], "faint"),))


def _falling(deaths: Sequence[Counter[str]], levels: int) -> Iterator[Row]:
    most = max((sum(each.values()) for each in deaths), default=0)
    columns = [list(_column(each, most, levels)) for each in deaths]
    for level in range(levels):
        yield Row(tuple(column[level] if level < len(column) else (" ", "") for column in columns))


def _column(died: Counter[str], most: int, levels: int) -> Iterator[Span]:
    """The cells of a column, each with the colour of a reason: as many as their part of the deaths."""
    total = sum(died.values())
    cells = _ceil(total * levels / most) if most else 0
    by_reason = sorted(died.elements(), key=lambda reason: (-died[reason], reason))
    for cell in range(cells):
        yield FULL, DEATH_ROLES.get(by_reason[min(total - 1, cell * total // cells)], "faint")
