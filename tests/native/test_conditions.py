"""Conditions in the C core: what is refused, what each op makes, and which hooks are called with them."""

from __future__ import annotations

import operator
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from dynarec import DynarecError, Machine, MemoryAccess
from dynarec._native import lib
from dynarec.conditions import CHANGES, SIZE, STACK, Condition, Insn, Op
from dynarec.debug.language import parse
from dynarec.debug.scope import HookSite, Scope
from dynarec.machine.base import Access
from tests.differential.executors import CODE_SIZE, REGISTERS
from tests.differential.programs import DATA as PROGRAM_DATA
from tests.differential.programs import DATA_SIZE, Program, random_program
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, PAGE, asm, load
from tests.native.test_hooks import Box, Story, repeating

WORD_MASK = 0xFFFF_FFFF
TIERS = ("interp", "jit", "auto")
PROGRAMS = 30 if "CI" in os.environ else 10
LOOP = asm("addi", rd="t0", rs1="t0", imm=1) + asm("jal", rd=0, offset=-4)


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def program(*insns: Op | tuple[Op, int]) -> Condition:
    return Condition(tuple(Insn(each) if isinstance(each, Op) else Insn(*each) for each in insns))


def number(value: int) -> tuple[Op, int]:
    return Op.NUMBER, value


def holds(machine: Machine, condition: Condition) -> bool:
    """At the last access that the machine has stopped for, or at none."""
    return machine._core.holds(0, 1 << 32, condition)


def test_python_and_c_name_the_same() -> None:
    assert [(op.name, op.value) for op in Op] == [
        (name, getattr(lib, f"DR_OP_{name}")) for name in (each.name for each in Op)
    ]
    assert (len(Op), SIZE, STACK) == (lib.DR_OPS, lib.DR_CONDITION_SIZE, lib.DR_CONDITION_STACK)


# -- what is refused --------------------------------------------------------------------------------------------------

ONE = number(1)
REFUSED = [
    (program(), "one value"),
    (program(ONE, ONE), "one value"),
    (program(Op.ADD), "empty stack"),
    (program(ONE, Op.ADD), "empty stack"),
    (program(Op.LOAD32), "empty stack"),
    (program((Op.SKIP_IF_ZERO, 0), ONE), "empty stack"),
    (program(ONE, (Op.SKIP, 1)), "behind its end"),
    (program(ONE, (Op.SKIP, WORD_MASK)), "behind its end"),
    (program(ONE, (Op.SKIP_IF_ZERO, 1), ONE), "stacks that differ"),
    (program(ONE, (Op.SKIP, 1), ONE), "nothing leads to"),
    (program((Op.REGISTER, 48)), "register"),
    (program((Op.REGISTER, WORD_MASK)), "register"),
    (program(Op.VALUE), "access"),
    (program(Op.ADDRESS), "access"),
    (program(Op.SIZE), "access"),
    (program(Op.CHANGES), "access"),
    (program(*[ONE] * (STACK + 1), *[Op.ADD] * STACK), "too deeply"),
    (program(ONE, *[Op.SEXT8] * SIZE), "room for"),
]


@pytest.mark.parametrize(("condition", "message"), REFUSED)
def test_what_is_refused(condition: Condition, message: str) -> None:
    with load(LOOP) as machine:
        with pytest.raises(DynarecError, match=message) as caught:
            machine.hook_code(print, CODE, when=condition)
        assert "\n" not in str(caught.value)
        assert machine.run(100).instructions == 100


def test_the_longest_and_the_deepest() -> None:
    with load(LOOP) as machine:
        for condition in (program(ONE, *[Op.SEXT8] * (SIZE - 1)), program(*[ONE] * STACK, *[Op.ADD] * (STACK - 1))):
            machine.hook_code(lambda _, pc: None, CODE, when=condition).remove()


def test_an_operation_that_there_is_not() -> None:
    with load(LOOP) as machine:
        bad = Condition((Insn(len(Op)),))  # type: ignore[arg-type]
        with pytest.raises(DynarecError, match="that there is not"):
            machine.hook_code(print, CODE, when=bad)


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_are_refused_or_end(seed: int) -> None:
    rng = random.Random(seed)
    with repeating(asm("lw", rd="a0", rs1="s0", imm=4), tier="interp") as machine:
        taken = 0
        for _ in range(2000):
            insns = [Insn(rng.choice(list(Op)), rng.choice((0, 1, 2, DATA))) for _ in range(rng.randint(1, 8))]
            try:
                hook = machine.hook_memory(lambda _, access: None, DATA, DATA + 8, when=Condition(tuple(insns)))
            except DynarecError:
                continue
            taken += 1
            machine.run(4)
            hook.remove()
        assert taken > 50, seed


# -- what the ops make ------------------------------------------------------------------------------------------------

SAMPLES = (0, 1, 2, 5, 31, 32, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, WORD_MASK)


def signed(value: int, bits: int = 32) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def quotient(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


BINARY: dict[Op, Callable[[int, int], int]] = {
    Op.ADD: operator.add, Op.SUB: operator.sub, Op.MUL: operator.mul,
    Op.AND: operator.and_, Op.OR: operator.or_, Op.XOR: operator.xor,
    Op.SHL: lambda a, b: a << (b & 31), Op.SHR: lambda a, b: a >> (b & 31), Op.SAR: lambda a, b: signed(a) >> (b & 31),
    Op.EQ: operator.eq, Op.NE: operator.ne, Op.LTU: operator.lt, Op.GEU: operator.ge,
    Op.LTS: lambda a, b: signed(a) < signed(b), Op.GES: lambda a, b: signed(a) >= signed(b),
    Op.DIVU: operator.floordiv, Op.REMU: operator.mod, Op.DIVS: lambda a, b: quotient(signed(a), signed(b)),
    Op.REMS: lambda a, b: signed(a) - signed(b) * quotient(signed(a), signed(b)),
}  # fmt: skip
UNARY: dict[Op, Callable[[int], int]] = {
    Op.SEXT8: lambda a: signed(a, 8), Op.SEXT16: lambda a: signed(a, 16),
    Op.ZEXT8: lambda a: a & 0xFF, Op.ZEXT16: lambda a: a & 0xFFFF,
}  # fmt: skip
DIVISIONS = (Op.DIVU, Op.DIVS, Op.REMU, Op.REMS)


def test_every_op_with_operands_is_tried() -> None:
    leaves = {Op.NUMBER, Op.REGISTER, Op.PC, Op.ADDRESS, Op.SIZE, Op.VALUE, Op.CHANGES}
    others = {Op.LOAD8, Op.LOAD16, Op.LOAD32, Op.SKIP, Op.SKIP_IF_ZERO}
    assert set(Op) - leaves - others == set(BINARY) | set(UNARY)


@pytest.mark.parametrize("op", BINARY)
def test_binary(op: Op) -> None:
    with load(LOOP) as machine:
        for a in SAMPLES:
            for b in SAMPLES[1:] if op in DIVISIONS else SAMPLES:
                expected = BINARY[op](a, b) & WORD_MASK
                for other in (expected, expected ^ 1):
                    found = holds(machine, program(number(a), number(b), op, number(other), Op.EQ))
                    assert found == (other == expected), (op, a, b)


@pytest.mark.parametrize("op", UNARY)
def test_unary(op: Op) -> None:
    with load(LOOP) as machine:
        for a in SAMPLES:
            assert not holds(machine, program(number(a), op, number(UNARY[op](a)), Op.NE)), (op, a)


@pytest.mark.parametrize("op", DIVISIONS)
def test_a_division_by_zero_holds(op: Op) -> None:
    with load(LOOP) as machine:
        assert holds(machine, program(number(0), number(0), op, number(0), Op.AND))


def test_registers_and_the_pc() -> None:
    with load(LOOP) as machine:
        machine.regs.a0 = 77
        register = Op.REGISTER, machine.guest.layout["a0"].index
        assert holds(machine, program(register, number(77), Op.EQ))
        assert not holds(machine, program(register, number(77), Op.NE))
        assert holds(machine, program(Op.PC, number(CODE), Op.EQ))


def test_skips() -> None:
    with load(LOOP) as machine:
        for value, expected in ((0, 20), (9, 10)):
            choice = (number(value), (Op.SKIP_IF_ZERO, 2), number(10), (Op.SKIP, 1), number(20))
            assert holds(machine, program(*choice, number(expected), Op.EQ))
            assert not holds(machine, program(*choice, number(expected), Op.NE))


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE, Access.EXECUTE])
def test_loads(access: Access) -> None:
    """Whatever the guest may do there, and where pages meet; what is not mapped holds."""
    with load(LOOP) as machine:
        machine.memory.map(DATA, 2 * PAGE, Access.READ | Access.WRITE)
        machine.memory[DATA + PAGE - 4 : DATA + PAGE + 4] = bytes(range(0x80, 0x88))
        machine.memory.protect(DATA, 2 * PAGE, access)
        middle = DATA + PAGE
        for op, address, expected in (
            (Op.LOAD8, middle - 1, 0x83), (Op.LOAD16, middle - 1, 0x8483), (Op.LOAD32, middle - 2, 0x8584_8382),
            (Op.LOAD32, middle, 0x8786_8584),
        ):  # fmt: skip
            assert not holds(machine, program(number(address), op, number(expected), Op.NE))
        for address in (0, DATA + 2 * PAGE - 2, WORD_MASK, WORD_MASK - 2):
            assert holds(machine, program(number(address), Op.LOAD32, number(0), Op.AND))


# -- accesses ---------------------------------------------------------------------------------------------------------


def noting(machine: Machine, start: int, end: int, when: Condition, kind: str = "access") -> list[MemoryAccess]:
    seen: list[MemoryAccess] = []
    machine.hook_memory(lambda _, access: seen.append(access), start, end, kind, when=when)
    return seen


@pytest.mark.parametrize(("start", "end", "changes"), [(0, 4, True), (1, 4, True), (1, 2, False), (0, 1, False)])
def test_whether_a_value_changes(tier: str, start: int, end: int, changes: bool) -> None:
    """Of the bytes that are hooked; a3 differs from what is there in its third byte."""
    body = asm("lw", rd="a0", rs1="s0", imm=0) + asm("sw", rs1="s0", rs2="a3", imm=0)
    with repeating(body, tier=tier, hot=1) as machine:
        machine.memory[DATA : DATA + 4] = machine.regs.a3.to_bytes(4, "little")
        machine.run(99)
        seen = noting(machine, DATA + start, DATA + end, CHANGES)
        machine.run(30)
        assert seen == []
        machine.regs.a3 ^= 0x0001_0000
        machine.run(30)
        assert seen == [MemoryAccess(CODE + 4, DATA, 4, machine.regs.a3, "write")] * changes


def test_the_value_the_address_and_the_size(tier: str) -> None:
    body = asm("lhu", rd="a0", rs1="s0", imm=2) + asm("sb", rs1="s0", rs2="a1", imm=5)
    read, write = ("read", CODE, 2, 2, 0x1234), ("write", CODE + 4, 5, 1, 0xBB)
    with repeating(body, tier=tier, hot=1) as machine:
        machine.memory[DATA + 2 : DATA + 4] = (0x1234).to_bytes(2, "little")
        machine.run(99)
        for kind, pc, offset, size, value in (read, write):
            for op, expected in ((Op.ADDRESS, DATA + offset), (Op.SIZE, size), (Op.VALUE, value)):
                seen = noting(machine, DATA + offset, DATA + offset + 1, program(op, number(expected), Op.EQ))
                missed = noting(machine, DATA + offset, DATA + offset + 1, program(op, number(expected), Op.NE))
                machine.run(3)
                assert [(access.kind, access.pc) for access in seen] == [(kind, pc)]
                assert missed == []


def test_what_a_device_holds_is_not_asked_for(tier: str) -> None:
    """A read of one has effects, so a condition on its value holds; one on a write is evaluated."""
    body = asm("lw", rd="a0", rs1="s1", imm=8) + asm("sh", rs1="s1", rs2="a1", imm=4)
    with repeating(body, tier=tier, hot=1) as machine:
        where = 0x4000_0000
        machine.add_device(where, Box())
        machine.regs.s1 = where
        seen = noting(machine, where, where + PAGE, program(Op.VALUE, number(0), Op.AND))
        machine.run(6)
        assert [access.kind for access in seen] == ["read", "read"]


def test_an_atomic_whose_read_does_not_hold(tier: str) -> None:
    with repeating(asm("amoadd.w", rd="a0", rs1="s0", rs2="a1"), tier=tier, hot=1) as machine:
        machine.regs.a1 = 1
        machine.run(100)
        before = int.from_bytes(machine.memory[DATA : DATA + 4], "little")
        seen = noting(machine, DATA, DATA + 4, CHANGES)
        machine.run(8)
        assert [(access.kind, access.value) for access in seen] == [("write", before + n) for n in (1, 2, 3, 4)]


# -- coming and going -------------------------------------------------------------------------------------------------


def test_conditions_of_one_range_come_and_go_by_themselves(tier: str) -> None:
    never, always = program(number(0)), program(number(1))
    with load(LOOP, tier=tier, hot=1) as machine:
        seen: list[str] = []
        hooks = {
            name: machine.hook_code(lambda _, pc, name=name: seen.append(name), CODE, when=when)  # type: ignore[misc]
            for name, when in (("never", never), ("always", always), ("again", always), ("plain", None))
        }
        expected = ["always", "again", "plain"]
        for name in ("plain", "always", "never", "again"):
            seen.clear()
            machine.run(2)
            assert seen == expected
            hooks[name].remove()
            expected = [each for each in expected if each != name]
        assert not machine._core.is_hooked(CODE, False)


def test_a_condition_that_was_not_added(tier: str) -> None:
    with load(LOOP, tier=tier) as machine:
        machine.hook_code(lambda _, pc: None, CODE, when=program(number(1)))
        for other in (None, program(number(2)), program(number(1), Op.SEXT8)):
            with pytest.raises(DynarecError, match="no such hook"):
                machine._core.unhook(0, CODE, CODE + 1, "hook", other)
        with pytest.raises(DynarecError, match="no such hook"):
            machine._core.unhook(0, CODE, CODE + 2, "hook", program(number(1)))


def test_what_the_machine_watches_has_no_condition() -> None:
    with load(LOOP) as machine, pytest.raises(DynarecError, match="no condition"):
        machine._core.hook(lib.DR_HOOK_STORED, DATA, DATA + 4, "hook", CHANGES)


def test_python_is_not_asked(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no condition holds, the core does not come back."""
    with repeating(asm("sw", rs1="s0", rs2="a1", imm=0), tier=tier, hot=1) as machine:
        machine.run(100)
        asked: list[int] = []
        monkeypatch.setattr(machine._hooks, "call", lambda: asked.append(machine.pc))
        never = program(number(0))
        machine.hook_code(print, CODE, when=never)
        machine.hook_block(print, when=never)
        machine.hook_memory(print, DATA, DATA + 4, when=never)
        machine.run(1000)
        assert asked == []
        machine.hook_code(print, CODE + 4, when=program(number(1)))
        machine.run(4)
        assert asked == [CODE + 4] * 2


# -- random programs, random hooks, random conditions -----------------------------------------------------------------


class ConditionalStory(Story):
    """Hooks with conditions, which the core evaluates, or Python does in the callback."""

    def __init__(self, machine: Machine, program: Program, in_python: bool) -> None:
        super().__init__(machine, program)
        self.in_python = in_python

    def add(self) -> None:
        super().add()
        for _ in range(2):
            self.add_conditional()

    def add_conditional(self) -> None:
        kind = self.random.choice(("code", "block", "read", "write", "access"))
        text = self.condition(kind in ("read", "write", "access"))
        start = self.place() if kind in ("code", "block") else PROGRAM_DATA + self.random.randrange(DATA_SIZE)
        end = start + self.random.choice((1, 4, 64, 0x1000))
        callback, when = self.judged(text) if self.in_python else (self.called, self.compiled(text))
        if kind == "code":
            self.hooks.append(self.machine.hook_code(callback, start, end, when=when))
        elif kind == "block":
            self.hooks.append(self.machine.hook_block(callback, start, end, when=when))
        else:
            self.hooks.append(self.machine.hook_memory(callback, start, end, kind, when=when))

    def condition(self, of_access: bool) -> str:
        register = f"${self.random.choice(REGISTERS)}"
        choices = [
            f"{register} & {1 << self.random.randrange(8)}",
            f"(char){register} < {self.random.randrange(256)}",
            f"u8[{PROGRAM_DATA + self.random.randrange(DATA_SIZE)}] & 3",
            f"({register} & 1) ? $pc & 4 : i16[{PROGRAM_DATA + 2 * self.random.randrange(DATA_SIZE // 2)}] > 0",
            f"u32[{register}] == 0 || 1",
            f"100 / ({register} & 3) > 40 || ({register} & 3) == 0",
        ]
        if of_access:
            choices += ["$value & 1", "$size == 4", "$address & 4", "$value < 0x1000 && $size > 1"]
        return self.random.choice(choices)

    def compiled(self, text: str) -> Condition:
        found = parse(text).condition(HookSite(self.machine, has_access=True))
        assert found is not None
        return found

    def judged(self, text: str) -> tuple[Callable[[Machine, Any], bool], None]:
        def judge(machine: Machine, what: Any) -> bool:
            access = what if isinstance(what, MemoryAccess) else None
            try:
                due = bool(parse(text).evaluate(Scope(machine, access=access)))
            except DynarecError:
                due = True  # what cannot be evaluated holds
            return due and self.called(machine, what)

        return judge, None


def story(program: Program, in_python: bool, **options: Any) -> list[object]:
    parts = [Part(CODE, program.code, CODE_SIZE, R | X), Part(PROGRAM_DATA, program.data, DATA_SIZE, R | W)]
    with Machine.load(build(parts, CODE), **options) as machine:
        return ConditionalStory(machine, program, in_python).run()


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_random_conditions_are_what_python_would_say(seed: int) -> None:
    program = random_program(seed)
    expected = story(program, in_python=True, tier="interp")
    for options in ({"tier": "interp"}, {"tier": "jit"}, {"tier": "auto", "hot": 2}):
        found = story(program, in_python=False, **options)  # type: ignore[arg-type]
        for line, (mine, theirs) in enumerate(zip(found, expected, strict=False)):
            assert mine == theirs, f"seed {seed}, {options}, line {line}\n{program.listing()}"
        assert len(found) == len(expected), f"seed {seed}, {options}"
