"""The device that ends a machine: "sifive,test0" of QEMU's boards, and the syscon of mini-rv32ima, which is like it."""

from __future__ import annotations

from dynarec.machine.base import Exited

PASS, FAIL, RESET = 0x5555, 0x3333, 0x7777
"""What is stored to end the run. A reset ends it too: nothing starts the machine again."""
CODE_SHIFT = 16
"""Where a failure's code is."""
STATUS_MASK = 0xFF
FAILED = 1
"""Status of a failure with code 0."""


class Finisher:
    """One register; storing to it ends the run."""

    def read(self, offset: int, width: int) -> int:
        return 0

    def write(self, offset: int, width: int, value: int) -> Exited | None:
        command = value & 0xFFFF
        if offset or command not in (PASS, FAIL, RESET):
            return None
        return Exited(value >> CODE_SHIFT & STATUS_MASK or FAILED) if command == FAIL else Exited(0)
