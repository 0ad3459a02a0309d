"""Zicsr and the user-level counters of Zicntr (volume I, chapters 6 and 7).

An unprivileged program sees the read-only counters and nothing else; writing them, or naming another register, is
illegal.
"""

from __future__ import annotations

from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.isa import Alias, OperandKind
from guest_isa.rv32.operands import ILLEGAL, isa

isa.extension("Zicsr")

LOW, HIGH = 0, 32
COUNTERS = {
    0xC00: ("cycle", "cycle", LOW),
    0xC01: ("time", "time", LOW),
    0xC02: ("instret", "instret", LOW),
    0xC80: ("cycleh", "cycle", HIGH),
    0xC81: ("timeh", "time", HIGH),
    0xC82: ("instreth", "instret", HIGH),
}
"""CSR number: its name, the machine's counter, the shift of the half it shows."""


def _name(number: int, pc: int) -> str:
    return COUNTERS[number][0] if number in COUNTERS else hex(number)


isa.operand(OperandKind("csr", 12, text=_name, choices=tuple(COUNTERS)))
isa.operand(OperandKind("zimm", 5))


def _read_only(aliases: tuple[str, ...]) -> tuple[Alias, ...]:
    numbers = {COUNTERS[number][0]: number for number in COUNTERS}
    return tuple(Alias(f"rd{name}", {"csr": numbers[name]}, "{rd}") for name in aliases)


def _declare_read(name: str, funct3: str, zero: str, aliases: tuple[Alias, ...] = ()) -> None:
    """Set or clear no bits: a read alone (6.1)."""

    pattern, syntax = f"csr 00000 {funct3} rd 1110011", f"{{rd}}, {{csr}}, {zero}"

    @isa.insn(name, pattern, syntax, interpreted=True, aliases=aliases)
    def read(b: Semantics, rd: Register, csr: int) -> None:
        if csr in COUNTERS:
            _, counter, shift = COUNTERS[csr]
            b.set(rd, b.call(counter, shift))
        else:
            b.trap(ILLEGAL, 0)


_ALIASES = (*_read_only(tuple(name for name, _, _ in COUNTERS.values())), Alias("csrr", {}, "{rd}, {csr}"))
_declare_read("csrrs", "010", "zero", _ALIASES)
_declare_read("csrrc", "011", "zero")
_declare_read("csrrsi", "110", "0")
_declare_read("csrrci", "111", "0")


def _declare_write(name: str, funct3: str, source: str, syntax: str, unless: dict[str, tuple[int, ...]]) -> None:
    """No register here can be written."""
    pattern = f"csr {source} {funct3} rd 1110011"
    if source == "rs1":

        @isa.insn(name, pattern, syntax, interpreted=True, unless=unless)
        def from_register(b: Semantics, rd: Register, csr: Value, rs1: Register) -> None:
            b.trap(ILLEGAL, 0)
    else:

        @isa.insn(name, pattern, syntax, interpreted=True, unless=unless)
        def from_immediate(b: Semantics, rd: Register, csr: Value, zimm: Value) -> None:
            b.trap(ILLEGAL, 0)


_declare_write("csrrw", "001", "rs1", "{rd}, {csr}, {rs1}", {})
_declare_write("csrrs", "010", "rs1", "{rd}, {csr}, {rs1}", {"rs1": (0,)})
_declare_write("csrrc", "011", "rs1", "{rd}, {csr}, {rs1}", {"rs1": (0,)})
_declare_write("csrrwi", "101", "zimm", "{rd}, {csr}, {zimm}", {})
_declare_write("csrrsi", "110", "zimm", "{rd}, {csr}, {zimm}", {"zimm": (0,)})
_declare_write("csrrci", "111", "zimm", "{rd}, {csr}, {zimm}", {"zimm": (0,)})
