"""What a line came from and became, and how often guest instructions were executed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynarec.inspect.model import EXITS, HEAD, Recording, Unit
from dynarec.inspect.tui.linked import Code, marks, read
from tests.inspect import made
from tests.inspect.recordings import recorded


def all_code(recording: Recording) -> list[Code]:
    return [read(unit, recording.subject.guest) for unit in recording.units]


@pytest.mark.parametrize("rom", ["hello", "ledger", "mandelbrot"])
def test_what_was_executed_is_what_was_retired(rom: str) -> None:
    for unit in recorded(rom).units:
        assert sum(unit.executed() or []) == unit.instructions


def test_exits_and_faults_leave_the_rest_out() -> None:
    exits = (made.exit_("jump", 2, 10), made.exit_("jump", 4, 85), made.exit_("budget", 0, 7))
    unit = replace(made.unit(1, 0x1000, 4, exits=exits, rounds=100), faulted=((3, 5),))
    assert unit.executed() == [100, 100, 90, 85]


def test_what_was_not_counted_is_not_known() -> None:
    assert made.unit(1, 0x1000, 4).executed() is None


@pytest.mark.parametrize("rom", ["hello", "ledger"])
def test_links_go_both_ways(rom: str) -> None:
    """What a host line came from became that host line."""
    for code in all_code(recorded(rom)):
        last = len(code.stages) - 1
        for at, line in enumerate(code.host):
            found = marks(code, last, "host", at)
            for op in found.ir if line.op >= 0 else ():
                assert at in marks(code, last, "ir", op).host
            for insn in found.guest:
                assert at in marks(code, last, "guest", insn).host


def test_each_stage_is_followed() -> None:
    for code in all_code(recorded()):
        for number, stage in enumerate(code.stages):
            for at, line in enumerate(stage.lines):
                assert marks(code, number, "ir", at).guest == {line.insn}


def test_the_code_of_an_exit_belongs_to_the_instruction_that_leaves() -> None:
    code = next(code for code in all_code(recorded("ledger")) if len(code.unit.exits) > 2)
    of_exits = [line for line in code.host if line.op == EXITS]
    for each in code.unit.exits:
        line = max((line for line in of_exits if line.offset < each.offset), key=lambda line: line.offset)
        assert code.insn(line) == (each.executed - 1 if each.executed else None)
    assert all(code.insn(line) is None for line in code.host if line.op == HEAD)


def test_lines_that_are_not_there_mark_nothing() -> None:
    code = all_code(recorded())[0]
    for pane in ("guest", "ir", "host"):
        assert not marks(code, 0, pane, 10_000).guest
    assert not marks(code, 99, "ir", 0).guest


def test_all_units_are_reproduced() -> None:
    assert all(code.is_reproduced for code in all_code(recorded()))


@pytest.mark.parametrize("changes", [{"code": b""}, {"pcs": ()}, {"source": b"", "ranges": ()}, {"marks": ((0, 999),)}])
def test_damaged_units_are_told(changes: dict[str, object]) -> None:
    unit: Unit = replace(recorded().units[0], **changes)  # type: ignore[arg-type]
    code = read(unit, recorded().subject.guest)
    assert code.error or code.is_reproduced is not None
    for pane in ("guest", "ir", "host"):
        for line in range(50):
            marks(code, 0, pane, line)
