"""Two shifts that together turn a word round are one rotation of the host."""

from __future__ import annotations

import pytest

from dynarec.host import HOSTS, make_host
from dynarec.ir import ops
from dynarec.opt import PASSES
from dynarec.translate import Translator
from guest_isa.rv32 import GUEST
from tests.golden.listing import KEY
from tests.native.guests import asm

ROTATIONS = ("ror", "rol", "rorx")
SHIFTS = ("shl", "shr", "sal", "lsl", "lsr", "or", "orr")
COUNTS = (1, 7, 16, 31)


def rotation(left: int, right: int, joined: str = "or") -> bytes:
    """a0 = a1 << left | a1 >> right; the helper register ends with something else."""
    return (
        asm("slli", rd="a2", rs1="a1", shamt=left)
        + asm("srli", rd="a3", rs1="a1", shamt=right)
        + asm(joined, rd="a0", rs1="a2", rs2="a3")
        + asm("addi", rd="a2", rs1="zero", imm=0)
        + asm("addi", rd="a3", rs1="zero", imm=0)
    )


def translator(host: str, code: bytes, bmi2: bool = False) -> Translator:
    return Translator(GUEST, make_host(host, GUEST, bmi2=bmi2), lambda address, size: code[address - KEY :][:size])


def mnemonics(host: str, code: bytes, bmi2: bool = False) -> list[str]:
    made = translator(host, code, bmi2)
    return [text.split()[0] for _, _, text in made.host.disassemble(made.translate(KEY).code.code)]


@pytest.mark.parametrize("right", COUNTS)
@pytest.mark.parametrize("bmi2", [False, True], ids=["plain", "bmi2"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_rotation_is_one_instruction(host: str, bmi2: bool, right: int) -> None:
    made = mnemonics(host, rotation(32 - right, right), bmi2)
    assert sum(name in ROTATIONS for name in made) == 1
    assert not set(made) & set(SHIFTS)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "code", [rotation(8, 23), rotation(8, 25), rotation(8, 24, "and")], ids=["less", "more", "and"]
)
def test_other_shifts_are_not_joined(host: str, code: bytes) -> None:
    assert not set(mnemonics(host, code)) & set(ROTATIONS)


def test_the_op_turns_right() -> None:
    made = translator(HOSTS[0], rotation(24, 8))
    unit = made.form(KEY).unit
    for each in PASSES:
        each.run(unit)
    assert [op.args[1] for op in unit.ops if op.kind is ops.ROR] == [8]
