"""What the builder folds, and what it leaves."""

from __future__ import annotations

import itertools

import pytest

from dynarec.ir import ops
from dynarec.ir.builder import Builder
from dynarec.ir.ops import OpKind, Type
from dynarec.ir.text import format_ops
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, SyncCode, Trap
from dynarec.ir.verify import verify
from tests.ir.units import EDGES, KEY, LAYOUT

R0, R1, NARROW = LAYOUT["r0"], LAYOUT["r1"], LAYOUT["narrow"]
PURE = [kind for kind in ops.OPS.values() if kind.pure]


@pytest.fixture
def b() -> Builder:
    builder = Builder(KEY)
    builder.begin(KEY, 4, "insn")
    return builder


def lines(builder: Builder) -> list[str]:
    builder.unit.terminal = builder.terminal or Interpret()
    verify(builder.unit, LAYOUT)
    return format_ops(builder.unit)


def ended(builder: Builder) -> object:
    """The terminal so far."""
    return builder.terminal


@pytest.mark.parametrize("kind", PURE, ids=lambda kind: kind.name)
def test_constants_fold(b: Builder, kind: OpKind) -> None:
    assert kind.evaluate is not None
    for args in itertools.product(*((0, 1) if param is Type.I1 else EDGES[::5] for param in kind.params)):
        assert b.op(kind, *args) == kind.evaluate(*args)
    assert not b.unit.ops


def test_one_value_is_enough_not_to_fold(b: Builder) -> None:
    b.set(R0, b.add(b.get(R1), 1))
    assert lines(b) == ["%0 = get r1", "%1 = add %0, 0x1", "set r0, %1", "interpret"]


def test_a_field_set_to_a_constant_is_that_constant(b: Builder) -> None:
    b.set(R0, 5)
    assert b.get(R0) == 5
    b.set(R0, b.get(R1))
    assert b.get(R0) != 5


def test_a_constant_lives_on_in_the_next_instruction(b: Builder) -> None:
    b.set(R0, 5)
    b.begin(b.next_pc, 4)
    assert b.get(R0) == 5


def test_no_register_reads_zero_and_ignores_writes(b: Builder) -> None:
    b.set(None, 5)
    assert b.get(None) == 0
    assert not b.unit.ops


def test_narrow_fields_are_masked(b: Builder) -> None:
    b.set(NARROW, 0x1FF)
    b.set(NARROW, b.get(R0))
    assert lines(b) == ["set narrow, 0xff", "%0 = get r0", "%1 = and %0, 0xff", "set narrow, %1", "interpret"]


def test_exits_that_cannot_happen_vanish(b: Builder) -> None:
    b.exit_if(0, Jump(0))
    b.trap_if(b.ne(1, 1), 4, 0)
    assert not b.unit.ops
    b.trap_if(b.eq(b.get(R0), 1), 4, 7)
    assert lines(b) == ["%0 = get r0", "%1 = eq %0, 0x1", "exit_if %1, trap 4 0x7", "interpret"]


def test_terminals(b: Builder) -> None:
    b.jump(0x20)
    assert ended(b) == Jump(0x20)
    value = b.get(R0)
    b.jump(value)
    assert ended(b) == JumpTo(value)
    b.trap(3, value)
    assert ended(b) == Trap(3, value)
    b.sync_code()
    assert ended(b) == SyncCode(KEY + 4)
    b.interpret()
    assert ended(b) == Interpret()


def test_branches_on_constants_are_jumps(b: Builder) -> None:
    b.branch(1, 0x20)
    assert ended(b) == Jump(0x20)
    b.branch(0, 0x20)
    assert ended(b) == Jump(KEY + 4)
    condition = b.eq(b.get(R0), 0)
    b.branch(condition, 0x20)
    assert ended(b) == Branch(condition, 0x20, KEY + 4)


def test_the_next_pc_wraps() -> None:
    builder = Builder(0xFFFF_FFFC)
    builder.begin(0xFFFF_FFFC, 4)
    assert builder.next_pc == 0
