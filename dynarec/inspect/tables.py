"""Units as rows: columns by name, sorting, and tables as text and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dynarec.errors import DynarecError
from dynarec.inspect.model import Recording, Unit

Cell = int | float | str | None
MICRO, MILLI = 1e6, 1e3
NANO = 1e9


@dataclass(frozen=True, slots=True)
class Column:
    """A column. name: for sorting, CSV and the like. title: above it in a table. about: a line for people.

    value: None is unknown. show: a value that is not None, as text. descends: large values come first.
    """

    name: str
    title: str
    about: str
    value: Callable[[Recording, Unit], Cell]
    show: Callable[[Cell], str] = str
    is_number: bool = True
    descends: bool = True


def _number(value: Cell) -> str:
    return f"{value:,}"


def _address(value: Cell) -> str:
    return f"{value:#010x}"


def _percent(value: Cell) -> str:
    return f"{value:.2%}"


def _decimal(value: Cell) -> str:
    return f"{value:,.1f}"


def _file_name(value: Cell) -> str:
    """Paths of files are too long for a table."""
    return str(value).rpartition("/")[2]


def _place(recording: Recording, unit: Unit) -> str | None:
    place = recording.places.get(unit.key)
    return f"{place.file}:{place.line}" if place else None


def _symbol(recording: Recording, unit: Unit) -> str | None:
    return recording.name(unit.key) if recording.label_at(unit.key) else None


def _reason(recording: Recording, unit: Unit) -> str | None:
    return unit.died.reason if unit.died else None


def age(recording: Recording, unit: Unit) -> float:
    """Seconds from its birth to its death, or to the recording."""
    end = unit.died.when if unit.died else recording.taken
    return max(0, end.time - unit.born.time) / NANO


_ALL = (
    Column("serial", "#", "number of the unit", lambda r, u: u.serial, descends=False),
    Column("address", "address", "of its first guest instruction", lambda r, u: u.key, _address, descends=False),
    Column("symbol", "symbol", "that this address belongs to", _symbol, is_number=False, descends=False),
    Column("place", "place", "file and line of this address", _place, _file_name, False, False),
    Column("tier", "tier", "what made it", lambda r, u: u.tier, is_number=False, descends=False),
    Column("guest_insns", "guest", "guest instructions", lambda r, u: len(u.pcs), _number),
    Column("guest_bytes", "bytes", "different guest bytes", lambda r, u: u.guest_bytes, _number),
    Column("ops", "IR", "IR ops that host code was made of", lambda r, u: len(u.op_insns), _number),
    Column("host_insns", "host", "host instructions", lambda r, u: u.host_insns, _number),
    Column("host_bytes", "code", "bytes of host code", lambda r, u: len(u.code), _number),
    Column("body_bytes", "body", "bytes of host code before its exits", lambda r, u: u.body, _number),
    Column("exit_bytes", "exits", "bytes of host code for its exits", lambda r, u: len(u.code) - u.body, _number),
    Column("rounds", "rounds", "times that its head was executed", lambda r, u: u.rounds, _number),
    Column("instructions", "retired", "guest instructions retired in it", lambda r, u: u.instructions, _number),
    Column("samples", "samples", "times that the sampler found it", lambda r, u: u.samples, _number),
    Column("share", "share", "of the time", lambda r, u: r.share(u), _percent),
    Column("links_in", "in", "exits that jump to it", lambda r, u: len(r.links_in.get(u.serial, ())), _number),
    Column("links_out", "out", "exits that jump to a unit", lambda r, u: len(u.links_out), _number),
    Column("translation_us", "us", "microseconds of its translation", lambda r, u: u.seconds * MICRO, _decimal),
    Column("batch", "batch", "of writes to the code region", lambda r, u: u.batch, descends=False),
    Column("age_ms", "age ms", "milliseconds that it lives or lived", lambda r, u: age(r, u) * MILLI, _decimal),
    Column("reason", "death", "why it died", _reason, is_number=False, descends=False),
)
COLUMNS = {column.name: column for column in _ALL}
DEFAULT = ("share", "rounds", "instructions", "address", "symbol", "place", "guest_insns", "ops", "host_insns",
           "host_bytes", "links_in", "links_out", "translation_us", "reason")  # fmt: skip


def column(name: str) -> Column:
    """The column of that name. Raises DynarecError."""
    if name not in COLUMNS:
        raise DynarecError(f"unknown column {name!r}: choose one of {', '.join(COLUMNS)}")
    return COLUMNS[name]


def ordered(recording: Recording, units: Iterable[Unit], by: str = "share", *, reverse: bool = False) -> list[Unit]:
    """The units by a column, what people look for first; what is unknown last. Raises DynarecError.

    Units that are the same there: first those that retired more instructions, then the older ones.
    """
    chosen = column(by)
    known, unknown = [], []
    for unit in sorted(units, key=lambda unit: (-(unit.instructions or 0), unit.serial)):
        value = chosen.value(recording, unit)
        if value is None:
            unknown.append(unit)
        else:
            known.append((value, unit))
    known.sort(key=lambda pair: pair[0], reverse=chosen.descends is not reverse)
    return [unit for _, unit in known] + unknown


def top(recording: Recording, count: int) -> list[Unit]:
    """The units with the largest shares of the time, largest first."""
    return ordered(recording, recording.units)[:count]


def rows(recording: Recording, units: Iterable[Unit], names: Sequence[str] = DEFAULT) -> list[list[Cell]]:
    """What columns hold, for each unit. Raises DynarecError."""
    columns = [column(name) for name in names]
    return [[each.value(recording, unit) for each in columns] for unit in units]


def as_text(recording: Recording, units: Iterable[Unit], names: Sequence[str] = DEFAULT) -> str:
    """A table; columns that know nothing of any unit are left out. Raises DynarecError."""
    cells = rows(recording, units, names)
    columns = [(column(name), values) for name, values in zip(names, zip(*cells, strict=True), strict=False)]
    shown = [_shown(each, values) for each, values in columns if any(value is not None for value in values)]
    return "\n".join("  ".join(line).rstrip() for line in zip(*shown, strict=True))


def _shown(each: Column, values: Sequence[Cell]) -> list[str]:
    """The title and the values, all as wide as the widest."""
    texts = [each.title, *("" if value is None else each.show(value) for value in values)]
    width = max(map(len, texts))
    return [text.rjust(width) if each.is_number else text.ljust(width) for text in texts]


def as_csv(recording: Recording, units: Iterable[Unit], names: Sequence[str] = tuple(COLUMNS)) -> str:
    """A table as RFC 4180 has it, but for plain line feeds; the names of the columns are above. Shares are up to 1."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows(recording, units, names))
    return file.getvalue()


def summary(recording: Recording) -> str:
    """What there is to say about the cache as a whole, a line for each matter."""
    cache, live = recording.cache, recording.live
    used = sum(len(unit.code) for unit in live)
    filled = sum(each.fill - each.start for each in cache.generations)
    lines = {
        "program": f"{recording.subject.program}, guest {recording.subject.guest}, machine {recording.subject.machine}",
        "translated": f"for {recording.subject.host or 'no host'}, tier {recording.subject.tier}",
        "guest instructions": f"{recording.taken.instructions:,} in {recording.taken.time / NANO:.3f} s",
        "units": f"{len(live):,} alive, {len(recording.dead) + recording.forgotten.units:,} dead",
        "code": f"{used:,} bytes of living units, {filled:,} of {cache.size:,} filled, "
        f"{_count(len(cache.generations), 'generation')}, policy {cache.policy}",
        "translation": f"{sum(unit.seconds for unit in recording.units):.3f} s",
        "deaths": _counts(cache.deaths),
        "exits to the run loop": _counts(cache.exits),
        "samples elsewhere": _counts(recording.elsewhere),
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:>{width}}: {text}" for name, text in lines.items())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"
