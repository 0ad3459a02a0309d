"""Homes on loan: which registers a loop borrows, and what that changes inside it."""

from __future__ import annotations

import pytest

from dynarec.host.loops import MAX_LOANS, MIN_USES, Loan, loans, with_loans
from dynarec.ir import ops
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Terminal, Unit
from tests.host.shapes import BEHIND, Maker
from tests.ir.units import HOMES, KEY, LAYOUT

FIRST_REGISTER = 20
IN_REGISTERS = {field: FIRST_REGISTER + number for number, field in enumerate(HOMES)}
BACK = Jump(KEY)


def unit_of(counts: dict[str, int], terminal: Terminal = BACK) -> Unit:
    """A unit that writes each of the fields so often."""
    maker = Maker()
    for name, count in counts.items():
        for number in range(count):
            maker.set(name, number)
    return maker.end(terminal)


def borrowed(unit: Unit) -> dict[str, str]:
    """Borrower -> owner."""
    return {loan.borrower.name: loan.owner.name for loan in loans(unit, IN_REGISTERS)}


@pytest.mark.parametrize(
    ("terminal", "loops"),
    [
        (Jump(KEY), True),
        (Branch(1, KEY, BEHIND), True),
        (Jump(BEHIND), False),
        (Branch(1, BEHIND, KEY), False),
        (JumpTo(KEY), False),
        (Interpret(), False),
    ],
    ids=str,
)
def test_a_loop_goes_back_to_its_head(terminal: Terminal, loops: bool) -> None:
    unit = unit_of({"r9": MIN_USES}, terminal)
    assert unit.is_loop == loops
    assert bool(loans(unit, IN_REGISTERS)) == loops


def test_a_loop_that_is_mostly_left_at_once_borrows_nothing() -> None:
    unit = unit_of({"r9": MIN_USES})
    unit.repeats = False
    assert not loans(unit, IN_REGISTERS)


def test_unused_homes_are_lent_to_fields_without_one() -> None:
    unit = unit_of({"r0": 1, "r9": 2, "r10": 3})
    assert borrowed(unit) == {"r10": "r7", "r9": "r6"}
    assert loans(unit, IN_REGISTERS)[0] == Loan(IN_REGISTERS[LAYOUT["r7"]], LAYOUT["r7"], LAYOUT["r10"])


def test_reads_count_as_writes_do() -> None:
    maker = Maker()
    maker.set("r9", maker.op(ops.ADD, maker.get("r9"), 1))
    assert borrowed(maker.end(BACK)) == {"r9": "r7"}


def test_a_field_used_too_seldom_borrows_nothing() -> None:
    assert borrowed(unit_of({"r9": MIN_USES - 1, "r10": MIN_USES})) == {"r10": "r7"}


def test_homes_that_the_loop_uses_are_not_lent() -> None:
    everything_but = {field.name: 1 for field in HOMES if field.name != "r3"}
    assert borrowed(unit_of({**everything_but, "r9": 2, "r10": 5})) == {"r10": "r3"}
    assert borrowed(unit_of({**everything_but, "r3": 1, "r9": 2})) == {}


def test_fields_with_a_home_borrow_nothing() -> None:
    assert borrowed(unit_of({"r0": 9})) == {}


def test_there_is_a_most() -> None:
    fields = LAYOUT.fields
    homes = {field: number for number, field in enumerate(fields[: len(fields) // 2])}
    unit = unit_of({field.name: MIN_USES for field in fields if field not in homes})
    assert len(loans(unit, homes)) == min(MAX_LOANS, len(homes), len(fields) - len(homes))


def test_homes_inside() -> None:
    unit = unit_of({"r9": 2})
    inside = with_loans(IN_REGISTERS, loans(unit, IN_REGISTERS))
    assert inside[LAYOUT["r9"]] == IN_REGISTERS[LAYOUT["r7"]]
    assert LAYOUT["r7"] not in inside
    assert sorted(inside.values()) == sorted(IN_REGISTERS.values())
    assert LAYOUT["r7"] in IN_REGISTERS, "the homes outside are as before"


def test_nothing_lent_changes_nothing() -> None:
    assert with_loans(IN_REGISTERS, []) == IN_REGISTERS
