"""What x86-64 registers are used for in generated code (native/x86_64/enter.S has the same homes in the same order)."""

from __future__ import annotations

from dynarec.host.x86_64.forms import Reg

STATE = Reg.RBP
"""Points at `dr_cpu.state`."""
HOMES = (Reg.RBX, Reg.RSI, Reg.RDI, Reg.R8, Reg.R9, Reg.R10, Reg.R11, Reg.R12, Reg.R13, Reg.R14, Reg.R15)
SCRATCH = (Reg.RAX, Reg.RCX, Reg.RDX)
NAMES = ("ebx", "esi", "edi", *(f"r{number}d" for number in range(8, 16)), "eax", "ecx", "edx")
"""Of homes and scratch registers, as 32-bit operands."""
