"""What a unit can be compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from dynarec.host import HOSTS
from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.tui.compare import Side, other, recorded
from dynarec.opt import PASS_NAMES

MOST_NAMESAKES = 8


@dataclass(frozen=True, slots=True)
class Comparison:
    """make: gives both sides; raises DynarecError; takes a while."""

    title: str
    make: Callable[[], tuple[Side, Side]]


def comparisons(recording: Recording, unit: Unit, marked: int) -> list[Comparison]:
    """marked: the serial of another unit, or 0."""
    guest = recording.subject.guest
    found: list[Comparison] = []
    for serial in _others(recording, unit, marked):
        found.append(_with_unit(recording, unit, recording.by_serial[serial], guest))
    here = unit.circumstances.host
    found += [_with_other(unit, guest, f"the host {host}", host=host) for host in HOSTS if host != here]
    for name in PASS_NAMES:
        if name not in unit.circumstances.without:
            left = (*unit.circumstances.without, name)
            found.append(_with_other(unit, guest, f"without {name}", without=left))
    found.append(_with_other(unit, guest, "without any pass", without=PASS_NAMES))
    if unit.circumstances.without:
        found.append(_with_other(unit, guest, "with all passes", without=()))
    return found


def _others(recording: Recording, unit: Unit, marked: int) -> Iterator[int]:
    if marked in recording.by_serial and marked != unit.serial:
        yield marked
    namesakes = [each.serial for each in recording.units if each.key == unit.key and each.serial != unit.serial]
    yield from (serial for serial in namesakes[-MOST_NAMESAKES:] if serial != marked)


def _named(recording: Recording, unit: Unit) -> str:
    return f"unit {unit.serial}, {recording.name(unit.key)}, {'live' if unit.alive else 'dead'}"


def _with_unit(recording: Recording, unit: Unit, second: Unit, guest: str) -> Comparison:
    left, right = _named(recording, unit), _named(recording, second)
    return Comparison(right, lambda: (recorded(unit, guest, left), recorded(second, guest, right)))


def _with_other(
    unit: Unit, guest: str, title: str, *, without: tuple[str, ...] | None = None, host: str | None = None
) -> Comparison:
    make = partial(other, unit, guest, title, without=without, host=host)
    return Comparison(title, lambda: (recorded(unit, guest, f"unit {unit.serial} as recorded"), make()))
