"""The x86-64 encoder against capstone: one line an encoding, then properties over all operands."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from capstone import CS_ARCH_X86, CS_MODE_64, Cs  # type: ignore[import-untyped]
from capstone.x86 import X86_OP_IMM, X86_OP_MEM, X86_OP_REG  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from dynarec.host.x86_64.disasm import disassemble
from dynarec.host.x86_64.encode import Alu, Assembler, Cond, EncodingError, Label, Mem, Reg, Shift, invert

Emit = Callable[[Assembler], object]

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = Reg
ADD, OR, ADC, SBB, AND, SUB, XOR, CMP = Alu
ROL, ROR, SHL, SHR, SAR = Shift

NAMES32 = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", *(f"r{n}d" for n in range(8, 16))]
NAMES64 = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16))]
NAMES8 = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", *(f"r{n}b" for n in range(8, 16))]
NAMES16 = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", *(f"r{n}w" for n in range(8, 16))]


def assemble(emit: Emit) -> bytes:
    assembler = Assembler()
    emit(assembler)
    return assembler.finish()


def text(emit: Emit) -> str:
    """The one instruction that ``emit`` makes, as capstone writes it."""
    lines = disassemble(assemble(emit))
    assert len(lines) == 1, lines
    return lines[0][2]


def T(expected: str, emit: Emit) -> Any:  # noqa: N802 - a table of hundreds of lines: the shortest name
    return pytest.param(expected, emit, id=expected)


ENCODINGS = [
    T("add eax, ecx", lambda a: a.alu_rr(ADD, RAX, RCX)),
    T("or r8d, eax", lambda a: a.alu_rr(OR, R8, RAX)),
    T("adc eax, r15d", lambda a: a.alu_rr(ADC, RAX, R15)),
    T("sbb r12d, r13d", lambda a: a.alu_rr(SBB, R12, R13)),
    T("and esi, edi", lambda a: a.alu_rr(AND, RSI, RDI)),
    T("sub esp, ebp", lambda a: a.alu_rr(SUB, RSP, RBP)),
    T("xor r9d, r9d", lambda a: a.alu_rr(XOR, R9, R9)),
    T("cmp ebx, edx", lambda a: a.alu_rr(CMP, RBX, RDX)),
    T("add eax, 1", lambda a: a.alu_ri(ADD, RAX, 1)),
    T("add eax, -0x80", lambda a: a.alu_ri(ADD, RAX, -128)),
    T("add eax, 0x7f", lambda a: a.alu_ri(ADD, RAX, 127)),
    T("add eax, 0x80", lambda a: a.alu_ri(ADD, RAX, 128)),
    T("sub r10d, 0x12345678", lambda a: a.alu_ri(SUB, R10, 0x12345678)),
    T("xor ebx, 0xffffffff", lambda a: a.alu_ri(XOR, RBX, 0xFFFFFFFF)),
    T("and ecx, 0x80000000", lambda a: a.alu_ri(AND, RCX, 0x80000000)),
    T("cmp r13d, -0x7f", lambda a: a.alu_ri(CMP, R13, -127)),
    T("cmp edi, 0x80000000", lambda a: a.alu_ri(CMP, RDI, -(1 << 31))),
    T("add eax, dword ptr [rcx]", lambda a: a.alu_rm(ADD, RAX, Mem(RCX))),
    T("cmp r15d, dword ptr [rbp + 0x40]", lambda a: a.alu_rm(CMP, R15, Mem(RBP, 0x40))),
    T("sub dword ptr [r13], r8d", lambda a: a.alu_mr(SUB, Mem(R13), R8)),
    T("xor dword ptr [rbp + 0x80], eax", lambda a: a.alu_mr(XOR, Mem(RBP, 0x80), RAX)),
    T("add dword ptr [rbp - 0x80], 1", lambda a: a.alu_mi(ADD, Mem(RBP, -0x80), 1)),
    T("sub dword ptr [r12 + 8], 0x1000", lambda a: a.alu_mi(SUB, Mem(R12, 8), 0x1000)),
    T("or dword ptr [rax], 0xffffffff", lambda a: a.alu_mi(OR, Mem(RAX), 0xFFFFFFFF)),
    T("test eax, eax", lambda a: a.test_rr(RAX, RAX)),
    T("test r9d, ecx", lambda a: a.test_rr(R9, RCX)),
    T("test eax, 0x80000000", lambda a: a.test_ri(RAX, 0x80000000)),
    T("test r14d, 1", lambda a: a.test_ri(R14, 1)),
    T("mov eax, r8d", lambda a: a.mov_rr(RAX, R8)),
    T("mov r12d, esp", lambda a: a.mov_rr(R12, RSP)),
    T("mov eax, 0", lambda a: a.mov_ri(RAX, 0)),
    T("mov r15d, 0xffffffff", lambda a: a.mov_ri(R15, -1)),
    T("mov edi, 0x89abcdef", lambda a: a.mov_ri(RDI, 0x89ABCDEF)),
    T("mov eax, dword ptr [rbx + rcx*4 + 0x10]", lambda a: a.mov_rm(RAX, Mem(RBX, 16, RCX, 4))),
    T("mov r8d, dword ptr [r13 + r12*8]", lambda a: a.mov_rm(R8, Mem(R13, 0, R12, 8))),
    T("mov dword ptr [rsp], ecx", lambda a: a.mov_mr(Mem(RSP), RCX)),
    T("mov dword ptr [rsp + r9], ecx", lambda a: a.mov_mr(Mem(RSP, 0, R9), RCX)),
    T("mov dword ptr [rdi - 0x81], r9d", lambda a: a.mov_mr(Mem(RDI, -0x81), R9)),
    T("mov dword ptr [rbp + 0x7f], 0xffffffff", lambda a: a.mov_mi(Mem(RBP, 127), -1)),
    T("mov word ptr [rbp], ax", lambda a: a.mov16_mr(Mem(RBP), RAX)),
    T("mov word ptr gs:[r9d], r10w", lambda a: a.mov16_mr(Mem(R9, guest=True), R10)),
    T("mov word ptr [rcx], 0x8000", lambda a: a.mov16_mi(Mem(RCX), 0x8000)),
    T("mov word ptr gs:[ecx + 4], 0x1234", lambda a: a.mov16_mi(Mem(RCX, 4, guest=True), 0x1234)),
    T("mov byte ptr [rax], cl", lambda a: a.mov8_mr(Mem(RAX), RCX)),
    T("mov byte ptr [rax], spl", lambda a: a.mov8_mr(Mem(RAX), RSP)),
    T("mov byte ptr [rax], bpl", lambda a: a.mov8_mr(Mem(RAX), RBP)),
    T("mov byte ptr [rax], sil", lambda a: a.mov8_mr(Mem(RAX), RSI)),
    T("mov byte ptr gs:[eax + 1], dil", lambda a: a.mov8_mr(Mem(RAX, 1, guest=True), RDI)),
    T("mov byte ptr [r9], sil", lambda a: a.mov8_mr(Mem(R9), RSI)),
    T("mov byte ptr [rdi], r14b", lambda a: a.mov8_mr(Mem(RDI), R14)),
    T("mov byte ptr [r11], 0x80", lambda a: a.mov8_mi(Mem(R11), 0x80)),
    T("movzx eax, byte ptr gs:[ecx]", lambda a: a.movzx8_rm(RAX, Mem(RCX, guest=True))),
    T("movsx r9d, byte ptr [rsi]", lambda a: a.movsx8_rm(R9, Mem(RSI))),
    T("movzx esi, word ptr [r12]", lambda a: a.movzx16_rm(RSI, Mem(R12))),
    T("movsx edi, word ptr gs:[r12d - 2]", lambda a: a.movsx16_rm(RDI, Mem(R12, -2, guest=True))),
    T("movzx eax, cl", lambda a: a.movzx8_rr(RAX, RCX)),
    T("movzx eax, sil", lambda a: a.movzx8_rr(RAX, RSI)),
    T("movzx r8d, dil", lambda a: a.movzx8_rr(R8, RDI)),
    T("movsx esp, spl", lambda a: a.movsx8_rr(RSP, RSP)),
    T("movsx ebx, r11b", lambda a: a.movsx8_rr(RBX, R11)),
    T("movzx esi, si", lambda a: a.movzx16_rr(RSI, RSI)),
    T("movsx r13d, ax", lambda a: a.movsx16_rr(R13, RAX)),
    T("lea eax, [rcx + rdx]", lambda a: a.lea(RAX, Mem(RCX, 0, RDX))),
    T("lea r8d, [r13 + r13*2 - 1]", lambda a: a.lea(R8, Mem(R13, -1, R13, 2))),
    T("lea ebx, [rcx*8]", lambda a: a.lea(RBX, Mem(None, 0, RCX, 8))),
    T("shl eax, 1", lambda a: a.shift_ri(SHL, RAX, 1)),
    T("shr r9d, 0x1f", lambda a: a.shift_ri(SHR, R9, 31)),
    T("sar edi, 0", lambda a: a.shift_ri(SAR, RDI, 0)),
    T("rol ecx, 7", lambda a: a.shift_ri(ROL, RCX, 7)),
    T("ror dword ptr [rbp + 4], 1", lambda a: a.shift_mi(ROR, Mem(RBP, 4), 1)),
    T("sar dword ptr [r8], 0x10", lambda a: a.shift_mi(SAR, Mem(R8), 16)),
    T("shl r10d, cl", lambda a: a.shift_rc(SHL, R10)),
    T("shr dword ptr [rbp + 8], cl", lambda a: a.shift_mc(SHR, Mem(RBP, 8))),
    T("shlx eax, ecx, edx", lambda a: a.shlx(RAX, RCX, RDX)),
    T("shrx r8d, r9d, r10d", lambda a: a.shrx(R8, R9, R10)),
    T("sarx eax, r15d, esp", lambda a: a.sarx(RAX, R15, RSP)),
    T("rorx r14d, ebx, 0x1f", lambda a: a.rorx(R14, RBX, 31)),
    T("imul eax, r8d", lambda a: a.imul_rr(RAX, R8)),
    T("imul r9d, dword ptr [rbp + 4]", lambda a: a.imul_rm(R9, Mem(RBP, 4))),
    T("imul eax, ebx, 0x7f", lambda a: a.imul_rri(RAX, RBX, 127)),
    T("imul r12d, ebx, 0x3e8", lambda a: a.imul_rri(R12, RBX, 1000)),
    T("imul eax, dword ptr [rbx], -1", lambda a: a.imul_rmi(RAX, Mem(RBX), -1)),
    T("imul eax, dword ptr [r13], 0xff", lambda a: a.imul_rmi(RAX, Mem(R13), 255)),
    T("mul r9d", lambda a: a.mul_r(R9)),
    T("mul dword ptr [rsp + 8]", lambda a: a.mul_m(Mem(RSP, 8))),
    T("imul esi", lambda a: a.imul1_r(RSI)),
    T("imul dword ptr [rbp]", lambda a: a.imul1_m(Mem(RBP))),
    T("div ecx", lambda a: a.div_r(RCX)),
    T("div dword ptr [r12]", lambda a: a.div_m(Mem(R12))),
    T("idiv r8d", lambda a: a.idiv_r(R8)),
    T("idiv dword ptr [rax + 0x100]", lambda a: a.idiv_m(Mem(RAX, 256))),
    T("cdq", lambda a: a.cdq()),
    T("neg edi", lambda a: a.neg_r(RDI)),
    T("neg dword ptr [rbx]", lambda a: a.neg_m(Mem(RBX))),
    T("not r15d", lambda a: a.not_r(R15)),
    T("not dword ptr [r10]", lambda a: a.not_m(Mem(R10))),
    T("sete al", lambda a: a.setcc(Cond.E, RAX)),
    T("setb sil", lambda a: a.setcc(Cond.B, RSI)),
    T("setg r12b", lambda a: a.setcc(Cond.G, R12)),
    T("cmovae eax, r8d", lambda a: a.cmov_rr(Cond.AE, RAX, R8)),
    T("cmovl edx, dword ptr [rbp + 0x10]", lambda a: a.cmov_rm(Cond.L, RDX, Mem(RBP, 16))),
    T("xchg ecx, r9d", lambda a: a.xchg_rr(RCX, R9)),
    T("xchg eax, eax", lambda a: a.xchg_rr(RAX, RAX)),
    T("bswap eax", lambda a: a.bswap_r(RAX)),
    T("bswap r13d", lambda a: a.bswap_r(R13)),
    T("andn eax, ecx, edx", lambda a: a.andn(RAX, RCX, RDX)),
    T("popcnt eax, r9d", lambda a: a.popcnt_rr(RAX, R9)),
    T("lzcnt r8d, ecx", lambda a: a.lzcnt_rr(R8, RCX)),
    T("tzcnt esi, edi", lambda a: a.tzcnt_rr(RSI, RDI)),
    T("bsr eax, r12d", lambda a: a.bsr_rr(RAX, R12)),
    T("bsf r12d, ebp", lambda a: a.bsf_rr(R12, RBP)),
    T("mov rax, r8", lambda a: a.mov64_rr(RAX, R8)),
    T("mov r11, qword ptr [rbp + 0x200]", lambda a: a.mov64_rm(R11, Mem(RBP, 0x200))),
    T("mov qword ptr [rsp + 0x10], rdi", lambda a: a.mov64_mr(Mem(RSP, 16), RDI)),
    T("push rbp", lambda a: a.push_r(RBP)),
    T("push r12", lambda a: a.push_r(R12)),
    T("pop rbx", lambda a: a.pop_r(RBX)),
    T("pop r15", lambda a: a.pop_r(R15)),
    T("jmp qword ptr [rbp + 0x30]", lambda a: a.jmp_m(Mem(RBP, 0x30))),
    T("jmp qword ptr [r13 + rax*8]", lambda a: a.jmp_m(Mem(R13, 0, RAX, 8))),
    T("call qword ptr [rbp + 0x38]", lambda a: a.call_m(Mem(RBP, 0x38))),
    T("jmp rax", lambda a: a.jmp_r(RAX)),
    T("jmp r11", lambda a: a.jmp_r(R11)),
    T("call r10", lambda a: a.call_r(R10)),
    T("ret", lambda a: a.ret()),
    T("ud2", lambda a: a.ud2()),
    T("int3", lambda a: a.int3()),
    T("endbr64", lambda a: a.endbr64()),
    T("nop", lambda a: a.nop()),
    T("mov eax, dword ptr gs:[ebx + esi*2 - 4]", lambda a: a.mov_rm(RAX, Mem(RBX, -4, RSI, 2, True))),
    # The address is 0xfffffff0 (SDM volume 1, 3.3.7: 32-bit addresses are zero-extended); capstone prints it signed.
    T("mov eax, dword ptr gs:[0xfffffffffffffff0]", lambda a: a.mov_rm(RAX, Mem(None, 0xFFFFFFF0, guest=True))),
    T("mov dword ptr gs:[0x1000], r8d", lambda a: a.mov_mr(Mem(None, 0x1000, guest=True), R8)),
    T("mov eax, dword ptr gs:[ebp]", lambda a: a.mov_rm(RAX, Mem(RBP, guest=True))),
    T("mov eax, dword ptr gs:[esp]", lambda a: a.mov_rm(RAX, Mem(RSP, guest=True))),
    T("mov eax, dword ptr gs:[eax - 1]", lambda a: a.mov_rm(RAX, Mem(RAX, 0xFFFFFFFF, guest=True))),
    T("mov eax, dword ptr [0x1234]", lambda a: a.mov_rm(RAX, Mem(None, 0x1234))),
]


@pytest.mark.parametrize(("expected", "emit"), ENCODINGS)
def test_encoding(expected: str, emit: Emit) -> None:
    assert text(emit) == expected


SIZES = [
    ("disp0", 2, lambda a: a.mov_rm(RAX, Mem(RAX))),
    ("disp8", 3, lambda a: a.mov_rm(RAX, Mem(RAX, 127))),
    ("disp32", 6, lambda a: a.mov_rm(RAX, Mem(RAX, 128))),
    ("rbp has no disp0", 3, lambda a: a.mov_rm(RAX, Mem(RBP))),
    ("r13 has no disp0", 4, lambda a: a.mov_rm(RAX, Mem(R13))),
    ("rsp needs a SIB", 3, lambda a: a.mov_rm(RAX, Mem(RSP))),
    ("r12 needs a SIB", 4, lambda a: a.mov_rm(RAX, Mem(R12))),
    ("no RIP-relative form", 7, lambda a: a.mov_rm(RAX, Mem(None, 16))),
    ("guest", 4, lambda a: a.mov_rm(RAX, Mem(RCX, guest=True))),
    ("guest disp wraps to disp8", 5, lambda a: a.mov_rm(RAX, Mem(RCX, 0xFFFFFFFF, guest=True))),
    ("imm8", 3, lambda a: a.alu_ri(ADD, RAX, 0xFFFFFFFF)),
    ("eax imm32", 5, lambda a: a.alu_ri(ADD, RAX, 128)),
    ("imm32", 6, lambda a: a.alu_ri(ADD, RCX, 128)),
    ("shift by one", 2, lambda a: a.shift_ri(SHL, RAX, 1)),
    ("no empty REX for cl", 2, lambda a: a.mov8_mr(Mem(RAX), RCX)),
    ("empty REX for sil", 3, lambda a: a.mov8_mr(Mem(RAX), RSI)),
    ("one REX for setcc r8b", 4, lambda a: a.setcc(Cond.E, R8)),
]


@pytest.mark.parametrize(("size", "emit"), [pytest.param(size, emit, id=name) for name, size, emit in SIZES])
def test_shortest_form(size: int, emit: Emit) -> None:
    assert len(assemble(emit)) == size


@pytest.mark.parametrize("size", range(40))
def test_nop_fills_exactly(size: int) -> None:
    code = assemble(lambda a: a.nop(size))
    assert len(code) == size
    assert all(line.startswith("nop") for _, _, line in disassemble(code))


REFUSED: list[tuple[str, Emit]] = [
    ("register 16", lambda a: a.alu_rr(ADD, 16, RAX)),
    ("register -1", lambda a: a.mov_rr(RAX, -1)),
    ("register 16 in memory form", lambda a: a.mov_rm(16, Mem(RAX))),
    ("push 16", lambda a: a.push_r(16)),
    ("mov 16", lambda a: a.mov_ri(16, 0)),
    ("shlx 16", lambda a: a.shlx(RAX, RCX, 16)),
    ("andn 16", lambda a: a.andn(RAX, 16, RCX)),
    ("movzx8 of 16", lambda a: a.movzx8_rr(RAX, 16)),
    ("alu op 8", lambda a: a.alu_ri(8, RAX, 0)),
    ("alu immediate", lambda a: a.alu_ri(ADD, RAX, 1 << 32)),
    ("alu negative immediate", lambda a: a.alu_mi(ADD, Mem(RAX), -(1 << 31) - 1)),
    ("mov immediate", lambda a: a.mov_ri(RAX, 1 << 32)),
    ("mov16 immediate", lambda a: a.mov16_mi(Mem(RAX), 1 << 16)),
    ("mov8 immediate", lambda a: a.mov8_mi(Mem(RAX), -129)),
    ("rsp as index", lambda a: Mem(RAX, 0, RSP)),
    ("scale 3", lambda a: Mem(RAX, 0, RCX, 3)),
    ("base 16", lambda a: Mem(16)),
    ("unsigned disp", lambda a: Mem(RAX, 0x80000000)),
    ("guest disp", lambda a: Mem(RAX, 1 << 32, guest=True)),
    ("lea of guest memory", lambda a: a.lea(RAX, Mem(RAX, guest=True))),
    ("shift by 32", lambda a: a.shift_ri(SHL, RAX, 32)),
    ("rotate through carry", lambda a: a.shift_rc(2, RAX)),
    ("rorx by 32", lambda a: a.rorx(RAX, RAX, 32)),
    ("condition 16", lambda a: a.setcc(16, RAX)),
    ("negative nop", lambda a: a.nop(-1)),
]


@pytest.mark.parametrize("emit", [pytest.param(emit, id=name) for name, emit in REFUSED])
def test_refuses(emit: Emit) -> None:
    with pytest.raises(EncodingError):
        emit(Assembler())


# Properties: what capstone decodes is what was asked for.

DECODER = Cs(CS_ARCH_X86, CS_MODE_64)
DECODER.detail = True
repeatable = settings(derandomize=True, deadline=None, max_examples=150 if "CI" in os.environ else 40, database=None)
"""The same examples in every run, so there is no seed to print."""

registers = st.sampled_from(list(Reg))
immediates = st.one_of(st.integers(-(1 << 31), (1 << 32) - 1), st.integers(-130, 130))


@st.composite
def memory(draw: st.DrawFn) -> Mem:
    guest = draw(st.booleans())
    disp = draw(st.one_of(st.integers(-130, 130), st.integers(-(1 << 31), (1 << (32 if guest else 31)) - 1)))
    index = draw(st.one_of(st.none(), registers.filter(lambda reg: reg != RSP)))
    return Mem(draw(st.one_of(st.none(), registers)), disp, index, draw(st.sampled_from((1, 2, 4, 8))), guest)


def decode(emit: Emit) -> Any:
    code = assemble(emit)
    decoded = list(DECODER.disasm(code, 0))
    assert [insn.size for insn in decoded] == [len(code)], code.hex()
    return decoded[0]


def operand(insn: Any, position: int) -> object:
    """A register's name, an immediate modulo 2**32, or memory as (segment, base, index, scale, disp)."""
    found = insn.operands[position]
    if found.type == X86_OP_REG:
        return insn.reg_name(found.reg)
    if found.type == X86_OP_IMM:
        return found.imm & 0xFFFFFFFF
    assert found.type == X86_OP_MEM
    return address(insn, found.mem)


def address(insn: Any, mem: Any) -> tuple[object, ...]:
    names = [insn.reg_name(reg) if reg else None for reg in (mem.segment, mem.base, mem.index)]
    names = [None if name in ("riz", "eiz") else name for name in names]
    return (*names, mem.scale if names[2] else 1, mem.disp & 0xFFFFFFFF)


def wanted(mem: Mem) -> tuple[object, ...]:
    names = NAMES32 if mem.guest else NAMES64
    base = None if mem.base is None else names[mem.base]
    index = None if mem.index is None else names[mem.index]
    scale = 1 if mem.index is None else mem.scale
    return ("gs" if mem.guest else None, base, index, scale, mem.disp & 0xFFFFFFFF)


@repeatable
@given(st.sampled_from(list(Alu)), registers, registers)
def test_alu_registers(op: Alu, dst: Reg, src: Reg) -> None:
    insn = decode(lambda a: a.alu_rr(op, dst, src))
    assert (insn.mnemonic, operand(insn, 0), operand(insn, 1)) == (op.name.lower(), NAMES32[dst], NAMES32[src])


@repeatable
@given(st.sampled_from(list(Alu)), registers, memory(), immediates)
def test_alu_memory_and_immediates(op: Alu, reg: Reg, mem: Mem, imm: int) -> None:
    name, low = op.name.lower(), imm & 0xFFFFFFFF
    cases: list[tuple[Emit, object, object]] = [
        (lambda a: a.alu_rm(op, reg, mem), NAMES32[reg], wanted(mem)),
        (lambda a: a.alu_mr(op, mem, reg), wanted(mem), NAMES32[reg]),
        (lambda a: a.alu_mi(op, mem, imm), wanted(mem), low),
        (lambda a: a.alu_ri(op, reg, imm), NAMES32[reg], low),
    ]
    for emit, first, second in cases:
        insn = decode(emit)
        assert (insn.mnemonic, operand(insn, 0), operand(insn, 1)) == (name, first, second)
        assert all(found.size == 4 for found in insn.operands[:1])


LOADS = [
    ("mov_rm", "mov", NAMES32, 4),
    ("mov64_rm", "mov", NAMES64, 8),
    ("movzx8_rm", "movzx", NAMES32, 1),
    ("movsx8_rm", "movsx", NAMES32, 1),
    ("movzx16_rm", "movzx", NAMES32, 2),
    ("movsx16_rm", "movsx", NAMES32, 2),
    ("imul_rm", "imul", NAMES32, 4),
]


@pytest.mark.parametrize(("method", "mnemonic", "names", "size"), LOADS)
@repeatable
@given(registers, memory())
def test_loads(method: str, mnemonic: str, names: list[str], size: int, dst: Reg, mem: Mem) -> None:
    insn = decode(lambda a: getattr(a, method)(dst, mem))
    assert (insn.mnemonic, operand(insn, 0), operand(insn, 1)) == (mnemonic, names[dst], wanted(mem))
    assert insn.operands[1].size == size


STORES = [("mov_mr", NAMES32, 4), ("mov16_mr", NAMES16, 2), ("mov8_mr", NAMES8, 1), ("mov64_mr", NAMES64, 8)]


@pytest.mark.parametrize(("method", "names", "size"), STORES)
@repeatable
@given(registers, memory())
def test_stores(method: str, names: list[str], size: int, src: Reg, mem: Mem) -> None:
    insn = decode(lambda a: getattr(a, method)(mem, src))
    assert (insn.mnemonic, operand(insn, 0), operand(insn, 1)) == ("mov", wanted(mem), names[src])
    assert insn.operands[0].size == size


@pytest.mark.parametrize(("method", "size"), [("mov_mi", 4), ("mov16_mi", 2), ("mov8_mi", 1)])
@repeatable
@given(memory(), st.data())
def test_store_immediates(method: str, size: int, mem: Mem, data: st.DataObject) -> None:
    bits = 8 * size
    imm = data.draw(st.integers(-(1 << bits - 1), (1 << bits) - 1))
    insn = decode(lambda a: getattr(a, method)(mem, imm))
    found = insn.operands[1].imm & (1 << bits) - 1
    assert (operand(insn, 0), found, insn.operands[0].size) == (wanted(mem), imm & (1 << bits) - 1, size)


@repeatable
@given(registers, memory().filter(lambda mem: not mem.guest))
def test_lea(dst: Reg, mem: Mem) -> None:
    insn = decode(lambda a: a.lea(dst, mem))
    assert (insn.mnemonic, operand(insn, 0), operand(insn, 1)) == ("lea", NAMES32[dst], wanted(mem))


PAIRS = [
    ("mov_rr", "mov", NAMES32, NAMES32),
    ("mov64_rr", "mov", NAMES64, NAMES64),
    ("test_rr", "test", NAMES32, NAMES32),
    ("imul_rr", "imul", NAMES32, NAMES32),
    ("movzx8_rr", "movzx", NAMES32, NAMES8),
    ("movsx8_rr", "movsx", NAMES32, NAMES8),
    ("movzx16_rr", "movzx", NAMES32, NAMES16),
    ("movsx16_rr", "movsx", NAMES32, NAMES16),
    ("popcnt_rr", "popcnt", NAMES32, NAMES32),
    ("lzcnt_rr", "lzcnt", NAMES32, NAMES32),
    ("tzcnt_rr", "tzcnt", NAMES32, NAMES32),
    ("bsr_rr", "bsr", NAMES32, NAMES32),
    ("bsf_rr", "bsf", NAMES32, NAMES32),
    ("xchg_rr", "xchg", NAMES32, NAMES32),
]


@pytest.mark.parametrize(("method", "mnemonic", "first", "second"), PAIRS)
def test_every_pair_of_registers(method: str, mnemonic: str, first: list[str], second: list[str]) -> None:
    for dst in range(16):
        for src in range(16):
            found = text(lambda a, dst=dst, src=src: getattr(a, method)(dst, src))  # type: ignore[misc]
            assert found == f"{mnemonic} {first[dst]}, {second[src]}"


GROUPS = [
    ("mul_r", "mul", NAMES32),
    ("imul1_r", "imul", NAMES32),
    ("div_r", "div", NAMES32),
    ("idiv_r", "idiv", NAMES32),
    ("neg_r", "neg", NAMES32),
    ("not_r", "not", NAMES32),
    ("bswap_r", "bswap", NAMES32),
    ("push_r", "push", NAMES64),
    ("pop_r", "pop", NAMES64),
    ("jmp_r", "jmp", NAMES64),
    ("call_r", "call", NAMES64),
]


@pytest.mark.parametrize(("method", "mnemonic", "names"), GROUPS)
def test_every_single_register(method: str, mnemonic: str, names: list[str]) -> None:
    for reg in range(16):
        assert text(lambda a, reg=reg: getattr(a, method)(reg)) == f"{mnemonic} {names[reg]}"  # type: ignore[misc]


@pytest.mark.parametrize("method", ["mul_m", "imul1_m", "div_m", "idiv_m", "neg_m", "not_m", "jmp_m", "call_m"])
@repeatable
@given(memory())
def test_single_memory(method: str, mem: Mem) -> None:
    insn = decode(lambda a: getattr(a, method)(mem))
    assert (insn.mnemonic, operand(insn, 0)) == (method.removesuffix("_m").removesuffix("1"), wanted(mem))


@repeatable
@given(st.sampled_from(["shlx", "shrx", "sarx", "andn"]), registers, registers, registers)
def test_three_registers(method: str, dst: Reg, first: Reg, second: Reg) -> None:
    expected = f"{method} {NAMES32[dst]}, {NAMES32[first]}, {NAMES32[second]}"
    assert text(lambda a: getattr(a, method)(dst, first, second)) == expected


@repeatable
@given(registers, registers, immediates, memory(), st.integers(0, 31))
def test_immediate_forms(dst: Reg, src: Reg, imm: int, mem: Mem, count: int) -> None:
    low = imm & 0xFFFFFFFF
    cases: list[tuple[Emit, list[object]]] = [
        (lambda a: a.mov_ri(dst, imm), [NAMES32[dst], low]),
        (lambda a: a.test_ri(dst, imm), [NAMES32[dst], low]),
        (lambda a: a.imul_rri(dst, src, imm), [NAMES32[dst], NAMES32[src], low]),
        (lambda a: a.imul_rmi(dst, mem, imm), [NAMES32[dst], wanted(mem), low]),
        (lambda a: a.rorx(dst, src, count), [NAMES32[dst], NAMES32[src], count]),
    ]
    for emit, operands in cases:
        insn = decode(emit)
        assert [operand(insn, position) for position in range(len(insn.operands))] == operands


@repeatable
@given(st.sampled_from(list(Shift)), registers, memory(), st.integers(0, 31))
def test_shifts(op: Shift, dst: Reg, mem: Mem, count: int) -> None:
    cases: list[tuple[Emit, object, object]] = [
        (lambda a: a.shift_ri(op, dst, count), NAMES32[dst], count),
        (lambda a: a.shift_mi(op, mem, count), wanted(mem), count),
        (lambda a: a.shift_rc(op, dst), NAMES32[dst], "cl"),
        (lambda a: a.shift_mc(op, mem), wanted(mem), "cl"),
    ]
    for emit, first, second in cases:
        insn = decode(emit)
        assert (insn.mnemonic, operand(insn, 0), operand(insn, 1)) == (op.name.lower(), first, second)


@repeatable
@given(st.sampled_from(list(Cond)), registers, registers, memory())
def test_conditions(cond: Cond, dst: Reg, src: Reg, mem: Mem) -> None:
    name = cond.name.lower()
    assert text(lambda a: a.setcc(cond, dst)) == f"set{name} {NAMES8[dst]}"
    assert text(lambda a: a.cmov_rr(cond, dst, src)) == f"cmov{name} {NAMES32[dst]}, {NAMES32[src]}"
    insn = decode(lambda a: a.cmov_rm(cond, dst, mem))
    assert (insn.mnemonic, operand(insn, 0), operand(insn, 1)) == (f"cmov{name}", NAMES32[dst], wanted(mem))
    assert invert(invert(cond)) is cond
    assert invert(cond) == cond ^ 1


# Labels.


def branch_lines(emit: Callable[[Assembler, Label], object], before: int, after: int) -> list[str]:
    """A branch to a bound label ``before`` bytes back, and to one that is ``after`` bytes ahead."""
    assembler = Assembler()
    back, ahead = assembler.label(), assembler.label()
    assembler.bind(back)
    assembler.nop(before)
    start = assembler.here
    emit(assembler, back)
    middle = assembler.here
    emit(assembler, ahead)
    end = assembler.here
    assembler.nop(after)
    assembler.bind(ahead)
    code = assembler.finish()
    return [disassemble(code[start:middle], start)[0][2], disassemble(code[middle:end], middle)[0][2]]


BRANCHES: list[tuple[str, int, Callable[[Assembler, Label], object]]] = [
    ("jmp", 5, lambda a, label: a.jmp(label)),
    ("jmp", 2, lambda a, label: a.jmp_short(label)),
    ("jmp", 6, lambda a, label: a.jmp_longer(label)),
    *((f"j{cond.name.lower()}", 6, lambda a, label, cond=cond: a.jcc(cond, label)) for cond in Cond),
    *((f"j{cond.name.lower()}", 2, lambda a, label, cond=cond: a.jcc_short(cond, label)) for cond in Cond),
]


@pytest.mark.parametrize(("mnemonic", "size", "emit"), BRANCHES)
def test_branches_reach_labels(mnemonic: str, size: int, emit: Callable[[Assembler, Label], object]) -> None:
    back, ahead = branch_lines(emit, 20, 100)
    assert back == f"{mnemonic} 0"
    assert ahead == f"{mnemonic} {20 + 2 * size + 100:#x}"


def test_addresses_of_labels() -> None:
    def lea(a: Assembler, label: Label) -> None:
        a.lea_label(R9, label)

    assert branch_lines(lea, 20, 100) == ["lea r9, [rip - 0x1b]", "lea r9, [rip + 0x64]"]


def test_short_branch_boundaries() -> None:
    def short_jump(a: Assembler, label: Label) -> None:
        a.jmp_short(label)

    assert branch_lines(short_jump, 126, 127) == ["jmp 0", f"jmp {126 + 4 + 127:#x}"]
    with pytest.raises(EncodingError, match="cannot reach"):
        branch_lines(short_jump, 127, 0)
    with pytest.raises(EncodingError, match="cannot reach"):
        branch_lines(short_jump, 0, 128)


def test_several_uses_of_one_label() -> None:
    assembler = Assembler()
    label = assembler.label()
    assembler.jmp(label)
    assembler.jcc_short(Cond.E, label)
    assembler.bind(label)
    assembler.jmp_short(label)
    assert [line for _, _, line in disassemble(assembler.finish())] == ["jmp 7", "je 7", "jmp 7"]


def test_unbound_label() -> None:
    assembler = Assembler()
    assembler.nop(3)
    assembler.jmp(assembler.label())
    with pytest.raises(EncodingError, match="0x4 was never bound"):
        assembler.finish()


def test_unused_unbound_label_is_fine() -> None:
    assembler = Assembler()
    assembler.label()
    assert assembler.finish() == b""


def test_label_is_bound_once() -> None:
    assembler = Assembler()
    label = assembler.label()
    assembler.bind(label)
    with pytest.raises(EncodingError, match="already bound"):
        assembler.bind(label)


@pytest.mark.parametrize(("distance", "size"), [(0, 2), (0x7E, 2), (0x7F, 6)])
def test_branches_back_are_as_short_as_can_be(distance: int, size: int) -> None:
    assembler = Assembler()
    label = assembler.label()
    assembler.bind(label)
    assembler.nop(distance)
    assembler.jcc_back(Cond.NS, label)
    assert len(assembler.finish()) == distance + size


def test_disassembler_lists_bad_bytes() -> None:
    lines = disassemble(b"\x06\x01\xc8\x0f", 0x1000)
    assert lines == [(0, b"\x06", ".byte 0x06"), (1, b"\x01\xc8", "add eax, ecx"), (3, b"\x0f", ".byte 0x0f")]


@repeatable
@given(st.binary(max_size=64))
def test_disassembler_covers_all_bytes(code: bytes) -> None:
    lines = disassemble(code, 0x400000)
    assert b"".join(line[1] for line in lines) == code
    assert [line[0] for line in lines] == [sum(len(line[1]) for line in lines[:count]) for count in range(len(lines))]
