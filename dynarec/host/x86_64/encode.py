"""x86-64 encoder (Intel SDM, volume 2). Encodes and nothing else, on any machine.

Data operations are 32-bit and zero the upper half of a destination register; ``mov64_*``, ``push_r``, ``pop_r`` and the
indirect branches are 64-bit. Names end in their operands: ``r`` register, ``m`` memory, ``i`` immediate, ``c`` the
count in CL; the destination comes first, as in Intel syntax. A register is a ``Reg`` or its number. Every method raises
EncodingError on an operand that cannot be encoded.
"""

from __future__ import annotations

from dynarec.host.buffer import Buffer, EncodingError, Label
from dynarec.host.x86_64.forms import (
    BYTE,
    EMPTY_REX,
    NOT_A_REGISTER,
    REX,
    RSP,
    VEX_66,
    VEX_F2,
    VEX_F3,
    VEX_MAP_0F3A,
    Alu,
    Cond,
    Mem,
    Reg,
    Shift,
    add_rm,
    add_rr,
    bad_register,
    bare,
    in_opcode,
    invert,
    load,
    one_m,
    one_r,
    reg_rm,
    reg_rm8,
    rm_reg,
    signed32,
    store,
    vex,
    vex_andn,
    vex_shift,
)

__all__ = ["Alu", "Assembler", "Cond", "EncodingError", "Label", "Mem", "Reg", "Shift", "invert"]

_REX_W = 8
_VEX_RORX_OPCODE = 0xF0
_VEX_NO_VVVV = 0
_OPERAND_16 = b"\x66"
_REP = b"\xf3"
_NOT_AN_ALU_OP = ~7
_NOT_A_COND = ~15
_SHIFTS = frozenset(int(shift) for shift in Shift)
_ALU_RM_REG, _ALU_REG_RM, _ALU_EAX_IMM = 1, 3, 5
"""The forms of an Alu opcode, in its low bits."""

_NOPS = tuple(
    bytes.fromhex(text)
    for text in (
        "90",
        "66 90",
        "0f 1f 00",
        "0f 1f 40 00",
        "0f 1f 44 00 00",
        "66 0f 1f 44 00 00",
        "0f 1f 80 00 00 00 00",
        "0f 1f 84 00 00 00 00 00",
        "66 0f 1f 84 00 00 00 00 00",
    )
)
"""Recommended no-operations by size (SDM volume 2B, NOP, table 4-12)."""


def _imm(value: int, size: int) -> bytes:
    """A signed or unsigned immediate of ``size`` bytes."""
    end = 1 << 8 * size
    if not -end >> 1 <= value < end:
        raise EncodingError(f"{value:#x} does not fit in {size} bytes")
    return (value & end - 1).to_bytes(size, "little")


def _alu_opcode(op: int, form: int) -> bytes:
    """The opcode of an Alu operation in one of its forms."""
    if op & _NOT_AN_ALU_OP:
        raise EncodingError(f"no Alu operation {int(op)}")
    return BYTE[op << 3 | form]


def _check_shift(op: int, count: int) -> None:
    if op not in _SHIFTS or not 0 <= count < 32:
        raise EncodingError(f"no 32-bit shift has the operation {int(op)} and the count {count}")


def _check_cond(cond: int) -> None:
    if cond & _NOT_A_COND:
        raise EncodingError(f"conditions are 0..15, not {int(cond)}")


class Assembler(Buffer):
    """A buffer with one method for each instruction form; methods made from a table take their operands by position."""

    __slots__ = ()

    mov_rr = rm_reg("mov r32, r32", b"\x89")
    mov_rm = load("mov r32, m32", b"\x8b")
    mov_mr = store("mov m32, r32", b"\x89")
    mov64_rr = rm_reg("mov r64, r64", b"\x89", _REX_W)
    mov64_rm = load("mov r64, m64", b"\x8b", _REX_W)
    mov64_mr = store("mov m64, r64", b"\x89", b"", _REX_W)
    mov16_mr = store("mov m16, r16", b"\x89", _OPERAND_16)
    movzx8_rm = load("movzx r32, m8", b"\x0f\xb6")
    movsx8_rm = load("movsx r32, m8", b"\x0f\xbe")
    movzx16_rm = load("movzx r32, m16", b"\x0f\xb7")
    movsx16_rm = load("movsx r32, m16", b"\x0f\xbf")
    movzx8_rr = reg_rm8("movzx r32, r8", b"\x0f\xb6")
    movsx8_rr = reg_rm8("movsx r32, r8", b"\x0f\xbe")
    movzx16_rr = reg_rm("movzx r32, r16", b"\x0f\xb7")
    movsx16_rr = reg_rm("movsx r32, r16", b"\x0f\xbf")
    xchg_rr = rm_reg("xchg r32, r32", b"\x87")
    push_r = in_opcode("push r64", b"\x50")
    pop_r = in_opcode("pop r64", b"\x58")
    bswap_r = in_opcode("bswap r32", b"\x0f\xc8")

    test_rr = rm_reg("test r32, r32", b"\x85")
    neg_r = one_r("neg r32", b"\xf7", 3)
    neg_m = one_m("neg m32", b"\xf7", 3)
    not_r = one_r("not r32", b"\xf7", 2)
    not_m = one_m("not m32", b"\xf7", 2)
    mul_r = one_r("mul r32: edx:eax = eax * r32, unsigned", b"\xf7", 4)
    mul_m = one_m("mul m32: edx:eax = eax * m32, unsigned", b"\xf7", 4)
    imul1_r = one_r("imul r32: edx:eax = eax * r32, signed", b"\xf7", 5)
    imul1_m = one_m("imul m32: edx:eax = eax * m32, signed", b"\xf7", 5)
    div_r = one_r("div r32: edx:eax by r32, unsigned; quotient eax, remainder edx", b"\xf7", 6)
    div_m = one_m("div m32: edx:eax by m32, unsigned; quotient eax, remainder edx", b"\xf7", 6)
    idiv_r = one_r("idiv r32: edx:eax by r32, signed; quotient eax, remainder edx", b"\xf7", 7)
    idiv_m = one_m("idiv m32: edx:eax by m32, signed; quotient eax, remainder edx", b"\xf7", 7)
    imul_rr = reg_rm("imul r32, r32", b"\x0f\xaf")
    imul_rm = load("imul r32, m32", b"\x0f\xaf")
    cdq = bare("cdq: the sign of eax to edx", b"\x99")
    bsf_rr = reg_rm("bsf r32, r32", b"\x0f\xbc")
    bsr_rr = reg_rm("bsr r32, r32", b"\x0f\xbd")
    popcnt_rr = reg_rm("popcnt r32, r32", b"\x0f\xb8", _REP)
    tzcnt_rr = reg_rm("tzcnt r32, r32", b"\x0f\xbc", _REP)
    lzcnt_rr = reg_rm("lzcnt r32, r32", b"\x0f\xbd", _REP)
    shlx = vex_shift("shlx r32, r32, r32", VEX_66)
    sarx = vex_shift("sarx r32, r32, r32", VEX_F3)
    shrx = vex_shift("shrx r32, r32, r32", VEX_F2)

    andn = vex_andn("andn r32, r32, r32: the last one, where the second is zero")

    jmp_r = one_r("jmp r64", b"\xff", 4)
    inc64_m = one_m("inc m64", b"\xff", 0, _REX_W)
    jmp_m = one_m("jmp m64", b"\xff", 4)
    call_r = one_r("call r64", b"\xff", 2)
    call_m = one_m("call m64", b"\xff", 2)
    ret = bare("ret", b"\xc3")
    ud2 = bare("ud2", b"\x0f\x0b")
    int3 = bare("int3", b"\xcc")
    endbr64 = bare("endbr64", b"\xf3\x0f\x1e\xfa")

    def alu_rr(self, op: int, dst: int, src: int) -> None:
        """op r32, r32"""
        add_rr(self.code, _alu_opcode(op, _ALU_RM_REG), src, dst)

    def alu_rm(self, op: int, dst: int, mem: Mem) -> None:
        """op r32, m32"""
        add_rm(self.code, _alu_opcode(op, _ALU_REG_RM), dst, mem)

    def alu_mr(self, op: int, mem: Mem, src: int) -> None:
        """op m32, r32"""
        add_rm(self.code, _alu_opcode(op, _ALU_RM_REG), src, mem)

    def alu_ri(self, op: int, dst: int, imm: int) -> None:
        """op r32, imm32, in the shortest form"""
        short = _alu_opcode(op, _ALU_EAX_IMM)
        imm = signed32(imm)
        if -0x80 <= imm < 0x80:
            add_rr(self.code, b"\x83", op, dst)
            self.code += BYTE[imm & 0xFF]
            return
        if dst == 0:
            self.code += short
        else:
            add_rr(self.code, b"\x81", op, dst)
        self.code += _imm(imm, 4)

    def alu_mi(self, op: int, mem: Mem, imm: int) -> None:
        """op m32, imm32, in the shortest form"""
        _alu_opcode(op, _ALU_RM_REG)
        imm = signed32(imm)
        small = -0x80 <= imm < 0x80
        add_rm(self.code, b"\x83" if small else b"\x81", op, mem)
        self.code += _imm(imm, 1 if small else 4)

    def test_ri(self, reg: int, imm: int) -> None:
        """test r32, imm32"""
        if reg == 0:
            self.code += b"\xa9"
        else:
            add_rr(self.code, b"\xf7", 0, reg)
        self.code += _imm(imm, 4)

    def mov_ri(self, dst: int, imm: int) -> None:
        """mov r32, imm32; never touches the flags"""
        if dst & NOT_A_REGISTER:
            raise bad_register(dst)
        self.code += REX[dst >> 3] + BYTE[0xB8 | dst & 7] + _imm(imm, 4)

    def mov_mi(self, mem: Mem, imm: int) -> None:
        """mov m32, imm32"""
        add_rm(self.code, b"\xc7", 0, mem)
        self.code += _imm(imm, 4)

    def mov16_mi(self, mem: Mem, imm: int) -> None:
        """mov m16, imm16"""
        self.code += _OPERAND_16
        add_rm(self.code, b"\xc7", 0, mem)
        self.code += _imm(imm, 2)

    def mov8_mi(self, mem: Mem, imm: int) -> None:
        """mov m8, imm8"""
        add_rm(self.code, b"\xc6", 0, mem)
        self.code += _imm(imm, 1)

    def mov8_mr(self, mem: Mem, src: int) -> None:
        """mov m8, r8"""
        if RSP <= src < 8 and not mem.rex:
            self.code += mem.prefix + EMPTY_REX + b"\x88" + BYTE[mem.modrm | src << 3] + mem.tail
        else:
            add_rm(self.code, b"\x88", src, mem)

    def lea(self, dst: int, mem: Mem) -> None:
        """lea r32, m: the low 32 bits of a 64-bit address; not for guest addresses"""
        if mem.guest:
            raise EncodingError("lea has no segment: it cannot take a guest address")
        add_rm(self.code, b"\x8d", dst, mem)

    def lea_label(self, dst: int, label: Label) -> None:
        """lea r64, [rip + distance]: the address of a label"""
        if dst & NOT_A_REGISTER:
            raise bad_register(dst)
        self.code += BYTE[0x48 | dst >> 3 << 2] + b"\x8d" + BYTE[dst << 3 & 0x38 | 5] + bytes(4)
        self._refer(label, len(self.code) - 4, 4)

    def shift_ri(self, op: int, dst: int, count: int) -> None:
        """op r32, imm8 (0..31)"""
        _check_shift(op, count)
        add_rr(self.code, b"\xd1" if count == 1 else b"\xc1", op, dst)
        if count != 1:
            self.code += BYTE[count]

    def shift_mi(self, op: int, mem: Mem, count: int) -> None:
        """op m32, imm8 (0..31)"""
        _check_shift(op, count)
        add_rm(self.code, b"\xd1" if count == 1 else b"\xc1", op, mem)
        if count != 1:
            self.code += BYTE[count]

    def shift_rc(self, op: int, dst: int) -> None:
        """op r32, cl"""
        _check_shift(op, 0)
        add_rr(self.code, b"\xd3", op, dst)

    def shift_mc(self, op: int, mem: Mem) -> None:
        """op m32, cl"""
        _check_shift(op, 0)
        add_rm(self.code, b"\xd3", op, mem)

    def rorx(self, dst: int, src: int, count: int) -> None:
        """rorx r32, r32, imm8 (0..31)"""
        _check_shift(Shift.ROR, count)
        vex(self.code, _VEX_RORX_OPCODE, VEX_MAP_0F3A, VEX_F2, dst, src, _VEX_NO_VVVV)
        self.code += BYTE[count]

    def imul_rri(self, dst: int, src: int, imm: int) -> None:
        """imul r32, r32, imm32, in the shortest form"""
        imm = signed32(imm)
        small = -0x80 <= imm < 0x80
        add_rr(self.code, b"\x6b" if small else b"\x69", dst, src)
        self.code += _imm(imm, 1 if small else 4)

    def imul_rmi(self, dst: int, mem: Mem, imm: int) -> None:
        """imul r32, m32, imm32, in the shortest form"""
        imm = signed32(imm)
        small = -0x80 <= imm < 0x80
        add_rm(self.code, b"\x6b" if small else b"\x69", dst, mem)
        self.code += _imm(imm, 1 if small else 4)

    def setcc(self, cond: int, dst: int) -> None:
        """setcc r8; the upper bits of dst stay"""
        _check_cond(cond)
        if RSP <= dst < 8:
            self.code += EMPTY_REX
        add_rr(self.code, b"\x0f" + BYTE[0x90 | cond], 0, dst)

    def cmov_rr(self, cond: int, dst: int, src: int) -> None:
        """cmovcc r32, r32"""
        _check_cond(cond)
        add_rr(self.code, b"\x0f" + BYTE[0x40 | cond], dst, src)

    def cmov_rm(self, cond: int, dst: int, mem: Mem) -> None:
        """cmovcc r32, m32; reads memory in any case"""
        _check_cond(cond)
        add_rm(self.code, b"\x0f" + BYTE[0x40 | cond], dst, mem)

    def jmp(self, label: Label) -> None:
        """jmp rel32"""
        self.code += b"\xe9\0\0\0\0"
        self._refer(label, len(self.code) - 4, 4)

    def jmp_longer(self, label: Label) -> None:
        """jmp rel32 with an empty REX: as long as jcc rel32"""
        self.code += b"\x40"
        self.jmp(label)

    def jmp_short(self, label: Label) -> None:
        """jmp rel8"""
        self.code += b"\xeb\0"
        self._refer(label, len(self.code) - 1, 1)

    def jcc(self, cond: int, label: Label) -> None:
        """jcc rel32"""
        _check_cond(cond)
        self.code += b"\x0f" + BYTE[0x80 | cond] + b"\0\0\0\0"
        self._refer(label, len(self.code) - 4, 4)

    def jcc_short(self, cond: int, label: Label) -> None:
        """jcc rel8"""
        _check_cond(cond)
        self.code += BYTE[0x70 | cond] + b"\0"
        self._refer(label, len(self.code) - 1, 1)

    def jcc_back(self, cond: int, label: Label) -> None:
        """jcc to a label that is bound, in the shortest form"""
        if label.offset is not None and len(self.code) + 2 - label.offset <= 0x80:
            self.jcc_short(cond, label)
        else:
            self.jcc(cond, label)

    def nop(self, size: int = 1) -> None:
        """``size`` bytes of no-operations"""
        if size < 0:
            raise EncodingError(f"no room for {size} bytes of nop")
        longest = len(_NOPS)
        self.code += _NOPS[-1] * (size // longest)
        if size % longest:
            self.code += _NOPS[size % longest - 1]

    def _patch(self, at: int, kind: int, target: int) -> None:
        """A relative branch; ``kind`` is the size of its distance field, which ends the instruction."""
        distance = target - (at + kind)
        if not -1 << 8 * kind - 1 <= distance < 1 << 8 * kind - 1:
            raise EncodingError(f"the branch at {at:#x} cannot reach {target:#x} with {kind} byte(s)")
        self.code[at : at + kind] = distance.to_bytes(kind, "little", signed=True)
