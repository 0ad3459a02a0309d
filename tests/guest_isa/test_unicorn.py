"""The meanings of RV32 against Unicorn: single random instructions, from random state.

Unicorn is QEMU's RISC-V translator: an independent reading of the manual. The counters (Zicsr) are not compared: they
are the machine's. LR and SC are compared in sequences, because the reservation is no register.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
import unicorn
from unicorn import riscv_const

from dynarec.ir.evaluate import Left, Outcome
from guest_isa.isa import Insn, InsnSpec
from guest_isa.rv32 import GUEST
from guest_isa.rv32.operands import (
    BREAKPOINT,
    ECALL_FROM_U,
    LOAD_ACCESS,
    LOAD_MISALIGNED,
    STORE_ACCESS,
    STORE_MISALIGNED,
)
from tests.guest_isa.words import encode, random_word
from tests.reference import Reference, Region, Regions

SEED = 22
EACH = 200
MASK32 = 0xFFFF_FFFF
CODE, SLOT = 0x4000_0000, 8
"""Each instruction has a slot of its own, so that no translation of Unicorn's is stale; no edge value points there."""
DATA, DATA_SIZE, PAGE = 0x100_0000, 0x1000, 0x1000
REGISTERS = [riscv_const.UC_RISCV_REG_X0 + n for n in range(1, 32)]
EDGES = (0, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, MASK32, MASK32 - 1, 31, 32, 0xFFFF, 0x8000)
SYSTEM = ("Zicsr", "machine mode")
UNKNOWN = ("Zba", "Zbb", "Zbs")
"""What Unicorn does not have; tests/guest_isa/test_bits.py compares these with QEMU's user mode."""
SPECS = [
    spec
    for spec in GUEST.isa
    if spec.extension not in (*SYSTEM, *UNKNOWN) and not spec.name.startswith(("lr.w", "sc.w"))
]
STACK_RELATIVE = ("c.lwsp", "c.swsp")
UNMAPPED = (unicorn.UC_ERR_READ_UNMAPPED, unicorn.UC_ERR_WRITE_UNMAPPED)


@dataclass(frozen=True, slots=True)
class Case:
    insn: Insn
    registers: list[int]
    data: bytes


def is_access(spec: InsnSpec) -> bool:
    return spec.extension == "A" or ("(" in spec.syntax and "jalr" not in spec.name)


def aim(rng: random.Random, insn: Insn, registers: list[int]) -> None:
    """Make an access hit the data region, mostly; one past its end, sometimes."""
    numbers = dict(zip(insn.spec.operands, insn.numbers, strict=True))
    base = 2 if insn.spec.name in STACK_RELATIVE else numbers["rs1"] + (8 if insn.spec.name in ("c.lw", "c.sw") else 0)
    if base == 0 or rng.random() < 0.1:
        return
    offset = numbers.get("imm", numbers.get("uimm", 0))
    place = rng.randrange(DATA_SIZE - 3) & (~3 if rng.random() < 0.7 else ~0)
    registers[base - 1] = (DATA + place - offset) & MASK32


def random_case(rng: random.Random, spec: InsnSpec) -> Case:
    insn = GUEST.isa.decode(random_word(rng, spec))
    assert insn is not None
    registers = [rng.choice(EDGES) if rng.random() < 0.3 else rng.getrandbits(32) for _ in REGISTERS]
    if is_access(spec):
        aim(rng, insn, registers)
    return Case(insn, registers, rng.randbytes(64) * (DATA_SIZE // 64))


@dataclass(frozen=True, slots=True)
class After:
    """trap: the kind of the failure; pc: where to go on, 0 after a failure."""

    trap: str
    pc: int
    registers: list[int]
    data: bytes


class Peer:
    """Unicorn, with code in slots."""

    def __init__(self, code: bytes) -> None:
        self._engine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        self._engine.mem_map(CODE, -(-len(code) // PAGE) * PAGE)
        self._engine.mem_write(CODE, code)
        self._engine.mem_map(DATA, DATA_SIZE)

    def run(self, slot: int, case: Case, count: int = 1) -> After:
        engine = self._engine
        engine.reg_write_batch(list(zip(REGISTERS, case.registers, strict=True)))
        engine.mem_write(DATA, case.data)
        trap = ""
        try:
            engine.emu_start(CODE + slot * SLOT, MASK32, count=count)
        except unicorn.UcError as error:
            trap = self._trap(error.errno)
        pc = 0 if trap else engine.reg_read(riscv_const.UC_RISCV_REG_PC)
        registers = [int(value) for value in engine.reg_read_batch(REGISTERS)]
        return After(trap, pc, registers, bytes(engine.mem_read(DATA, DATA_SIZE)))

    @staticmethod
    def _trap(errno: int) -> str:
        if errno == unicorn.UC_ERR_FETCH_UNMAPPED:  # of the next instruction: this one is done
            return ""
        return "access" if errno in UNMAPPED else "exception"


TRAPS = {
    LOAD_ACCESS: "access",
    STORE_ACCESS: "access",
    **dict.fromkeys((LOAD_MISALIGNED, STORE_MISALIGNED, ECALL_FROM_U, BREAKPOINT), "exception"),
}


def reference(case: Case, pc: int) -> tuple[After, Outcome]:
    code, data = Region(pc, SLOT), Region(DATA, DATA_SIZE)
    code.data[:] = case.insn.word.to_bytes(SLOT, "little")
    data.data[:] = case.data
    cpu = Reference(GUEST, Regions(code, data), pc)
    cpu.state[1:32] = case.registers
    outcome = cpu.step()
    trap = TRAPS[outcome.cause] if outcome.left is Left.TRAP else ""
    return After(trap, 0 if trap else cpu.pc, cpu.state[1:32], bytes(data.data)), outcome


def story(case: Case, pc: int, mine: After, theirs: After) -> str:
    """One difference, in full."""
    lines = [f"seed {SEED}: {case.insn.word:#x} at {pc:#x}: {case.insn.text(pc)}"]
    lines += [f"{mine.trap or 'no trap'}, pc {mine.pc:#x}; Unicorn: {theirs.trap or 'no trap'}, pc {theirs.pc:#x}"]
    for n, (before, a, b) in enumerate(zip(case.registers, mine.registers, theirs.registers, strict=True), 1):
        if a != b:
            lines.append(f"x{n} was {before:#x}: {a:#x}; Unicorn: {b:#x}")
    return "\n".join([*lines, "" if mine.data == theirs.data else "memory differs"])


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    return [random_case(rng, spec) for spec in SPECS for _ in range(EACH)]


def test_random_instructions_do_what_unicorn_does(cases: list[Case]) -> None:
    assert len(cases) >= 20_000
    peer = Peer(b"".join(case.insn.word.to_bytes(SLOT, "little") for case in cases))
    for slot, case in enumerate(cases):
        pc = CODE + slot * SLOT
        mine, outcome = reference(case, pc)
        theirs = peer.run(slot, case)
        assert mine == theirs, story(case, pc, mine, theirs)
        assert outcome.left is not Left.TRAP or mine.registers == case.registers


SEQUENCES = 300
SEQUENCE = 6
A0, A1, A2, A3 = range(10, 14)


def atomic_words(rng: random.Random) -> list[int]:
    """An sc.w, which ends any reservation, then lr.w and sc.w at the addresses in a0 and a1."""
    lr, sc = (next(spec for spec in GUEST.isa if spec.name == name) for name in ("lr.w", "sc.w"))
    words = [encode(sc, {"rd": A3, "rs1": A0, "rs2": A2})]
    for _ in range(SEQUENCE - 1):
        numbers = {"rd": rng.randrange(14, 20), "rs1": rng.choice((A0, A0, A1))}
        stores = rng.random() < 0.5
        words.append(encode(sc, {**numbers, "rs2": rng.choice((A2, A3))}) if stores else encode(lr, numbers))
    return words


def run_reference(code: bytes, registers: list[int], data: bytes) -> tuple[list[int], bytes]:
    program, memory = Region(CODE, len(code)), Region(DATA, DATA_SIZE)
    program.data[:], memory.data[:] = code, data
    cpu = Reference(GUEST, Regions(program, memory), CODE)
    cpu.state[1:32] = registers
    assert all(outcome.left is Left.JUMP for outcome in cpu.run(len(code) // 4))
    return cpu.state[1:32], bytes(memory.data)


def test_load_reserved_and_store_conditional() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    results = set()
    for _ in range(SEQUENCES):
        words = atomic_words(rng)
        code = b"".join(word.to_bytes(4, "little") for word in words)
        registers = [rng.getrandbits(32) for _ in REGISTERS]
        registers[A0 - 1], registers[A1 - 1] = DATA + 8, DATA + 12
        first = GUEST.isa.decode(words[0])
        assert first is not None
        case = Case(first, registers, rng.randbytes(DATA_SIZE))
        theirs = Peer(code).run(0, case, count=len(words))
        mine = run_reference(code, registers, case.data)
        assert mine == (theirs.registers, theirs.data), [word.to_bytes(4, "little").hex() for word in words]
        results.add(mine[1] == case.data)
    assert results == {False, True}
