"""The links of a unit as a tree: where its exits lead, and what jumps to it."""

from __future__ import annotations

from collections.abc import Iterator

from dynarec.inspect.model import Exit, Recording, Unit
from dynarec.inspect.tui.heat import heat, percent, short
from dynarec.tui.rows import Row, Span

DEEPEST = 12
"""Branches inside of branches: loops go on for ever."""


def link_rows(recording: Recording, unit: Unit | None, opened: set[str]) -> list[Row]:
    """opened: keys of the rows whose branches are shown too. Keys: the serials on the way, with slashes."""
    if unit is None:
        return []
    return list(_branches(recording, unit, "", opened, 0))


def serial_of(key: str) -> int:
    """The unit that a row leads to; 0 if to none."""
    last = key.rpartition("/")[2].partition(":")[2]
    return int(last) if last else 0


def _branches(recording: Recording, unit: Unit, path: str, opened: set[str], depth: int) -> Iterator[Row]:
    most = max((each.taken or 0 for each in unit.exits), default=0)
    indent = "  " * depth
    if not depth:
        yield Row((("exits", "heading"),), "x")
    for number, each in enumerate(unit.exits):
        key = f"{path}/o{number}:{each.linked or ''}"
        yield Row((*_twig(indent, key, opened, each.linked), *_exit(recording, number, each, most)), key)
        yield from _opened(recording, each.linked, key, opened, depth)
    incoming = recording.links_in.get(unit.serial, ())
    if not depth:
        yield Row((("jumped to by", "heading"), ("" if incoming else "  no unit", "faint")), "y")
    for serial, number in incoming if not depth else ():
        key = f"{path}/i{number}:{serial}"
        source = recording.by_serial[serial]
        taken = source.exits[number].taken
        spans: tuple[Span, ...] = ((f"{short(taken):>5} ", heat(taken, unit.rounds or 0)), *_who(recording, source))
        yield Row((*_twig(indent, key, opened, serial), *spans, (f" exit {number}", "faint")), key)
        yield from _opened(recording, serial, key, opened, depth)


def _opened(recording: Recording, serial: int | None, key: str, opened: set[str], depth: int) -> Iterator[Row]:
    unit = recording.by_serial.get(serial) if serial else None
    if unit is not None and key in opened and depth < DEEPEST:
        yield from _branches(recording, unit, key, opened, depth + 1)


def _twig(indent: str, key: str, opened: set[str], serial: int | None) -> tuple[Span, ...]:
    return ((f"{indent}{' ' if not serial else '▾' if key in opened else '▸'} ", "faint"),)


def _exit(recording: Recording, number: int, each: Exit, most: int) -> tuple[Span, ...]:
    count = (f"{short(each.taken):>5} ", heat(each.taken, most))
    kind = (f" {number} {each.kind:<9} ", "")
    asked = (f"  asked {short(each.missed)}x" + _missed(each), "faint") if each.missed else ("", "")
    linked = recording.by_serial.get(each.linked) if each.linked else None
    if linked is not None:
        return (count, kind, *_who(recording, linked), asked)
    if each.kind == "indirect":
        return (count, kind, ("computed", "faint"), asked)
    where = recording.name(each.target)
    told = "resumes" if each.kind == "budget" else "not linked" if each.kind == "jump" else "interpreted"
    return (count, kind, (where, "name"), (f"  {told}", "faint"), asked)


def _missed(each: Exit) -> str:
    return f", {percent(each.missed / each.taken)}" if each.taken else ""


def _who(recording: Recording, unit: Unit) -> tuple[Span, ...]:
    return (f"#{unit.serial} ", "faint"), (recording.name(unit.key), "name")
