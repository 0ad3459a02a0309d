"""Registers, trap causes and operand kinds of RV32 (RISC-V ISA manual, volume I, chapters 2 and 27)."""

from __future__ import annotations

from dynarec.ir.state import Field, StateLayout
from guest_isa.isa import Isa, OperandKind, StateIndex

ABI_NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{n}" for n in range(8)),
    *(f"s{n}" for n in range(2, 12)),
    *(f"t{n}" for n in range(3, 7)),
)
X = tuple(Field(f"x{n}", n) for n in range(1, 32))
RESERVED = Field("reserved", 32)
"""Address of the LR reservation; `NO_RESERVATION` when there is none (reservations are aligned words)."""
NO_RESERVATION = 0xFFFF_FFFF

# State of the machine mode (volume II, chapter 3). All zero is a user program with every counter at its disposal.
MSTATUS, MIE, MTVEC, MSCRATCH = (Field(name, 33 + n) for n, name in enumerate(("mstatus", "mie", "mtvec", "mscratch")))
MEPC, MCAUSE, MTVAL = (Field(name, 37 + n) for n, name in enumerate(("mepc", "mcause", "mtval")))
MODE = Field("mode", 40)
COUNTERS_OFF = Field("counters_off", 41)
"""mcounteren, inverted."""
CYCLE_OFFSET, INSTRET_OFFSET = (
    (Field(f"{name}_offset", number), Field(f"{name}h_offset", number + 1))
    for number, name in ((42, "cycle"), (44, "instret"))
)
"""What mcycle and minstret are beyond the instructions of the machine: low and high half."""
MACHINE_STATE = (
    *(MSTATUS, MIE, MTVEC, MSCRATCH, MEPC, MCAUSE, MTVAL, MODE, COUNTERS_OFF),
    *(*CYCLE_OFFSET, *INSTRET_OFFSET),
)

LAYOUT = StateLayout([*X, RESERVED, *MACHINE_STATE], {**{ABI_NAMES[n]: f"x{n}" for n in range(1, 32)}, "fp": "x8"})

# Causes (volume II, table of mcause values).
FETCH_MISALIGNED, FETCH_ACCESS, ILLEGAL, BREAKPOINT = 0, 1, 2, 3
LOAD_MISALIGNED, LOAD_ACCESS, STORE_MISALIGNED, STORE_ACCESS = 4, 5, 6, 7
ECALL_FROM_U, ECALL_FROM_M = 8, 11

COMPRESSED_BASE = 8
"""The three-bit register numbers of the C extension count from x8."""


# The two low bits tell the length (volume I, 1.5).
isa = Isa("rv32", parcel=2, length="2 + 2 * ((w & 3) == 3)")


def _register(number: int) -> Field | None:
    return X[number - 1] if number else None


def _signed(number: int, pc: int) -> str:
    return str(number - (1 << 32) if number >> 31 else number)


def _target(number: int, pc: int) -> str:
    return hex((pc + number) & 0xFFFF_FFFF)


def _fence_set(number: int, pc: int) -> str:
    return "".join(letter for letter, bit in zip("iorw", (8, 4, 2, 1), strict=True) if number & bit) or "0"


def _declare_register(name: str) -> None:
    isa.operand(
        OperandKind(name, 5, lift=_register, text=lambda n, pc: ABI_NAMES[n], c=lambda n: StateIndex(n, zero=0))
    )
    isa.operand(
        OperandKind(
            f"{name}'",
            3,
            lift=lambda n: _register(n + COMPRESSED_BASE),
            text=lambda n, pc: ABI_NAMES[n + COMPRESSED_BASE],
            c=lambda n: StateIndex(f"{n} + {COMPRESSED_BASE}"),
        )
    )


for _name in ("rd", "rs1", "rs2"):
    _declare_register(_name)
isa.operand(OperandKind("imm", 12, signed=True, text=_signed))
isa.operand(OperandKind("offset", 21, signed=True, text=_target))
isa.operand(OperandKind("uimm", 12))
isa.operand(OperandKind("shamt", 5))
isa.operand(OperandKind("upper", 32, text=lambda n, pc: hex(n >> 12)))
isa.operand(OperandKind("upper6", 18, signed=True, text=lambda n, pc: hex(n >> 12)))
isa.operand(OperandKind("pred", 4, text=_fence_set))
isa.operand(OperandKind("succ", 4, text=_fence_set))
