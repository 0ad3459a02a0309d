"""The code of a unit as rows: guest instructions with their source lines, IR of one stage, host code."""

from __future__ import annotations

from collections.abc import Iterator

from dynarec.inspect.code import HostLine
from dynarec.inspect.model import EXITS, HEAD, Place, Recording, Unit
from dynarec.inspect.tui.heat import heat, short
from dynarec.inspect.tui.linked import Code
from dynarec.tui.rows import Row, Span, plain

COUNT = 6
"""Columns of a count."""
WITH_BYTES = 58
"""Columns of a pane that has room for bytes too."""
GUEST_BYTES, HOST_BYTES = 9, 21


def guest_rows(recording: Recording, code: Code, unit: Unit, width: int) -> list[Row]:
    """unit: the same one with the counts of now."""
    rows: list[Row] = []
    counts = unit.executed()
    most = max(counts, default=0) if counts else 0
    shown: Place | None = None
    for line in code.guest:
        place = recording.places.get(line.pc)
        if place is not None and place != shown:
            rows.append(_source_row(recording, place))
            shown = place
        count = counts[line.index] if counts else None
        data = f"{int.from_bytes(line.data, 'little'):0{2 * len(line.data)}x}"
        spans = (
            (f"{short(count) if counts else '':>{COUNT - 1}} ", heat(count, most)),
            (f" {line.pc:08x} ", "address"),
            (f"{data:<{GUEST_BYTES}}" if width >= WITH_BYTES else "", "faint"),
            *_insn(line.text),
        )
        rows.append(Row(spans, str(line.index)))
    return rows + _problem(code)


def _source_row(recording: Recording, place: Place) -> Row:
    text = recording.texts.get(place.file, ())
    line = text[place.line - 1].rstrip() if 0 < place.line <= len(text) else place.file.rpartition("/")[2]
    return Row(((f"{place.line:>{COUNT - 1}}  ", "faint"), (line.expandtabs(), "source")))


def _insn(text: str) -> tuple[Span, Span]:
    name, _, operands = text.partition(" ")
    return (f"{name:<7} ", "name"), (operands, "")


def ir_rows(code: Code, stage: int, width: int) -> list[Row]:
    """The first row names the stages, or the ones around the shown one."""
    if not code.stages:
        return _problem(code)
    rows = [Row(tuple(_stage_names(code, stage, width)))]
    last = -1
    for at, line in enumerate(code.stages[stage].lines):
        insn = f"{line.insn:>4} " if line.insn != last else " " * 5
        last = line.insn
        rows.append(Row(((insn, "faint"), (line.text, "")), str(at)))
    return rows


def _stage_names(code: Code, stage: int, width: int) -> Iterator[Span]:
    names = [f" {each.name} " for each in code.stages]
    first, last = 0, len(names)
    while sum(map(len, names[first:last])) > width and last - first > 1:
        first, last = (first + 1, last) if stage - first > last - 1 - stage else (first, last - 1)
    for at, name in enumerate(names[first:last], first):
        yield name, "chosen" if at == stage else "faint"


def host_rows(code: Code, width: int) -> list[Row]:
    """With headings where the head and the exits begin."""
    rows: list[Row] = []
    last: int | None = None
    for at, line in enumerate(code.host):
        if line.op != last and line.op in (HEAD, EXITS):
            rows.append(Row((("head" if line.op == HEAD else "exits", "heading"),)))
        rows.append(_host_row(code, at, line, line.op != last, width))
        last = line.op
    return rows + (_problem(code) if not code.host else [])


def _host_row(code: Code, at: int, line: HostLine, is_first: bool, width: int) -> Row:
    insn = code.insn(line)
    data = line.data.hex() if len(line.data) <= HOST_BYTES // 2 else line.data[: HOST_BYTES // 2 - 1].hex() + "…"
    spans = (
        (f"{insn if insn is not None and is_first else '':>4} ", "faint"),
        (f"{line.offset:4x} ", "address"),
        (f"{data:<{HOST_BYTES}}" if width >= WITH_BYTES else "", "faint"),
        *_insn(line.text),
    )
    return Row(spans, str(at))


def _problem(code: Code) -> list[Row]:
    return plain([code.error], "error") if code.error else []
