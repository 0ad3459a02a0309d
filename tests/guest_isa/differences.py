"""Where the table and capstone 5 do not agree about RV32, and why. Each must still occur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guest_isa.rv32 import GUEST

Listing = tuple[str, ...]
"""Mnemonic and operands; empty for a word that is no instruction."""


@dataclass(frozen=True, slots=True)
class Difference:
    """applies: whether a word on which the listings `ours` and `theirs` differ is a case of this."""

    reason: str
    applies: Callable[[int, Listing, Listing], bool]


def _rd_is_zero(word: int) -> bool:
    return word >> 7 & 31 == 0


def _only_theirs(*mnemonics: str) -> Callable[[int, Listing, Listing], bool]:
    return lambda word, ours, theirs: not ours and theirs[0] in mnemonics


def _only_ours(*mnemonics: str) -> Callable[[int, Listing, Listing], bool]:
    return lambda word, ours, theirs: not theirs and ours[0] in mnemonics


def _is_of(*extensions: str) -> Callable[[int, Listing, Listing], bool]:
    names = {spec.name for spec in GUEST.isa if spec.extension in extensions}
    return lambda word, ours, theirs: not theirs and ours[0] in names


SHAMT_5_COMPRESSED = 1 << 12
SHAMT_5 = 1 << 25

DIFFERENCES = (
    Difference(
        "F and D are not in this guest; capstone decodes them in every mode",
        lambda word, ours, theirs: not ours and theirs[0].removeprefix("c.").startswith("f") and theirs[0] != "fence",
    ),
    Difference("capstone 5 does not know B; tests/guest_isa/test_bits.py asks GNU as", _is_of("Zba", "Zbb", "Zbs")),
    Difference("the all-zero word is defined to be illegal (26.3); capstone names it", _only_theirs("c.unimp")),
    Difference(
        "shift amounts above 31 are reserved for RV32 (26.5)",
        lambda word, ours, theirs: (
            not ours and theirs[0] in ("c.slli", "c.srli", "c.srai") and bool(word & SHAMT_5_COMPRESSED)
        ),
    ),
    Difference(
        "shift amounts above 31 are reserved for RV32 (2.4.1)",
        lambda word, ours, theirs: not ours and theirs[0] in ("slli", "srli", "srai") and bool(word & SHAMT_5),
    ),
    Difference("c.lui with immediate 0 is reserved (26.5)", _only_theirs("c.lui")),
    Difference(
        "c.nop with an immediate is a HINT (26.7); capstone prints it without, or not at all",
        lambda word, ours, theirs: (
            ours[:2] == ("c.addi", "zero") and (not theirs or theirs == ("c.addi", "zero", "0x0"))
        ),
    ),
    Difference(
        "compressed instructions that write x0 are HINTs (26.7), which execute; capstone refuses them",
        lambda word, ours, theirs: (
            not theirs and ours[0] in ("c.slli", "c.li", "c.lui", "c.mv", "c.add") and _rd_is_zero(word)
        ),
    ),
    Difference(
        "the unused fields of fence and fence.i are ignored (2.7, chapter 4); capstone refuses them",
        _only_ours("fence", "fence.i"),
    ),
    Difference(
        "capstone takes pmpaddr13 and pmpaddr14 for each other",
        lambda word, ours, theirs: bool(ours) and word >> 20 in (0x3BD, 0x3BE) and ours[0].startswith("csrr"),
    ),
    Difference(
        "there is no supervisor mode and no user-level trap handler",
        _only_theirs("uret", "sret", "sfence.vma", "hfence.gvma", "hfence.bvma"),
    ),
)
