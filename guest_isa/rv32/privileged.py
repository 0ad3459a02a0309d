"""Machine mode: traps, interrupts, mret, wfi (volume II, chapter 3)."""

from __future__ import annotations

from dynarec.ir.semantics import Semantics, Value
from guest_isa.privileged import Boards, Privileged
from guest_isa.rv32.csrs import (
    EXTERNAL_LINE,
    MODE_MACHINE,
    MPIE_TO_MIE,
    MPP_SHIFT,
    SOFTWARE_LINE,
    STATUS_MIE,
    STATUS_MPIE,
    STATUS_MPP,
    STATUS_MPRV,
    TIMER_LINE,
    VECTOR_MODE,
)
from guest_isa.rv32.operands import COUNTERS_OFF, ILLEGAL, MCAUSE, MEPC, MIE, MODE, MSTATUS, MTVAL, MTVEC, isa

isa.extension("machine mode")

INTERRUPT = 1 << 31
"""In mcause: not a trap."""
SOFTWARE, TIMER, EXTERNAL = 3, 7, 11
ALL_ONES = 0xFFFF_FFFF


def _only_machine(b: Semantics) -> None:
    b.trap_if(b.ne(b.get(MODE), MODE_MACHINE), ILLEGAL, b.encoding)


@isa.insn("mret", "0011000 00010 00000 000 00000 1110011", interpreted=True)
def mret(b: Semantics) -> None:
    _only_machine(b)
    status, target = b.get(MSTATUS), b.get(MEPC)
    mode = b.shr(b.and_(status, STATUS_MPP), MPP_SHIFT)
    enable = b.and_(b.shr(status, MPIE_TO_MIE), STATUS_MIE)
    modify = b.select(b.eq(mode, MODE_MACHINE), b.and_(status, STATUS_MPRV), 0)
    b.set(MODE, mode)
    b.set(MSTATUS, b.or_(b.or_(enable, modify), STATUS_MPIE))
    b.jump(target)


@isa.insn("wfi", "0001000 00101 00000 000 00000 1110011", interpreted=True)
def wfi(b: Semantics) -> None:
    """Not for U-mode, which the manual leaves open (3.3.3)."""
    _only_machine(b)
    b.wait()


def take_trap(b: Semantics, cause: Value, value: Value) -> None:
    """Enter the handler (3.1.6, 3.1.7)."""
    status, mode, vector = b.get(MSTATUS), b.get(MODE), b.get(MTVEC)
    before = b.shl(b.and_(status, STATUS_MIE), MPIE_TO_MIE)
    kept = b.and_(status, STATUS_MPRV)
    vectored = b.and_(b.sar(cause, 31), b.sub(0, b.and_(vector, VECTOR_MODE)))
    entry = b.add(b.and_(vector, ALL_ONES - 3), b.and_(b.shl(cause, 2), vectored))
    b.set(MSTATUS, b.or_(b.or_(kept, before), b.shl(mode, MPP_SHIFT)))
    b.set(MEPC, b.pc)
    b.set(MCAUSE, cause)
    b.set(MTVAL, value)
    b.set(MODE, MODE_MACHINE)
    b.jump(entry)


def pending(b: Semantics) -> tuple[Value, Value]:
    """The interrupt to take; external comes before software before timer (3.1.9)."""
    enabled = b.or_(b.and_(b.get(MSTATUS), STATUS_MIE), b.bit(b.ne(b.get(MODE), MODE_MACHINE)))
    lines = b.select(b.ne(enabled, 0), wakes(b), 0)
    software = b.select(b.ne(b.and_(lines, SOFTWARE_LINE), 0), SOFTWARE, TIMER)
    number = b.select(b.ne(b.and_(lines, EXTERNAL_LINE), 0), EXTERNAL, software)
    return lines, b.or_(number, INTERRUPT)


def wakes(b: Semantics) -> Value:
    """Lines that are enabled one by one, whether or not interrupts are enabled as a whole (3.3.3)."""
    return b.and_(b.get(MIE), b.call("lines", 0))


PRIVILEGED = Privileged(
    take_trap,
    pending,
    wakes,
    reset={MODE.name: MODE_MACHINE, COUNTERS_OFF.name: 7},
    software=SOFTWARE_LINE,
    timer=TIMER_LINE,
    external=EXTERNAL_LINE,
    marker=rb"[\x73\xf3].[\x50-\x5f]\x30",  # csrw mtvec
    hart="a0",
    tree="a1",
    boards=Boards(
        cpu={
            "compatible": "riscv",
            "mmu-type": "riscv,none",
            "riscv,isa": "rv32imacb_zicntr_zicsr_zifencei_zba_zbb_zbs",
            "riscv,isa-base": "rv32i",
            "riscv,isa-extensions": ("i", "m", "a", "c", "b", "zicntr", "zicsr", "zifencei", "zba", "zbb", "zbs"),
        },  # both bindings: newer kernels prefer the second
        controller="riscv,cpu-intc",
        timer=("sifive,clint0", "riscv,clint0"),
        interrupts=("sifive,plic-1.0.0", "riscv,plic0"),
    ),
)
