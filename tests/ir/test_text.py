"""Units as text and back."""

from __future__ import annotations

import random

import pytest

from dynarec.ir.text import IrSyntaxError, format_ops, format_unit, parse_unit
from dynarec.ir.unit import Op, Unit
from dynarec.ir.verify import verify
from tests.ir.units import KEY, LAYOUT, random_unit

UNITS = 300

EXAMPLE = """\
unit 0x10000:
  ; 0x10000 2  c.addi a0, 1
  %0 = get r0
  %1 = add %0, 0x1
  set r0, %1
  ; 0x10002 4
  %2 = and %1, 0x3
  %3 = ne %2, 0x0
  exit_if %3, trap 4 %1 [r1 = %2, narrow = 0x7f]
  %4 = load16s %1, 0xfffffffc
  store32_if %3, %1, 0x8, %4
  %5 = call time, 0x20
  set narrow, 0x7f
  exit_if %3, jump 0x10020
  store8 %1, 0x0, 0x1 [r1 = 0x0]
  exit_if 0x1, interpret
  branch %3, 0x10020, 0x10006
"""


def shape(unit: Unit) -> list[object]:
    """Everything in a unit, with places for ops."""
    places: dict[object, int] = {op: place for place, op in enumerate(unit.ops)}

    def operand(value: object) -> object:
        return ("op", places[value]) if isinstance(value, Op) else value

    def written(op: Op) -> list[tuple[str, object]]:
        return [(field.name, operand(value)) for field, value in op.deferred]

    ops: list[object] = [(op.kind, tuple(map(operand, op.args)), str(op.attr), written(op), op.at) for op in unit.ops]
    terminal = [(type(unit.terminal), operand(unit.terminal_value()))]
    return [unit.key, ops, terminal, unit.insns]


def test_an_example_is_read_and_printed_again() -> None:
    unit = parse_unit(EXAMPLE, LAYOUT)
    verify(unit, LAYOUT)
    assert format_unit(unit) == EXAMPLE
    assert [op.at for op in unit.ops] == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert unit.insns[1].pc == KEY + 2


@pytest.mark.parametrize(
    "terminal",
    ["jump 0x0", "jump_to %0", "jump_to 0x4", "branch 0x1, 0x2, 0x4", "trap 8 %0", "interpret", "sync_code 0x4"],
)
def test_terminals(terminal: str) -> None:
    text = f"unit 0x0:\n  ; 0x0 4  insn\n  %0 = get r1\n  {terminal}\n"
    unit = parse_unit(text, LAYOUT)
    verify(unit, LAYOUT)
    assert format_unit(unit) == text


@pytest.mark.parametrize("seed", range(4))
def test_random_units_survive_the_round_trip(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(UNITS // 4):
        unit = random_unit(rng)
        again = parse_unit(format_unit(unit), LAYOUT)
        assert format_unit(again) == format_unit(unit)
        assert shape(again)[:2] == shape(unit)[:2]
        assert shape(again)[2:] == shape(unit)[2:]


def test_ops_alone() -> None:
    lines = format_ops(parse_unit(EXAMPLE, LAYOUT))
    assert lines[0] == "%0 = get r0"
    assert lines[-1] == "branch %3, 0x10020, 0x10006"
    assert not any(line.startswith(";") for line in lines)


def test_aliases_of_fields_are_read() -> None:
    unit = parse_unit("unit 0x0:\n  ; 0x0 4  insn\n  %0 = get sp\n  interpret\n", LAYOUT)
    assert unit.ops[0].attr is LAYOUT["r2"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "a unit has a head"),
        ("unit 0x0:\n", "a unit has a head"),
        ("block 0x0:\n", "line 1"),
        ("unit 0x0:\n %0 = get nowhere\n interpret", "line 2"),
        ("unit 0x0:\n %0 = frob 0x1\n interpret", "line 2"),
        ("unit 0x0:\n %1 = get r0\n interpret", "this value is %0"),
        ("unit 0x0:\n %0 = add %0, 0x1\n interpret", "line 2"),
        ("unit 0x0:\n set r0, 1x\n interpret", "line 2"),
        ("unit 0x0:\n exit_if 0x1, sync_code 0x0\n interpret", "side exit"),
        ("unit 0x0:\n jump\n", "no such terminal"),
        ("unit 0x0:\n interpret\n set r0, 0x1", "not the last line"),
        ("unit 0x0:\n ; here 4  insn\n interpret", "cannot be read"),
    ],
)
def test_what_is_no_unit_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(IrSyntaxError, match=line):
        parse_unit(text, LAYOUT)
