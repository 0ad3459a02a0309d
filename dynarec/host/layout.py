"""Where generated code finds things: byte offsets from the register that points at `dr_cpu.state` (native/abi.h)."""

from __future__ import annotations

WORD = 4
WINDOW = -32
EXIT_PC = -24
EXIT = -16
PC = -8
BUDGET = -4
STATE = 0
SPILL = 192
SPILL_WORDS = 15
SINK_WORD = 63
JUMPS = 256
JUMP_SLOTS = 32768
JUMP_SLOT_SIZE = 16
JUMP_SCALE = 8
"""What the low half of a target is multiplied by."""
JUMP_ENTRY = 8
"""Offset of the host address in a jump slot, behind the key."""
COUNTERS = JUMPS + JUMP_SLOTS * JUMP_SLOT_SIZE
COUNTER_COUNT = 1 << 17
COUNTER_SIZE = 8
MAX_HOMES = 32
HOMES = -128
MAX_REFUND = 127
"""Guest instructions that a link can give back."""
CPU_SIZE = 128 + COUNTERS + COUNTER_COUNT * COUNTER_SIZE
"""Bytes of `struct dr_cpu`; the state array starts 128 bytes in."""
