"""The verifier accepts what lifting makes and refuses everything that breaks a rule."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from dynarec.ir import ops
from dynarec.ir.ops import OpKind, Type
from dynarec.ir.state import Field
from dynarec.ir.text import parse_unit
from dynarec.ir.unit import Branch, GuestInsn, Interpret, Jump, JumpTo, Op, Operand, SyncCode, Trap, Unit
from dynarec.ir.verify import MalformedUnit, verify
from tests.ir.units import LAYOUT, random_unit

GOOD = """\
unit 0x100:
  ; 0x100 4  first
  %0 = get r0
  %1 = eq %0, 0x0
  %2 = load32 %0, 0x4
  set r1, %2
  ; 0x104 4  second
  set narrow, 0x7f
  exit_if %1, jump 0x200
  jump 0x108
"""
GET, EQ, LOAD, SET, NARROW, EXIT = range(6)


def unit() -> Unit:
    return parse_unit(GOOD, LAYOUT)


def add(broken: Unit, kind: OpKind, *args: object, attr: object = None, at: int = 1) -> Op:
    op = Op(kind, args, attr, at)  # type: ignore[arg-type]
    broken.ops.append(op)
    return op


def swap(broken: Unit) -> None:
    broken.ops[GET], broken.ops[EQ] = broken.ops[EQ], broken.ops[GET]


def alien() -> OpKind:
    return OpKind("alien", (), Type.VOID, "an op of another table")


RULES: list[tuple[str, Callable[[Unit], object]]] = [
    ("not defined before", swap),
    ("not defined before", lambda u: add(u, ops.SET, Op(ops.GET, (), LAYOUT["r0"]), attr=LAYOUT["r0"])),
    ("not defined before", lambda u: add(u, ops.SET, u.ops[SET], attr=LAYOUT["r0"])),
    ("not defined before", lambda u: setattr(u, "terminal", JumpTo(Op(ops.GET, (), LAYOUT["r0"])))),
    ("stands twice", lambda u: u.ops.append(u.ops[GET])),
    ("out of order", lambda u: add(u, ops.GET, attr=LAYOUT["r0"], at=0)),
    ("out of order", lambda u: add(u, ops.GET, attr=LAYOUT["r0"], at=2)),
    ("not in the table", lambda u: add(u, alien())),
    ("takes 2 operands, has 1", lambda u: add(u, ops.ADD, 1)),
    ("takes 0 operands, has 1", lambda u: add(u, ops.GET, 1, attr=LAYOUT["r0"])),
    ("i32 wanted, i1 given", lambda u: add(u, ops.ADD, u.ops[EQ], 1)),
    ("i1 wanted, i32 given", lambda u: add(u, ops.BIT, u.ops[GET])),
    ("i1 wanted, i32 given", lambda u: setattr(u, "terminal", Branch(u.ops[GET], 0, 4))),
    ("i32 wanted, i1 given", lambda u: setattr(u, "terminal", Trap(2, u.ops[EQ]))),
    ("is no i1", lambda u: add(u, ops.BIT, 2)),
    ("is no i32", lambda u: add(u, ops.ADD, 1, 1 << 32)),
    ("is no i32", lambda u: add(u, ops.ADD, 1, -1)),
    ("neither a value nor an integer", lambda u: add(u, ops.ADD, 1, True)),
    ("neither a value nor an integer", lambda u: add(u, ops.ADD, 1, "1")),
    ("offset is not a constant", lambda u: add(u, ops.LOAD8U, 0, u.ops[GET])),
    ("offset is not a constant", lambda u: add(u, ops.STORE8, 0, u.ops[GET], 1)),
    ("offset is not a constant", lambda u: add(u, ops.STORE32_IF, 1, 0, u.ops[GET], 1)),
    ("has an attribute", lambda u: add(u, ops.ADD, 1, 1, attr=LAYOUT["r0"])),
    ("is no field", lambda u: add(u, ops.GET, attr="r0")),
    ("is not in the layout", lambda u: add(u, ops.GET, attr=Field("r0", 1))),
    ("is no counter", lambda u: add(u, ops.CALL, 0, attr="apples")),
    ("a side exit is", lambda u: add(u, ops.EXIT_IF, 1, attr=SyncCode(0))),
    ("a side exit is", lambda u: add(u, ops.EXIT_IF, 1)),
    ("i32 wanted", lambda u: add(u, ops.EXIT_IF, 1, attr=Trap(2, u.ops[EQ]))),
    ("no guest address", lambda u: add(u, ops.EXIT_IF, 1, attr=Jump(-2))),
    ("does not fit 8", lambda u: add(u, ops.SET, u.ops[GET], attr=LAYOUT["narrow"])),
    ("does not fit 8", lambda u: add(u, ops.SET, 0x100, attr=LAYOUT["narrow"])),
    ("no guest address", lambda u: setattr(u, "terminal", Jump(1 << 32))),
    ("no guest address", lambda u: setattr(u, "terminal", Branch(1, 0, None))),  # type: ignore[arg-type]
    ("is no unsigned 32-bit number", lambda u: setattr(u, "terminal", Trap(-1, 0))),
    ("no terminal", lambda u: setattr(u, "terminal", None)),
    ("no guest instruction", lambda u: u.insns.clear()),
    ("no guest address", lambda u: u.insns.append(GuestInsn(-4, 4))),
    ("leaves no unit", lambda u: defer(u.ops[GET], (LAYOUT["r1"], 1))),
    ("two writes of one field", lambda u: defer(add(u, ops.LOAD32, 0, 0), (LAYOUT["r1"], 1), (LAYOUT["r1"], 2))),
    ("is not in the layout", lambda u: defer(add(u, ops.LOAD32, 0, 0), (Field("r1", 2), 1))),
    ("i32 wanted, i1 given", lambda u: defer(add(u, ops.LOAD32, 0, 0), (LAYOUT["r1"], u.ops[EQ]))),
    ("does not fit 8", lambda u: defer(add(u, ops.EXIT_IF, 1, attr=Jump(0)), (LAYOUT["narrow"], 0x100))),
    ("not defined before it", lambda u: defer(load := add(u, ops.LOAD32, 0, 0), (LAYOUT["r1"], load))),
    ("no length", lambda u: u.insns.append(GuestInsn(0x108, 0))),
    ("0x104 has no length", lambda u: missing(u, 0x104, 0x108)),
]


def defer(op: Op, *writes: tuple[Field, Operand]) -> None:
    op.deferred = writes


def missing(broken: Unit, *addresses: int) -> None:
    """There is no instruction at these addresses, and the interpreter goes on."""
    broken.insns[1:] = [GuestInsn(address, 0) for address in addresses]
    broken.terminal = Interpret()


def test_where_there_is_no_instruction_the_interpreter_tells() -> None:
    made = unit()
    missing(made, 0x104)
    verify(made, LAYOUT)


def test_the_example_is_well_formed() -> None:
    verify(unit(), LAYOUT)


@pytest.mark.parametrize(("rule", "damage"), RULES, ids=[f"{n}: {rule}" for n, (rule, _) in enumerate(RULES)])
def test_a_broken_rule_is_named(rule: str, damage: Callable[[Unit], object]) -> None:
    broken = unit()
    damage(broken)
    with pytest.raises(MalformedUnit, match=rule) as failure:
        verify(broken, LAYOUT)
    assert str(failure.value).startswith("unit 0x100")


def test_the_message_shows_the_op() -> None:
    broken = unit()
    add(broken, ops.ADD, broken.ops[EQ], 1)
    with pytest.raises(MalformedUnit, match=r"^unit 0x100: %3 = add %1, 0x1: i32 wanted, i1 given$"):
        verify(broken)


def test_the_layout_matters_only_if_given() -> None:
    other = unit()
    add(other, ops.GET, attr=Field("elsewhere", 3))
    verify(other)


def narrow_values(u: Unit) -> list[Op]:
    wide = u.ops[GET]
    byte = Op(ops.LOAD8U, (wide, 0), None, 1)
    narrow = Op(ops.GET, (), LAYOUT["narrow"], 1)
    return [
        byte,
        narrow,
        Op(ops.AND, (wide, 0xFF), None, 1),
        Op(ops.ZEXT8, (wide,), None, 1),
        Op(ops.BIT, (u.ops[EQ],), None, 1),
        Op(ops.SHR, (wide, 24), None, 1),
        Op(ops.OR, (byte, 3), None, 1),
        Op(ops.SELECT, (u.ops[EQ], narrow, 0xFF), None, 1),
    ]


def test_values_that_provably_fit_a_narrow_field() -> None:
    good = unit()
    values = narrow_values(good)
    good.ops += values
    for value in values:
        add(good, ops.SET, value, attr=LAYOUT["narrow"])
    verify(good, LAYOUT)


def test_an_interpreted_unit() -> None:
    verify(Unit(0x100, [], Interpret(), [GuestInsn(0x100, 4)]), LAYOUT)


def test_random_units_are_well_formed() -> None:
    seed = 1
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(300):
        verify(random_unit(rng), LAYOUT)
