"""Hooks in the C core: every tier, policy and page size reports the same, and in the same order."""

from __future__ import annotations

import dataclasses
import functools
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
from tests.native.guests import CODE, DATA, EXIT, PAGE, asm, li, load, lui, registers

POLICIES = [name for name in policies() if probe_policy(name) is None]
TIERS = ("jit", "auto", "interp")
LARGE_PAGE = 16384
BY_BYTE = dataclasses.replace(GUEST, code_policy="byte")
PROGRAMS = 40
STEPS = 60
LOOP_BACK = asm("jal", rd=0, offset=0)


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
