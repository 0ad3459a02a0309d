"""Hooks in the C core: every tier, policy and page size reports the same, and in the same order."""

from __future__ import annotations

import functools
import os
import random
from typing import Any

import pytest

from dynarec import Hook, Machine, MemoryAccess, StopReason, loading
from dynarec._native import ffi, lib
from dynarec.core import CoreConfig, policies, probe_policy
from dynarec.machine.base import Access
from guest_isa.rv32 import GUEST
from tests.differential.executors import CODE_SIZE, REGISTERS
from tests.differential.programs import DATA as PROGRAM_DATA
from tests.differential.programs import DATA_SIZE, Program, random_program
from tests.machine.elf import Part, R, W, X, build
from tests.machine.test_virt import KERNEL, Port
from tests.native.guests import CODE, DATA, EXIT, PAGE, asm, li, load, lui, registers

POLICIES = [name for name in policies() if probe_policy(name) is None]
TIERS = ("jit", "auto", "interp")
LARGE_PAGE = 16384
BY_BYTE = GUEST._replace(code_policy="byte")
PROGRAMS = 40 if "CI" in os.environ else 13
STEPS = 60


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[0, LARGE_PAGE], ids=["pages of this system", "pages of 16 KiB"])
def host_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(loading, "CoreConfig", functools.partial(CoreConfig, host_page=request.param))
    return int(request.param)


def accesses(machine: Machine, start: int, end: int, kind: str = "access") -> list[MemoryAccess]:
    """The list that a hook fills from now on."""
    seen: list[MemoryAccess] = []
    machine.hook_memory(lambda _, access: seen.append(access), start, end, kind)
    return seen


# -- random programs, random hooks ------------------------------------------------------------------------------------


class Story:
    """A program that runs in pieces, with hooks that come, go, stop it and change it; `lines` tells what they saw."""

    def __init__(self, machine: Machine, program: Program) -> None:
        self.machine = machine
        self.program = program
        self.random = random.Random(program.seed)
        self.hooks: list[Hook] = []
        self.lines: list[object] = []

    def start(self) -> None:
        self.machine.pc = CODE
        for name, value in zip(REGISTERS, self.program.registers, strict=True):
            self.machine.regs[name] = value

    def run(self) -> list[object]:
        self.start()
        for _ in range(STEPS):
            self.add()
            if self.hooks and self.random.random() < 0.4:
                self.hooks.pop(self.random.randrange(len(self.hooks))).remove()
            count = self.random.choice((0, 1, 2, 7, 30, 200))
            stop = self.machine.run(count)
            self.lines.append((stop, registers(self.machine)))
            if stop.reason is StopReason.TRAP and self.random.random() < 0.9:
                self.start()
        self.lines.append(self.machine.memory[PROGRAM_DATA : PROGRAM_DATA + DATA_SIZE])
        return self.lines

    def add(self) -> None:
        kind = self.random.choice(("code", "codes", "block", "read", "write", "access"))
        if kind == "code":
            self.hooks.append(self.machine.hook_code(self.called, self.place()))
        elif kind == "codes":
            start = self.place()
            self.hooks.append(self.machine.hook_code(self.called, start, start + self.random.choice((2, 10, 60))))
        elif kind == "block":
            start = self.place()
            self.hooks.append(self.machine.hook_block(self.called, start, start + self.random.choice((2, 40, 0x1000))))
        else:
            start = PROGRAM_DATA + self.random.choice((0x40, self.random.randrange(DATA_SIZE), DATA_SIZE - 16))
            end = start + self.random.choice((1, 4, 64, 0x1000))
            self.hooks.append(self.machine.hook_memory(self.called, start, end, kind))

    def place(self) -> int:
        return CODE + self.random.randrange(0, len(self.program.code), 2)

    def called(self, machine: Machine, what: object) -> bool:
        assert machine is self.machine
        self.lines.append((what, machine.instructions, registers(machine)))
        draw = self.random.random()
        if draw < 0.02:
            self.add()
        elif draw < 0.05 and self.hooks:
            self.hooks.pop(self.random.randrange(len(self.hooks))).remove()
        elif draw < 0.08:
            machine.regs["x5"] = self.random.getrandbits(32)
        elif draw < 0.1:
            machine.memory[PROGRAM_DATA + self.random.randrange(DATA_SIZE)] = self.random.randrange(256)
        return draw > 0.9


def story(program: Program, **options: Any) -> list[object]:
    """What hooks saw of the program."""
    parts = [Part(CODE, program.code, CODE_SIZE, R | X), Part(PROGRAM_DATA, program.data, DATA_SIZE, R | W)]
    with Machine.load(build(parts, CODE), **options) as machine:
        return Story(machine, program).run()


def compare(program: Program, expected: list[object], **options: Any) -> None:
    found = story(program, **options)
    for number, (mine, theirs) in enumerate(zip(found, expected, strict=False)):
        assert mine == theirs, f"seed {program.seed}, {options}, line {number}\n{program.listing()}"
    assert len(found) == len(expected), f"seed {program.seed}, {options}"


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_random_hooks_see_the_same_in_every_tier(seed: int) -> None:
    program = random_program(seed)
    expected = story(program, tier="interp")
    for options in ({"tier": "jit"}, {"tier": "auto", "hot": 2}, {"tier": "jit", "guest": BY_BYTE}):
        compare(program, expected, **options)


@pytest.mark.usefixtures("host_page")
@pytest.mark.parametrize("seed", range(PROGRAMS, PROGRAMS + 6))
def test_random_hooks_see_the_same_under_every_policy(seed: int) -> None:
    program = random_program(seed)
    expected = story(program, tier="interp")
    for name in POLICIES:
        compare(program, expected, tier="jit", wx=name)


# -- accesses of every kind -------------------------------------------------------------------------------------------

VALUE = 0x8899_AABB
ALL_ONES = 0xFFFF_FFFF
READS = [
    (asm("lb", rd="a0", rs1="s0", imm=4), 1), (asm("lbu", rd="a0", rs1="s0", imm=4), 1),
    (asm("lh", rd="a0", rs1="s0", imm=4), 2), (asm("lhu", rd="a0", rs1="s0", imm=4), 2),
    (asm("lw", rd="a0", rs1="s0", imm=4), 4), (asm("c.lw", rd=2, rs1=0, uimm=4), 4),
]  # fmt: skip
WRITES = [
    (asm("sb", rs1="s0", rs2="a1", imm=4), 1), (asm("sh", rs1="s0", rs2="a1", imm=4), 2),
    (asm("sw", rs1="s0", rs2="a1", imm=4), 4), (asm("c.sw", rs1=0, rs2=3, uimm=4), 4),
]  # fmt: skip


def repeating(body: bytes, **options: Any) -> Machine:
    """A machine that runs `body` for ever; s0 holds DATA, a1 a value."""
    machine = load(body + asm("jal", rd=0, offset=-len(body)), **options)
    machine.regs.s0, machine.regs.a1 = DATA, VALUE
    return machine


@pytest.mark.parametrize(("insn", "size"), READS)
def test_reads(tier: str, policy: str, insn: bytes, size: int) -> None:
    with repeating(insn, tier=tier, wx=policy, hot=1) as machine:
        machine.run(100)
        seen = accesses(machine, DATA + 4, DATA + 5)
        machine.run(4)
        assert seen == [MemoryAccess(CODE, DATA + 4, size, None, "read")] * 2


@pytest.mark.parametrize(("insn", "size"), WRITES)
def test_writes(tier: str, policy: str, insn: bytes, size: int) -> None:
    with repeating(insn, tier=tier, wx=policy, hot=1) as machine:
        machine.run(100)
        seen = accesses(machine, DATA + 4, DATA + 5)
        machine.run(4)
        assert seen == [MemoryAccess(CODE, DATA + 4, size, VALUE & (1 << 8 * size) - 1, "write")] * 2


@pytest.mark.parametrize("name", ["amoadd.w", "amoswap.w.aqrl", "amomaxu.w"])
def test_atomics_read_and_then_write(tier: str, name: str) -> None:
    with repeating(asm(name, rd="a0", rs1="s0", rs2="a1"), tier=tier, hot=1) as machine:
        machine.run(100)
        machine.memory[DATA : DATA + 4] = (1).to_bytes(4, "little")
        seen = accesses(machine, DATA, DATA + 4)
        machine.run(1)
        written = VALUE + 1 if name == "amoadd.w" else VALUE
        assert seen == [
            MemoryAccess(CODE, DATA, 4, None, "read"),
            MemoryAccess(CODE, DATA, 4, written, "write"),
        ]
        assert machine.regs.a0 == 1
        assert machine.memory[DATA : DATA + 4] == written.to_bytes(4, "little")


def test_a_conditional_store_writes_if_it_succeeds(tier: str) -> None:
    body = asm("lr.w", rd="a0", rs1="s0") + asm("sc.w", rd="a2", rs1="s0", rs2="a1") * 2
    with repeating(body, tier=tier, hot=1) as machine:
        machine.run(100)
        machine.pc = CODE
        seen = accesses(machine, DATA, DATA + 4)
        machine.run(3)
        assert [(access.pc, access.kind) for access in seen] == [(CODE, "read"), (CODE + 4, "write")]


def test_the_kind_is_told_apart(tier: str) -> None:
    body = asm("lw", rd="a0", rs1="s0", imm=0) + asm("sw", rs1="s0", rs2="a1", imm=0)
    with repeating(body, tier=tier, hot=1) as machine:
        machine.run(100)
        machine.pc = CODE
        reads, writes = accesses(machine, DATA, DATA + 1, "read"), accesses(machine, DATA, DATA + 1, "write")
        machine.run(3)
        assert [access.kind for access in reads] == ["read"]
        assert [access.kind for access in writes] == ["write"]


@pytest.mark.parametrize(
    ("offset", "size", "hit"),
    [(-4, 4, False), (-3, 4, True), (3, 4, True), (4, 4, False), (-1, 1, False), (0, 1, True), (3, 1, True)],
)
def test_the_ends_of_a_range(tier: str, offset: int, size: int, hit: bool) -> None:
    with repeating(asm("lw" if size == 4 else "lb", rd="a0", rs1="s1", imm=offset), tier=tier, hot=1) as machine:
        machine.regs.s1 = DATA + 64
        machine.run(100)
        seen = accesses(machine, DATA + 64, DATA + 68)
        machine.run(2)
        assert bool(seen) == hit


@pytest.mark.usefixtures("host_page")
@pytest.mark.parametrize("page", [0, 1])
def test_an_access_across_two_pages(tier: str, page: int) -> None:
    body = asm("lw", rd="a0", rs1="s1", imm=0) + asm("sw", rs1="s1", rs2="a1", imm=0)
    with repeating(body, tier=tier, hot=1) as machine:
        machine.memory.map(DATA, 2 * PAGE, Access.READ | Access.WRITE)
        machine.regs.s1 = where = DATA + PAGE - 2
        machine.run(99)
        start = DATA + page * PAGE
        seen = accesses(machine, start, start + PAGE)
        machine.run(3)
        assert seen == [
            MemoryAccess(CODE, where, 4, None, "read"),
            MemoryAccess(CODE + 4, where, 4, VALUE, "write"),
        ]
        assert machine.memory[where : where + 4] == VALUE.to_bytes(4, "little")


@pytest.mark.parametrize(
    "insn",
    [
        asm("lw", rd="a0", rs1="zero", imm=64),
        asm("sw", rs1="s2", rs2="a1", imm=0),
        asm("amoadd.w", rd="a0", rs1="s2", rs2="a1"),
        asm("amoadd.w", rd="a0", rs1="s3", rs2="a1"),
        asm("lr.w", rd="a0", rs1="s3"),
    ],
)
def test_what_the_guest_may_not_do_is_not_reported(tier: str, insn: bytes) -> None:
    """No memory, read-only memory, misaligned atomics."""
    with repeating(insn, tier=tier) as machine:
        machine.memory.map(DATA + PAGE, PAGE, Access.READ)
        machine.regs.s2, machine.regs.s3 = DATA + PAGE, DATA + 2
        seen = accesses(machine, 0, 1 << 32)
        assert machine.run(10).reason is StopReason.TRAP
        assert seen == []


class Box:
    """A device."""

    def read(self, offset: int, width: int) -> int:
        return offset + width

    def write(self, offset: int, width: int, value: int) -> None:
        self.written = value


def test_accesses_to_devices(tier: str) -> None:
    body = asm("lw", rd="a0", rs1="s1", imm=8) + asm("sh", rs1="s1", rs2="a1", imm=4)
    with repeating(body, tier=tier, hot=1) as machine:
        box, where = Box(), 0x4000_0000
        machine.add_device(where, box)
        machine.regs.s1 = where
        seen = accesses(machine, where, where + PAGE)
        machine.run(2)
        assert seen == [
            MemoryAccess(CODE, where + 8, 4, None, "read"),
            MemoryAccess(CODE + 4, where + 4, 2, VALUE & 0xFFFF, "write"),
        ]
        assert (machine.regs.a0, box.written) == (12, VALUE & 0xFFFF)


# -- memory that changes its nature -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("host_page")
def test_hooks_outlive_permissions_and_mappings(tier: str) -> None:
    with repeating(asm("sw", rs1="s0", rs2="a1", imm=0), tier=tier, hot=1) as machine:
        seen = accesses(machine, DATA, DATA + 4)
        machine.memory.protect(DATA, PAGE, Access.READ)
        assert machine.run(2).reason is StopReason.TRAP
        machine.memory.unmap(DATA, PAGE)
        assert machine.run(2).reason is StopReason.TRAP
        assert seen == []
        machine.memory.map(DATA, PAGE, Access.READ | Access.WRITE)
        machine.run(2)
        assert len(seen) == 1


@pytest.mark.usefixtures("host_page")
@pytest.mark.parametrize("options", [{}, {"guest": BY_BYTE}], ids=["by page", "by byte"])
def test_code_that_is_changed_where_it_is_hooked(tier: str, options: dict[str, Any]) -> None:
    """Each round stores the instruction that follows, which is hooked; so are the stores."""
    body = (
        asm("xori", rd="a1", rs1="a1", imm=0)
        + asm("sw", rs1="s1", rs2="a1", imm=8)
        + asm("addi", rd="t0", rs1="t0", imm=100)
    )
    changed = int.from_bytes(asm("addi", rd="t0", rs1="t0", imm=1), "little")
    with repeating(body, tier=tier, hot=1, **options) as machine:
        machine.regs.s1, machine.regs.a1 = CODE, changed
        places: list[int] = []
        machine.run(1)
        machine.hook_code(lambda _, pc: places.append(pc), CODE + 8)
        seen = accesses(machine, CODE + 8, CODE + 12)
        machine.run(3 + 4 * 20)
        assert machine.regs.t0 == 21
        assert places == [CODE + 8] * 21
        assert seen == [MemoryAccess(CODE + 4, CODE + 8, 4, changed, "write")] * 21


@pytest.mark.usefixtures("host_page")
def test_code_whose_page_is_hooked_for_reads(tier: str, policy: str) -> None:
    """It is fetched and translated; what it reads from its own page is reported."""
    with repeating(asm("lw", rd="a0", rs1="s1", imm=0), tier=tier, wx=policy, hot=1) as machine:
        machine.regs.s1 = CODE
        machine.run(50)
        seen = accesses(machine, CODE, CODE + PAGE)
        machine.memory[CODE + 8 : CODE + 12] = bytes(4)
        machine.run(50)
        assert seen == [MemoryAccess(CODE, CODE, 4, None, "read")] * 25


def test_where_nothing_can_be_fetched(tier: str) -> None:
    """A hook there is hit before the trap, whatever led there."""
    far, start = CODE + PAGE, CODE + PAGE - 8
    code = asm("addi", rd="t0", rs1="t0", imm=1) + asm("beq", rs1="a0", rs2="a1", offset=4)
    with load(bytes(PAGE - 8) + code, tier=tier, hot=1) as machine:
        for _ in range(3):
            machine.pc = start
            assert machine.run().reason is StopReason.TRAP
        places: list[int] = []
        machine.hook_code(lambda _, pc: places.append(pc), far)
        machine.pc = start
        for _ in range(2):
            assert machine.run().reason is StopReason.TRAP
            assert places == [far]


# -- the C interface --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [(4, 4), (8, 4), (0, (1 << 32) + 1)])
def test_ranges_that_are_none(start: int, end: int) -> None:
    with load(EXIT) as machine:
        pointer = machine._core.pointer
        assert lib.dr_hook(pointer, lib.DR_HOOK_CODE, start, end, 0, ffi.NULL) == -1
        assert b"outside of guest memory" in ffi.string(lib.dr_error())


def test_hooks_that_were_not_added() -> None:
    with load(EXIT, tier="interp") as machine:
        pointer = machine._core.pointer
        assert lib.dr_hook(pointer, lib.DR_HOOK_READ, 100, 200, 0, ffi.NULL) == 0
        for start, end in ((99, 200), (100, 201), (300, 301)):
            assert lib.dr_unhook(pointer, lib.DR_HOOK_READ, start, end, 0, ffi.NULL) == -1
        assert lib.dr_unhook(pointer, lib.DR_HOOK_WRITE, 100, 200, 0, ffi.NULL) == -1
        assert b"no such hook" in ffi.string(lib.dr_error())
        assert lib.dr_unhook(pointer, lib.DR_HOOK_READ, 100, 200, 0, ffi.NULL) == 0


@pytest.mark.parametrize("seed", range(20))
def test_ranges_overlap_come_and_go(seed: int) -> None:
    """What is hooked is the union of what has been added and not removed, in pages and out of them."""
    rng = random.Random(seed)
    top = 3 * PAGE
    ranges: list[tuple[int, int]] = []
    with load(EXIT, tier="interp") as machine:
        pointer = machine._core.pointer
        for _ in range(120):
            if ranges and rng.random() < 0.45:
                gone = ranges.pop(rng.randrange(len(ranges)))
                assert lib.dr_unhook(pointer, lib.DR_HOOK_CODE, *gone, 0, ffi.NULL) == 0
            else:
                start = rng.randrange(top)
                ranges.append((start, rng.randint(start + 1, min(start + rng.choice((1, 9, PAGE)), top))))
                assert lib.dr_hook(pointer, lib.DR_HOOK_CODE, *ranges[-1], 0, ffi.NULL) == 0
            edges = {place + step for each in ranges for place in each for step in (-1, 0, 1)}
            for place in sorted(edges & set(range(top))):
                hooked = any(start <= place < end for start, end in ranges)
                assert lib.dr_is_hooked(pointer, place, False) == hooked, (seed, place, ranges)


def test_thousands_of_hooks(tier: str) -> None:
    with repeating(li("t0", 1) * 100, tier=tier, hot=1) as machine:
        machine.run(1000)
        hooks = [machine.hook_code(lambda _, pc: None, CODE + 0x800 + 2 * number) for number in range(2000)]
        places: list[int] = []
        last = machine.hook_code(lambda _, pc: places.append(pc), CODE + 40)
        machine.run(101)
        assert places == [CODE + 40]
        for hook in (*hooks, last):
            hook.remove()
        machine.run(1000)
        assert places == [CODE + 40]


# -- together with the rest -------------------------------------------------------------------------------------------


def test_a_kernel_with_interrupts_under_hooks() -> None:
    """Timer interrupts and traps come at the same instruction, whatever is hooked."""
    stories = []
    for tier in TIERS:
        lines: list[object] = []
        port = Port("ticks 3\rtraps\ruser\rhalt 3\r")
        with Machine.load(KERNEL, tier=tier, hot=2, sync=True, stdin=port, stdout=port) as machine:
            machine.run(20_000)

            def note(guest: Machine, what: object, lines: list[object] = lines) -> None:
                lines.append((what, guest.instructions, guest.regs.sp))

            kernel = machine.program.entry
            machine.hook_block(note, kernel, kernel + 0x400)
            machine.run(30_000)
            machine.hook_memory(note, machine.regs.sp - 256, machine.regs.sp)
            stop = machine.run(30_000)
            lines.append((stop, registers(machine)))
        stories.append(lines)
    assert stories[0] == stories[1] == stories[2]
    assert len(stories[0]) > 100


def test_stores_that_the_machine_watches_can_be_hooked(tier: str) -> None:
    """HTIF: the hook comes before the store, its report behind it."""
    code = (lui("t0", DATA) + li("t1", 515) + asm("sw", rs1="t0", rs2="t1", imm=0)).ljust(64, b"\0")
    parts = [Part(CODE, code, PAGE, R | X), Part(DATA, bytes(8), PAGE, R | W)]
    with Machine.load(build(parts, CODE, {"tohost": (DATA, 8, 1)}), tier=tier) as machine:
        seen = accesses(machine, DATA, DATA + 8)
        stop = machine.run()
        assert (stop.reason, stop.status, stop.instructions) == (StopReason.EXITED, 1, 3)
        assert seen == [MemoryAccess(CODE + 8, DATA, 4, 515, "write")]
