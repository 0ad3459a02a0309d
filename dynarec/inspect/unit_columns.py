"""The units of a dump as columns: see dynarec/inspect/dump.py for what each holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dynarec.core import DEATHS, EXIT_KINDS
from dynarec.inspect.columns import BYTE, HALF, LONG, REAL, SIGNED, WORD, Table, Writer, damaged
from dynarec.inspect.model import EXITS, Circumstances, Death, Exit, Moment, Unit
from dynarec.trace import TRACE_LIMIT

MOST_INSNS = TRACE_LIMIT
MOST_SOURCE = 1 << 12
MOST_CODE = 1 << 20
MOST_OPS = 1 << 16
MOST_EXITS = 1 << 12
MOST_PHASES = 1 << 8
PLAIN = ("serial", "key", "charged", "offset", "host insns", "batch", "samples")
"""Columns of one number of 8 bytes for each unit, after whose names the attributes of Unit are called."""
COUNTED = ("rounds", "instructions", "onward")
"""The same, of numbers that may be missing."""
REASONS = {name: index + 1 for index, name in enumerate(DEATHS)}
"""0: it lives."""
KINDS = (*EXIT_KINDS, "round")


@dataclass(frozen=True, slots=True)
class Shared:
    """What units refer to by index."""

    tiers: Sequence[str]
    phases: Sequence[str]
    circumstances: Sequence[Circumstances]


# -- writing ----------------------------------------------------------------------------------------------------------


def write(units: Sequence[Unit], shared: Shared, known: frozenset[int]) -> Writer:
    """The columns of some units. known: serials of all that the dump has."""
    table = Writer()
    for name in PLAIN:
        table.column(name, LONG, (getattr(unit, name.replace(" ", "_")) for unit in units))
    for name in COUNTED:
        table.column(name, LONG, (_counted(getattr(unit, name)) for unit in units))
    tiers = {tier: index for index, tier in enumerate(shared.tiers)}
    table.column("tier", WORD, (tiers[unit.tier] for unit in units))
    all_circumstances = {each: index for index, each in enumerate(shared.circumstances)}
    table.column("circumstances", WORD, (all_circumstances[unit.circumstances] for unit in units))
    _write_code(table, units)
    _write_times(table, units, shared)
    _write_exits(table, units, known)
    return table


def _write_code(table: Writer, units: Sequence[Unit]) -> None:
    table.lists("ranges", WORD, [[number for piece in unit.ranges for number in piece] for unit in units])
    table.blobs("source", [unit.source for unit in units])
    table.lists("pcs", WORD, [unit.pcs for unit in units])
    table.blobs("code", [unit.code for unit in units])
    table.lists("mark offsets", WORD, [[offset for offset, _ in unit.marks] for unit in units])
    table.lists("mark ops", SIGNED, [[op for _, op in unit.marks] for unit in units])
    table.lists("op insns", HALF, [unit.op_insns for unit in units])
    table.lists("faulted", LONG, [[number for site in unit.faulted for number in site] for unit in units])


def _write_times(table: Writer, units: Sequence[Unit], shared: Shared) -> None:
    names = {name: index for index, name in enumerate(shared.phases)}
    table.lists("phase names", HALF, [[names[name] for name in unit.phases] for unit in units])
    table.lists("phases", REAL, [list(unit.phases.values()) for unit in units])
    table.column("born", LONG, (number for unit in units for number in (unit.born.time, unit.born.instructions)))
    table.column("reason", BYTE, (REASONS[unit.died.reason] if unit.died else 0 for unit in units))
    table.column("died", LONG, (number for unit in units if unit.died for number in _death(unit.died)))


def _death(died: Death) -> tuple[int, int, int, int]:
    return died.when.time, died.when.instructions, died.address, died.pc


def _write_exits(table: Writer, units: Sequence[Unit], known: frozenset[int]) -> None:
    def links(unit: Unit) -> list[int]:
        return [each.linked if each.linked is not None and each.linked in known else 0 for each in unit.exits]

    table.lists("exit kinds", BYTE, [[KINDS.index(each.kind) for each in unit.exits] for unit in units])
    table.lists("exit targets", WORD, [[each.target for each in unit.exits] for unit in units])
    table.lists("exit executed", WORD, [[each.executed for each in unit.exits] for unit in units])
    table.lists("exit offsets", WORD, [[each.offset for each in unit.exits] for unit in units])
    table.lists("exit taken", LONG, [[_counted(each.taken) for each in unit.exits] for unit in units])
    table.lists("exit missed", LONG, [[each.missed for each in unit.exits] for unit in units])
    table.lists("exit linked", LONG, [links(unit) for unit in units])


def _counted(count: int | None) -> int:
    return 0 if count is None else count + 1


# -- reading ----------------------------------------------------------------------------------------------------------


def read(table: Table, shared: Shared, now: int) -> Iterator[Unit]:
    """The units of some columns, each checked by itself. now: the time of the recording. Raises BadState."""
    count = len(table.column("serial", LONG))
    plain = [table.column(name, LONG, count) for name in PLAIN]
    counted = [map(_count, table.column(name, LONG, count)) for name in COUNTED]
    columns = zip(
        zip(*plain, *counted, strict=True),
        table.column("tier", WORD, count, len(shared.tiers)),
        table.column("circumstances", WORD, count, len(shared.circumstances)),
        _read_code(table, count),
        _read_phases(table, count, shared),
        _read_lives(table, count, now),
        _read_exits(table, count),
        _read_pairs(table, "faulted", LONG, count),
        strict=True,
    )
    for numbers, tier, circumstances, code, phases, (born, died), exits, faulted in columns:
        serial, key, charged, offset, host_insns, batch, samples, rounds, instructions, onward = numbers
        ranges, source, pcs, data, marks, op_insns = code
        unit = Unit(
            serial, key, shared.tiers[tier], ranges, source, pcs, charged, offset, data, host_insns, marks, op_insns,
            exits, shared.circumstances[circumstances], phases, batch, born, died, rounds, instructions, samples,
            faulted, onward,
        )  # fmt: skip
        _check(unit)
        yield unit


_Pairs = tuple[tuple[int, int], ...]
_Code = tuple[_Pairs, bytes, tuple[int, ...], bytes, _Pairs, tuple[int, ...]]


def _read_code(table: Table, count: int) -> Iterator[_Code]:
    """Ranges, source, pcs, code, marks and op_insns of each unit."""
    offsets = table.lists("mark offsets", WORD, count, MOST_OPS)
    ops = table.lists("mark ops", SIGNED, count, MOST_OPS)
    marks = (_pairs(table, "mark ops", some, others) for some, others in zip(offsets, ops, strict=True))
    return zip(
        _read_pairs(table, "ranges", WORD, count),
        table.blobs("source", count, MOST_SOURCE),
        table.lists("pcs", WORD, count, MOST_INSNS),
        table.blobs("code", count, MOST_CODE),
        marks,
        table.lists("op insns", HALF, count, MOST_OPS),
        strict=True,
    )


def _read_pairs(table: Table, name: str, kind: str, count: int) -> Iterator[_Pairs]:
    return (_pairs(table, name, each[::2], each[1::2]) for each in table.lists(name, kind, count, 2 * MOST_INSNS))


def _pairs(table: Table, name: str, some: tuple[int, ...], others: tuple[int, ...]) -> _Pairs:
    if len(some) != len(others):
        raise table.bad(name, "is not made of pairs")
    return tuple(zip(some, others, strict=True))


def _read_phases(table: Table, count: int, shared: Shared) -> Iterator[dict[str, float]]:
    names = table.lists("phase names", HALF, count, MOST_PHASES, len(shared.phases))
    sizes = table.column("phases counts", WORD, count, MOST_PHASES + 1)
    seconds = iter(table.reals("phases", sum(sizes)))
    for each, size in zip(names, sizes, strict=True):
        if len(each) != size:
            raise table.bad("phases", "is not made of pairs")
        yield {shared.phases[name]: next(seconds) for name in each}


def _read_lives(table: Table, count: int, now: int) -> Iterator[tuple[Moment, Death | None]]:
    """Birth and death of each unit. A recording that is made while the machine runs may know of what came behind it."""
    born = table.column("born", LONG, 2 * count)
    reasons = table.column("reason", BYTE, count, len(DEATHS) + 1)
    died = iter(table.column("died", LONG, 4 * sum(map(bool, reasons))))
    for time, instructions, reason in zip(born[::2], born[1::2], reasons, strict=True):
        death = None
        if reason:
            when, by_then, address, pc = itertools.islice(died, 4)
            death = Death(Moment(min(when, now), by_then), DEATHS[reason - 1], address, pc)
        yield Moment(min(time, now), instructions), death


def _read_exits(table: Table, count: int) -> Iterator[tuple[Exit, ...]]:
    columns = zip(
        table.lists("exit kinds", BYTE, count, MOST_EXITS, len(KINDS)),
        *(table.lists(f"exit {name}", WORD, count, MOST_EXITS) for name in ("targets", "executed", "offsets")),
        *(table.lists(f"exit {name}", LONG, count, MOST_EXITS) for name in ("taken", "missed", "linked")),
        strict=True,
    )
    for columns_of_one in columns:
        if len(set(map(len, columns_of_one))) != 1:
            raise table.bad("exit kinds", "has another number of exits than the columns beside it")
        yield tuple(
            Exit(KINDS[kind], target, executed, offset, _count(taken), missed, linked or None)
            for kind, target, executed, offset, taken, missed, linked in zip(*columns_of_one, strict=True)
        )


def _count(number: int) -> int | None:
    return number - 1 if number else None


def _check(unit: Unit) -> None:
    """Raise BadState unless what a unit says of itself holds together."""
    for why, holds in (
        ("no guest instructions", bool(unit.pcs)),
        ("more instructions than it has", unit.charged <= len(unit.pcs)),
        ("guest bytes that are not those of its ranges", sum(size for _, size in unit.ranges) == len(unit.source)),
        ("an instruction outside of its ranges", all(map(unit.holds, unit.pcs[:-1]))),
        ("more host instructions than bytes", unit.host_insns <= len(unit.code)),
        ("a fault in no instruction", all(index < len(unit.pcs) for index, _ in unit.faulted)),
        ("marks in no order", _ascend(offset for offset, _ in unit.marks)),
        ("a mark behind its code", not unit.marks or unit.marks[-1][0] <= len(unit.code)),
        ("a mark of no op", all(EXITS <= op <= len(unit.op_insns) for _, op in unit.marks)),
        ("an op of no instruction", max(unit.op_insns, default=0) < len(unit.pcs)),
        ("an exit behind its code", all(each.offset <= len(unit.code) for each in unit.exits)),
        ("an exit behind its instructions", all(each.executed <= unit.charged for each in unit.exits)),
    ):
        if not holds:
            raise damaged(f"unit {unit.serial} has {why}")


def _ascend(numbers: Iterator[int]) -> bool:
    return all(first <= second for first, second in itertools.pairwise(numbers))
