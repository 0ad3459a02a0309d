"""RV32I, the base integer instructions (RISC-V ISA manual, volume I, chapter 2)."""

from __future__ import annotations

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.isa import Alias
from guest_isa.rv32.operands import BREAKPOINT, ECALL_FROM_M, ECALL_FROM_U, MODE, isa

isa.extension("I")


@isa.insn("lui", "upper[31:12] rd 0110111", "{rd}, {upper}")
def lui(b: Semantics, rd: Register, upper: Value) -> None:
    b.set(rd, upper)


@isa.insn("auipc", "upper[31:12] rd 0010111", "{rd}, {upper}")
def auipc(b: Semantics, rd: Register, upper: Value) -> None:
    b.set(rd, b.add(b.pc, upper))


@isa.insn(
    "jal",
    "offset[20|10:1|11|19:12] rd 1101111",
    "{rd}, {offset}",
    aliases=(Alias("j", {"rd": 0}, "{offset}"), Alias("jal", {"rd": 1}, "{offset}")),
)
def jal(b: Semantics, rd: Register, offset: Value) -> None:
    b.set(rd, b.next_pc)
    b.jump(b.add(b.pc, offset))


@isa.insn(
    "jalr",
    "imm[11:0] rs1 000 rd 1100111",
    "{rd}, {imm}({rs1})",
    aliases=(
        Alias("ret", {"rd": 0, "rs1": 1, "imm": 0}, ""),
        Alias("jr", {"rd": 0, "imm": 0}, "{rs1}"),
        Alias("jalr", {"rd": 1, "imm": 0}, "{rs1}"),
        Alias("jr", {"rd": 0}, "{imm}({rs1})"),
        Alias("jalr", {"rd": 1}, "{imm}({rs1})"),
    ),
)
def jalr(b: Semantics, rd: Register, rs1: Register, imm: Value) -> None:
    target = b.and_(b.add(b.get(rs1), imm), 0xFFFF_FFFE)
    b.set(rd, b.next_pc)
    b.jump(target)


def _branch(name: str, funct3: str, kind: OpKind, aliases: tuple[Alias, ...] = ()) -> None:
    @isa.insn(
        name, f"offset[12|10:5] rs2 rs1 {funct3} offset[4:1|11] 1100011", "{rs1}, {rs2}, {offset}", aliases=aliases
    )
    def branch(b: Semantics, rs1: Register, rs2: Register, offset: Value) -> None:
        b.branch(b.op(kind, b.get(rs1), b.get(rs2)), b.add(b.pc, offset))


def _against_zero(zero: str, name: str, other: str) -> Alias:
    return Alias(name, {zero: 0}, f"{{{other}}}, {{offset}}")


_branch("beq", "000", ops.EQ, (_against_zero("rs2", "beqz", "rs1"),))
_branch("bne", "001", ops.NE, (_against_zero("rs2", "bnez", "rs1"),))
_branch("blt", "100", ops.LTS, (_against_zero("rs2", "bltz", "rs1"), _against_zero("rs1", "bgtz", "rs2")))
_branch("bge", "101", ops.GES, (_against_zero("rs2", "bgez", "rs1"), _against_zero("rs1", "blez", "rs2")))
_branch("bltu", "110", ops.LTU)
_branch("bgeu", "111", ops.GEU)


def _load(name: str, funct3: str, kind: OpKind) -> None:
    @isa.insn(name, f"imm[11:0] rs1 {funct3} rd 0000011", "{rd}, {imm}({rs1})")
    def load(b: Semantics, rd: Register, rs1: Register, imm: Value) -> None:
        b.set(rd, b.op(kind, b.get(rs1), imm))


_load("lb", "000", ops.LOAD8S)
_load("lh", "001", ops.LOAD16S)
_load("lw", "010", ops.LOAD32)
_load("lbu", "100", ops.LOAD8U)
_load("lhu", "101", ops.LOAD16U)


def _store(name: str, funct3: str, kind: OpKind) -> None:
    @isa.insn(name, f"imm[11:5] rs2 rs1 {funct3} imm[4:0] 0100011", "{rs2}, {imm}({rs1})")
    def store(b: Semantics, rs1: Register, rs2: Register, imm: Value) -> None:
        b.op(kind, b.get(rs1), imm, b.get(rs2))


_store("sb", "000", ops.STORE8)
_store("sh", "001", ops.STORE16)
_store("sw", "010", ops.STORE32)


@isa.insn(
    "addi",
    "imm[11:0] rs1 000 rd 0010011",
    "{rd}, {rs1}, {imm}",
    aliases=(
        Alias("nop", {"rd": 0, "rs1": 0, "imm": 0}, ""),
        Alias("li", {"rs1": 0}, "{rd}, {imm}"),
        Alias("mv", {"imm": 0}, "{rd}, {rs1}"),
    ),
)
def addi(b: Semantics, rd: Register, rs1: Register, imm: Value) -> None:
    b.set(rd, b.add(b.get(rs1), imm))


def _immediate(name: str, funct3: str, kind: OpKind, aliases: tuple[Alias, ...] = ()) -> None:
    @isa.insn(name, f"imm[11:0] rs1 {funct3} rd 0010011", "{rd}, {rs1}, {imm}", aliases=aliases)
    def immediate(b: Semantics, rd: Register, rs1: Register, imm: Value) -> None:
        b.set(rd, b.op(kind, b.get(rs1), imm))


_immediate("xori", "100", ops.XOR, (Alias("not", {"imm": 0xFFFF_FFFF}, "{rd}, {rs1}"),))
_immediate("ori", "110", ops.OR)
_immediate("andi", "111", ops.AND)


@isa.insn("slti", "imm[11:0] rs1 010 rd 0010011", "{rd}, {rs1}, {imm}")
def slti(b: Semantics, rd: Register, rs1: Register, imm: Value) -> None:
    b.set(rd, b.bit(b.lts(b.get(rs1), imm)))


@isa.insn(
    "sltiu", "imm[11:0] rs1 011 rd 0010011", "{rd}, {rs1}, {imm}", aliases=(Alias("seqz", {"imm": 1}, "{rd}, {rs1}"),)
)
def sltiu(b: Semantics, rd: Register, rs1: Register, imm: Value) -> None:
    b.set(rd, b.bit(b.ltu(b.get(rs1), imm)))


def _shift(name: str, funct7: str, funct3: str, kind: OpKind) -> None:
    @isa.insn(name, f"{funct7} shamt rs1 {funct3} rd 0010011", "{rd}, {rs1}, {shamt}")
    def shift(b: Semantics, rd: Register, rs1: Register, shamt: Value) -> None:
        b.set(rd, b.op(kind, b.get(rs1), shamt))


_shift("slli", "0000000", "001", ops.SHL)
_shift("srli", "0000000", "101", ops.SHR)
_shift("srai", "0100000", "101", ops.SAR)


def _register(name: str, funct7: str, funct3: str, kind: OpKind, aliases: tuple[Alias, ...] = ()) -> None:
    @isa.insn(name, f"{funct7} rs2 rs1 {funct3} rd 0110011", "{rd}, {rs1}, {rs2}", aliases=aliases)
    def register(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
        b.set(rd, b.op(kind, b.get(rs1), b.get(rs2)))


_register("add", "0000000", "000", ops.ADD)
_register("sub", "0100000", "000", ops.SUB, (Alias("neg", {"rs1": 0}, "{rd}, {rs2}"),))
_register("sll", "0000000", "001", ops.SHL)
_register("xor", "0000000", "100", ops.XOR)
_register("srl", "0000000", "101", ops.SHR)
_register("sra", "0100000", "101", ops.SAR)
_register("or", "0000000", "110", ops.OR)
_register("and", "0000000", "111", ops.AND)


@isa.insn(
    "slt",
    "0000000 rs2 rs1 010 rd 0110011",
    "{rd}, {rs1}, {rs2}",
    aliases=(Alias("sltz", {"rs2": 0}, "{rd}, {rs1}"), Alias("sgtz", {"rs1": 0}, "{rd}, {rs2}")),
)
def slt(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
    b.set(rd, b.bit(b.lts(b.get(rs1), b.get(rs2))))


@isa.insn(
    "sltu",
    "0000000 rs2 rs1 011 rd 0110011",
    "{rd}, {rs1}, {rs2}",
    aliases=(Alias("snez", {"rs1": 0}, "{rd}, {rs2}"),),
)
def sltu(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
    b.set(rd, b.bit(b.ltu(b.get(rs1), b.get(rs2))))


@isa.insn(
    "fence",
    "uimm[3:0] pred succ rs1 000 rd 0001111",
    "{pred}, {succ}",
    aliases=(
        Alias("fence.tso", {"uimm": 8, "pred": 3, "succ": 3}, ""),
        Alias("pause", {"uimm": 0, "pred": 1, "succ": 0, "rs1": 0, "rd": 0}, ""),
        Alias("fence", {"pred": 15, "succ": 15}, ""),
    ),
)
def fence(b: Semantics, rd: Register, rs1: Register, uimm: Value, pred: Value, succ: Value) -> None:
    """One hart and one host thread: memory is in program order already."""


@isa.insn("ecall", "000000000000 00000 000 00000 1110011", interpreted=True)
def ecall(b: Semantics) -> None:
    b.trap_if(b.ne(b.get(MODE), 0), ECALL_FROM_M, 0)
    b.trap(ECALL_FROM_U, 0)


@isa.insn("ebreak", "000000000001 00000 000 00000 1110011")
def ebreak(b: Semantics) -> None:
    b.trap(BREAKPOINT, b.pc)
