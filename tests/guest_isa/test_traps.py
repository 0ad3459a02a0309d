"""What RV32 instructions do when they fail, and what they ask of the machine: causes and values by the manual."""

from __future__ import annotations

import pytest

from dynarec.ir.evaluate import Left, Outcome
from guest_isa.rv32 import GUEST
from guest_isa.rv32.operands import (
    BREAKPOINT,
    ECALL_FROM_U,
    FETCH_ACCESS,
    ILLEGAL,
    LOAD_ACCESS,
    LOAD_MISALIGNED,
    STORE_ACCESS,
    STORE_MISALIGNED,
)
from tests.reference import Reference, Region, Regions

CODE, DATA, SIZE = 0x1000, 0x2000, 0x100
COUNTERS = {"cycle": 0x1_0000_0002, "time": 0x3_0000_0004, "instret": 0x5_0000_0006}
ODD = DATA + 2
RS1 = 1 << 15


def cpu(word: int, a0: int = 0) -> Reference:
    code = Region(CODE, SIZE)
    code.data[:4] = word.to_bytes(4, "little")
    made = Reference(GUEST, Regions(code, Region(DATA, SIZE)), CODE, COUNTERS.__getitem__)
    made["a0"] = a0
    return made


def trap(cause: int, value: int, pc: int = CODE) -> Outcome:
    return Outcome(Left.TRAP, pc, 0, cause, value)


@pytest.mark.parametrize(
    ("word", "a0", "cause", "value"),
    [
        (0x0000_0073, 0, ECALL_FROM_U, 0),
        (0x0010_0073, 0, BREAKPOINT, CODE),
        (0x0000_9002, 0, BREAKPOINT, CODE),
        (0x0000_0000, 0, ILLEGAL, 0),
        (0xFFFF_FFFF, 0, ILLEGAL, 0xFFFF_FFFF),
        (0x3020_0073, 0, ILLEGAL, 0x3020_0073),
        (0x0005_2583, 0x40, LOAD_ACCESS, 0x40),
        (0xFFC5_2583, 0x40, LOAD_ACCESS, 0x3C),
        (0x00B5_2023, 0x40, STORE_ACCESS, 0x40),
        (0x1005_25AF, ODD, LOAD_MISALIGNED, ODD),
        (0x18B5_25AF, ODD, STORE_MISALIGNED, ODD),
        (0x00B5_25AF, ODD, STORE_MISALIGNED, ODD),
    ],
    ids=["ecall", "ebreak", "c.ebreak", "zero", "ones", "mret", "lw", "lw -4", "sw", "lr.w", "sc.w", "amoadd.w"],
)
def test_traps(word: int, a0: int, cause: int, value: int) -> None:
    made = cpu(word, a0)
    before = list(made.state)
    assert made.step() == trap(cause, value)
    assert made.pc == CODE
    assert made.state == before


def test_code_that_is_not_there() -> None:
    made = cpu(0)
    made.pc = 0x40
    assert made.step() == trap(FETCH_ACCESS, 0x40, pc=0x40)


def test_an_instruction_whose_second_half_is_not_there() -> None:
    made = cpu(0)
    made.memory.store(CODE + SIZE - 2, 16, 0x0003)
    made.pc = CODE + SIZE - 2
    assert made.step() == trap(FETCH_ACCESS, CODE + SIZE, pc=CODE + SIZE - 2)


@pytest.mark.parametrize(
    ("csr", "value"), [(0xC00, 2), (0xC01, 4), (0xC02, 6), (0xC80, 1), (0xC81, 3), (0xC82, 5)], ids=hex
)
def test_counters(csr: int, value: int) -> None:
    made = cpu(csr << 20 | 0x2573)
    assert made.step() == Outcome(Left.JUMP, CODE + 4, 1)
    assert made["a0"] == value


@pytest.mark.parametrize(
    "word",
    [0x3000_2573, 0xC010_1573, 0xC015_A573, 0xC015_B573, 0xC000_D573, 0xC000_E573 | RS1, 0xC000_F573 | RS1],
    ids=["csrr mstatus", "csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"],
)
def test_other_registers_and_writes_are_illegal(word: int) -> None:
    outcome = cpu(word).step()
    assert (outcome.left, outcome.cause) == (Left.TRAP, ILLEGAL)


def test_fence_i_tells_that_code_changed() -> None:
    assert cpu(0x0000_100F).step() == Outcome(Left.SYNC_CODE, CODE + 4, 1)
