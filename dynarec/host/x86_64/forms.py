"""The operands of x86-64 instructions and the forms that instructions have (Intel SDM volume 2A, chapter 2).

A form is a function that makes an encoder method from the manual's syntax, which becomes its docstring, and an opcode.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from dynarec.host.buffer import Buffer, EncodingError


class Reg(IntEnum):
    """General registers by their number."""

    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)


class Alu(IntEnum):
    """Two-operand arithmetic; the value is the opcode's row and its ``/digit``."""

    ADD, OR, ADC, SBB, AND, SUB, XOR, CMP = range(8)


class Cond(IntEnum):
    """Condition codes (SDM volume 1, appendix B); bit 0 negates."""

    O, NO, B, AE, E, NE, BE, A, S, NS, P, NP, L, GE, LE, G = range(16)  # noqa: E741


class Shift(IntEnum):
    """Shifts; the value is the ``/digit`` of group 2."""

    ROL = 0
    ROR = 1
    SHL = 4
    SHR = 5
    SAR = 7


_INVERTED = tuple(Cond(cond ^ 1) for cond in Cond)
_SCALES = {1: 0, 2: 1, 4: 2, 8: 3}
RSP, _RBP = 4, 5
_NEEDS_SIB = RSP
"""The low bits of RSP and R12 in r/m announce a SIB byte."""
_NEEDS_DISP = _RBP
"""The low bits of RBP and R13 with mod 0 mean "no base"."""
_MOD_DISP8, _MOD_DISP32, MOD_REGISTER = 0x40, 0x80, 0xC0
_GUEST_PREFIXES = b"\x65\x67"
"""GS segment override and 32-bit address size: the address wraps at 4 GiB."""

NOT_A_REGISTER = ~15
_INT32_MIN, _INT32_END, _UINT32_END = -(1 << 31), 1 << 31, 1 << 32

BYTE = tuple(bytes((value,)) for value in range(256))
REX = (b"", *(bytes((0x40 | bits,)) for bits in range(1, 16)))
"""The REX prefix for its bits WRXB; nothing for none."""
EMPTY_REX = b"\x40"
"""Makes 4..7 name SPL, BPL, SIL, DIL instead of AH, CH, DH, BH."""

_VEX3 = 0xC4
_VEX_NOT_R, _VEX_NOT_X, _VEX_NOT_B = 0x80, 0x40, 0x20
_VEX_MAP_0F38, VEX_MAP_0F3A = 2, 3
_VEX_NO_PREFIX, VEX_66, VEX_F3, VEX_F2 = 0, 1, 2, 3
_VEX_SHIFT_OPCODE, _VEX_ANDN_OPCODE = 0xF7, 0xF2


def invert(cond: int) -> Cond:
    """The condition that holds exactly when ``cond`` does not."""
    return _INVERTED[cond]


def bad_register(*registers: int) -> EncodingError:
    return EncodingError(f"registers are 0..15, not {', '.join(str(int(register)) for register in registers)}")


def signed32(value: int) -> int:
    """A signed or unsigned 32-bit value as signed."""
    if _INT32_MIN <= value < _INT32_END:
        return value
    if _INT32_END <= value < _UINT32_END:
        return value - _UINT32_END
    raise EncodingError(f"{value:#x} does not fit in 32 bits")


class Mem:
    """A memory operand, ``base + index * scale + disp``; immutable by convention, so share it between instructions.

    With ``guest`` the address is computed modulo 4 GiB and is relative to the GS segment, and ``disp`` may be any
    signed or unsigned 32-bit number; without it, addresses are 64-bit and ``disp`` is signed. With neither base nor
    index, ``disp`` is the address.
    Raises EncodingError for RSP as the index, a scale other than 1, 2, 4, 8 and a ``disp`` of more than 32 bits.
    """

    __slots__ = ("base", "disp", "guest", "index", "modrm", "prefix", "rex", "scale", "tail")

    def __init__(
        self, base: int | None, disp: int = 0, index: int | None = None, scale: int = 1, guest: bool = False
    ) -> None:
        if not guest and disp >= _INT32_END:
            raise EncodingError(f"displacement {disp:#x} is not signed 32-bit")
        self.base, self.index, self.scale, self.guest = base, index, scale, guest
        self.disp = disp = signed32(disp)
        self.prefix = _GUEST_PREFIXES if guest else b""
        self.rex, rm, sib = self._address()
        if base is None:
            self.modrm, self.tail = rm, sib + (disp % _UINT32_END).to_bytes(4, "little")
        elif disp == 0 and base & 7 != _NEEDS_DISP:
            self.modrm, self.tail = rm, sib
        elif -0x80 <= disp < 0x80:
            self.modrm, self.tail = rm | _MOD_DISP8, sib + BYTE[disp & 0xFF]
        else:
            self.modrm, self.tail = rm | _MOD_DISP32, sib + (disp % _UINT32_END).to_bytes(4, "little")

    def _address(self) -> tuple[int, int, bytes]:
        """The REX bits, the r/m field and the SIB byte, if any."""
        base, index = self.base, self.index
        if base is not None and base & NOT_A_REGISTER:
            raise bad_register(base)
        if index is None:
            if base is not None and base & 7 != _NEEDS_SIB:
                return base >> 3, base & 7, b""
            index = RSP
        elif index & NOT_A_REGISTER or index == RSP or self.scale not in _SCALES:
            raise EncodingError(f"no address has the index {int(index)} with the scale {self.scale}")
        low = _RBP if base is None else base
        sib = _SCALES[self.scale] << 6 | (index & 7) << 3 | low & 7
        return index >> 3 << 1 | low >> 3, _NEEDS_SIB, BYTE[sib]

    def __repr__(self) -> str:
        return f"Mem({self.base}, {self.disp:#x}, {self.index}, {self.scale}, guest={self.guest})"


_None: TypeAlias = Callable[[Buffer], None]
_Reg: TypeAlias = Callable[[Buffer, int], None]
_RegReg: TypeAlias = Callable[[Buffer, int, int], None]
_RegRegReg: TypeAlias = Callable[[Buffer, int, int, int], None]
_RegMem: TypeAlias = Callable[[Buffer, int, Mem], None]
_MemReg: TypeAlias = Callable[[Buffer, Mem, int], None]
_OneMem: TypeAlias = Callable[[Buffer, Mem], None]


def add_rr(code: bytearray, opcode: bytes, reg: int, rm: int, rex: int = 0) -> None:
    """Append an instruction with two register operands in ModRM."""
    if (reg | rm) & NOT_A_REGISTER:
        raise bad_register(reg, rm)
    code += REX[rex | reg >> 3 << 2 | rm >> 3] + opcode + BYTE[MOD_REGISTER | (reg & 7) << 3 | rm & 7]


def add_rm(code: bytearray, opcode: bytes, reg: int, mem: Mem, rex: int = 0) -> None:
    """Append an instruction with a register, or a ``/digit``, and memory."""
    if reg & NOT_A_REGISTER:
        raise bad_register(reg)
    rex |= reg >> 3 << 2 | mem.rex
    code += mem.prefix + REX[rex] + opcode + BYTE[mem.modrm | (reg & 7) << 3] + mem.tail


def bare(syntax: str, opcode: bytes) -> _None:
    """An instruction without operands."""

    def encode(self: Buffer) -> None:
        self.code += opcode

    encode.__doc__ = syntax
    return encode


def reg_rm(syntax: str, opcode: bytes, prefix: bytes = b"", rex: int = 0) -> _RegReg:
    """(dst, src) with dst in the reg field."""

    def encode(self: Buffer, dst: int, src: int) -> None:
        self.code += prefix
        add_rr(self.code, opcode, dst, src, rex)

    encode.__doc__ = syntax
    return encode


def reg_rm8(syntax: str, opcode: bytes) -> _RegReg:
    """(dst, src) where src is a byte register."""

    def encode(self: Buffer, dst: int, src: int) -> None:
        if RSP <= src < 8 and not dst & ~7:
            self.code += EMPTY_REX
        add_rr(self.code, opcode, dst, src)

    encode.__doc__ = syntax
    return encode


def rm_reg(syntax: str, opcode: bytes, rex: int = 0) -> _RegReg:
    """(dst, src) with src in the reg field."""

    def encode(self: Buffer, dst: int, src: int) -> None:
        add_rr(self.code, opcode, src, dst, rex)

    encode.__doc__ = syntax
    return encode


def load(syntax: str, opcode: bytes, rex: int = 0) -> _RegMem:
    """(dst, mem)."""

    def encode(self: Buffer, dst: int, mem: Mem) -> None:
        add_rm(self.code, opcode, dst, mem, rex)

    encode.__doc__ = syntax
    return encode


def store(syntax: str, opcode: bytes, prefix: bytes = b"", rex: int = 0) -> _MemReg:
    """(mem, src)."""

    def encode(self: Buffer, mem: Mem, src: int) -> None:
        self.code += prefix
        add_rm(self.code, opcode, src, mem, rex)

    encode.__doc__ = syntax
    return encode


def one_r(syntax: str, opcode: bytes, digit: int) -> _Reg:
    """One register, the ``/digit`` in the reg field."""

    def encode(self: Buffer, reg: int) -> None:
        add_rr(self.code, opcode, digit, reg)

    encode.__doc__ = syntax
    return encode


def one_m(syntax: str, opcode: bytes, digit: int, rex: int = 0) -> _OneMem:
    """One memory operand, the ``/digit`` in the reg field."""

    def encode(self: Buffer, mem: Mem) -> None:
        add_rm(self.code, opcode, digit, mem, rex)

    encode.__doc__ = syntax
    return encode


def in_opcode(syntax: str, opcode: bytes) -> _Reg:
    """One register in the low bits of the opcode's last byte."""

    def encode(self: Buffer, reg: int) -> None:
        if reg & NOT_A_REGISTER:
            raise bad_register(reg)
        self.code += REX[reg >> 3] + opcode[:-1] + BYTE[opcode[-1] | reg & 7]

    encode.__doc__ = syntax
    return encode


def vex(code: bytearray, opcode: int, opcode_map: int, pp: int, reg: int, rm: int, vvvv: int) -> None:
    """Append a three-byte VEX instruction (128-bit, W0) of three general registers (SDM volume 2A, 2.3.5)."""
    if (reg | rm | vvvv) & NOT_A_REGISTER:
        raise bad_register(reg, rm, vvvv)
    high = (0 if reg > 7 else _VEX_NOT_R) | _VEX_NOT_X | (0 if rm > 7 else _VEX_NOT_B) | opcode_map
    low = (~vvvv & 15) << 3 | pp
    code += bytes((_VEX3, high, low, opcode, MOD_REGISTER | (reg & 7) << 3 | rm & 7))


def vex_shift(syntax: str, pp: int) -> _RegRegReg:
    """(dst, src, count): the BMI2 shifts, which leave the flags alone."""

    def encode(self: Buffer, dst: int, src: int, count: int) -> None:
        vex(self.code, _VEX_SHIFT_OPCODE, _VEX_MAP_0F38, pp, dst, src, count)

    encode.__doc__ = syntax
    return encode


def vex_andn(syntax: str) -> _RegRegReg:
    """(dst, inverted, src): the order of the manual."""

    def encode(self: Buffer, dst: int, inverted: int, src: int) -> None:
        vex(self.code, _VEX_ANDN_OPCODE, _VEX_MAP_0F38, _VEX_NO_PREFIX, dst, src, inverted)

    encode.__doc__ = syntax
    return encode
