"""The operands of arm64 instructions and the forms that instructions have (Arm Architecture Reference Manual, C4, C6).

A form is a function that makes an encoder method from the manual's syntax, which becomes its docstring, and the
instruction word with all operands zero.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from dynarec.host.buffer import Buffer, EncodingError


class Cond(IntEnum):
    """Condition codes (C1.2.4); bit 0 negates, but for AL."""

    EQ, NE, HS, LO, MI, PL, VS, VC, HI, LS, GE, LT, GT, LE, AL = range(15)


class Shift(IntEnum):
    """How a second register operand is shifted; ROR is for logical instructions only."""

    LSL, LSR, ASR, ROR = range(4)


class Extend(IntEnum):
    """How a narrow second register operand is extended."""

    UXTB, UXTH, UXTW, UXTX, SXTB, SXTH, SXTW, SXTX = range(8)


ZR = 31
"""The zero register, or SP where the manual says so."""
NOT_A_REGISTER = ~31
MASK32 = (1 << 32) - 1
_INVERTED = tuple(Cond(cond ^ 1) for cond in Cond if cond != Cond.AL)
_RM, _RA, _RN = 16, 10, 5
"""Where register fields stand; Rd and Rt are at 0."""
_IMM12_AT, _IMM12_END, _IMM12_SHIFTED = 10, 1 << 12, 1 << 22
_SHIFT_AT, _AMOUNT_AT = 22, 10
_IMMR_AT, _IMMS_AT = 16, 10
_UNSCALED_MIN, _UNSCALED_END, _UNSCALED_MASK, _UNSCALED_AT = -256, 256, 0x1FF, 12
_SCALED_BIT = 1 << 24
"""Set in LDR and STR with a scaled offset, clear in LDUR and STUR."""
_PAIR_MIN, _PAIR_END, _PAIR_MASK, _PAIR_AT, _PAIR_SECOND_AT = -64, 64, 0x7F, 15, 10


def invert(cond: int) -> Cond:
    """The condition that holds exactly when ``cond`` does not; EncodingError for AL."""
    if not 0 <= cond < Cond.AL:
        raise EncodingError(f"condition {int(cond)} has no inverse")
    return _INVERTED[cond]


def bad_register(*registers: int) -> EncodingError:
    """The error for a register number that is out of range."""
    return EncodingError(f"registers are 0..31, not {', '.join(str(int(register)) for register in registers)}")


def unsigned32(value: int) -> int:
    """A signed or unsigned 32-bit value as unsigned."""
    if not -(1 << 31) <= value <= MASK32:
        raise EncodingError(f"{value:#x} does not fit in 32 bits")
    return value & MASK32


def _logical_immediates() -> dict[int, int]:
    """Every 32-bit bitmask immediate with its N:immr:imms (DecodeBitMasks, J1.1): a rotated run of ones, repeated."""
    table = {}
    for size in (2, 4, 8, 16, 32):
        copies = MASK32 // ((1 << size) - 1)
        size_bits = -size << 1 & 0x3F
        for ones in range(1, size):
            run = (1 << ones) - 1
            for rotation in range(size):
                element = (run >> rotation | run << size - rotation) & (1 << size) - 1
                table[element * copies] = rotation << 6 | size_bits | ones - 1
    return table


_LOGICAL = _logical_immediates()


def logical_immediate(value: int) -> int | None:
    """The bits N:immr:imms of a 32-bit value, signed or unsigned, as a bitmask immediate, or None if it is none."""
    return _LOGICAL.get(value if value >= 0 else value + MASK32 + 1)


def _add_field(value: int) -> int | None:
    """The sh:imm12 field in place, or None."""
    if 0 <= value < _IMM12_END:
        return value << _IMM12_AT
    if not value % _IMM12_END and 0 < value < _IMM12_END << 12:
        return _IMM12_SHIFTED | value >> 12 << _IMM12_AT
    return None


def add_immediate(value: int) -> bool:
    """Whether ADD and SUB can hold the value: 0..4095, or that times 4096."""
    return _add_field(value) is not None


_RegReg: TypeAlias = Callable[[Buffer, int, int], None]
_RegRegReg: TypeAlias = Callable[[Buffer, int, int, int], None]
_Four: TypeAlias = Callable[[Buffer, int, int, int, int], None]
_None: TypeAlias = Callable[[Buffer], None]
_Reg: TypeAlias = Callable[[Buffer, int], None]


def bare(syntax: str, word: int) -> _None:
    """An instruction without operands."""
    encoded = word.to_bytes(4, "little")

    def encode(self: Buffer) -> None:
        self.code += encoded

    encode.__doc__ = syntax
    return encode


def one(syntax: str, word: int) -> _Reg:
    """(reg) in Rn."""

    def encode(self: Buffer, reg: int) -> None:
        if reg & NOT_A_REGISTER:
            raise bad_register(reg)
        self.code += (word | reg << _RN).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def two(syntax: str, word: int, source_at: int = _RN) -> _RegReg:
    """(dst, src)."""

    def encode(self: Buffer, dst: int, src: int) -> None:
        if (dst | src) & NOT_A_REGISTER:
            raise bad_register(dst, src)
        self.code += (word | src << source_at | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def three(syntax: str, word: int) -> _RegRegReg:
    """(dst, a, b), also (reg, base, index)."""

    def encode(self: Buffer, dst: int, a: int, b: int) -> None:
        if (dst | a | b) & NOT_A_REGISTER:
            raise bad_register(dst, a, b)
        self.code += (word | b << _RM | a << _RN | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def four(syntax: str, word: int) -> _Four:
    """(dst, a, b, c) with c in Ra."""

    def encode(self: Buffer, dst: int, a: int, b: int, c: int) -> None:
        if (dst | a | b | c) & NOT_A_REGISTER:
            raise bad_register(dst, a, b, c)
        self.code += (word | b << _RM | c << _RA | a << _RN | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def select(syntax: str, word: int) -> _Four:
    """(dst, a, b, cond)."""

    def encode(self: Buffer, dst: int, a: int, b: int, cond: int) -> None:
        if (dst | a | b) & NOT_A_REGISTER or cond & ~15:
            raise EncodingError(f"no select of {int(dst)}, {int(a)}, {int(b)} on condition {int(cond)}")
        self.code += (word | b << _RM | cond << 12 | a << _RN | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def add_imm(syntax: str, word: int) -> _RegRegReg:
    """(dst, a, imm) with the immediate of ADD and SUB."""

    def encode(self: Buffer, dst: int, a: int, imm: int) -> None:
        if (dst | a) & NOT_A_REGISTER:
            raise bad_register(dst, a)
        field = _add_field(imm)
        if field is None:
            raise EncodingError(f"{imm:#x} is neither 0..4095 nor a multiple of 4096 up to 4095 * 4096")
        self.code += (word | field | a << _RN | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def logical_imm(syntax: str, word: int) -> _RegRegReg:
    """(dst, a, imm) with a bitmask immediate."""

    def encode(self: Buffer, dst: int, a: int, imm: int) -> None:
        if (dst | a) & NOT_A_REGISTER:
            raise bad_register(dst, a)
        bits = logical_immediate(imm)
        if bits is None:
            raise EncodingError(f"{imm:#x} is not a 32-bit bitmask immediate")
        self.code += (word | bits << _IMMS_AT | a << _RN | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def bitfield(syntax: str, word: int, at_zero: bool) -> _Four:
    """(dst, src, lsb, width): ``at_zero`` moves the field from ``lsb`` to bit 0, otherwise from bit 0 to ``lsb``."""

    def encode(self: Buffer, dst: int, src: int, lsb: int, width: int) -> None:
        if (dst | src) & NOT_A_REGISTER or not 0 <= lsb < lsb + width <= 32:
            raise EncodingError(f"no bit field of {int(src)} to {int(dst)} at {lsb} of width {width}")
        immr, imms = (lsb, lsb + width - 1) if at_zero else (-lsb & 31, width - 1)
        self.code += (word | immr << _IMMR_AT | imms << _IMMS_AT | src << _RN | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def shift_imm(syntax: str, word: int, width: int = 32) -> _RegRegReg:
    """(dst, src, n) with n, 0..width-1, in immr; the word holds imms."""

    def encode(self: Buffer, dst: int, src: int, n: int) -> None:
        if (dst | src) & NOT_A_REGISTER or not 0 <= n < width:
            raise EncodingError(f"no shift of {int(src)} to {int(dst)} by {n}")
        self.code += (word | n << _IMMR_AT | src << _RN | dst).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def memory(syntax: str, word: int, log2_size: int) -> _RegRegReg:
    """(reg, base, offset in bytes): scaled if a multiple of the size up to 4095 sizes, else unscaled -256..255."""
    end, misaligned = _IMM12_END << log2_size, (1 << log2_size) - 1
    at, unscaled = _IMM12_AT - log2_size, word & ~_SCALED_BIT

    def encode(self: Buffer, reg: int, base: int, offset: int) -> None:
        if (reg | base) & NOT_A_REGISTER:
            raise bad_register(reg, base)
        if 0 <= offset < end and not offset & misaligned:
            bits = word | offset << at
        elif _UNSCALED_MIN <= offset < _UNSCALED_END:
            bits = unscaled | (offset & _UNSCALED_MASK) << _UNSCALED_AT
        else:
            raise EncodingError(f"offset {offset} is out of reach of a {1 << log2_size}-byte access")
        self.code += (bits | base << _RN | reg).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def unscaled_memory(syntax: str, word: int) -> _RegRegReg:
    """(reg, base, offset in bytes, -256..255)."""

    def encode(self: Buffer, reg: int, base: int, offset: int) -> None:
        if (reg | base) & NOT_A_REGISTER or not _UNSCALED_MIN <= offset < _UNSCALED_END:
            raise EncodingError(f"no unscaled access to {int(reg)}, [{int(base)}, {offset}]")
        self.code += (word | (offset & _UNSCALED_MASK) << _UNSCALED_AT | base << _RN | reg).to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def pair(syntax: str, word: int, log2_size: int, load: bool) -> _Four:
    """(a, b, base, offset in bytes): a multiple of the size, -64..63 sizes; a load needs two different registers."""

    def encode(self: Buffer, a: int, b: int, base: int, offset: int) -> None:
        scaled = offset >> log2_size
        if scaled << log2_size != offset or not _PAIR_MIN <= scaled < _PAIR_END:
            raise EncodingError(f"offset {offset} is not a multiple of the size, or out of a pair's reach")
        if (a | b | base) & NOT_A_REGISTER or (load and a == b):
            raise EncodingError(f"no pair {int(a)}, {int(b)}, [{int(base)}]")
        bits = word | (scaled & _PAIR_MASK) << _PAIR_AT | b << _PAIR_SECOND_AT | base << _RN | a
        self.code += bits.to_bytes(4, "little")

    encode.__doc__ = syntax
    return encode


def add_shifted(code: bytearray, word: int, dst: int, a: int, b: int, shift: int, amount: int, width: int = 32) -> None:
    """Append an instruction whose second operand may be shifted by 0..width-1."""
    if (dst | a | b) & NOT_A_REGISTER:
        raise bad_register(dst, a, b)
    if shift & ~3 or not 0 <= amount < width:
        raise EncodingError(f"no operand is shifted by {int(shift)}, {amount}")
    code += (word | shift << _SHIFT_AT | b << _RM | amount << _AMOUNT_AT | a << _RN | dst).to_bytes(4, "little")
