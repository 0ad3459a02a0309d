"""The arm64 encoder against capstone: one line an encoding, then properties over all operands."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynarec.host.arm64.disasm import disassemble
from dynarec.host.arm64.encode import (
    ZR,
    Assembler,
    Cond,
    EncodingError,
    Extend,
    Label,
    Shift,
    add_immediate,
    invert,
    logical_immediate,
)

Emit = Callable[[Assembler], object]

LSL, LSR, ASR, ROR = Shift
SP = ZR
MASK32 = (1 << 32) - 1


def w(reg: int, name31: str = "wzr") -> str:
    return name31 if reg == 31 else f"w{reg}"


def x(reg: int, name31: str = "xzr") -> str:
    return {29: "x29", 30: "x30", 31: name31}.get(reg, f"x{reg}")


def assemble(emit: Emit) -> bytes:
    assembler = Assembler()
    emit(assembler)
    return assembler.finish()


def text(emit: Emit) -> str:
    """The instructions that ``emit`` makes, as capstone writes them."""
    return "; ".join(line for _, _, line in disassemble(assemble(emit)))


def T(expected: str, emit: Emit) -> Any:  # noqa: N802 - a table of hundreds of lines: the shortest name
    return pytest.param(expected, emit, id=expected)


ENCODINGS = [
    T("add w0, w1, w2", lambda a: a.add_rr(0, 1, 2)),
    T("add w0, w1, w2, lsl #31", lambda a: a.add_rr(0, 1, 2, LSL, 31)),
    T("adds w30, w29, w28, asr #3", lambda a: a.adds_rr(30, 29, 28, ASR, 3)),
    T("sub w0, w1, w2, lsr #1", lambda a: a.sub_rr(0, 1, 2, LSR, 1)),
    T("neg w0, w2", lambda a: a.sub_rr(0, ZR, 2)),
    T("subs w3, w4, w5", lambda a: a.subs_rr(3, 4, 5)),
    T("and w0, w1, w2, ror #7", lambda a: a.and_rr(0, 1, 2, ROR, 7)),
    T("orr w0, w1, w2", lambda a: a.orr_rr(0, 1, 2)),
    T("eor w0, w1, w2, lsl #4", lambda a: a.eor_rr(0, 1, 2, LSL, 4)),
    T("ands w0, w1, w2", lambda a: a.ands_rr(0, 1, 2)),
    T("bic w0, w1, w2", lambda a: a.bic_rr(0, 1, 2)),
    T("orn w0, w1, w2", lambda a: a.orn_rr(0, 1, 2)),
    T("mvn w0, w2", lambda a: a.orn_rr(0, ZR, 2)),
    T("eon w0, w1, w2", lambda a: a.eon_rr(0, 1, 2)),
    T("add w0, w1, #0xfff", lambda a: a.add_ri(0, 1, 4095)),
    T("add w0, w1, #1, lsl #12", lambda a: a.add_ri(0, 1, 4096)),
    T("add wsp, wsp, #0xfff, lsl #12", lambda a: a.add_ri(SP, SP, 4095 << 12)),
    T("sub w0, w1, #1", lambda a: a.sub_ri(0, 1, 1)),
    T("adds w0, w1, #0", lambda a: a.adds_ri(0, 1, 0)),
    T("subs w0, w1, #2", lambda a: a.subs_ri(0, 1, 2)),
    T("add x0, x1, #0x10", lambda a: a.add_ri64(0, 1, 16)),
    T("sub sp, sp, #0x60", lambda a: a.sub_ri64(SP, SP, 96)),
    T("mov x29, sp", lambda a: a.add_ri64(29, SP, 0)),
    T("add x0, x1, x2", lambda a: a.add_rr64(0, 1, 2)),
    T("add x0, x1, x2, lsl #63", lambda a: a.add_rr64(0, 1, 2, LSL, 63)),
    T("add x0, x28, w3, uxtw", lambda a: a.add_ext64(0, 28, 3)),
    T("add x0, x28, w3, uxtw #4", lambda a: a.add_ext64(0, 28, 3, Extend.UXTW, 4)),
    T("add x0, x28, w3, sxtw #2", lambda a: a.add_ext64(0, 28, 3, Extend.SXTW, 2)),
    T("and w0, w1, #0xff", lambda a: a.and_ri(0, 1, 0xFF)),
    T("orr w0, w1, #0x80000001", lambda a: a.orr_ri(0, 1, 0x80000001)),
    T("eor w0, w1, #0x55555555", lambda a: a.eor_ri(0, 1, 0x55555555)),
    T("ands w0, w1, #0xfffffffe", lambda a: a.ands_ri(0, 1, -2)),
    T("mov w0, w1", lambda a: a.mov_rr(0, 1)),
    T("mov w0, wzr", lambda a: a.mov_rr(0, ZR)),
    T("mov x0, x30", lambda a: a.mov64_rr(0, 30)),
    T("mov w0, #0", lambda a: a.mov_ri(0, 0)),
    T("mov w0, #0xffff", lambda a: a.mov_ri(0, 0xFFFF)),
    T("mov w0, #0x10000", lambda a: a.mov_ri(0, 0x10000)),
    T("mov w0, #-1", lambda a: a.mov_ri(0, 0xFFFFFFFF)),
    T("mov w0, #-0x8001", lambda a: a.mov_ri(0, -0x8001)),
    T("mov w0, #0x7fffffff", lambda a: a.mov_ri(0, 0x7FFFFFFF)),
    T("mov w0, #-0x12350000", lambda a: a.mov_ri(0, 0xEDCB0000)),
    T("mov w0, #0x1234ffff", lambda a: a.mov_ri(0, 0x1234FFFF)),
    T("mov w0, #0xf0f0f0f", lambda a: a.mov_ri(0, 0x0F0F0F0F)),
    T("mov w0, #0x5678; movk w0, #0x1234, lsl #16", lambda a: a.mov_ri(0, 0x12345678)),
    T("mov w3, #0x10000", lambda a: a.movz(3, 1, 1)),
    T("mov w3, #-2", lambda a: a.movn(3, 1)),
    T("movk w3, #0xffff, lsl #16", lambda a: a.movk(3, 0xFFFF, 1)),
    T("lsl w0, w1, #1", lambda a: a.lsl_ri(0, 1, 1)),
    T("lsl w0, w1, #0x1f", lambda a: a.lsl_ri(0, 1, 31)),
    T("lsr w0, w1, #0x1f", lambda a: a.lsr_ri(0, 1, 31)),
    T("asr w0, w1, #4", lambda a: a.asr_ri(0, 1, 4)),
    T("ror w0, w1, #5", lambda a: a.ror_ri(0, 1, 5)),
    T("lsl w0, w1, w2", lambda a: a.lsl_rr(0, 1, 2)),
    T("lsr w0, w1, w2", lambda a: a.lsr_rr(0, 1, 2)),
    T("asr w0, w1, w2", lambda a: a.asr_rr(0, 1, 2)),
    T("ror w0, w1, w2", lambda a: a.ror_rr(0, 1, 2)),
    T("ubfx w0, w1, #3, #5", lambda a: a.ubfx(0, 1, 3, 5)),
    T("sbfx w0, w1, #3, #5", lambda a: a.sbfx(0, 1, 3, 5)),
    T("ubfiz w0, w1, #3, #5", lambda a: a.ubfiz(0, 1, 3, 5)),
    T("sbfiz w0, w1, #3, #5", lambda a: a.sbfiz(0, 1, 3, 5)),
    T("bfi w0, w1, #3, #5", lambda a: a.bfi(0, 1, 3, 5)),
    T("bfxil w0, w1, #3, #5", lambda a: a.bfxil(0, 1, 3, 5)),
    T("sxtb w0, w1", lambda a: a.sxtb(0, 1)),
    T("sxtw x0, w1", lambda a: a.sxtw(0, 1)),
    T("sxth w0, w1", lambda a: a.sxth(0, 1)),
    T("uxtb w0, w1", lambda a: a.uxtb(0, 1)),
    T("uxth w0, w1", lambda a: a.uxth(0, 1)),
    T("mul w0, w1, w2", lambda a: a.mul(0, 1, 2)),
    T("madd w0, w1, w2, w3", lambda a: a.madd(0, 1, 2, 3)),
    T("msub w0, w1, w2, w3", lambda a: a.msub(0, 1, 2, 3)),
    T("mneg w0, w1, w2", lambda a: a.mneg(0, 1, 2)),
    T("umull x0, w1, w2", lambda a: a.umull(0, 1, 2)),
    T("smull x0, w1, w2", lambda a: a.smull(0, 1, 2)),
    T("lsr x0, x1, #0x20", lambda a: a.lsr_ri64(0, 1, 32)),
    T("asr x0, x1, #0x3f", lambda a: a.asr_ri64(0, 1, 63)),
    T("mul x0, x1, x2", lambda a: a.mul64(0, 1, 2)),
    T("sdiv w0, w1, w2", lambda a: a.sdiv(0, 1, 2)),
    T("udiv w0, w1, w2", lambda a: a.udiv(0, 1, 2)),
    T("clz w0, w1", lambda a: a.clz(0, 1)),
    T("rbit w0, w1", lambda a: a.rbit(0, 1)),
    T("rev w0, w1", lambda a: a.rev(0, 1)),
    T("rev16 w0, w1", lambda a: a.rev16(0, 1)),
    T("fmov s0, w1", lambda a: a.fmov_sw(0, 1)),
    T("fmov w1, s0", lambda a: a.fmov_ws(1, 0)),
    T("cnt v0.8b, v1.8b", lambda a: a.cnt(0, 1)),
    T("addv b0, v1.8b", lambda a: a.addv(0, 1)),
    T("cset w0, lo", lambda a: a.cset(0, Cond.LO)),
    T("csetm w0, ge", lambda a: a.csetm(0, Cond.GE)),
    T("csel w0, w1, w2, eq", lambda a: a.csel(0, 1, 2, Cond.EQ)),
    T("csinc w0, w1, w2, lt", lambda a: a.csinc(0, 1, 2, Cond.LT)),
    T("csinv w0, w1, w2, hi", lambda a: a.csinv(0, 1, 2, Cond.HI)),
    T("csneg w0, w1, w2, vs", lambda a: a.csneg(0, 1, 2, Cond.VS)),
    T("cmp w1, w2", lambda a: a.cmp_rr(1, 2)),
    T("cmp w1, w2, lsl #2", lambda a: a.cmp_rr(1, 2, LSL, 2)),
    T("cmp w1, #0x10", lambda a: a.cmp_ri(1, 16)),
    T("cmn w1, #1", lambda a: a.cmn_ri(1, 1)),
    T("tst w1, w2", lambda a: a.tst_rr(1, 2)),
    T("tst w1, #3", lambda a: a.tst_ri(1, 3)),
    T("ccmp w1, w2, #4, ne", lambda a: a.ccmp_rr(1, 2, 4, Cond.NE)),
    T("ccmp w1, #0x1f, #0, hs", lambda a: a.ccmp_ri(1, 31, 0, Cond.HS)),
    T("ldr w0, [x28]", lambda a: a.ldr(0, 28, 0)),
    T("ldr w0, [x28, #0x3ffc]", lambda a: a.ldr(0, 28, 16380)),
    T("ldur w0, [x28, #-4]", lambda a: a.ldr(0, 28, -4)),
    T("ldur w0, [x28, #1]", lambda a: a.ldr(0, 28, 1)),
    T("str wzr, [x28, #8]", lambda a: a.str(ZR, 28, 8)),
    T("stur w3, [sp, #-0x100]", lambda a: a.str(3, SP, -256)),
    T("ldur w0, [x1, #4]", lambda a: a.ldur(0, 1, 4)),
    T("stur w0, [x1, #0xff]", lambda a: a.stur(0, 1, 255)),
    T("ldrb w0, [x1, #0xfff]", lambda a: a.ldrb(0, 1, 4095)),
    T("sturb w0, [x1, #-1]", lambda a: a.strb(0, 1, -1)),
    T("ldrh w0, [x1, #0x1ffe]", lambda a: a.ldrh(0, 1, 8190)),
    T("strh w0, [x1, #2]", lambda a: a.strh(0, 1, 2)),
    T("ldursh w0, [x1, #3]", lambda a: a.ldrsh(0, 1, 3)),
    T("ldrsb w0, [x1, #3]", lambda a: a.ldrsb(0, 1, 3)),
    T("ldr x0, [x1, #0x7ff8]", lambda a: a.ldr64(0, 1, 32760)),
    T("stur x0, [x1, #-8]", lambda a: a.str64(0, 1, -8)),
    T("ldp w0, w1, [x28, #0xfc]", lambda a: a.ldp(0, 1, 28, 252)),
    T("stp w0, w0, [x28, #-0x100]", lambda a: a.stp(0, 0, 28, -256)),
    T("ldp x29, x30, [sp, #0x10]", lambda a: a.ldp64(29, 30, SP, 16)),
    T("stp x19, x20, [sp, #-0x200]", lambda a: a.stp64(19, 20, SP, -512)),
    T("ldr w0, [x27, w1, uxtw]", lambda a: a.ldr_x(0, 27, 1)),
    T("ldrb w0, [x27, w1, uxtw]", lambda a: a.ldrb_x(0, 27, 1)),
    T("ldrh w0, [x27, w1, uxtw]", lambda a: a.ldrh_x(0, 27, 1)),
    T("ldrsb w0, [x27, w1, uxtw]", lambda a: a.ldrsb_x(0, 27, 1)),
    T("ldrsh w0, [x27, w1, uxtw]", lambda a: a.ldrsh_x(0, 27, 1)),
    T("str wzr, [x27, wzr, uxtw]", lambda a: a.str_x(ZR, 27, ZR)),
    T("strb w0, [x27, w30, uxtw]", lambda a: a.strb_x(0, 27, 30)),
    T("strh w0, [x27, w1, uxtw]", lambda a: a.strh_x(0, 27, 1)),
    T("br x16", lambda a: a.br(16)),
    T("blr x17", lambda a: a.blr(17)),
    T("ret", lambda a: a.ret()),
    T("ret x1", lambda a: a.ret(1)),
    T("nop", lambda a: a.nop()),
    T("bti c", lambda a: a.bti("c")),
    T("bti j", lambda a: a.bti("j")),
    T("bti jc", lambda a: a.bti("jc")),
    T("pacia x0, x28", lambda a: a.pacia(0, 28)),
    T("pacib x16, sp", lambda a: a.pacib(16, SP)),
    T("autia x0, x28", lambda a: a.autia(0, 28)),
    T("autib x0, x28", lambda a: a.autib(0, 28)),
    T("brk #0xf000", lambda a: a.brk(0xF000)),
    T("udf #0xffff", lambda a: a.udf(0xFFFF)),
    T("isb", lambda a: a.isb()),
    T("dsb ish", lambda a: a.dsb_ish()),
]


@pytest.mark.parametrize(("expected", "emit"), ENCODINGS)
def test_encoding(expected: str, emit: Emit) -> None:
    assert text(emit) == expected


REFUSED: list[tuple[str, Emit]] = [
    ("register 32", lambda a: a.add_rr(0, 1, 32)),
    ("register -1", lambda a: a.mul(-1, 1, 2)),
    ("base 32", lambda a: a.ldr(0, 32, 0)),
    ("ror of arithmetic", lambda a: a.add_rr(0, 1, 2, ROR, 1)),
    ("ror of 64-bit arithmetic", lambda a: a.add_rr64(0, 1, 2, ROR, 1)),
    ("shift by 32", lambda a: a.orr_rr(0, 1, 2, LSL, 32)),
    ("shift kind 4", lambda a: a.orr_rr(0, 1, 2, 4, 0)),
    ("extend by 5", lambda a: a.add_ext64(0, 1, 2, Extend.UXTW, 5)),
    ("add of 4097", lambda a: a.add_ri(0, 1, 4097)),
    ("add of -1", lambda a: a.add_ri(0, 1, -1)),
    ("add of 1 << 24", lambda a: a.add_ri(0, 1, 1 << 24)),
    ("and of 0", lambda a: a.and_ri(0, 1, 0)),
    ("and of -1", lambda a: a.and_ri(0, 1, -1)),
    ("and of 5", lambda a: a.and_ri(0, 1, 5)),
    ("mov of 33 bits", lambda a: a.mov_ri(0, 1 << 32)),
    ("movz of 17 bits", lambda a: a.movz(0, 1 << 16)),
    ("movz shifted by 32", lambda a: a.movz(0, 1, 2)),
    ("lsl by 32", lambda a: a.lsl_ri(0, 1, 32)),
    ("lsl by -1", lambda a: a.lsl_ri(0, 1, -1)),
    ("ror by 32", lambda a: a.ror_ri(0, 1, 32)),
    ("asr by 64", lambda a: a.asr_ri64(0, 1, 64)),
    ("ubfx of width 0", lambda a: a.ubfx(0, 1, 3, 0)),
    ("bfi past the top", lambda a: a.bfi(0, 1, 30, 3)),
    ("cset of al", lambda a: a.cset(0, Cond.AL)),
    ("condition 16", lambda a: a.csel(0, 1, 2, 16)),
    ("nzcv of 16", lambda a: a.ccmp_rr(0, 1, 16, Cond.EQ)),
    ("ccmp of 32", lambda a: a.ccmp_ri(0, 32, 0, Cond.EQ)),
    ("ldr too far", lambda a: a.ldr(0, 1, 16384)),
    ("ldr far and unaligned", lambda a: a.ldr(0, 1, 257)),
    ("ldr too far back", lambda a: a.ldr(0, 1, -257)),
    ("ldur too far", lambda a: a.ldur(0, 1, 256)),
    ("ldp unaligned", lambda a: a.ldp(0, 1, 2, 2)),
    ("ldp too far", lambda a: a.ldp(0, 1, 2, 256)),
    ("ldp of one register", lambda a: a.ldp64(3, 3, 2, 0)),
    ("bit 32", lambda a: a.tbz(0, 32, a.label())),
    ("cbz of 32", lambda a: a.cbz(32, a.label())),
    ("ret of 32", lambda a: a.ret(32)),
    ("bti z", lambda a: a.bti("z")),  # type: ignore[arg-type]
    ("brk of 17 bits", lambda a: a.brk(1 << 16)),
    ("udf of -1", lambda a: a.udf(-1)),
]


@pytest.mark.parametrize("emit", [pytest.param(emit, id=name) for name, emit in REFUSED])
def test_refuses(emit: Emit) -> None:
    with pytest.raises(EncodingError):
        emit(Assembler())


# Properties: what capstone decodes is what was asked for.

repeatable = settings(derandomize=True, deadline=None, max_examples=150 if "CI" in os.environ else 40, database=None)
"""The same examples in every run, so there is no seed to print."""

registers = st.integers(0, 31)
numbered = st.integers(0, 30)
words = st.one_of(st.integers(0, MASK32), st.sampled_from([0, 1, 0xFFFF, 0x10000, 0xFFFF0000, MASK32, 0x80000000]))

THREE = {
    "lsl_rr": "lsl",
    "lsr_rr": "lsr",
    "asr_rr": "asr",
    "ror_rr": "ror",
    "mul": "mul",
    "mneg": "mneg",
    "sdiv": "sdiv",
    "udiv": "udiv",
}


@pytest.mark.parametrize(("method", "mnemonic"), THREE.items())
@repeatable
@given(registers, registers, registers)
def test_three_registers(method: str, mnemonic: str, dst: int, a: int, b: int) -> None:
    assert text(lambda asm: getattr(asm, method)(dst, a, b)) == f"{mnemonic} {w(dst)}, {w(a)}, {w(b)}"


@pytest.mark.parametrize("method", ["umull", "smull"])
@repeatable
@given(registers, registers, registers)
def test_widening_multiply(method: str, dst: int, a: int, b: int) -> None:
    assert text(lambda asm: getattr(asm, method)(dst, a, b)) == f"{method} {x(dst)}, {w(a)}, {w(b)}"


@pytest.mark.parametrize("method", ["clz", "rbit", "rev", "rev16", "sxtb", "sxth", "uxtb", "uxth"])
def test_every_pair_of_registers(method: str) -> None:
    for dst in range(32):
        for src in range(32):
            found = text(lambda a, dst=dst, src=src: getattr(a, method)(dst, src))  # type: ignore[misc]
            assert found == f"{method} {w(dst)}, {w(src)}"


SHIFTED = ["add", "adds", "sub", "subs", "and", "orr", "eor", "ands", "bic", "orn", "eon"]


@pytest.mark.parametrize("mnemonic", SHIFTED)
@repeatable
@given(numbered, numbered, numbered, st.sampled_from(list(Shift)), st.integers(1, 31))
def test_shifted_operand(mnemonic: str, dst: int, a: int, b: int, shift: Shift, amount: int) -> None:
    if shift == ROR and mnemonic in ("add", "adds", "sub", "subs"):
        shift = ASR
    expected = f"{mnemonic} {w(dst)}, {w(a)}, {w(b)}, {shift.name.lower()} #{amount}"
    assert text(lambda asm: getattr(asm, f"{mnemonic}_rr")(dst, a, b, shift, amount)) == expected


@pytest.mark.parametrize("mnemonic", ["add", "adds", "sub", "subs"])
@repeatable
@given(numbered, numbered, st.integers(0, 4095), st.booleans())
def test_add_immediate(mnemonic: str, dst: int, a: int, imm: int, high: bool) -> None:
    value = imm << 12 if high else imm
    found = text(lambda asm: getattr(asm, f"{mnemonic}_ri")(dst, a, value))
    suffix = ", lsl #12" if high and imm else ""
    assert found == f"{mnemonic} {w(dst)}, {w(a)}, {number(imm)}{suffix}"


@repeatable
@given(st.integers(-5000, 1 << 25))
def test_add_immediate_says_what_encodes(value: int) -> None:
    assert add_immediate(value) == encodes(lambda a: a.add_ri(0, 1, value))
    assert add_immediate(value) == (0 <= value <= 4095 or (value % 4096 == 0 and 0 <= value <= 4095 << 12))


def encodes(emit: Emit) -> bool:
    try:
        assemble(emit)
    except EncodingError:
        return False
    return True


def is_bitmask(value: int) -> bool:
    """Whether some rotation of a repeated element is one run of ones: the manual's definition, the slow way."""
    if value in (0, MASK32):
        return False
    size = next(size for size in (2, 4, 8, 16, 32) if rotate(value, size) == value)
    element = value & (1 << size) - 1
    changes = sum((element >> bit & 1) != (element >> (bit + 1) % size & 1) for bit in range(size))
    return changes == 2


def rotate(value: int, amount: int) -> int:
    amount %= 32
    return (value >> amount | value << 32 - amount) & MASK32


@repeatable
@given(words)
def test_logical_immediate_exists_for_bitmasks_only(value: int) -> None:
    assert (logical_immediate(value) is not None) == is_bitmask(value)


def test_every_logical_immediate() -> None:
    values = {
        rotate(((1 << ones) - 1) * (MASK32 // ((1 << size) - 1)), rotation)
        for size in (2, 4, 8, 16, 32)
        for ones in range(1, size)
        for rotation in range(size)
    }
    assert len(values) == 1302
    for value in values:
        found = text(lambda a, value=value: a.eor_ri(3, 4, value))  # type: ignore[misc]
        assert int(found.removeprefix("eor w3, w4, #"), 0) & MASK32 == value, found
        assert logical_immediate(value - (1 << 32)) == logical_immediate(value)


def run_moves(code: bytes) -> int:
    """The value that a sequence of moves to one register leaves, from the text."""
    value = 0
    for _, _, line in disassemble(code):
        mnemonic, _, operands = line.partition(" ")
        parts = operands.split(", ")
        number = int(parts[1].removeprefix("#"), 0)
        if mnemonic == "movk":
            shift = int(parts[2].removeprefix("lsl #")) if len(parts) > 2 else 0
            value = value & ~(0xFFFF << shift) | number << shift
        else:
            value = number & MASK32
    return value


@repeatable
@given(words, numbered)
def test_mov_immediate(value: int, dst: int) -> None:
    code = assemble(lambda a: a.mov_ri(dst, value))
    assert run_moves(code) == value
    halves = (value & 0xFFFF, value >> 16)
    short = 0 in halves or 0xFFFF in halves or is_bitmask(value)
    assert len(code) == (4 if short else 8)


@repeatable
@given(words)
def test_mov_immediate_signed_is_the_same(value: int) -> None:
    signed = value - (1 << 32) if value >> 31 else value
    assert assemble(lambda a: a.mov_ri(1, value)) == assemble(lambda a: a.mov_ri(1, signed))


def test_mov_immediate_to_zr_never_writes_sp() -> None:
    assert "sp" not in text(lambda a: a.mov_ri(ZR, 0x0F0F0F0F))


FIELDS = [("ubfx", 0x53000000, True), ("ubfiz", 0x53000000, False), ("sbfx", 0x13000000, True)]
FIELDS += [("sbfiz", 0x13000000, False), ("bfi", 0x33000000, False), ("bfxil", 0x33000000, True)]


@pytest.mark.parametrize(("method", "word", "at_zero"), FIELDS)
@repeatable
@given(registers, registers, st.integers(0, 31), st.data())
def test_bit_fields(method: str, word: int, at_zero: bool, dst: int, src: int, lsb: int, data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 32 - lsb))
    code = assemble(lambda a: getattr(a, method)(dst, src, lsb, width))
    immr, imms = (lsb, lsb + width - 1) if at_zero else ((32 - lsb) % 32, width - 1)
    assert int.from_bytes(code, "little") == word | immr << 16 | imms << 10 | src << 5 | dst


@pytest.mark.parametrize("mnemonic", ["lsl", "lsr", "asr", "ror"])
@repeatable
@given(registers, registers, st.integers(1, 31))
def test_shift_immediate(mnemonic: str, dst: int, src: int, n: int) -> None:
    assert text(lambda a: getattr(a, f"{mnemonic}_ri")(dst, src, n)) == f"{mnemonic} {w(dst)}, {w(src)}, {number(n)}"


MEMORY = [("ldr", 2), ("str", 2), ("ldrh", 1), ("strh", 1), ("ldrb", 0), ("strb", 0), ("ldrsh", 1), ("ldrsb", 0)]
MEMORY += [("ldr64", 3), ("str64", 3)]


@pytest.mark.parametrize(("method", "log2_size"), MEMORY)
@repeatable
@given(registers, registers, st.one_of(st.integers(-260, 260), st.integers(0, 40000)))
def test_memory(method: str, log2_size: int, reg: int, base: int, offset: int) -> None:
    scaled = offset >= 0 and offset % (1 << log2_size) == 0 and offset >> log2_size < 4096
    if not scaled and not -256 <= offset < 256:
        assert not encodes(lambda a: getattr(a, method)(reg, base, offset))
        return
    mnemonic = method.removesuffix("64")
    if not scaled:
        mnemonic = mnemonic[:2] + "ur" + mnemonic[3:]
    found = text(lambda a: getattr(a, method)(reg, base, offset))
    name = x(reg) if method.endswith("64") else w(reg)
    place = x(base, "sp") if offset == 0 else f"{x(base, 'sp')}, {number(offset)}"
    assert found == f"{mnemonic} {name}, [{place}]"


def number(value: int) -> str:
    """An immediate as capstone prints it: small ones in decimal."""
    return f"#{value}" if -10 < value < 10 else f"#{value:#x}"


PAIRS = [("ldp", 2, w), ("stp", 2, w), ("ldp64", 3, x), ("stp64", 3, x)]


@pytest.mark.parametrize(("method", "log2_size", "name"), PAIRS)
@repeatable
@given(registers, registers, registers, st.integers(-64, 63))
def test_pairs(method: str, log2_size: int, name: Callable[[int], str], a: int, b: int, base: int, count: int) -> None:
    if a == b and method.startswith("ld"):
        return
    offset = count << log2_size
    found = text(lambda asm: getattr(asm, method)(a, b, base, offset))
    place = x(base, "sp") if offset == 0 else f"{x(base, 'sp')}, {number(offset)}"
    assert found == f"{method.removesuffix('64')} {name(a)}, {name(b)}, [{place}]"


@pytest.mark.parametrize("mnemonic", ["ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "str", "strb", "strh"])
@repeatable
@given(registers, registers, registers)
def test_guest_memory(mnemonic: str, reg: int, base: int, index: int) -> None:
    found = text(lambda a: getattr(a, f"{mnemonic}_x")(reg, base, index))
    assert found == f"{mnemonic} {w(reg)}, [{x(base, 'sp')}, {w(index)}, uxtw]"


@repeatable
@given(numbered, numbered, numbered, st.sampled_from(list(Cond)), st.integers(0, 15), st.integers(0, 31))
def test_conditions(dst: int, a: int, b: int, cond: Cond, nzcv: int, imm: int) -> None:
    name = cond.name.lower()
    assert text(lambda asm: asm.csel(dst, a, b, cond)) == f"csel {w(dst)}, {w(a)}, {w(b)}, {name}"
    assert text(lambda asm: asm.ccmp_rr(a, b, nzcv, cond)) == f"ccmp {w(a)}, {w(b)}, {number(nzcv)}, {name}"
    assert text(lambda asm: asm.ccmp_ri(a, imm, nzcv, cond)) == f"ccmp {w(a)}, {number(imm)}, {number(nzcv)}, {name}"
    if cond != Cond.AL:
        assert text(lambda asm: asm.cset(dst, cond)) == f"cset {w(dst)}, {name}"
        assert text(lambda asm: asm.csetm(dst, cond)) == f"csetm {w(dst)}, {name}"
        assert invert(cond) == cond ^ 1


# Labels.

Branch = Callable[[Assembler, Label], object]
BRANCHES: list[tuple[str, Branch]] = [
    ("b", lambda a, label: a.b(label)),
    ("cbz w3,", lambda a, label: a.cbz(3, label)),
    ("cbnz w30,", lambda a, label: a.cbnz(30, label)),
    ("tbz w1, #0,", lambda a, label: a.tbz(1, 0, label)),
    ("tbnz wzr, #0x1f,", lambda a, label: a.tbnz(31, 31, label)),
    ("adr x7,", lambda a, label: a.adr(7, label)),
    *((f"b.{cond.name.lower()}", lambda a, label, cond=cond: a.bcond(cond, label)) for cond in Cond),
]


@pytest.mark.parametrize(("prefix", "emit"), BRANCHES)
def test_branches_reach_labels(prefix: str, emit: Branch) -> None:
    assembler = Assembler()
    back, ahead = assembler.label(), assembler.label()
    assembler.nop()
    assembler.bind(back)
    assembler.nop()
    emit(assembler, back)
    emit(assembler, ahead)
    assembler.nop()
    assembler.bind(ahead)
    lines = [line for _, _, line in disassemble(assembler.finish())]
    assert lines[2:4] == [f"{prefix} #4", f"{prefix} #0x14"]


REACHES: list[tuple[str, int, Branch]] = [
    ("tbz", 1 << 15, lambda a, label: a.tbz(0, 0, label)),
    ("bcond", 1 << 20, lambda a, label: a.bcond(Cond.EQ, label)),
    ("cbz", 1 << 20, lambda a, label: a.cbz(0, label)),
    ("adr", 1 << 20, lambda a, label: a.adr(0, label)),
    ("b", 1 << 27, lambda a, label: a.b(label)),
]


def far_branch(emit: Branch, distance: int) -> bytes:
    """The word of a branch to a label that is bound ``distance`` bytes away, without the bytes in between."""
    assembler = Assembler()
    label = assembler.label()
    label.offset = distance
    emit(assembler, label)
    return assembler.finish()


@pytest.mark.parametrize(("name", "reach", "emit"), REACHES)
def test_branch_ranges(name: str, reach: int, emit: Branch) -> None:
    step = 1 if name == "adr" else 4
    for distance in (reach - step, -reach):
        target = disassemble(far_branch(emit, distance), reach)[0][2].rpartition("#")[2]
        assert int(target, 0) == reach + distance
    for distance in (reach, -reach - step):
        with pytest.raises(EncodingError, match="cannot reach"):
            far_branch(emit, distance)


def test_unbound_label() -> None:
    assembler = Assembler()
    assembler.nop()
    assembler.b(assembler.label())
    with pytest.raises(EncodingError, match="0x4 was never bound"):
        assembler.finish()


def test_label_off_a_word_boundary() -> None:
    with pytest.raises(EncodingError, match="word boundary"):
        far_branch(lambda a, label: a.b(label), 6)


def test_disassembler_lists_bad_words() -> None:
    lines = disassemble(b"\x1f\x20\x03\xd5" + b"\xff" * 4 + b"\x01\x02", 0x1000)
    assert [line[2] for line in lines] == ["nop", ".word 0xffffffff", ".byte 0x01, 0x02"]


@repeatable
@given(st.binary(max_size=64))
def test_disassembler_covers_all_bytes(code: bytes) -> None:
    lines = disassemble(code, 0x400000)
    assert b"".join(line[1] for line in lines) == code
    assert [line[0] for line in lines] == list(range(0, len(code), 4))
