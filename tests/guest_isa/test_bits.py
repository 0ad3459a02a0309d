"""The bit manipulation of RV32 (Zba, Zbb, Zbs) against other people's: text against GNU as, meanings against QEMU."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.ir.evaluate import Left
from guest_isa.isa import Insn, InsnSpec
from guest_isa.rv32 import GUEST
from tests.guest_isa.words import encode, random_word
from tests.machine.elf import HEADERS_AT, Part, R, W, X, build
from tests.reference import Reference, Region, Regions

SEED = 31
EXTENSIONS = {"Zba": 3, "Zbb": 18, "Zbs": 8}
"""How many instructions each has (volume I, chapter "B", for RV32)."""
SPECS = [spec for spec in GUEST.isa if spec.extension in EXTENSIONS]
EACH = 60
ASSEMBLER, QEMU = "riscv64-unknown-elf-as", "qemu-riscv32-static"
OBJCOPY, OBJDUMP = "riscv64-unknown-elf-objcopy", "riscv64-unknown-elf-objdump"
ARCH = ("-march=rv32i_zba_zbb_zbs", "-mabi=ilp32")
WORD = 4

CODE, DATA = 0x1_0000, 0x100_0000
A0, A1, A2, A7, S0 = 10, 11, 12, 17, 8
STDOUT, WRITE, EXIT = 1, 64, 93
CASE, PAGE = 2 * WORD, 0x1000
HEADERS = HEADERS_AT + 2 * 32
"""Bytes of the headers of a file with two parts."""
EDGES = (
    0,
    1,
    2,
    31,
    32,
    33,
    0x80,
    0x8000,
    0x7FFF_FFFF,
    0x8000_0000,
    0x8000_0001,
    0xFFFF_FFFE,
    0xFFFF_FFFF,
    0x0100_8001,
)
NAMED = {spec.name: spec for spec in GUEST.isa}


def decoded(word: int) -> Insn:
    insn = GUEST.isa.decode(word)
    assert insn is not None
    return insn


def asm(name: str, **numbers: int) -> bytes:
    return encode(NAMED[name], numbers).to_bytes(WORD, "little")


def test_every_instruction_is_there() -> None:
    assert {name: sum(spec.extension == name for spec in SPECS) for name in EXTENSIONS} == EXTENSIONS


@pytest.mark.skipif(shutil.which(ASSEMBLER) is None, reason=f"needs {ASSEMBLER}")
def test_the_assembler_makes_the_same_words_of_the_text(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    insns = [decoded(random_word(rng, spec)) for spec in SPECS for _ in range(EACH)]
    source, made, raw = (tmp_path / name for name in ("text.s", "text.o", "text.bin"))
    source.write_text("".join(f"{insn.text(0)}\n" for insn in insns))
    subprocess.run([ASSEMBLER, *ARCH, source, "-o", made], check=True)
    subprocess.run([OBJCOPY, "-O", "binary", made, raw], check=True)
    code = raw.read_bytes()
    words = [int.from_bytes(code[at : at + WORD], "little") for at in range(0, len(code), WORD)]
    for insn, word in zip(insns, words, strict=True):
        assert insn.word == word, insn.text(0)


OP_IMM, OP = 0b0010011, 0b0110011
FUNCT3_AT, RS2_AT, FUNCT7_AT = 12, 20, 25
SHIFTS = (0b001, 0b101)
"""The funct3 of what has a shift amount; one above 31 is reserved for RV32, but objdump prints it."""


def arithmetic_words() -> Iterator[int]:
    """OP and OP-IMM with everything in funct3, funct7 and rs2, which is part of some of their opcodes."""
    registers = A0 << 7 | A1 << 15
    for opcode, funct3, rs2, funct7 in itertools.product((OP_IMM, OP), range(8), range(32), range(128)):
        if opcode == OP or funct3 not in SHIFTS or funct7 & 1 == 0:
            yield opcode | funct3 << FUNCT3_AT | rs2 << RS2_AT | funct7 << FUNCT7_AT | registers


@pytest.mark.skipif(shutil.which(ASSEMBLER) is None, reason=f"needs {ASSEMBLER}")
def test_the_disassembler_knows_the_same_words(tmp_path: Path) -> None:
    """What is none of these instructions for one is none for the other."""
    words = list(arithmetic_words())
    source, made = tmp_path / "words.s", tmp_path / "words.o"
    source.write_text("".join(f".insn {word:#x}\n" for word in words))
    subprocess.run([ASSEMBLER, *ARCH, source, "-o", made], check=True)
    listed = subprocess.run([OBJDUMP, "-d", "-M", "no-aliases", made], capture_output=True, text=True, check=True)
    texts = [line.split("\t")[2].strip() for line in listed.stdout.splitlines() if line.count("\t") >= 2]
    ours = {spec.name for spec in SPECS}
    for word, text in zip(words, texts, strict=True):
        insn = GUEST.isa.decode(word)
        mine, theirs = insn.spec.name if insn is not None and insn.spec.name in ours else "", text
        assert mine == (theirs if theirs in ours else ""), hex(word)


def operands(rng: random.Random) -> tuple[int, int]:
    """Values for rs1 and rs2."""
    first, second = (rng.choice(EDGES) if rng.random() < 0.4 else rng.getrandbits(32) for _ in range(2))
    return first, rng.choice((second, first))


def random_insn(rng: random.Random, spec: InsnSpec) -> Insn:
    """From a1 and a2 to a0; now and then both operands are one register."""
    numbers = {"rd": A0, "rs1": A1, "rs2": rng.choice((A2, A2, A1)), "shamt": rng.getrandbits(5)}
    return decoded(encode(spec, {name: numbers[name] for name in spec.operands}))


def reference(insn: Insn, values: tuple[int, int]) -> int:
    """a0 after the instruction."""
    code = Region(CODE, 2 * WORD)
    code.data[:WORD] = insn.word.to_bytes(WORD, "little")
    cpu = Reference(GUEST, Regions(code), CODE)
    cpu.state[A1], cpu.state[A2] = values
    assert cpu.step().left is Left.JUMP
    return int(cpu.state[A0])


def call(number: int, argument: int) -> bytes:
    return asm("addi", rd=A0, rs1=0, imm=argument) + asm("addi", rd=A7, rs1=0, imm=number) + asm("ecall")


def pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def program(cases: list[tuple[Insn, tuple[int, int]]]) -> bytes:
    """An ELF file that does each on its operands, puts the result in their place, and writes all out."""
    code = asm("lui", rd=S0, upper=DATA)
    for insn, _ in cases:
        code += asm("lw", rd=A1, rs1=S0, imm=0) + asm("lw", rd=A2, rs1=S0, imm=WORD)
        code += insn.word.to_bytes(WORD, "little")
        code += asm("sw", rs1=S0, rs2=A0, imm=0) + asm("addi", rd=S0, rs1=S0, imm=CASE)
    data = b"".join(value.to_bytes(WORD, "little") for _, values in cases for value in values)
    code += asm("lui", rd=A1, upper=DATA) + asm("lui", rd=A2, upper=pages(len(data)))
    code += call(WRITE, STDOUT) + call(EXIT, 0)
    # Parts lie in the file as they do in memory: whole pages behind the headers.
    code = code.ljust(pages(len(code) + HEADERS) - HEADERS, b"\0")
    parts = [Part(CODE + HEADERS, code, flags=R | X), Part(DATA, data.ljust(pages(len(data)), b"\0"), flags=R | W)]
    return build(parts, entry=CODE + HEADERS)


@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"needs {QEMU}")
def test_random_instructions_do_what_qemu_does(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    cases = [(random_insn(rng, spec), operands(rng)) for spec in SPECS for _ in range(EACH)]
    made = tmp_path / "bits.elf"
    made.write_bytes(program(cases))
    made.chmod(0o755)
    done = subprocess.run([QEMU, "-cpu", "rv32,zba=true,zbb=true,zbs=true", made], capture_output=True, check=True)
    for number, (insn, values) in enumerate(cases):
        theirs = int.from_bytes(done.stdout[CASE * number :][:WORD], "little")
        assert reference(insn, values) == theirs, (insn.text(0), [hex(value) for value in values])
