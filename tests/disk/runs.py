"""Programs that are run several times, with the translations of the runs before."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dynarec.engine import Machine
from dynarec.stats import Stats
from tests.native.guests import DATA, EXIT, asm, li, lui, registers
from tests.native.guests import load as load_guest

load = functools.partial(load_guest, disk_cache=True)
HOT = 2
ROUNDS = 40


def loop(body: bytes, rounds: int = ROUNDS) -> bytes:
    """The body so many times; s0 counts, and s1 points to data."""
    step = asm("addi", rd="s0", rs1="s0", imm=-1)
    back = asm("bne", rs1="s0", rs2="zero", offset=-(len(body) + len(step)))
    return lui("s1", DATA) + li("s0", rounds) + body + step + back


CODE = (
    loop(
        asm("lw", rd="t0", rs1="s1", imm=0)
        + asm("andi", rd="t1", rs1="s0", imm=3)
        + asm("beq", rs1="t1", rs2="zero", offset=8)
        + asm("addi", rd="t0", rs1="t0", imm=5)
        + asm("add", rd="t0", rs1="t0", rs2="s0")
        + asm("sw", rs1="s1", rs2="t0", imm=0)
    )
    + asm("lw", rd="a0", rs1="s1", imm=0)
    + asm("andi", rd="a0", rs1="a0", imm=127)
    + EXIT
)
"""A loop with two ways through it, whose result is the exit status."""


def finish(machine: Machine) -> Any:
    """What a program comes to."""
    stop = machine.run()
    return stop.reason, stop.status, machine.instructions, registers(machine), machine.memory[DATA : DATA + 64]


def run(
    code: bytes = CODE, prepare: Callable[[Machine], object] = lambda machine: None, **options: Any
) -> tuple[Any, Stats]:
    """What a program comes to, and what that took. prepare: is given the machine before it runs."""
    options.setdefault("hot", HOT)
    with load(code, **options) as machine:
        prepare(machine)
        result = finish(machine)
        return result, machine.stats()
