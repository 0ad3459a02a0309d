"""RV32IMACB_Zicsr_Zifencei, little-endian, with machine and user mode."""

from __future__ import annotations

from guest_isa.guest import AccessCauses, Cause, Guest, TrapKind
from guest_isa.profile import Abi, DwarfRegisters, SemihostingMarker
from guest_isa.rv32 import a, base, c, gdb, m, operands, privileged, zba, zbb, zbs, zicsr, zifencei
from guest_isa.rv32.operands import LAYOUT, isa

_EXTENSIONS = (base, m, a, c, zicsr, zifencei, zba, zbb, zbs, privileged)
ELF_MACHINE = 243

_BY_USE = (
    *("a0", "a1", "a2", "a3", "a4", "a5", "sp", "s0", "s1", "a6", "a7"),
    *("ra", "t1", "t3", "t4", "t0", "t2", "s2", "s3", "s4", "s5", "t5", "t6", "s6", "s7", "s8"),
)
"""Registers in the order of their use in code compiled by GCC at -O2."""

_CAUSES = {
    operands.FETCH_MISALIGNED: Cause(TrapKind.MISALIGNED, "instruction address misaligned"),
    operands.FETCH_ACCESS: Cause(TrapKind.ACCESS, "instruction access fault"),
    operands.ILLEGAL: Cause(TrapKind.ILLEGAL, "illegal instruction"),
    operands.BREAKPOINT: Cause(TrapKind.BREAKPOINT, "breakpoint"),
    operands.LOAD_MISALIGNED: Cause(TrapKind.MISALIGNED, "load address misaligned"),
    operands.LOAD_ACCESS: Cause(TrapKind.ACCESS, "load access fault"),
    operands.STORE_MISALIGNED: Cause(TrapKind.MISALIGNED, "store/AMO address misaligned"),
    operands.STORE_ACCESS: Cause(TrapKind.ACCESS, "store/AMO access fault"),
    operands.ECALL_FROM_U: Cause(TrapKind.SYSCALL, "environment call"),
    operands.ECALL_FROM_M: Cause(TrapKind.SYSCALL, "environment call from machine mode"),
}

GUEST = Guest(
    name="rv32",
    title="RISC-V RV32IMACB_Zicsr_Zifencei",
    isa=isa,
    layout=LAYOUT,
    homes=tuple(LAYOUT[name] for name in _BY_USE),
    causes=_CAUSES,
    access_causes=AccessCauses(operands.FETCH_ACCESS, operands.LOAD_ACCESS, operands.STORE_ACCESS),
    illegal=operands.ILLEGAL,
    abi=Abi(
        number="a7",
        args=("a0", "a1", "a2", "a3", "a4", "a5"),
        result="a0",
        stack="sp",
        # slli zero, zero, 0x1f; ebreak; srai zero, zero, 7 (RISC-V semihosting specification, 2.1)
        semihosting=SemihostingMarker(
            before=(0x01F01013).to_bytes(4, "little"),
            trap=(0x00100073).to_bytes(4, "little"),
            after=(0x40705013).to_bytes(4, "little"),
            operation="a0",
            parameter="a1",
        ),
    ),
    elf_machine=ELF_MACHINE,
    # RISC-V ELF psABI, "DWARF Register Numbers"; the frame pointer is s0.
    dwarf=DwarfRegisters(
        names=(None, *(f"x{number}" for number in range(1, 32))),
        return_address=1,
        stack=2,
        frame=8,
        saved_return=-4,
        saved_frame=-8,
    ),
    gdb=gdb.TARGET,
    privileged=privileged.PRIVILEGED,
    machines=("console", "user", "virt"),
)
