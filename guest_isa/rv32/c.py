"""C, compressed instructions (volume I, chapter 26): each means what its 32-bit form means."""

from __future__ import annotations

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.isa import Alias
from guest_isa.rv32 import base
from guest_isa.rv32.operands import LAYOUT, isa

isa.extension("C")
SP = LAYOUT["sp"]
RA = LAYOUT["ra"]


@isa.insn("c.addi4spn", "000 uimm[5:4|9:6|2|3] rd' 00", "{rd}, sp, {uimm}", unless={"uimm": (0,)})
def c_addi4spn(b: Semantics, rd: Register, uimm: Value) -> None:
    b.set(rd, b.add(b.get(SP), uimm))


@isa.insn("c.lw", "010 uimm[5:3] rs1' uimm[2|6] rd' 00", "{rd}, {uimm}({rs1})")
def c_lw(b: Semantics, rd: Register, rs1: Register, uimm: Value) -> None:
    b.set(rd, b.load32(b.get(rs1), uimm))


@isa.insn("c.sw", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00", "{rs2}, {uimm}({rs1})")
def c_sw(b: Semantics, rs1: Register, rs2: Register, uimm: Value) -> None:
    b.store32(b.get(rs1), b.get(rs2), uimm)


@isa.insn("c.addi", "000 imm[5] rd imm[4:0] 01", "{rd}, {imm}", aliases=(Alias("c.nop", {"rd": 0, "imm": 0}, ""),))
def c_addi(b: Semantics, rd: Register, imm: Value) -> None:
    b.set(rd, b.add(b.get(rd), imm))


@isa.insn("c.jal", "001 offset[11|4|9:8|10|6|7|3:1|5] 01", "{offset}")
def c_jal(b: Semantics, offset: Value) -> None:
    base.jal(b, RA, offset)


@isa.insn("c.li", "010 imm[5] rd imm[4:0] 01", "{rd}, {imm}")
def c_li(b: Semantics, rd: Register, imm: Value) -> None:
    b.set(rd, imm)


@isa.insn("c.addi16sp", "011 imm[9] 00010 imm[4|6|8:7|5] 01", "sp, {imm}", unless={"imm": (0,)})
def c_addi16sp(b: Semantics, imm: Value) -> None:
    b.set(SP, b.add(b.get(SP), imm))


@isa.insn("c.lui", "011 upper6[17] rd upper6[16:12] 01", "{rd}, {upper6}", unless={"rd": (2,), "upper6": (0,)})
def c_lui(b: Semantics, rd: Register, upper6: Value) -> None:
    b.set(rd, upper6)


@isa.insn("c.srli", "100 0 00 rd' shamt 01", "{rd}, {shamt}")
def c_srli(b: Semantics, rd: Register, shamt: Value) -> None:
    b.set(rd, b.shr(b.get(rd), shamt))


@isa.insn("c.srai", "100 0 01 rd' shamt 01", "{rd}, {shamt}")
def c_srai(b: Semantics, rd: Register, shamt: Value) -> None:
    b.set(rd, b.sar(b.get(rd), shamt))


@isa.insn("c.andi", "100 imm[5] 10 rd' imm[4:0] 01", "{rd}, {imm}")
def c_andi(b: Semantics, rd: Register, imm: Value) -> None:
    b.set(rd, b.and_(b.get(rd), imm))


def _arithmetic(name: str, funct2: str, kind: OpKind) -> None:
    @isa.insn(name, f"100 0 11 rd' {funct2} rs2' 01", "{rd}, {rs2}")
    def arithmetic(b: Semantics, rd: Register, rs2: Register) -> None:
        b.set(rd, b.op(kind, b.get(rd), b.get(rs2)))


_arithmetic("c.sub", "00", ops.SUB)
_arithmetic("c.xor", "01", ops.XOR)
_arithmetic("c.or", "10", ops.OR)
_arithmetic("c.and", "11", ops.AND)


@isa.insn("c.j", "101 offset[11|4|9:8|10|6|7|3:1|5] 01", "{offset}")
def c_j(b: Semantics, offset: Value) -> None:
    b.jump(b.add(b.pc, offset))


def _branch(name: str, funct3: str, kind: OpKind) -> None:
    @isa.insn(name, f"{funct3} offset[8|4:3] rs1' offset[7:6|2:1|5] 01", "{rs1}, {offset}")
    def branch(b: Semantics, rs1: Register, offset: Value) -> None:
        b.branch(b.op(kind, b.get(rs1), 0), b.add(b.pc, offset))


_branch("c.beqz", "110", ops.EQ)
_branch("c.bnez", "111", ops.NE)


@isa.insn("c.slli", "000 0 rd shamt 10", "{rd}, {shamt}")
def c_slli(b: Semantics, rd: Register, shamt: Value) -> None:
    b.set(rd, b.shl(b.get(rd), shamt))


@isa.insn("c.lwsp", "010 uimm[5] rd uimm[4:2|7:6] 10", "{rd}, {uimm}(sp)", unless={"rd": (0,)})
def c_lwsp(b: Semantics, rd: Register, uimm: Value) -> None:
    b.set(rd, b.load32(b.get(SP), uimm))


@isa.insn("c.swsp", "110 uimm[5:2|7:6] rs2 10", "{rs2}, {uimm}(sp)")
def c_swsp(b: Semantics, rs2: Register, uimm: Value) -> None:
    b.store32(b.get(SP), b.get(rs2), uimm)


@isa.insn("c.jr", "100 0 rs1 00000 10", "{rs1}", unless={"rs1": (0,)}, aliases=(Alias("ret", {"rs1": 1}, ""),))
def c_jr(b: Semantics, rs1: Register) -> None:
    base.jalr(b, None, rs1, 0)


@isa.insn("c.mv", "100 0 rd rs2 10", "{rd}, {rs2}", unless={"rs2": (0,)})
def c_mv(b: Semantics, rd: Register, rs2: Register) -> None:
    b.set(rd, b.get(rs2))


@isa.insn("c.jalr", "100 1 rs1 00000 10", "{rs1}", unless={"rs1": (0,)})
def c_jalr(b: Semantics, rs1: Register) -> None:
    base.jalr(b, RA, rs1, 0)


@isa.insn("c.add", "100 1 rd rs2 10", "{rd}, {rs2}", unless={"rs2": (0,)})
def c_add(b: Semantics, rd: Register, rs2: Register) -> None:
    b.set(rd, b.add(b.get(rd), b.get(rs2)))


@isa.insn("c.ebreak", "100 1 00000 00000 10")
def c_ebreak(b: Semantics) -> None:
    base.ebreak(b)
