"""arm64 encoder (Arm Architecture Reference Manual, C6). Encodes and nothing else, on any machine.

Registers are numbers; 31 is the zero register, or SP where the manual says so. Operations are 32-bit (W) unless the
name ends in ``64``; names otherwise end in the kind of the last operand: ``rr`` register, ``ri`` immediate, ``x`` guest
memory. The destination comes first. Every method raises EncodingError on an operand that cannot be encoded.
"""

from __future__ import annotations

from typing import Literal

from dynarec.host.arm64.forms import (
    NOT_A_REGISTER,
    ZR,
    Cond,
    Extend,
    Shift,
    add_imm,
    add_immediate,
    add_shifted,
    bad_register,
    bare,
    bitfield,
    four,
    invert,
    logical_imm,
    logical_immediate,
    memory,
    one,
    pair,
    select,
    shift_imm,
    three,
    two,
    unscaled_memory,
    unsigned32,
)
from dynarec.host.buffer import Buffer, EncodingError, Label

__all__ = [
    "ZR",
    "Assembler",
    "Cond",
    "EncodingError",
    "Extend",
    "Label",
    "Shift",
    "add_immediate",
    "invert",
    "logical_immediate",
]

_RM, _RN = 16, 5
_ADD, _ADDS, _SUB, _SUBS = 0x0B000000, 0x2B000000, 0x4B000000, 0x6B000000
_AND, _ORR, _EOR, _ANDS = 0x0A000000, 0x2A000000, 0x4A000000, 0x6A000000
_BIC, _ORN, _EON = 0x0A200000, 0x2A200000, 0x4A200000
_SUBS_IMM, _ADDS_IMM, _ORR_IMM, _ANDS_IMM = 0x71000000, 0x31000000, 0x32000000, 0x72000000
_ADD64, _ADD_EXT64 = 0x8B000000, 0x8B200000
_EXTEND_AT, _EXTEND_AMOUNT_AT, _EXTEND_MOST = 13, 10, 4
_UBFM, _EXTR = 0x53000000, 0x13800000
_MOVN, _MOVZ, _MOVK = 0x12800000, 0x52800000, 0x72800000
_MOV_IMM_AT, _MOV_SHIFT_AT, _HALF_BITS, _HALF = 5, 21, 16, 0xFFFF
_CSINC, _CSINV = 0x1A800400, 0x5A800000
_CCMP, _CCMP_IMM, _COND_AT = 0x7A400000, 0x7A400800, 12
_B, _BCOND, _CBZ, _CBNZ = 0x14000000, 0x54000000, 0x34000000, 0x35000000
_TBZ, _TBNZ, _TEST_BIT_AT = 0x36000000, 0x37000000, 19
_ADR, _ADR_HIGH_AT, _ADR_LOW_AT = 0x10000000, 5, 29
_BRAA, _BLRAA = 0xD71F0800, 0xD73F0800
_RET, _BRK, _EXCEPTION_IMM_AT = 0xD65F0000, 0xD4200000, 5
_BTI = {"c": 0xD503245F, "j": 0xD503249F, "jc": 0xD50324DF}
_FIELDS = {26: 0, 19: 5, 14: 5}
"""Where a branch distance of so many bits stands, in words; the kinds of label uses."""
_ADR_KIND = 21
"""The kind of label use of ADR: 21 bits, in bytes, in two fields."""


class Assembler(Buffer):
    """A buffer with one method for each instruction form; methods made from a table take their operands by position."""

    __slots__ = ()

    add_ri = add_imm("add Wd|WSP, Wn|WSP, #imm", 0x11000000)
    adds_ri = add_imm("adds Wd, Wn|WSP, #imm", _ADDS_IMM)
    sub_ri = add_imm("sub Wd|WSP, Wn|WSP, #imm", 0x51000000)
    subs_ri = add_imm("subs Wd, Wn|WSP, #imm", _SUBS_IMM)
    add_ri64 = add_imm("add Xd|SP, Xn|SP, #imm", 0x91000000)
    sub_ri64 = add_imm("sub Xd|SP, Xn|SP, #imm", 0xD1000000)
    and_ri = logical_imm("and Wd|WSP, Wn, #imm", 0x12000000)
    orr_ri = logical_imm("orr Wd|WSP, Wn, #imm", _ORR_IMM)
    eor_ri = logical_imm("eor Wd|WSP, Wn, #imm", 0x52000000)
    ands_ri = logical_imm("ands Wd, Wn, #imm", _ANDS_IMM)

    mov_rr = two("mov Wd, Wm", _ORR | ZR << _RN, _RM)
    mov64_rr = two("mov Xd, Xm", 0xAA000000 | ZR << _RN, _RM)
    lsr_ri = shift_imm("lsr Wd, Wn, #n", _UBFM | 31 << 10)
    asr_ri = shift_imm("asr Wd, Wn, #n", 0x13007C00)
    lsr_ri64 = shift_imm("lsr Xd, Xn, #n", 0xD340FC00, 64)
    asr_ri64 = shift_imm("asr Xd, Xn, #n", 0x9340FC00, 64)
    lsl_rr = three("lsl Wd, Wn, Wm", 0x1AC02000)
    lsr_rr = three("lsr Wd, Wn, Wm", 0x1AC02400)
    asr_rr = three("asr Wd, Wn, Wm", 0x1AC02800)
    ror_rr = three("ror Wd, Wn, Wm", 0x1AC02C00)
    ubfx = bitfield("ubfx Wd, Wn, #lsb, #width", _UBFM, True)
    ubfiz = bitfield("ubfiz Wd, Wn, #lsb, #width", _UBFM, False)
    sbfx = bitfield("sbfx Wd, Wn, #lsb, #width", 0x13000000, True)
    sbfiz = bitfield("sbfiz Wd, Wn, #lsb, #width", 0x13000000, False)
    bfxil = bitfield("bfxil Wd, Wn, #lsb, #width", 0x33000000, True)
    bfi = bitfield("bfi Wd, Wn, #lsb, #width", 0x33000000, False)
    sxtb = two("sxtb Wd, Wn", 0x13001C00)
    sxth = two("sxth Wd, Wn", 0x13003C00)
    sxtw = two("sxtw Xd, Wn", 0x93407C00)
    uxtb = two("uxtb Wd, Wn", 0x53001C00)
    uxth = two("uxth Wd, Wn", 0x53003C00)
    clz = two("clz Wd, Wn", 0x5AC01000)
    rbit = two("rbit Wd, Wn", 0x5AC00000)
    rev = two("rev Wd, Wn", 0x5AC00800)
    rev16 = two("rev16 Wd, Wn", 0x5AC00400)
    fmov_sw = two("fmov Sd, Wn", 0x1E270000)
    fmov_ws = two("fmov Wd, Sn", 0x1E260000)
    cnt = two("cnt Vd.8b, Vn.8b", 0x0E205800)
    addv = two("addv Bd, Vn.8b", 0x0E31B800)

    mul = three("mul Wd, Wn, Wm", 0x1B007C00)
    mneg = three("mneg Wd, Wn, Wm", 0x1B00FC00)
    madd = four("madd Wd, Wn, Wm, Wa", 0x1B000000)
    msub = four("msub Wd, Wn, Wm, Wa", 0x1B008000)
    mul64 = three("mul Xd, Xn, Xm", 0x9B007C00)
    umull = three("umull Xd, Wn, Wm", 0x9BA07C00)
    smull = three("smull Xd, Wn, Wm", 0x9B207C00)
    sdiv = three("sdiv Wd, Wn, Wm", 0x1AC00C00)
    udiv = three("udiv Wd, Wn, Wm", 0x1AC00800)
    csel = select("csel Wd, Wn, Wm, cond", 0x1A800000)
    csinc = select("csinc Wd, Wn, Wm, cond", _CSINC)
    csinv = select("csinv Wd, Wn, Wm, cond", _CSINV)
    csneg = select("csneg Wd, Wn, Wm, cond", 0x5A800400)

    ldr = memory("ldr or ldur Wt, [Xn|SP, #offset]", 0xB9400000, 2)
    str = memory("str or stur Wt, [Xn|SP, #offset]", 0xB9000000, 2)
    ldr64 = memory("ldr or ldur Xt, [Xn|SP, #offset]", 0xF9400000, 3)
    str64 = memory("str or stur Xt, [Xn|SP, #offset]", 0xF9000000, 3)
    ldrh = memory("ldrh or ldurh Wt, [Xn|SP, #offset]", 0x79400000, 1)
    strh = memory("strh or sturh Wt, [Xn|SP, #offset]", 0x79000000, 1)
    ldrb = memory("ldrb or ldurb Wt, [Xn|SP, #offset]", 0x39400000, 0)
    strb = memory("strb or sturb Wt, [Xn|SP, #offset]", 0x39000000, 0)
    ldrsh = memory("ldrsh or ldursh Wt, [Xn|SP, #offset]", 0x79C00000, 1)
    ldrsb = memory("ldrsb or ldursb Wt, [Xn|SP, #offset]", 0x39C00000, 0)
    ldur = unscaled_memory("ldur Wt, [Xn|SP, #offset]", 0xB8400000)
    stur = unscaled_memory("stur Wt, [Xn|SP, #offset]", 0xB8000000)
    ldp = pair("ldp Wt1, Wt2, [Xn|SP, #offset]", 0x29400000, 2, True)
    stp = pair("stp Wt1, Wt2, [Xn|SP, #offset]", 0x29000000, 2, False)
    ldp64 = pair("ldp Xt1, Xt2, [Xn|SP, #offset]", 0xA9400000, 3, True)
    stp64 = pair("stp Xt1, Xt2, [Xn|SP, #offset]", 0xA9000000, 3, False)
    ldr_x = three("ldr Wt, [Xn|SP, Wm, uxtw]", 0xB8604800)
    str_x = three("str Wt, [Xn|SP, Wm, uxtw]", 0xB8204800)
    ldrh_x = three("ldrh Wt, [Xn|SP, Wm, uxtw]", 0x78604800)
    strh_x = three("strh Wt, [Xn|SP, Wm, uxtw]", 0x78204800)
    ldrb_x = three("ldrb Wt, [Xn|SP, Wm, uxtw]", 0x38604800)
    strb_x = three("strb Wt, [Xn|SP, Wm, uxtw]", 0x38204800)
    ldrsh_x = three("ldrsh Wt, [Xn|SP, Wm, uxtw]", 0x78E04800)
    ldrsb_x = three("ldrsb Wt, [Xn|SP, Wm, uxtw]", 0x38E04800)

    br = one("br Xn", 0xD61F0000)
    blr = one("blr Xn", 0xD63F0000)
    nop = bare("nop", 0xD503201F)
    isb = bare("isb", 0xD5033FDF)
    dsb_ish = bare("dsb ish", 0xD5033B9F)
    pacia = two("pacia Xd, Xn|SP", 0xDAC10000)
    pacib = two("pacib Xd, Xn|SP", 0xDAC10400)
    autia = two("autia Xd, Xn|SP", 0xDAC11000)
    autib = two("autib Xd, Xn|SP", 0xDAC11400)

    def _word(self, word: int) -> None:
        self.code += word.to_bytes(4, "little")

    def add_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """add Wd, Wn, Wm, shift #amount"""
        self._arithmetic(_ADD, dst, a, b, shift, amount)

    def adds_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """adds Wd, Wn, Wm, shift #amount"""
        self._arithmetic(_ADDS, dst, a, b, shift, amount)

    def sub_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """sub Wd, Wn, Wm, shift #amount"""
        self._arithmetic(_SUB, dst, a, b, shift, amount)

    def subs_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """subs Wd, Wn, Wm, shift #amount"""
        self._arithmetic(_SUBS, dst, a, b, shift, amount)

    def _arithmetic(self, word: int, dst: int, a: int, b: int, shift: int, amount: int) -> None:
        if shift == Shift.ROR:
            raise EncodingError("arithmetic does not rotate its operand")
        add_shifted(self.code, word, dst, a, b, shift, amount)

    def add_rr64(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """add Xd, Xn, Xm, shift #amount"""
        if shift == Shift.ROR:
            raise EncodingError("arithmetic does not rotate its operand")
        add_shifted(self.code, _ADD64, dst, a, b, shift, amount, 64)

    def add_ext64(self, dst: int, a: int, w: int, extend: int = Extend.UXTW, amount: int = 0) -> None:
        """add Xd|SP, Xn|SP, Wm, extend #amount (0..4)"""
        if (dst | a | w) & NOT_A_REGISTER or extend & ~7 or not 0 <= amount <= _EXTEND_MOST:
            raise EncodingError(f"no add of {int(dst)}, {int(a)}, {int(w)} extended by {int(extend)}, {amount}")
        field = extend << _EXTEND_AT | amount << _EXTEND_AMOUNT_AT
        self._word(_ADD_EXT64 | w << _RM | field | a << _RN | dst)

    def and_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """and Wd, Wn, Wm, shift #amount"""
        add_shifted(self.code, _AND, dst, a, b, shift, amount)

    def ands_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """ands Wd, Wn, Wm, shift #amount"""
        add_shifted(self.code, _ANDS, dst, a, b, shift, amount)

    def orr_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """orr Wd, Wn, Wm, shift #amount"""
        add_shifted(self.code, _ORR, dst, a, b, shift, amount)

    def eor_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """eor Wd, Wn, Wm, shift #amount"""
        add_shifted(self.code, _EOR, dst, a, b, shift, amount)

    def bic_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """bic Wd, Wn, Wm, shift #amount"""
        add_shifted(self.code, _BIC, dst, a, b, shift, amount)

    def orn_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """orn Wd, Wn, Wm, shift #amount"""
        add_shifted(self.code, _ORN, dst, a, b, shift, amount)

    def eon_rr(self, dst: int, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """eon Wd, Wn, Wm, shift #amount"""
        add_shifted(self.code, _EON, dst, a, b, shift, amount)

    def cmp_rr(self, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """cmp Wn, Wm, shift #amount"""
        self._arithmetic(_SUBS, ZR, a, b, shift, amount)

    def cmp_ri(self, a: int, imm: int) -> None:
        """cmp Wn|WSP, #imm"""
        self.subs_ri(ZR, a, imm)

    def cmn_ri(self, a: int, imm: int) -> None:
        """cmn Wn|WSP, #imm"""
        self.adds_ri(ZR, a, imm)

    def tst_rr(self, a: int, b: int, shift: int = Shift.LSL, amount: int = 0) -> None:
        """tst Wn, Wm, shift #amount"""
        add_shifted(self.code, _ANDS, ZR, a, b, shift, amount)

    def tst_ri(self, a: int, imm: int) -> None:
        """tst Wn, #imm"""
        self.ands_ri(ZR, a, imm)

    def mov_ri(self, dst: int, imm: int) -> None:
        """The shortest of movz, movn, orr with a bitmask, movz and movk; a 32-bit value, signed or unsigned"""
        value = unsigned32(imm)
        low, high = value & _HALF, value >> _HALF_BITS
        if not high or not low:
            self.movz(dst, low or high, 0 if not high else 1)
        elif high == _HALF or low == _HALF:
            self.movn(dst, _HALF ^ (low if high == _HALF else high), 0 if high == _HALF else 1)
        elif dst != ZR and logical_immediate(value) is not None:
            self.orr_ri(dst, ZR, value)
        else:
            self.movz(dst, low, 0)
            self.movk(dst, high, 1)

    def movz(self, dst: int, imm16: int, shift16: int = 0) -> None:
        """movz Wd, #imm16, lsl #16 * shift16"""
        self._move_wide(_MOVZ, dst, imm16, shift16)

    def movn(self, dst: int, imm16: int, shift16: int = 0) -> None:
        """movn Wd, #imm16, lsl #16 * shift16"""
        self._move_wide(_MOVN, dst, imm16, shift16)

    def movk(self, dst: int, imm16: int, shift16: int = 0) -> None:
        """movk Wd, #imm16, lsl #16 * shift16"""
        self._move_wide(_MOVK, dst, imm16, shift16)

    def _move_wide(self, word: int, dst: int, imm16: int, shift16: int) -> None:
        if dst & NOT_A_REGISTER or not 0 <= imm16 <= _HALF or shift16 & ~1:
            raise EncodingError(f"no wide move of {imm16:#x} << 16 * {shift16} to {int(dst)}")
        self._word(word | shift16 << _MOV_SHIFT_AT | imm16 << _MOV_IMM_AT | dst)

    def lsl_ri(self, dst: int, src: int, n: int) -> None:
        """lsl Wd, Wn, #n"""
        self.ubfiz(dst, src, n, 32 - n)

    def ror_ri(self, dst: int, src: int, n: int) -> None:
        """ror Wd, Wn, #n"""
        if (dst | src) & NOT_A_REGISTER or not 0 <= n < 32:
            raise EncodingError(f"no rotation of {int(src)} to {int(dst)} by {n}")
        self._word(_EXTR | src << _RM | n << 10 | src << _RN | dst)

    def cset(self, dst: int, cond: int) -> None:
        """cset Wd, cond"""
        self.csinc(dst, ZR, ZR, invert(cond))

    def csetm(self, dst: int, cond: int) -> None:
        """csetm Wd, cond"""
        self.csinv(dst, ZR, ZR, invert(cond))

    def ccmp_rr(self, a: int, b: int, nzcv: int, cond: int) -> None:
        """ccmp Wn, Wm, #nzcv, cond"""
        self._conditional_compare(_CCMP, a, b, nzcv, cond)

    def ccmp_ri(self, a: int, imm: int, nzcv: int, cond: int) -> None:
        """ccmp Wn, #imm (0..31), #nzcv, cond"""
        self._conditional_compare(_CCMP_IMM, a, imm, nzcv, cond)

    def _conditional_compare(self, word: int, a: int, b: int, nzcv: int, cond: int) -> None:
        if (a | b) & NOT_A_REGISTER or (nzcv | cond) & ~15:
            raise EncodingError(f"no ccmp of {int(a)}, {int(b)}, {nzcv} on condition {int(cond)}")
        self._word(word | b << _RM | cond << _COND_AT | a << _RN | nzcv)

    def b(self, label: Label) -> None:
        """b label (128 MiB either way)"""
        self._word(_B)
        self._refer(label, len(self.code) - 4, 26)

    def bcond(self, cond: int, label: Label) -> None:
        """b.cond label (1 MiB either way)"""
        if cond & ~15:
            raise EncodingError(f"conditions are 0..15, not {int(cond)}")
        self._word(_BCOND | cond)
        self._refer(label, len(self.code) - 4, 19)

    def cbz(self, reg: int, label: Label) -> None:
        """cbz Wt, label (1 MiB either way)"""
        self._compare_branch(_CBZ, reg, label)

    def cbnz(self, reg: int, label: Label) -> None:
        """cbnz Wt, label (1 MiB either way)"""
        self._compare_branch(_CBNZ, reg, label)

    def _compare_branch(self, word: int, reg: int, label: Label) -> None:
        if reg & NOT_A_REGISTER:
            raise bad_register(reg)
        self._word(word | reg)
        self._refer(label, len(self.code) - 4, 19)

    def tbz(self, reg: int, bit: int, label: Label) -> None:
        """tbz Wt, #bit (0..31), label (32 KiB either way)"""
        self._test_branch(_TBZ, reg, bit, label)

    def tbnz(self, reg: int, bit: int, label: Label) -> None:
        """tbnz Wt, #bit (0..31), label (32 KiB either way)"""
        self._test_branch(_TBNZ, reg, bit, label)

    def _test_branch(self, word: int, reg: int, bit: int, label: Label) -> None:
        if reg & NOT_A_REGISTER or not 0 <= bit < 32:
            raise EncodingError(f"no test of bit {bit} of register {int(reg)}")
        self._word(word | bit << _TEST_BIT_AT | reg)
        self._refer(label, len(self.code) - 4, 14)

    def adr(self, dst: int, label: Label) -> None:
        """adr Xd, label (1 MiB either way)"""
        if dst & NOT_A_REGISTER:
            raise bad_register(dst)
        self._word(_ADR | dst)
        self._refer(label, len(self.code) - 4, _ADR_KIND)

    def braa(self, target: int, context: int) -> None:
        """braa Xn, Xm|SP: to the address in Xn, if it was signed with key A for Xm"""
        self._authenticated(_BRAA, target, context)

    def blraa(self, target: int, context: int) -> None:
        """blraa Xn, Xm|SP: the same as a call"""
        self._authenticated(_BLRAA, target, context)

    def _authenticated(self, word: int, target: int, context: int) -> None:
        if (target | context) & NOT_A_REGISTER:
            raise bad_register(target, context)
        self._word(word | target << _RN | context)

    def ret(self, reg: int = 30) -> None:
        """ret Xn"""
        if reg & NOT_A_REGISTER:
            raise bad_register(reg)
        self._word(_RET | reg << _RN)

    def bti(self, kind: Literal["c", "j", "jc"]) -> None:
        """bti: a landing pad for calls (c), jumps (j) or both (jc)"""
        if kind not in _BTI:
            raise EncodingError(f"bti takes c, j or jc, not {kind!r}")
        self._word(_BTI[kind])

    def brk(self, imm16: int) -> None:
        """brk #imm16"""
        self._word(_BRK | _half(imm16) << _EXCEPTION_IMM_AT)

    def udf(self, imm16: int) -> None:
        """udf #imm16"""
        self._word(_half(imm16))

    def _patch(self, at: int, kind: int, target: int) -> None:
        """``kind`` is the number of bits of the distance."""
        distance = target - at
        reach = 1 << kind - 1 if kind == _ADR_KIND else 4 << kind - 1
        if not -reach <= distance < reach:
            raise EncodingError(f"the branch at {at:#x} cannot reach {target:#x} with {kind} bits")
        word = int.from_bytes(self.code[at : at + 4], "little")
        if kind == _ADR_KIND:
            word |= (distance & 3) << _ADR_LOW_AT | (distance >> 2 & (1 << 19) - 1) << _ADR_HIGH_AT
        elif distance & 3:
            raise EncodingError(f"the branch at {at:#x} cannot reach {target:#x}, which is no word boundary")
        else:
            word |= (distance >> 2 & (1 << kind) - 1) << _FIELDS[kind]
        self.code[at : at + 4] = word.to_bytes(4, "little")


def _half(imm16: int) -> int:
    if not 0 <= imm16 <= _HALF:
        raise EncodingError(f"{imm16:#x} does not fit in 16 bits")
    return imm16
