"""The verifier of x86-64 code: it accepts what the emitters make, and nothing that could get out.

Whatever it accepts of what was made hostile is run under Unicorn, with an eye on each access and each branch. Random
tests: `DYNAREC_SEED=n` chooses another start.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from capstone.x86 import X86_OP_MEM, X86_REG_GS

from dynarec.host import layout, make_host
from dynarec.host.base import Host, HostCode
from guest_isa.rv32 import GUEST
from tests.native.escapes_x86_64 import ESCAPES, EXIT
from tests.native.sandbox_x86_64 import Sandbox
from tests.native.verifying import ROOT, links_of, program_units, random_units, rom_units, verify

NAME = "x86_64"
SEED = int(os.environ.get("DYNAREC_SEED", "1"))
ROMS = sorted((ROOT / "roms").glob("*.elf"))
BENCHES = sorted((ROOT / "roms" / "bench").glob("*.elf"))[:5]
LARGE = "CI" in os.environ
BLOCKS_OF_EACH = 200 if LARGE else 60
RANDOM_UNITS, PROGRAMS = (2200, 60) if LARGE else (500, 15)
MUTATED_UNITS, WHOLE_UNITS, FLIPS_OF_EACH = (2200, 110, 8) if LARGE else (600, 30, 8)
LONGEST_WHOLE_UNIT = 160
"""Bytes; all bits of units up to this size are flipped."""
MOST_RUNS = 20_000 if LARGE else 5_000
RANDOM_INSNS = 20_000
OUT_OF_STATE = layout.JUMPS


def emitter(bmi2: bool = True, counting: bool = False) -> Host:
    host = make_host(NAME, GUEST, bmi2=bmi2)
    host.counting = counting
    return host


def real_units(bmi2: bool) -> Iterator[HostCode]:
    """Units of programs, of random IR, of random programs."""
    yield from rom_units(emitter(bmi2), [*ROMS, *BENCHES], BLOCKS_OF_EACH)
    yield from random_units(emitter(bmi2), SEED, RANDOM_UNITS)
    yield from program_units(emitter(bmi2), SEED, PROGRAMS)
    yield from rom_units(emitter(bmi2, counting=True), ROMS, BLOCKS_OF_EACH)
    yield from random_units(emitter(bmi2, counting=True), SEED, RANDOM_UNITS)


def listing(code: bytes) -> str:
    return "\n".join(f"{at:5x}  {data.hex():24} {text}" for at, data, text in emitter().disassemble(code))


# -- what is accepted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bmi2", [True, False])
def test_real_units_are_accepted(bmi2: bool) -> None:
    count = 0
    for made in real_units(bmi2):
        refusal = verify(NAME, made.code, links_of(made))
        assert refusal is None, f"seed {SEED}: {refusal}\n{listing(made.code)}"
        count += 1
    assert count > RANDOM_UNITS + BLOCKS_OF_EACH * len(ROMS) // 2


def test_the_longest_unit() -> None:
    limit = 1 << 16
    longest = b"\x99" * (limit - len(EXIT))
    assert verify(NAME, longest + EXIT, []) is None
    assert verify(NAME, longest + b"\x99" + EXIT, []) == (0, "a unit that is too long")


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "links", "offset", "reason"), [pytest.param(*rest, id=name) for name, *rest in ESCAPES]
)
def test_escapes_are_refused(code: bytes, links: list[int], offset: int, reason: str) -> None:
    assert verify(NAME, code, links) == (offset, reason)


def test_every_reason_has_its_escape() -> None:
    source = (ROOT / "native" / f"verify_{NAME}.c").read_text()
    texts = re.findall(r'(?:return|refuse|\[\] =|[?:])[^;"]*"([^"]+)"', source)
    assert len(texts) > 30
    assert set(texts) == {reason for *_, reason in ESCAPES}


# -- what is hostile and accepted -------------------------------------------------------------------------------------


def mutants(rng: random.Random) -> Iterator[tuple[bytes, list[int]]]:
    """Real units with one bit flipped: every bit of some units, a few bits of many."""
    units = {made.code: links_of(made) for made in real_units(bmi2=True)}
    chosen = rng.sample(list(units), MUTATED_UNITS)
    whole = [code for code in chosen if len(code) <= LONGEST_WHOLE_UNIT][:WHOLE_UNITS]
    assert len(whole) == WHOLE_UNITS
    for code in chosen:
        bits = range(8 * len(code))
        for bit in bits if code in whole else rng.sample(bits, FLIPS_OF_EACH):
            flipped = bytearray(code)
            flipped[bit // 8] ^= 1 << bit % 8
            yield bytes(flipped), units[code]


def test_mutants_stay_inside() -> None:
    rng = random.Random(SEED)
    accepted = [mutant for mutant in mutants(rng) if verify(NAME, *mutant) is None]
    sandbox = Sandbox(rng)
    for code, links in rng.sample(accepted, min(MOST_RUNS, len(accepted))):
        crime = sandbox.run(code, links)
        assert not crime, f"seed {SEED}: {crime}, links {links}\n{listing(code)}"


CAUGHT = (
    "into what it jumps over", "a loop without a charge", "a jump to itself without a charge", "the whole target",
    "mov [exit], eax", "mov [jumps], eax", "mov [rbx], eax", "mov eax, gs:[rbx]",
    "mov ebp, eax", "ret", "a round that does not look", "a negative charge",
)  # fmt: skip


@pytest.mark.parametrize("name", CAUGHT)
def test_the_sandbox_catches_escapes(name: str) -> None:
    (code, links), *_ = [escape[1:3] for escape in ESCAPES if escape[0] == name]
    sandbox = Sandbox(random.Random(SEED))
    assert any(sandbox.run(code, links) for _ in range(40))


PREFIXES = (b"", b"", b"", b"\x66", b"\x65\x67", b"\x66\x65\x67", b"\x65", b"\x67", b"\xf0", b"\xf3")
STATE_OPERAND, VEX = 0x45, 0xC4
LONGEST_TAIL = 10
"""Bytes of ModRM, SIB, displacement and immediate."""
OWN_REGISTERS = {"rsp", "esp", "sp", "spl", "rbp", "ebp", "bp", "bpl"}
MNEMONICS = re.compile(
    "add|or|and|sub|xor|cmp|test|mov|movzx|movsx|lea|cdq|imul|mul|div|idiv|neg|ror|shl|shr|sar|shlx|shrx|sarx|rorx|"
    "andn|bswap|bsf|bsr|lzcnt|tzcnt|popcnt|cmov[a-z]+|set[a-z]+|j[abeglnops]+"
)
"""The branches are those behind an instruction that ends before the random bytes do."""


def random_insns(rng: random.Random) -> Iterator[bytes]:
    """Bytes that look like an instruction, often of the CPU state; with as many behind them as it may take."""
    rex = bytes((rng.choice((0x40, 0x41, 0x44, 0x45, rng.randrange(0x40, 0x50))),)) if rng.random() < 0.4 else b""
    opcode = rng.choice((b"", b"\x0f")) + rng.randbytes(1)
    if rng.random() < 0.1:
        rex = b""
        opcode = bytes((VEX, rng.getrandbits(8) & ~0x1C | 2, rng.getrandbits(7), rng.choice((0xF0, 0xF2, 0xF7))))
    modrm = rng.choice((rng.getrandbits(8), 0xC0 | rng.getrandbits(6), STATE_OPERAND | rng.getrandbits(3) << 3))
    tail = bytes((modrm, rng.choice((0, 4, 8, rng.getrandbits(8))))) + rng.randbytes(LONGEST_TAIL)
    head = rng.choice(PREFIXES) + rex + opcode
    for size in range(LONGEST_TAIL):
        yield head + tail[:size]


def wrong_with(insn: Any) -> str:
    """What an instruction has that no accepted one may have, as capstone sees it."""
    if not MNEMONICS.fullmatch(insn.mnemonic):
        return "mnemonic"
    named = {insn.reg_name(register) for register in chain(*insn.regs_access())}
    for operand in insn.operands:
        if operand.type == X86_OP_MEM and insn.mnemonic != "lea":
            if operand.mem.segment == X86_REG_GS and insn.addr_size == 4:
                continue
            if insn.reg_name(operand.mem.base) != "rbp" or operand.mem.index or operand.mem.segment:
                return "address"
            disp = operand.mem.disp
            if not 0 <= disp <= OUT_OF_STATE - layout.WORD and disp != layout.PC:
                return "offset"
            named.discard("rbp")
    return "register" if named & OWN_REGISTERS else ""


def test_random_instructions_are_what_capstone_says() -> None:
    rng, seen = random.Random(SEED), Counter[str]()
    disassembler = Cs(CS_ARCH_X86, CS_MODE_64)
    disassembler.detail = True
    for data in chain.from_iterable(random_insns(rng) for _ in range(RANDOM_INSNS)):
        code = data + EXIT
        if verify(NAME, code, []) is not None:
            continue
        insns = list(disassembler.disasm(data, 0))
        story = f"seed {SEED}: {code.hex()}\n{listing(code)}"
        assert sum(insn.size for insn in insns) == len(data), story
        for insn in insns:
            assert not wrong_with(insn), f"{wrong_with(insn)} {story}"
            seen[insn.mnemonic] += 1
    assert len(seen) > 40, seen
