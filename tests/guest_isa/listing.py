"""Listings in one form, whoever made them: pseudo-instructions expanded, numbers in hex modulo 2**32."""

from __future__ import annotations

import re

from guest_isa.rv32.csrs import CSRS
from tests.guest_isa.differences import Listing

MASK32 = 0xFFFF_FFFF

EXPANSIONS = {
    ("nop", 0): "addi zero zero 0",
    ("li", 2): "addi {0} zero {1}",
    ("mv", 2): "addi {0} {1} 0",
    ("not", 2): "xori {0} {1} -1",
    ("neg", 2): "sub {0} zero {1}",
    ("seqz", 2): "sltiu {0} {1} 1",
    ("snez", 2): "sltu {0} zero {1}",
    ("sltz", 2): "slt {0} {1} zero",
    ("sgtz", 2): "slt {0} zero {1}",
    ("beqz", 2): "beq {0} zero {1}",
    ("bnez", 2): "bne {0} zero {1}",
    ("bltz", 2): "blt {0} zero {1}",
    ("bgez", 2): "bge {0} zero {1}",
    ("blez", 2): "bge zero {0} {1}",
    ("bgtz", 2): "blt zero {0} {1}",
    ("j", 1): "jal zero {0}",
    ("jal", 1): "jal ra {0}",
    ("ret", 0): "jalr zero ra 0",
    ("jr", 1): "jalr zero {0} 0",
    ("jr", 2): "jalr zero {0} {1}",
    ("jalr", 1): "jalr ra {0} 0",
    ("jalr", 2): "jalr ra {0} {1}",
    ("c.nop", 0): "c.addi zero 0",
    ("c.ret", 0): "c.jr ra",
    ("fence", 0): "fence iorw iorw",
    ("fence.tso", 0): "fence rw rw",
    ("pause", 0): "fence w 0",
    ("csrr", 2): "csrrs {0} {1} zero",
    ("csrw", 2): "csrrw zero {0} {1}",
    ("csrs", 2): "csrrs zero {0} {1}",
    ("csrc", 2): "csrrc zero {0} {1}",
    ("csrwi", 2): "csrrwi zero {0} {1}",
    ("csrsi", 2): "csrrsi zero {0} {1}",
    ("csrci", 2): "csrrci zero {0} {1}",
    ("unimp", 0): "csrrw zero cycle zero",
    ("frflags", 1): "csrrs {0} 1 zero",
    ("frrm", 1): "csrrs {0} 2 zero",
    ("frcsr", 1): "csrrs {0} 3 zero",
    ("fsflags", 1): "csrrw zero 1 {0}",
    ("fsrm", 1): "csrrw zero 2 {0}",
    ("fscsr", 1): "csrrw zero 3 {0}",
    ("fsflags", 2): "csrrw {0} 1 {1}",
    ("fsrm", 2): "csrrw {0} 2 {1}",
    ("fscsr", 2): "csrrw {0} 3 {1}",
    ("fsflagsi", 1): "csrrwi zero 1 {0}",
    ("fsrmi", 1): "csrrwi zero 2 {0}",
    ("fsflagsi", 2): "csrrwi {0} 1 {1}",
    ("fsrmi", 2): "csrrwi {0} 2 {1}",
    **{(f"rd{csr.name}", 1): f"csrrs {{0}} {csr.name} zero" for csr in CSRS.values() if csr.counter is not None},
}
"""(pseudo-instruction, number of operands): what it stands for."""

CSR_NUMBERS = {csr.name: number for number, csr in CSRS.items()}
NO_FENCE_SET = "unknown"
"""What capstone prints for an empty set of a fence."""

_OFFSET_FORM = re.compile(r"(-?\w+)\((\w+)\)$")


def _operands(mnemonic: str, text: str) -> list[str]:
    """The operands; `offset(base)` as two, for jalr in the order of its other syntax."""
    words = [word for word in re.split(r"[\s,]+", text) if word]
    if words and (found := _OFFSET_FORM.fullmatch(words[-1])):
        offset, base = found.groups()
        words[-1:] = [base, offset] if mnemonic in ("jalr", "jr") else [offset, base]
    return [word.strip("()") for word in words]


def _number(word: str) -> str:
    try:
        return hex(int(word, 0) & MASK32)
    except ValueError:
        return word


def _csr(mnemonic: str, words: list[str], word: int) -> list[str]:
    """Names of the table must be right; the other names are capstone's, and stand for the number."""
    if mnemonic.startswith("csrr"):
        name = words[1]
        known = CSR_NUMBERS.get(name)
        words[1] = name if name[0].isdigit() else str(word >> 20 if known is None else known)
    return words


def listing(text: str, word: int) -> Listing:
    """`text` of the instruction `word`, in the one form."""
    mnemonic, _, rest = text.partition(" ")
    if mnemonic == "ret" and word & 3 != 3:
        mnemonic = "c.ret"
    words = _operands(mnemonic, rest)
    expansion = EXPANSIONS.get((mnemonic, len(words)))
    if expansion is not None:
        mnemonic, *words = expansion.format(*words).split()
    if mnemonic == "fence":
        words = ["0" if part == NO_FENCE_SET else part for part in words]
    return (mnemonic, *map(_number, _csr(mnemonic, words, word)))
