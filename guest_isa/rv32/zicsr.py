"""Zicsr: reading and writing the control and status registers (volume I, chapter 6)."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.isa import Alias, OperandKind
from guest_isa.rv32.csrs import CSRS, MODE_MACHINE, MODE_USER, Csr, is_read_only, needs_machine_mode
from guest_isa.rv32.operands import COUNTERS_OFF, ILLEGAL, MODE, isa

isa.extension("Zicsr")

ALL_ONES = 0xFFFF_FFFF


def _name(number: int, pc: int) -> str:
    return CSRS[number].name if number in CSRS else hex(number)


isa.operand(OperandKind("csr", 12, text=_name, choices=tuple(CSRS)))
isa.operand(OperandKind("zimm", 5))


def _check_mode(b: Semantics, number: int) -> None:
    """An illegal instruction if the mode may not name the register."""
    counter = CSRS[number].counter
    if needs_machine_mode(number):
        b.trap_if(b.ne(b.get(MODE), MODE_MACHINE), ILLEGAL, b.encoding)
    elif counter is not None:
        off = b.and_(b.shr(b.get(COUNTERS_OFF), counter), 1)
        user = b.bit(b.eq(b.get(MODE), MODE_USER))
        b.trap_if(b.ne(b.and_(off, user), 0), ILLEGAL, b.encoding)


def _change(b: Semantics, rd: Register, number: int, source: Callable[[], Value], operation: str) -> None:
    """The old value to rd; in the register, the source or the old value with the source's bits set or cleared."""
    csr: Csr | None = CSRS.get(number)
    if csr is None or is_read_only(number):
        b.trap(ILLEGAL, b.encoding)
        return
    _check_mode(b, number)
    old = csr.read(b)
    new = source() if csr.write is not None else 0
    b.set(rd, old)
    if csr.write is not None:
        csr.write(b, _combined(b, old, new, operation))


def _combined(b: Semantics, old: Value, new: Value, operation: str) -> Value:
    if operation == "write":
        return new
    return b.or_(old, new) if operation == "set" else b.and_(old, b.xor(new, ALL_ONES))


def _declare_read(name: str, funct3: str, zero: str, aliases: tuple[Alias, ...] = ()) -> None:
    """Set or clear no bits: a read alone (6.1)."""

    pattern, syntax = f"csr 00000 {funct3} rd 1110011", f"{{rd}}, {{csr}}, {zero}"

    @isa.insn(name, pattern, syntax, interpreted=True, aliases=aliases)
    def read(b: Semantics, rd: Register, csr: int) -> None:
        if csr in CSRS:
            _check_mode(b, csr)
            b.set(rd, CSRS[csr].read(b))
        else:
            b.trap(ILLEGAL, b.encoding)


_COUNTERS = tuple(Alias(f"rd{csr.name}", {"csr": n}, "{rd}") for n, csr in CSRS.items() if csr.counter is not None)
_declare_read("csrrs", "010", "zero", (*_COUNTERS, Alias("csrr", {}, "{rd}, {csr}")))
_declare_read("csrrc", "011", "zero")
_declare_read("csrrsi", "110", "0")
_declare_read("csrrci", "111", "0")


def _declare_write(name: str, funct3: str, source: str, operation: str) -> None:
    """From a register or an immediate; `set` and `clear` of nothing are reads."""
    pattern, syntax = f"csr {source} {funct3} rd 1110011", f"{{rd}}, {{csr}}, {{{source}}}"
    unless = {} if operation == "write" else {source: (0,)}
    aliases = (Alias(name.replace("csrr", "csr"), {"rd": 0}, f"{{csr}}, {{{source}}}"),)
    if source == "rs1":

        @isa.insn(name, pattern, syntax, interpreted=True, unless=unless, aliases=aliases)
        def from_register(b: Semantics, rd: Register, csr: int, rs1: Register) -> None:
            _change(b, rd, csr, lambda: b.get(rs1), operation)
    else:

        @isa.insn(name, pattern, syntax, interpreted=True, unless=unless, aliases=aliases)
        def from_immediate(b: Semantics, rd: Register, csr: int, zimm: Value) -> None:
            _change(b, rd, csr, lambda: zimm, operation)


for _suffix, _bit, _source in (("", "0", "rs1"), ("i", "1", "zimm")):
    _declare_write(f"csrrw{_suffix}", f"{_bit}01", _source, "write")
    _declare_write(f"csrrs{_suffix}", f"{_bit}10", _source, "set")
    _declare_write(f"csrrc{_suffix}", f"{_bit}11", _source, "clear")
