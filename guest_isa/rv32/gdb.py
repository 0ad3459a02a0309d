"""RV32 as GDB and LLDB know it (GDB manual, "RISC-V Features"; numbers as in GDB's riscv-tdep.h)."""

from __future__ import annotations

from dynarec.ir.state import Field
from guest_isa.profile import GdbFeature, GdbRegister, GdbTarget
from guest_isa.rv32.operands import ABI_NAMES, MCAUSE, MEPC, MIE, MODE, MSCRATCH, MSTATUS, MTVAL, MTVEC

PC, FIRST_CSR, PRIVILEGE = 32, 65, 4161
DWARF_CSR = 4096
"""Number of the first control and status register in debugging information (RISC-V ELF psABI)."""
KINDS = {"ra": "code_ptr", "sp": "data_ptr", "gp": "data_ptr", "tp": "data_ptr", "s0": "data_ptr"}
ROLES = {"ra": "ra", "sp": "sp", "s0": "fp", **{f"a{n}": f"arg{n + 1}" for n in range(8)}}


def _whole(number: int, name: str) -> GdbRegister:
    state = f"x{number}" if number else None
    return GdbRegister(name, state, number, f"x{number}", number, KINDS.get(name, "int"), ROLES.get(name, ""))


def _csr(number: int, field: Field) -> GdbRegister:
    return GdbRegister(field.name, field.name, FIRST_CSR + number, dwarf=DWARF_CSR + number)


_CPU = (
    *(_whole(number, name) for number, name in enumerate(ABI_NAMES)),
    GdbRegister("pc", "pc", PC, kind="code_ptr", role="pc"),
)
_CSRS = tuple(
    _csr(number, field)
    for number, field in (
        *((0x300, MSTATUS), (0x304, MIE), (0x305, MTVEC)),
        *((0x340, MSCRATCH), (0x341, MEPC), (0x342, MCAUSE), (0x343, MTVAL)),
    )
)

TARGET = GdbTarget(
    architecture="riscv:rv32",
    triple="riscv32-unknown-unknown-elf",
    features=(
        GdbFeature("org.gnu.gdb.riscv.cpu", _CPU),
        GdbFeature("org.gnu.gdb.riscv.csr", _CSRS),
        GdbFeature("org.gnu.gdb.riscv.virtual", (GdbRegister("priv", MODE.name, PRIVILEGE),)),
    ),
)
