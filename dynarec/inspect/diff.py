"""What is different between two recordings of one program: units that became hotter, larger, slower to translate, died.

Units are the same if they begin at one address and were made from the same bytes; of those that are left, if they begin
at one address. All that one recording has of one unit, dead and alive, counts together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from dynarec.errors import DynarecError
from dynarec.inspect.model import Recording, Unit

MICRO = 1e6
LEAST_SHARE = 0.002
"""Of the time: a unit with less in both recordings is neither hotter nor colder."""
LEAST_SECONDS = 100e-6
"""A translation that grew by less is not slower."""
KINDS = {
    "hotter": "a larger share of the time",
    "colder": "a smaller share of the time",
    "larger": "more host code",
    "smaller": "less host code",
    "slower": "a longer translation, on the average",
    "died": "alive before, dead now",
    "new": "not translated before",
    "gone": "not translated any more",
}
"""Kinds of changes."""
WHOLE = ("died", "new", "gone")
"""Kinds of which there is no more or less."""
TOTALS = ("units", "instructions", "interpreted", "host-bytes", "deaths", "translation-us")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """By which part something must have grown or shrunk at least to be told: 0.25 is 25 %."""

    hotter: float = 0.25
    colder: float = 0.2
    larger: float = 0.02
    smaller: float = 0.02
    slower: float = 1.0


USUAL = Thresholds()


@dataclass(frozen=True, slots=True)
class Side:
    """A unit in one recording. translations: how often it was made. host_bytes: of the last time. seconds: of each."""

    serial: int
    translations: int
    is_alive: bool
    share: float
    rounds: int | None
    instructions: int | None
    host_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Change:
    """kind: of KINDS. growth: by which part it grew, 0.5 is by half; 0 where that says nothing.

    note: what else is different.
    """

    kind: str
    address: int
    name: str
    growth: float
    before: Side | None
    after: Side | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """warnings: why the recordings should perhaps not be compared. totals: by name, before and after.

    same: units that are in both. changes: by kind in the order of KINDS, the largest first.
    """

    warnings: tuple[str, ...]
    totals: Mapping[str, tuple[float, float]]
    same: int
    changes: tuple[Change, ...] = field(default=())

    def of(self, kind: str) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind == kind]


def compare(before: Recording, after: Recording, thresholds: Thresholds = USUAL) -> Comparison:
    """What is different in the second recording."""
    pairs = list(_pairs(before, after))
    changes = [change for pair in pairs for change in _changes(before, after, pair, thresholds)]
    order = list(KINDS)
    changes.sort(key=lambda each: (order.index(each.kind), -_weight(each), each.address))
    totals = {
        name: (first, second) for name, first, second in zip(TOTALS, _totals(before), _totals(after), strict=True)
    }
    same = sum(bool(first and second) for first, second in pairs)
    return Comparison(tuple(_warnings(before, after)), totals, same, tuple(changes))


_Group = list[Unit]
_Pair = tuple[_Group, _Group]


def _pairs(before: Recording, after: Recording) -> Iterator[_Pair]:
    first, second = (_groups(each.units, lambda unit: (unit.key, unit.source)) for each in (before, after))
    for identity in first.keys() & second.keys():
        yield first.pop(identity), second.pop(identity)
    left, right = (_groups([unit for group in each.values() for unit in group], _key) for each in (first, second))
    for key in left.keys() | right.keys():
        yield left.get(key, []), right.get(key, [])


def _key(unit: Unit) -> object:
    return unit.key


def _groups(units: Iterable[Unit], identity: Callable[[Unit], object]) -> dict[object, _Group]:
    found: dict[object, _Group] = {}
    for unit in sorted(units, key=lambda unit: unit.serial):
        found.setdefault(identity(unit), []).append(unit)
    return found


def _side(recording: Recording, units: _Group) -> Side | None:
    if not units:
        return None
    last = units[-1]
    return Side(
        serial=last.serial,
        translations=len(units),
        is_alive=any(unit.alive for unit in units),
        share=sum(map(recording.share, units)),
        rounds=_sum(unit.rounds for unit in units),
        instructions=_sum(unit.instructions for unit in units),
        host_bytes=len(last.code),
        seconds=sum(unit.seconds for unit in units) / len(units),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _changes(before: Recording, after: Recording, pair: _Pair, thresholds: Thresholds) -> Iterator[Change]:
    first, second = _side(before, pair[0]), _side(after, pair[1])
    unit = (pair[1] or pair[0])[-1]
    name = (after if pair[1] else before).name(unit.key)
    if first is None or second is None:
        yield Change("gone" if first else "new", unit.key, name, 0.0, first, second)
        return
    note = _note(pair[0][-1], pair[1][-1])
    for kind, growth in _kinds(first, second, thresholds):
        yield Change(kind, unit.key, name, growth, first, second, note)


def _note(first: Unit, second: Unit) -> str:
    if first.source != second.source:
        return "made from other bytes"
    circumstances = {replace(unit.circumstances, counted=False) for unit in (first, second)}
    return "" if len(circumstances) == 1 else "translated under other circumstances"


def _kinds(first: Side, second: Side, least: Thresholds) -> Iterator[tuple[str, float]]:
    """The kinds of change, and by which part."""
    share = _growth(first.share, second.share)
    if max(first.share, second.share) >= LEAST_SHARE:
        if share > 0 and share >= least.hotter:
            yield "hotter", share
        if share < 0 and -share >= least.colder:
            yield "colder", share
    size = _growth(first.host_bytes, second.host_bytes)
    if size > 0 and size >= least.larger:
        yield "larger", size
    if size < 0 and -size >= least.smaller:
        yield "smaller", size
    time = _growth(first.seconds, second.seconds)
    if second.seconds - first.seconds >= LEAST_SECONDS and time >= least.slower:
        yield "slower", time
    if first.is_alive and not second.is_alive:
        yield "died", 0.0


def _growth(before: float, after: float) -> float:
    """By which part; what was nothing and is something has become as large again."""
    if not before:
        return 1.0 if after else 0.0
    return after / before - 1


def _weight(change: Change) -> float:
    """How much it matters among its kind."""
    first, second = change.before, change.after
    shares = (first.share if first else 0.0), (second.share if second else 0.0)
    if change.kind in ("hotter", "colder"):
        return abs(shares[1] - shares[0])
    return max(shares) if change.kind in WHOLE else change.growth


def _totals(recording: Recording) -> list[float]:
    units = recording.units
    return [
        len(units) + recording.forgotten.units,
        recording.taken.instructions,
        sum(recording.interpreted.values()),
        sum(len(unit.code) for unit in units),
        len(recording.dead) + recording.forgotten.units,
        sum(unit.seconds for unit in units) * MICRO,
    ]


def _warnings(before: Recording, after: Recording) -> Iterator[str]:
    first, second = before.subject, after.subject
    if first.digest != second.digest:
        yield f"these are recordings of different programs, {first.program} and {second.program}"
    for name in ("guest", "machine", "host", "tier"):
        values = getattr(first, name), getattr(second, name)
        if values[0] != values[1]:
            yield f"the {name} is different: {values[0]}, {values[1]}"
    if before.counted != after.counted:
        yield "only one of them was counted, so that shares and sizes say little"


# -- conditions of success --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """Fails if there is a change of that kind of so much or more, or a total that grew by more. growth: 0.1 is 10 %."""

    what: str
    growth: float | None

    @classmethod
    def parse(cls, text: str) -> Condition:
        """ "hotter:10%", "new", "host-bytes:5%". Raises DynarecError."""
        what, _, percent = text.partition(":")
        if what not in KINDS and what not in TOTALS:
            raise DynarecError(f"unknown change {what!r}: choose one of {', '.join((*KINDS, *TOTALS))}")
        if not percent:
            return cls(what, None)
        if what in WHOLE:
            raise DynarecError(f"{text!r}: a unit is {what} or not: leave the percentage out")
        try:
            growth = float(percent.removesuffix("%")) / 100
        except ValueError:
            growth = -1.0
        if not 0 <= growth < float("inf"):
            raise DynarecError(f"{text!r}: {percent!r} is no percentage: write {what}:10%")
        return cls(what, growth)

    def fails(self, comparison: Comparison) -> str | None:
        """Why, in a line; None if it holds."""
        least = self.growth or 0.0
        if self.what in KINDS:
            found = [each for each in comparison.of(self.what) if abs(each.growth) >= least]
            return f"{len(found)} units are {self.what}: {found[0].name} first" if found else None
        first, second = comparison.totals[self.what]
        growth = _growth(first, second)
        return f"{self.what}: {growth:+.1%}" if growth > least else None


def lowered(thresholds: Thresholds, conditions: Sequence[Condition]) -> Thresholds:
    """Thresholds under which everything is told that may fail."""
    values = asdict(thresholds)
    for each in conditions:
        if each.what in values and each.growth is not None:
            values[each.what] = min(values[each.what], each.growth)
    return Thresholds(**values)


# -- showing ----------------------------------------------------------------------------------------------------------


def as_text(comparison: Comparison, most: int = 10) -> str:
    """For people; of each kind no more than so many."""
    lines = [f"warning: {warning}" for warning in comparison.warnings]
    width = max(map(len, TOTALS))
    for name, (first, second) in comparison.totals.items():
        lines.append(f"{name:>{width}}: {first:,.0f} -> {second:,.0f} ({_growth(first, second):+.1%})")
    lines.append(f"{'the same':>{width}}: {comparison.same:,} units in both")
    for kind, about in KINDS.items():
        found = comparison.of(kind)
        if found:
            lines += ["", f"{kind} ({about}): {len(found):,}", *map(_line, found[:most])]
        if len(found) > most:
            lines.append(f"  and {len(found) - most:,} more")
    return "\n".join(lines)


def _line(change: Change) -> str:
    first, second = change.before, change.after
    texts = {
        "share": [f"{side.share:.2%}" if side else "-" for side in (first, second)],
        "code": [f"{side.host_bytes:,}" if side else "-" for side in (first, second)],
        "us": [f"{side.seconds * MICRO:,.0f}" if side else "-" for side in (first, second)],
    }
    facts = ", ".join(f"{name} {texts[name][0]} -> {texts[name][1]}" for name in texts)
    growth = f"{change.growth:+.0%}" if change.growth else ""
    note = f" ({change.note})" if change.note else ""
    return f"  {growth:>6}  {change.address:#010x}  {change.name:<24}  {facts}{note}"


def to_json(comparison: Comparison) -> str:
    """One object with the fields of `Comparison`, totals as [before, after]."""
    return json.dumps({**asdict(comparison), "format": 1})
