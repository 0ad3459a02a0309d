"""A guest as another package would bring it: eight registers, instructions of two and four bytes, system calls."""

from __future__ import annotations

from dynarec.ir.semantics import Register, Semantics, Value
from dynarec.ir.state import Field, StateLayout
from guest_isa.guest import AccessCauses, Cause, Guest, TrapKind
from guest_isa.isa import Isa, OperandKind
from guest_isa.profile import Abi
from tests.guest_isa.words import encode

ELF_MACHINE = 0x7079
R = tuple(Field(f"r{number}", number) for number in range(8))
LAYOUT = StateLayout([*R])
FETCH, LOAD, STORE, ILLEGAL, CALL = range(1, 6)

isa = Isa("toy", parcel=2, length="2 + 2 * (w & 1)")
for _name in ("d", "s"):
    isa.operand(OperandKind(_name, 3, lift=lambda number: R[number], text=lambda number, pc: f"r{number}"))
isa.operand(OperandKind("imm", 16, signed=True))
isa.extension("toy")


@isa.insn("add", "d s 0000000010", "{d}, {s}")
def add(b: Semantics, d: Register, s: Register) -> None:
    b.set(d, b.add(b.get(d), b.get(s)))


@isa.insn("mul", "d s 0000000100", "{d}, {s}")
def mul(b: Semantics, d: Register, s: Register) -> None:
    b.set(d, b.mul(b.get(d), b.get(s)))


@isa.insn("load", "d s 0000000110", "{d}, {s}")
def load(b: Semantics, d: Register, s: Register) -> None:
    b.set(d, b.load32(b.get(s)))


@isa.insn("store", "d s 0000001000", "{d}, {s}")
def store(b: Semantics, d: Register, s: Register) -> None:
    b.store32(b.get(s), b.get(d))


@isa.insn("storeb", "d s 0000001010", "{d}, {s}")
def storeb(b: Semantics, d: Register, s: Register) -> None:
    b.store8(b.get(s), b.get(d))


@isa.insn("go", "000 s 0000001100", "{s}")
def go(b: Semantics, s: Register) -> None:
    b.jump(b.and_(b.get(s), 0xFFFF_FFFE))


@isa.insn("call", "0000000000001110")
def call(b: Semantics) -> None:
    b.trap(CALL, 0)


@isa.insn("sync", "0000000000010000")
def sync(b: Semantics) -> None:
    b.sync_code()


@isa.insn("clock", "d 0000000010010", "{d}", interpreted=True)
def clock(b: Semantics, d: Register) -> None:
    b.set(d, b.call("instret", 0))


@isa.insn("set", "imm d 0000000000001", "{d}, {imm}")
def set_(b: Semantics, d: Register, imm: Value) -> None:
    b.set(d, imm)


@isa.insn("addi", "imm d s 0000000011", "{d}, {s}, {imm}")
def addi(b: Semantics, d: Register, s: Register, imm: Value) -> None:
    b.set(d, b.add(b.get(s), imm))


@isa.insn("high", "imm d 0000000000101", "{d}, {imm}")
def high(b: Semantics, d: Register, imm: Value) -> None:
    b.set(d, b.shl(imm, 16))


@isa.insn("ifnot0", "imm d 0000000000111", "{d}, {imm}")
def ifnot0(b: Semantics, d: Register, imm: Value) -> None:
    b.branch(b.ne(b.get(d), 0), b.add(b.pc, imm))


TOY = Guest(
    name="toy",
    title="a toy",
    isa=isa,
    layout=LAYOUT,
    homes=R,
    causes={
        FETCH: Cause(TrapKind.ACCESS, "no code"),
        LOAD: Cause(TrapKind.ACCESS, "no load"),
        STORE: Cause(TrapKind.ACCESS, "no store"),
        ILLEGAL: Cause(TrapKind.ILLEGAL, "no instruction"),
        CALL: Cause(TrapKind.SYSCALL, "call"),
    },
    access_causes=AccessCauses(FETCH, LOAD, STORE),
    illegal=ILLEGAL,
    abi=Abi(number="r6", args=("r0", "r1", "r2", "r3", "r4", "r5"), result="r0", stack="r7"),
    elf_machine=ELF_MACHINE,
    machines=("user",),
)

_SPECS = {spec.name: spec for spec in isa}


def asm(text: str) -> bytes:
    """Instructions, one a line: the name, then operands as in listings."""
    return b"".join(_one(*line.replace(",", "").split()) for line in text.strip().splitlines())


def _one(name: str, *operands: str) -> bytes:
    spec = _SPECS[name]
    names = [word.strip("{},") for word in spec.syntax.split()]
    numbers = {each: int(text.removeprefix("r"), 0) for each, text in zip(names, operands, strict=True)}
    return encode(spec, numbers).to_bytes(spec.length, "little")
