"""Decoder and disassembler of RV32 against capstone: the whole 16-bit space, sweeps of the 32-bit space."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

import capstone
import pytest

from guest_isa.rv32 import GUEST
from tests.guest_isa.differences import DIFFERENCES, Difference, Listing
from tests.guest_isa.listing import listing
from tests.guest_isa.words import compressed_words, random_words, structured_words

SEED = 20
ARBITRARY, EACH = (60_000, 600) if "CI" in os.environ else (20_000, 200)
AT = 0
"""Branch targets are then their distances, as capstone 5 prints them."""
SHOWN = 10


def ours(word: int) -> Listing:
    insn = GUEST.isa.decode(word)
    return () if insn is None else listing(insn.text(AT, aliases=False), word)


class Capstone:
    def __init__(self) -> None:
        self._engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)

    def __call__(self, word: int) -> Listing:
        length = GUEST.isa.length(word)
        found = next(self._engine.disasm_lite(word.to_bytes(length, "little"), AT, 1), None)
        if found is None:
            return ()
        _, size, mnemonic, operands = found
        assert size == length
        return listing(f"{mnemonic} {operands}".rstrip(), word)


def compare(words: Iterable[int]) -> tuple[set[Difference], list[str]]:
    """The known differences that occur, and the unknown ones in words."""
    theirs = Capstone()
    occurring: set[Difference] = set()
    unknown = []
    for word in words:
        mine, other = ours(word), theirs(word)
        if mine == other:
            continue
        known = [difference for difference in DIFFERENCES if difference.applies(word, mine, other)]
        occurring.update(known)
        if not known:
            unknown.append(f"{word:#x}: table {mine}, capstone {other}")
    return occurring, unknown


@pytest.fixture(scope="module")
def compressed() -> tuple[set[Difference], list[str]]:
    return compare(compressed_words())


@pytest.fixture(scope="module")
def full() -> tuple[set[Difference], list[str]]:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    specs = [spec for spec in GUEST.isa if spec.length == 4]
    return compare([*structured_words(rng), *random_words(rng, specs, ARBITRARY, EACH)])


def test_every_16_bit_word(compressed: tuple[set[Difference], list[str]]) -> None:
    assert not compressed[1][:SHOWN]


def test_sweeps_of_32_bit_words(full: tuple[set[Difference], list[str]]) -> None:
    assert not full[1][:SHOWN]


def test_every_listed_difference_still_occurs(
    compressed: tuple[set[Difference], list[str]], full: tuple[set[Difference], list[str]]
) -> None:
    gone = set(DIFFERENCES) - compressed[0] - full[0]
    assert not [difference.reason for difference in gone]


def test_pseudo_instructions_stand_for_what_they_name() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for word in (*compressed_words(), *structured_words(rng), *random_words(rng, list(GUEST.isa), 0, EACH // 4)):
        insn = GUEST.isa.decode(word)
        if insn is not None:
            assert listing(insn.text(AT), word) == listing(insn.text(AT, aliases=False), word), hex(word)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0x0505, "c.addi a0, 1"),
        (0x0001, "c.nop"),
        (0x8082, "ret"),
        (0x0000_8067, "ret"),
        (0x0000_0013, "nop"),
        (0x00A5_8533, "add a0, a1, a0"),
        (0xFE05_0EE3, "beqz a0, 0xffc"),
        (0x0000_0073, "ecall"),
        (0xC000_2573, "rdcycle a0"),
        (0x0FF0_000F, "fence"),
        (0xFFC5_2503, "lw a0, -4(a0)"),
        (0x0001_2537, "lui a0, 0x12"),
        (0x1005_252F, "lr.w a0, (a0)"),
    ],
)
def test_listings(word: int, text: str) -> None:
    insn = GUEST.isa.decode(word)
    assert insn is not None
    assert insn.text(0x1000) == text
