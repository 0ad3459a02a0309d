"""One unit as text: what is known of it, its exits, and its code in three forms, each line below what it came from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from dynarec.errors import DynarecError
from dynarec.inspect.code import GuestLine, HostLine, Stage, UnitCode
from dynarec.inspect.model import EXITS, HEAD, Exit, Recording, Unit
from dynarec.inspect.tables import age

MICRO, MILLI = 1e6, 1e3


def describe(recording: Recording, unit: Unit, *, stages: bool = False) -> Iterator[str]:
    """Lines that say everything about a unit. stages: with the IR as lifted and behind each pass."""
    yield f"unit {unit.serial}: {recording.name(unit.key)} at {unit.key:#010x}"
    yield from _table(_facts(recording, unit))
    yield ""
    yield "exits:"
    yield from _exits(recording, unit)
    yield ""
    try:
        yield from _code(recording, unit, stages)
    except DynarecError as error:
        yield f"its code cannot be shown: {error}"


# -- facts ------------------------------------------------------------------------------------------------------------


def _facts(recording: Recording, unit: Unit) -> Iterator[tuple[str, str]]:
    place = recording.places.get(unit.key)
    if place is not None:
        yield "source", f"{place.file}:{place.line}"
    yield "state", _state(recording, unit)
    ranges = ", ".join(f"{start:#010x}+{size}" for start, size in unit.ranges)
    yield "guest", f"{len(unit.pcs)} instructions, {unit.guest_bytes} bytes: {ranges}"
    yield "IR", f"{len(unit.op_insns)} ops"
    exits = len(unit.code) - unit.body
    yield (
        "host",
        f"{unit.host_insns} instructions, {len(unit.code)} bytes ({exits} of exits) at offset {unit.offset:#x}",
    )
    yield "executed", _executed(recording, unit)
    if unit.faulted:
        yield "faults", ", ".join(f"{times:,} at {unit.pcs[index]:#010x}" for index, times in unit.faulted)
    phases = ", ".join(f"{name} {seconds * MICRO:,.1f}" for name, seconds in unit.phases.items())
    yield "translation", f"{unit.seconds * MICRO:,.1f} us: {phases}"
    yield "written", f"in batch {unit.batch}, at {_moment(unit.born.time, unit.born.instructions)}"
    yield "circumstances", _circumstances(unit)
    yield "linked from", _links(recording, (serial for serial, _ in recording.links_in.get(unit.serial, ())))
    yield "linked to", _links(recording, unit.links_out)


def _state(recording: Recording, unit: Unit) -> str:
    if unit.died is None:
        return f"alive for {age(recording, unit) * MILLI:,.3f} ms"
    died = unit.died
    address = f" at {recording.name(died.address)}" if died.address else ""
    cause = f" by {recording.name(died.pc)}" if died.pc else ""
    when = _moment(died.when.time, died.when.instructions)
    return f"died of {died.reason}{address}{cause} at {when}, after {age(recording, unit) * MILLI:,.3f} ms"


def _executed(recording: Recording, unit: Unit) -> str:
    counted = (
        "not counted" if unit.rounds is None else f"{unit.rounds:,} rounds, {unit.instructions or 0:,} instructions"
    )
    return f"{counted}, {unit.samples:,} samples, {recording.share(unit):.2%} of the time"


def _moment(time: int, instructions: int) -> str:
    return f"{time / MICRO:,.3f} ms, {instructions:,} instructions"


def _circumstances(unit: Unit) -> str:
    found = unit.circumstances
    flags = [name for name in ("checked", "counted") if getattr(found, name)]
    lists = [*found.features, *found.harden, *(f"without {name}" for name in found.without)]
    return ", ".join([found.host, f"traces up to {found.limit}", *lists, *flags])


def _links(recording: Recording, serials: Iterable[int]) -> str:
    counts = Counter(serials)
    names = {
        serial: recording.name(recording.by_serial[serial].key) for serial in counts if serial in recording.by_serial
    }
    return ", ".join(f"#{serial} {name}" for serial, name in names.items()) or "no unit"


def _table(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    kept = list(lines)
    width = max(len(name) for name, _ in kept)
    return (f"{name:>{width}}: {text}" for name, text in kept)


def _exits(recording: Recording, unit: Unit) -> Iterator[str]:
    heads = ("", "kind", "to", "taken", "missed", "executed", "linked")
    rows = [heads, *(_exit(recording, number, each) for number, each in enumerate(unit.exits))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = map(_cell, heads, row, widths)
        yield f"  {'  '.join(cells).rstrip()}"


def _cell(head: str, text: str, width: int) -> str:
    return text.ljust(width) if head in ("kind", "to", "linked") else text.rjust(width)


def _exit(recording: Recording, number: int, each: Exit) -> tuple[str, ...]:
    target = recording.name(each.target) if each.target else "computed"
    taken = "" if each.taken is None else f"{each.taken:,}"
    linked = "" if each.linked is None else f"#{each.linked}"
    return str(number), each.kind, target, taken, f"{each.missed:,}", str(each.executed), linked


# -- code -------------------------------------------------------------------------------------------------------------


def _code(recording: Recording, unit: Unit, stages: bool) -> Iterator[str]:
    code = UnitCode(unit, recording.subject.guest)
    yield "code, how often each instruction was executed before it:" if unit.rounds is not None else "code:"
    if not code.is_reproduced:
        yield "(translated again it becomes other code, so that the lines of IR may not be those it was made from)"
    yield f"(verified: {'yes' if code.is_verified else 'NO'}, {unit.host_insns} host instructions)"
    yield from _linked(recording, code)
    if stages:
        for stage in code.stages:
            yield ""
            yield "IR, lifted:" if stage.name == "lifted" else f"IR after {stage.name}:"
            yield from (f"  {line.text}" for line in stage.lines)


def _linked(recording: Recording, code: UnitCode) -> Iterator[str]:
    """Guest instructions, below each the IR that it became, below that the host code."""
    hosts: dict[int, list[HostLine]] = defaultdict(list)
    for host in code.host_lines:
        hosts[host.op].append(host)
    counts = code.unit.executed()
    yield from map(_host, hosts.pop(HEAD, ()))
    ops = _ops_of(code.stages[-1], len(code.unit.pcs))
    for guest, mine in zip(code.guest_lines, ops, strict=True):
        place = recording.places.get(guest.pc)
        where = f"  {place.file.rpartition('/')[2]}:{place.line}" if place else ""
        count = "" if counts is None else f"{counts[guest.index]:,}"
        word = int.from_bytes(guest.data, "little")
        yield (
            f"{count:>14}  {guest.pc:08x}  {word:0{2 * len(guest.data)}x}".ljust(36)
            + f"{guest.text:<32}{where}".rstrip()
        )
        for op in mine:
            yield f"{'':18}{code.stages[-1].lines[op].text}"
            yield from map(_host, hosts.pop(op, ()))
    exits = hosts.pop(EXITS, [])
    for op in sorted(hosts):  # of a translation that is another now
        yield from map(_host, hosts[op])
    yield "exits:"
    yield from map(_host, exits)


def _guest(recording: Recording, line: GuestLine, count: int | None) -> str:
    place = recording.places.get(line.pc)
    where = f"{place.file.rpartition('/')[2]}:{place.line}" if place else ""
    word = int.from_bytes(line.data, "little")
    address = f"{'' if count is None else f'{count:,}':>14}  {line.pc:08x}  {word:0{2 * len(line.data)}x}"
    return f"{address:<36}{line.text:<34}{where}".rstrip()


def _ops_of(stage: Stage, count: int) -> Sequence[list[int]]:
    """For each guest instruction, the lines of IR that came from it."""
    found: list[list[int]] = [[] for _ in range(count)]
    for index, line in enumerate(stage.lines):
        if line.insn < count:
            found[line.insn].append(index)
    return found


def _host(line: HostLine) -> str:
    return f"{'':22}{line.offset:4x}  {line.data.hex():<24}{line.text}"
