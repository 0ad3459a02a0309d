"""Traces: which way they go, where they end, and which bytes they were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from dynarec.ir import ops
from dynarec.ir.text import format_unit
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Unit
from dynarec.trace import (
    FETCH_SIZE,
    TRACE_LIMIT,
    UNROLLED_LIMIT,
    Choice,
    Fetch,
    IsHooked,
    Limits,
    Path,
    Trace,
    form_trace,
)
from guest_isa.rv32 import GUEST
from tests.native.guests import CODE, asm

WORD = 4
FAR = 0x100
"""Distance of a function from the code that calls it."""
STEP = asm("addi", rd="a0", rs1="a0", imm=1)
RETURN = asm("jalr", rd="zero", rs1="ra", imm=0)
NOT_AN_INSTRUCTION = b"\xff\xff\xff\xff"


def branch(offset: int) -> bytes:
    return asm("bne", rs1="a0", rs2="a1", offset=offset)


def jump(offset: int, rd: str = "zero") -> bytes:
    return asm("jal", rd=rd, offset=offset)


def fetch_from(code: bytes) -> Fetch:
    """Reads code that starts at CODE."""

    def fetch(address: int, size: int) -> bytes:
        offset = address - CODE
        return code[offset : offset + size] if offset >= 0 else b""

    return fetch


def trace_of(code: bytes, key: int = CODE, **options: object) -> Trace:
    return form_trace(GUEST, fetch_from(code), key, Limits(**options))  # type: ignore[arg-type]


def at(*places: int) -> IsHooked:
    """Instructions at these places are hooked."""
    return lambda pc, begins: pc in places


def places(unit: Unit) -> list[int]:
    """Offsets of the unit's instructions from CODE."""
    return [insn.pc - CODE for insn in unit.insns]


def side_exits(unit: Unit) -> list[int]:
    """Offsets of the targets of the unit's side exits from CODE."""
    return [op.attr.target - CODE for op in unit.ops if op.kind is ops.EXIT_IF and isinstance(op.attr, Jump)]


def with_function(caller: bytes, function: bytes) -> bytes:
    return caller.ljust(FAR, b"\0") + function


# -- length -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, TRACE_LIMIT, FETCH_SIZE // WORD + 10])
def test_straight_code_ends_at_the_limit(limit: int) -> None:
    trace = trace_of(STEP * (limit + 1), length=limit)
    assert places(trace.unit) == [WORD * number for number in range(limit)]
    assert trace.unit.terminal == Jump(CODE + WORD * limit)
    assert trace.unit.retired == limit
    assert trace.ranges == [(CODE, WORD * limit)]
    assert len(trace.decoded) == limit


def test_limit_by_default() -> None:
    assert len(trace_of(STEP * (TRACE_LIMIT + 1)).unit.insns) == TRACE_LIMIT


# -- loops ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", range(1, TRACE_LIMIT + 1))
def test_loops_are_unrolled_up_to_a_limit_and_never_past_it(length: int) -> None:
    back = -WORD * (length - 1)
    trace = trace_of(STEP * (length - 1) + branch(back) + STEP)
    rounds = max(1, UNROLLED_LIMIT // length)
    assert places(trace.unit) == [WORD * number for number in range(length)] * rounds
    assert side_exits(trace.unit) == [WORD * length] * (rounds - 1)
    assert isinstance(trace.unit.terminal, Branch)
    assert (trace.unit.terminal.taken, trace.unit.terminal.fallthrough) == (CODE, CODE + WORD * length)
    assert trace.ranges == [(CODE, WORD * length)]


def test_loop_longer_than_a_trace_is_cut() -> None:
    trace = trace_of(STEP * TRACE_LIMIT + branch(-WORD * TRACE_LIMIT))
    assert trace.unit.terminal == Jump(CODE + WORD * TRACE_LIMIT)


def test_rounds_are_whole_even_if_the_loop_has_side_exits() -> None:
    trace = trace_of(branch(WORD * 4) + STEP * 2 + branch(-WORD * 3) + STEP)
    rounds = UNROLLED_LIMIT // 4
    assert places(trace.unit) == [0, 4, 8, 12] * rounds
    assert side_exits(trace.unit) == [16, 16] * (rounds - 1) + [16]


def test_loop_that_ends_in_a_jump() -> None:
    trace = trace_of(STEP + branch(WORD * 2) + jump(-WORD * 2) + STEP)
    assert places(trace.unit) == [0, 4, 8] * (UNROLLED_LIMIT // 3)
    assert trace.unit.terminal == Jump(CODE)


def test_loop_entered_in_its_middle() -> None:
    trace = trace_of(STEP * 2 + branch(-WORD * 2) + STEP, CODE + WORD)
    assert places(trace.unit) == [4, 8, 0] * (UNROLLED_LIMIT // 3)
    assert trace.unit.terminal == Jump(CODE + WORD)


def test_long_loop_entered_in_its_middle_is_left_to_a_trace_of_its_own() -> None:
    trace = trace_of(STEP * TRACE_LIMIT + branch(-WORD * TRACE_LIMIT), CODE + WORD * (TRACE_LIMIT - 9))
    assert places(trace.unit) == [WORD * (TRACE_LIMIT - 9 + number) for number in range(10)]
    assert trace.unit.terminal == Jump(CODE)
    assert side_exits(trace.unit) == [WORD * (TRACE_LIMIT + 1)]


def test_inner_loop_ends_the_trace() -> None:
    trace = trace_of(STEP * 2 + branch(-WORD) + STEP)
    assert places(trace.unit) == [0, 4, 8]
    assert isinstance(trace.unit.terminal, Branch)
    assert trace.unit.terminal.taken == CODE + WORD


# -- branches, jumps, calls -------------------------------------------------------------------------------------------


def test_forward_branches_become_side_exits() -> None:
    trace = trace_of(branch(FAR) + STEP + branch(FAR) + jump(0))
    assert places(trace.unit) == [0, 4, 8, 12]
    assert side_exits(trace.unit) == [FAR, FAR + 8]


def test_backward_branches_are_followed() -> None:
    code = with_function(STEP + jump(0), branch(-FAR) + STEP)
    trace = trace_of(code, CODE + FAR)
    assert places(trace.unit) == [FAR, 0, 4]
    assert side_exits(trace.unit) == [FAR + WORD]
    assert trace.unit.terminal == Jump(CODE + WORD)
    assert trace.ranges == [(CODE + FAR, WORD), (CODE, WORD * 2)]


def test_jumps_are_followed() -> None:
    trace = trace_of(with_function(STEP + jump(FAR - WORD), STEP + RETURN))
    assert places(trace.unit) == [0, 4, FAR, FAR + 4]
    assert trace.ranges == [(CODE, 8), (CODE + FAR, 8)]


def test_returns_to_known_addresses_are_followed() -> None:
    """The way into a function and back: the link register is a constant in between."""
    trace = trace_of(with_function(STEP + jump(FAR - WORD, "ra") + STEP + jump(0), STEP + RETURN))
    assert places(trace.unit) == [0, 4, FAR, FAR + 4, 8, 12]
    assert trace.ranges == [(CODE, 8), (CODE + FAR, 8), (CODE + 8, 8)]
    assert trace.unit.terminal == Jump(CODE + 12)


def test_returns_to_unknown_addresses_end_the_trace() -> None:
    trace = trace_of(STEP + RETURN + STEP)
    assert places(trace.unit) == [0, 4]
    assert isinstance(trace.unit.terminal, JumpTo)
    assert trace.unit.retired == 2


def test_function_called_twice_ends_the_trace_at_its_second_call() -> None:
    trace = trace_of(with_function(jump(FAR, "ra") + jump(FAR - WORD, "ra"), STEP + RETURN))
    assert places(trace.unit) == [0, FAR, FAR + 4, 4]
    assert trace.unit.terminal == Jump(CODE + FAR)
    assert trace.ranges == [(CODE, 4), (CODE + FAR, 8), (CODE + 4, 4)]


def test_ranges_hold_no_gaps() -> None:
    """A jump back to where the trace has been already adds nothing, least of all what lies in between."""
    trace = trace_of(with_function(STEP * 2 + jump(FAR - WORD * 2), STEP + jump(-FAR)))
    assert places(trace.unit) == [0, 4, 8, FAR, FAR + 4]
    assert trace.unit.terminal == Jump(CODE + WORD)
    assert trace.ranges == [(CODE, 12), (CODE + FAR, 8)]


def test_last_range_ends_with_the_address_space() -> None:
    end = 1 << 32
    trace = form_trace(GUEST, lambda address, size: STEP * ((end - address) // WORD), end - WORD * 2, Limits(length=2))
    assert trace.unit.terminal == Jump(0)
    assert trace.ranges == [(end - WORD * 2, WORD * 2)]


# -- hooks ------------------------------------------------------------------------------------------------------------


def test_hooks_end_a_trace_before_them() -> None:
    trace = trace_of(STEP * 8, is_hooked=at(CODE + 12, CODE + 20))
    assert places(trace.unit) == [0, 4, 8]
    assert trace.unit.terminal == Jump(CODE + 12)
    assert trace.ranges == [(CODE, 12)]


def test_hook_at_a_target_ends_a_trace_before_it() -> None:
    trace = trace_of(with_function(STEP + jump(FAR - WORD), STEP), is_hooked=at(CODE + FAR))
    assert places(trace.unit) == [0, 4]
    assert trace.unit.terminal == Jump(CODE + FAR)
    assert trace.ranges == [(CODE, 8)]


def test_trace_may_begin_at_a_hook() -> None:
    assert len(trace_of(STEP * 8, is_hooked=at(CODE), length=8).unit.insns) == 8


def test_hook_inside_a_loop_ends_its_first_round() -> None:
    trace = trace_of(STEP * 2 + branch(-WORD * 2), is_hooked=at(CODE + WORD))
    assert places(trace.unit) == [0]
    assert trace.unit.terminal == Jump(CODE + WORD)


# -- what the interpreter does ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "last",
    [
        asm("ecall"),
        asm("ebreak"),
        asm("fence.i", rd="zero", rs1="zero", imm=0),
        asm("csrrs", rd="a0", rs1="zero", csr=0xC00),
    ],
    ids=["ecall", "ebreak", "fence.i", "csrrs"],
)
def test_interpreted_instructions_end_the_trace(last: bytes) -> None:
    trace = trace_of(STEP * 2 + last + STEP)
    assert places(trace.unit) == [0, 4, 8]
    assert trace.unit.terminal == Interpret()
    assert trace.unit.retired == 2
    assert trace.ranges == [(CODE, 12)], "a change of the last one must be noticed, too"


@pytest.mark.parametrize("rest", [NOT_AN_INSTRUCTION, b"", STEP[:2], STEP[:1]], ids=["none", "end", "half", "byte"])
def test_what_is_no_instruction_is_a_unit_by_itself(rest: bytes) -> None:
    trace = trace_of(STEP * 2 + rest)
    assert places(trace.unit) == [0, 4]
    assert trace.unit.terminal == Jump(CODE + 8)
    assert trace.unit.retired == 2
    assert trace.ranges == [(CODE, 8)]
    assert len(trace.decoded) == 2
    trace = trace_of(STEP * 2 + rest, CODE + 8)
    assert (trace.unit.terminal, trace.unit.retired, trace.ranges) == (Interpret(), 0, [])


def test_nothing_at_all() -> None:
    trace = trace_of(b"")
    assert trace.unit.retired == 0
    assert trace.unit.terminal == Interpret()
    assert trace.ranges == []


# -- guides -----------------------------------------------------------------------------------------------------------


class Ways:
    """A guide that knows some places, as offsets from CODE."""

    def __init__(self, ways: Mapping[int, int], repeats: bool = True) -> None:
        self._ways = ways
        self._repeats = repeats
        self.asked: list[list[Choice]] = []
        """The ways of loops that it was asked about."""

    def way(self, index: int, pc: int, ways: Sequence[int]) -> int | None:
        place = self._ways.get(pc - CODE)
        assert place is None or not ways or CODE + place in ways
        return None if place is None else CODE + place

    def repeats(self, choices: Sequence[Choice]) -> bool:
        self.asked.append(list(choices))
        return self._repeats


@pytest.mark.parametrize(("way", "followed", "left"), [(4, [0, 4, 8], 12), (12, [0, 12], 4)])
def test_the_way_of_a_branch(way: int, followed: list[int], left: int) -> None:
    trace = trace_of(branch(WORD * 3) + STEP * 2 + RETURN, guide=Ways({0: way}))
    assert places(trace.unit)[: len(followed)] == followed
    assert side_exits(trace.unit) == [left]


def test_a_branch_back_that_is_not_taken() -> None:
    trace = trace_of(STEP + branch(-WORD) + STEP + RETURN, guide=Ways({4: 8}))
    assert places(trace.unit) == [0, 4, 8, 12]
    assert side_exits(trace.unit) == [0]


def test_the_way_of_a_computed_jump() -> None:
    code = with_function(asm("jalr", rd="zero", rs1="a5", imm=0), STEP * 2 + RETURN)
    trace = trace_of(code, guide=Ways({0: FAR}))
    assert places(trace.unit) == [0, FAR, FAR + 4, FAR + 8]
    (leave,) = [op for op in trace.unit.ops if op.kind is ops.EXIT_IF]
    assert isinstance(leave.attr, JumpTo)
    assert (leave.at, leave.args[0].kind, leave.args[0].args[1]) == (0, ops.NE, CODE + FAR)  # type: ignore[union-attr]
    assert isinstance(trace.unit.terminal, JumpTo)


def test_a_loop_through_a_computed_jump() -> None:
    trace = trace_of(STEP + asm("jalr", rd="zero", rs1="a5", imm=0), guide=Ways({4: 0}))
    assert places(trace.unit) == [0, 4] * (UNROLLED_LIMIT // 2)
    assert trace.unit.terminal == Jump(CODE)


@pytest.mark.parametrize("repeats", [False, True])
def test_whether_a_loop_repeats_is_asked_of_the_guide(repeats: bool) -> None:
    rounds = UNROLLED_LIMIT // 3
    guide = Ways({}, repeats)
    trace = trace_of(branch(WORD * 3) + STEP + branch(-WORD * 2) + STEP, guide=guide)
    out = Choice(CODE, (CODE + 12, CODE + 4), CODE + 4)
    back = Choice(CODE + 8, (CODE, CODE + 12), CODE)
    assert guide.asked == [[out, back] * rounds]
    assert trace.unit.repeats == repeats


def test_whether_other_units_repeat_is_not_asked() -> None:
    guide = Ways({}, repeats=False)
    assert trace_of(branch(WORD * 2) + STEP + RETURN, guide=guide).unit.repeats
    assert not guide.asked


LEADS: dict[str, tuple[bytes, Mapping[int, int]]] = {
    "straight": (STEP * (TRACE_LIMIT + 1), {}),
    "loop": (STEP * 5 + branch(-WORD * 5) + STEP, {}),
    "loop that is left": (STEP * 5 + branch(-WORD * 5) + STEP + RETURN, {20: 24}),
    "long loop": (STEP * TRACE_LIMIT + branch(-WORD * TRACE_LIMIT), {}),
    "inner loop": (STEP * 2 + branch(-WORD) + STEP + RETURN, {}),
    "inner loop that is left": (STEP * 2 + branch(-WORD) + STEP + RETURN, {8: 12}),
    "branches": (branch(WORD * 2) + STEP + branch(WORD * 2) + STEP + RETURN, {8: 16}),
    "to a value": (STEP + asm("jalr", rd="zero", rs1="a5", imm=0) + STEP + RETURN, {4: 8}),
    "not to a value": (STEP + asm("jalr", rd="zero", rs1="a5", imm=0) + STEP + RETURN, {}),
    "no code": (STEP + NOT_AN_INSTRUCTION, {}),
}


@pytest.mark.parametrize("name", LEADS)
@pytest.mark.parametrize("key", [CODE, CODE + WORD])
@pytest.mark.parametrize("length", [2, TRACE_LIMIT])
def test_a_path_leads_the_same_way_again(name: str, key: int, length: int) -> None:
    code, ways = LEADS[name]
    first = trace_of(code, key, guide=Ways(ways), length=length)
    pcs = [insn.pc for insn in first.unit.insns]
    again = trace_of(code, key, guide=Path(pcs, first.onward), length=len(pcs))
    assert format_unit(again.unit) == format_unit(first.unit)
    assert (again.ranges, again.source, again.onward) == (first.ranges, first.source, first.onward)
