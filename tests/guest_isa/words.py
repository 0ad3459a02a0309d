"""Instruction words made from the table: what the sweeps and the random tests feed on."""

from __future__ import annotations

import random
from collections.abc import Iterator

from guest_isa.isa import InsnSpec

SAME_REGISTER = 0.2
"""How often the registers of a random instruction are one register."""
REGISTERS = ("rd", "rs1", "rs2")


def encode(spec: InsnSpec, numbers: dict[str, int]) -> int:
    """The word of `spec` with these operands; bits outside an operand's pieces are dropped."""
    word = spec.match
    for name, number in numbers.items():
        for piece in spec.pieces[name]:
            word |= (number >> piece.place & ((1 << piece.width) - 1)) << piece.shift
    return word


def random_word(rng: random.Random, spec: InsnSpec) -> int:
    """A word that is this instruction, not one that its exclusions leave to others."""
    while True:
        word = spec.match | rng.getrandbits(8 * spec.length) & ~spec.mask
        if rng.random() < SAME_REGISTER:
            register = rng.getrandbits(5)
            numbers = dict(zip(spec.operands, spec.decode(word), strict=True))
            word = encode(spec, {name: register if name in REGISTERS else numbers[name] for name in numbers})
        if spec.allows(spec.decode(word)):
            return word


# Fields of a 32-bit word (volume I, 2.2): 7 bits of opcode, funct3 at 12, funct7 at 25, funct12 at 20.
OPCODES_32 = range(0b11, 1 << 7, 4)
SYSTEM = 0b1110011
MISC_MEM = 0b0001111


def compressed_words() -> Iterator[int]:
    """Every 16-bit word that is not the start of a longer one."""
    return (word for word in range(1 << 16) if word & 3 != 3)


def _registers(rng: random.Random) -> int:
    return rng.getrandbits(5) << 7 | rng.getrandbits(10) << 15


def structured_words(rng: random.Random) -> Iterator[int]:
    """Every opcode with every funct3 and funct7; every funct12 of SYSTEM; every first half of MISC-MEM."""
    for opcode in OPCODES_32:
        for upper in range(1 << 10):
            yield (upper >> 3) << 25 | (upper & 7) << 12 | opcode | _registers(rng)
    for funct12 in range(1 << 12):
        yield funct12 << 20 | SYSTEM
        yield funct12 << 20 | MISC_MEM
        for funct3 in range(8):
            yield funct12 << 20 | funct3 << 12 | SYSTEM | rng.getrandbits(5) << 7 | rng.getrandbits(5) << 15
            yield funct12 << 20 | funct3 << 12 | SYSTEM | rng.choice((0, rng.getrandbits(5) << 7))


def random_words(rng: random.Random, specs: list[InsnSpec], arbitrary: int, each: int) -> Iterator[int]:
    """`arbitrary` words of 32 bits, then `each` of every instruction."""
    for _ in range(arbitrary):
        yield rng.getrandbits(30) << 2 | 3
    for spec in specs:
        for _ in range(each):
            yield random_word(rng, spec)
