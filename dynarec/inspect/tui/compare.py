"""Host code beside host code, by the guest instructions that it came from."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from dynarec.errors import DynarecError
from dynarec.inspect.code import UnitCode
from dynarec.inspect.model import EXITS, HEAD, Unit
from dynarec.inspect.tui import linked
from dynarec.tui.rows import Row, Span

LEAST_SIDE = 20
SIGN_WIDTH = 2


@dataclass(frozen=True, slots=True)
class Line:
    """A host instruction. insn: index of the guest instruction that it came from; HEAD or EXITS."""

    insn: int
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of two codes. pcs: addresses of the guest instructions. bytes: of the whole."""

    title: str
    pcs: tuple[int, ...]
    guest: tuple[str, ...]
    lines: tuple[Line, ...]
    bytes: int


def recorded(unit: Unit, guest: str, title: str) -> Side:
    """A unit as it was recorded, and before it was linked if that is known. Raises DynarecError."""
    if _is_reproduced(unit, guest):
        return other(unit, guest, title)
    code = linked.read(unit, guest)
    if not code.host:
        raise DynarecError(f"unit {unit.serial} cannot be compared: {code.error or 'it has no code'}")
    lines = tuple(Line(_place(line.op, code.insn(line)), line.text) for line in code.host)
    return Side(title, unit.pcs, tuple(line.text for line in code.guest), lines, len(unit.code))


def _is_reproduced(unit: Unit, guest: str) -> bool:
    try:
        return UnitCode(unit, guest).is_reproduced
    except DynarecError:
        return False


def _place(op: int, insn: int | None) -> int:
    return op if op in (HEAD, EXITS) or insn is None else insn


def other(unit: Unit, guest: str, title: str, *, without: Sequence[str] | None = None, host: str | None = None) -> Side:
    """A unit as it would be with other passes left out, or for another host. Raises DynarecError."""
    code = UnitCode(unit, guest)
    translator = code.translator(without=without, host=host)
    *_, (_, last_stage) = translator.stages(unit.key)
    ops = last_stage.ops
    made = code.translate(without=without, host=host)
    last = len(unit.pcs) - 1
    at: Callable[[int], int] = lambda op: op if op < 0 else ops[op].at if op < len(ops) else last  # noqa: E731
    lines = tuple(Line(at(line.op), line.text) for line in code.listing(made, host))
    return Side(title, unit.pcs, tuple(line.text for line in code.guest_lines), lines, len(made.code))


def summary(left: Side, right: Side) -> str:
    """The sizes of both."""
    more = right.bytes / left.bytes - 1 if left.bytes else 0.0
    return (
        f"{left.bytes} bytes, {len(left.lines)} instructions; "
        f"then {right.bytes} bytes, {len(right.lines)} instructions: {more:+.1%} bytes"
    )


def compare_rows(left: Side, right: Side, width: int) -> list[Row]:
    """Both, side by side, for a pane of so many columns."""
    side = max(LEAST_SIDE, (width - 3) // 2)
    rows = [Row(((summary(left, right), "heading"),)), _pair(left.title, right.title, side, "name")]
    if left.pcs == right.pcs:
        return [*rows, *_by_insn(left, right, side)]
    return [*rows, *_by_text(left.lines, right.lines, side)]


def _by_insn(left: Side, right: Side, side: int) -> Iterator[Row]:
    for place in (HEAD, *range(len(left.pcs)), EXITS):
        one = [line for line in left.lines if line.insn == place]
        two = [line for line in right.lines if line.insn == place]
        if one or two or place >= 0:
            yield Row(((_heading(left, place), "faint"),))
        yield from _by_text(one, two, side)


def _heading(side: Side, place: int) -> str:
    if place < 0:
        return "head" if place == HEAD else "exits"
    return f"{side.pcs[place]:08x}  {side.guest[place] if place < len(side.guest) else ''}"


def _by_text(left: Sequence[Line], right: Sequence[Line], side: int) -> Iterator[Row]:
    matcher = difflib.SequenceMatcher(None, [_same(line) for line in left], [_same(line) for line in right], False)
    for kind, begin, end, start, stop in matcher.get_opcodes():
        for one, two in zip_longest(left[begin:end], right[start:stop]):
            role = "" if kind == "equal" else "changed"
            yield _pair(one.text if one else "", two.text if two else "", side, role)


def _same(line: Line) -> str:
    """Branches lead to other places in code of another size."""
    name, _, operands = line.text.partition(" ")
    return name if line.insn in (HEAD, EXITS) or operands.startswith(("0x", "#0x")) else line.text


def _pair(left: str, right: str, side: int, role: str) -> Row:
    sign = "" if role != "changed" else "-" if not right else "+" if not left else "~"
    spans: tuple[Span, ...] = (
        (f"{sign:<{SIGN_WIDTH}}", "mark"),
        (f"{left[: side - SIGN_WIDTH]:<{side - SIGN_WIDTH}}", role),
        ("│ ", "faint"),
        (right[:side], role),
    )
    return Row(spans)
