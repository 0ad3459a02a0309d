"""The control and status registers of RV32 with M- and U-mode (volume II, chapters 2 and 3; Zicntr for the counters).

What is not named here is illegal. A few things are simpler than the manual allows hardware to be: physical memory
protection can be written and read back and protects nothing; the counters cannot be written; the registers of the
performance monitor are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynarec.ir.semantics import Semantics, Value
from dynarec.ir.state import Field
from guest_isa.rv32.operands import (
    COUNTERS_OFF,
    MCAUSE,
    MEPC,
    MIE,
    MSCRATCH,
    MSTATUS,
    MTVAL,
    MTVEC,
    PMPADDR,
    PMPCFG,
)

MODE_USER, MODE_MACHINE = 0, 3

# mstatus (volume II, 3.1.6)
STATUS_MIE, STATUS_MPIE, STATUS_MPP, STATUS_MPRV = 1 << 3, 1 << 7, 3 << 11, 1 << 17
MPP_SHIFT = 11
MPIE_TO_MIE = 4
"""How far MPIE stands above MIE."""

# mip and mie (3.1.9)
SOFTWARE_LINE, TIMER_LINE, EXTERNAL_LINE = 1 << 3, 1 << 7, 1 << 11
LINES = SOFTWARE_LINE | TIMER_LINE | EXTERNAL_LINE

RV32 = 1 << 30
MISA = RV32 | sum(1 << ord(letter) - ord("A") for letter in "ACIMU")
VECTOR_MODE = 1
"""mtvec: interrupts go to the base and four times their number; other modes are reserved (3.1.7)."""
COUNTERS_MASK = 7
"""mcounteren: cycle, time and instret (3.1.11)."""
LOW, HIGH = 0, 32
PMP_ENTRIES, PMP_STORED = 16, len(PMPADDR)
READ_ONLY = 3
"""Bits 11 and 10 of the number of a register that cannot be written (2.1)."""

Reader = Callable[[Semantics], Value]
Writer = Callable[[Semantics, Value], None]


@dataclass(frozen=True, slots=True)
class Csr:
    """A register: how it is read, and what a write does; without `write`, writes change nothing.

    counter: its bit of mcounteren, for the counters that M-mode gives to U-mode.
    """

    name: str
    read: Reader
    write: Writer | None = None
    counter: int | None = None


CSRS: dict[int, Csr] = {}
"""By number."""


def is_read_only(number: int) -> bool:
    """Whether every write is illegal."""
    return number >> 10 == READ_ONLY


def needs_machine_mode(number: int) -> bool:
    """Whether U-mode may not name it."""
    return bool(number >> 8 & 3)


def _constant(number: int, name: str, value: int = 0) -> None:
    CSRS[number] = Csr(name, lambda b: value)


def _stored(number: int, name: str, field: Field, mask: int = 0xFFFF_FFFF) -> None:
    """A word of state of which the bits of `mask` can be written."""

    def write(b: Semantics, value: Value) -> None:
        b.set(field, b.and_(value, mask))

    CSRS[number] = Csr(name, lambda b: b.get(field), write)


def _counter(number: int, name: str, counter: str, shift: int, bit: int | None = None) -> None:
    CSRS[number] = Csr(name, lambda b: b.call(counter, shift), None, bit)


def _write_status(b: Semantics, value: Value) -> None:
    """MPP holds the modes that there are: anything but M is U."""
    machine = b.eq(b.and_(value, STATUS_MPP), STATUS_MPP)
    rest = b.and_(value, STATUS_MIE | STATUS_MPIE | STATUS_MPRV)
    b.set(MSTATUS, b.or_(rest, b.select(machine, STATUS_MPP, 0)))


def _read_allowed(b: Semantics) -> Value:
    return b.xor(b.get(COUNTERS_OFF), COUNTERS_MASK)


def _write_allowed(b: Semantics, value: Value) -> None:
    b.set(COUNTERS_OFF, b.and_(b.xor(value, COUNTERS_MASK), COUNTERS_MASK))


for _bit, _name in enumerate(("cycle", "time", "instret")):
    _counter(0xC00 + _bit, _name, _name, LOW, _bit)
    _counter(0xC80 + _bit, f"{_name}h", _name, HIGH, _bit)
for _number, _name in ((0xB00, "cycle"), (0xB02, "instret")):
    _counter(_number, f"m{_name}", _name, LOW)
    _counter(_number + 0x80, f"m{_name}h", _name, HIGH)
for _number, _name in enumerate(("mvendorid", "marchid", "mimpid", "mhartid", "mconfigptr"), 0xF11):
    _constant(_number, _name)
CSRS[0x300] = Csr("mstatus", lambda b: b.get(MSTATUS), _write_status)
_constant(0x301, "misa", MISA)
_stored(0x304, "mie", MIE, LINES)
_stored(0x305, "mtvec", MTVEC, 0xFFFF_FFFC | VECTOR_MODE)
CSRS[0x306] = Csr("mcounteren", _read_allowed, _write_allowed)
_constant(0x30A, "menvcfg")
_constant(0x310, "mstatush")
_constant(0x31A, "menvcfgh")
_constant(0x320, "mcountinhibit")
_stored(0x340, "mscratch", MSCRATCH)
_stored(0x341, "mepc", MEPC, 0xFFFF_FFFE)
_stored(0x342, "mcause", MCAUSE)
_stored(0x343, "mtval", MTVAL)
CSRS[0x344] = Csr("mip", lambda b: b.call("lines", LOW))
_stored(0x3A0, "pmpcfg0", PMPCFG)
for _number in range(1, PMP_ENTRIES // 4):
    _constant(0x3A0 + _number, f"pmpcfg{_number}")
for _number, _field in enumerate(PMPADDR):
    _stored(0x3B0 + _number, f"pmpaddr{_number}", _field)
for _number in range(PMP_STORED, PMP_ENTRIES):
    _constant(0x3B0 + _number, f"pmpaddr{_number}")
