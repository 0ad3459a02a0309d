"""What arm64 registers are used for in generated code (native/arm64/enter.S has the same homes in the same order).

x18 belongs to the platform, x29 stays the frame pointer, x30 is where `blr` to the exit stub leaves the address.
"""

from __future__ import annotations

STATE = 28
"""Points at `dr_cpu.state`."""
WINDOW = 27
"""Host address of guest address 0."""
BUDGET = 26
POINTER = 25
"""Host address of the guest address that several accesses of a unit count from; nothing between units."""
HOMES = (*range(16), *range(19, 25))
SCRATCH = (16, 17, 30)
NAMES = tuple(f"w{number}" for number in (*HOMES, *SCRATCH))
"""Of homes and scratch registers, as 32-bit operands."""
VECTOR = 0
"""The vector register in which bits are counted; nothing between ops."""
CALL = 16
"""Holds the exit stub's address when it is called."""
CONTEXT = 17
"""Holds what that address was signed for: where it is kept."""
