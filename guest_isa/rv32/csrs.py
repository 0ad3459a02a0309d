"""The control and status registers of RV32 with M- and U-mode (volume II, chapters 2 and 3; Zicntr for the counters).

What is not named here is illegal. Of what the manual lets an implementation choose: there is no entry of physical
memory protection, so its registers are zero and user mode may use all memory (3.7.1); the performance monitor counts no
events (3.1.10); the counters cannot be stopped (3.1.12).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynarec.ir.semantics import Semantics, Value
from dynarec.ir.state import Field
from guest_isa.rv32.operands import (
    COUNTERS_OFF,
    CYCLE_OFFSET,
    INSTRET_OFFSET,
    MCAUSE,
    MEPC,
    MIE,
    MSCRATCH,
    MSTATUS,
    MTVAL,
    MTVEC,
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
MISA = RV32 | sum(1 << ord(letter) - ord("A") for letter in "ABCIMU")
VECTOR_MODE = 1
"""mtvec: interrupts go to the base and four times their number; other modes are reserved (3.1.7)."""
COUNTERS_MASK = 7
"""mcounteren: cycle, time and instret (3.1.11)."""
LOW, HIGH = 0, 32
HALF = 0x80
"""From the number of a counter to that of its high half."""
EVENTS = range(3, 32)
"""Numbers of the counters of the performance monitor."""
PMP_ENTRIES = 16
ALL_ONES = 0xFFFF_FFFF
READ_ONLY = 3
"""Bits 11 and 10 of the number of a register that cannot be written (2.1)."""

Reader = Callable[[Semantics], Value]
Writer = Callable[[Semantics, Value], None]


class Csr(NamedTuple):
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


class _Total:
    """A counter that can be set: the machine's own, and an offset."""

    def __init__(self, counter: str, offset: tuple[Field, Field]) -> None:
        self.counter = counter
        self.offset = offset

    def low(self, b: Semantics) -> Value:
        return b.add(b.call(self.counter, LOW), b.get(self.offset[0]))

    def high(self, b: Semantics) -> Value:
        carry = b.bit(b.ltu(self.low(b), b.get(self.offset[0])))
        return b.add(b.add(b.call(self.counter, HIGH), b.get(self.offset[1])), carry)

    def set_low(self, b: Semantics, value: Value) -> None:
        self._set(b, value, self.high(b))

    def set_high(self, b: Semantics, value: Value) -> None:
        self._set(b, self.low(b), value)

    def _set(self, b: Semantics, low: Value, high: Value) -> None:
        """The next instruction reads what was written; the machine's counter n is n + 1 then, and -(n + 1) is ~n."""
        offset = b.add(low, b.xor(b.call(self.counter, LOW), ALL_ONES))
        carry = b.bit(b.ltu(offset, low))
        b.set(self.offset[1], b.add(b.add(high, b.xor(b.call(self.counter, HIGH), ALL_ONES)), carry))
        b.set(self.offset[0], offset)


def _counter(number: int, machine_number: int, name: str, offset: tuple[Field, Field]) -> None:
    """For machine mode, which may write it, and for user mode, which may not."""
    total = _Total(name, offset)
    bit = number & COUNTERS_MASK
    CSRS[number] = Csr(name, total.low, None, bit)
    CSRS[number + HALF] = Csr(f"{name}h", total.high, None, bit)
    CSRS[machine_number] = Csr(f"m{name}", total.low, total.set_low)
    CSRS[machine_number + HALF] = Csr(f"m{name}h", total.high, total.set_high)


def _write_status(b: Semantics, value: Value) -> None:
    """MPP holds the modes that there are: anything but M is U."""
    machine = b.eq(b.and_(value, STATUS_MPP), STATUS_MPP)
    rest = b.and_(value, STATUS_MIE | STATUS_MPIE | STATUS_MPRV)
    b.set(MSTATUS, b.or_(rest, b.select(machine, STATUS_MPP, 0)))


def _read_allowed(b: Semantics) -> Value:
    return b.xor(b.get(COUNTERS_OFF), COUNTERS_MASK)


def _write_allowed(b: Semantics, value: Value) -> None:
    b.set(COUNTERS_OFF, b.and_(b.xor(value, COUNTERS_MASK), COUNTERS_MASK))


_counter(0xC00, 0xB00, "cycle", CYCLE_OFFSET)
_counter(0xC02, 0xB02, "instret", INSTRET_OFFSET)
CSRS[0xC01] = Csr("time", lambda b: b.call("time", LOW), counter=1)
CSRS[0xC81] = Csr("timeh", lambda b: b.call("time", HIGH), counter=1)
for _number in EVENTS:
    _constant(0xB00 + _number, f"mhpmcounter{_number}")
    _constant(0xB80 + _number, f"mhpmcounter{_number}h")
    _constant(0x320 + _number, f"mhpmevent{_number}")
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
for _number in range(PMP_ENTRIES // 4):
    _constant(0x3A0 + _number, f"pmpcfg{_number}")
for _number in range(PMP_ENTRIES):
    _constant(0x3B0 + _number, f"pmpaddr{_number}")
