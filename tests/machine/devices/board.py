"""The devices of machine virt, as a guest and as their surroundings reach them."""

from __future__ import annotations

import io

from dynarec.engine import Machine

CLINT, PLIC, UART, FINISHER = 0x0200_0000, 0x0C00_0000, 0x1000_0000, 0x0010_0000
WORD = 4


class Board:
    """sent: what has come out of the serial port."""

    def __init__(self, machine: Machine, sent: io.BytesIO) -> None:
        self.machine = machine
        self.core = machine._core
        self.sent = sent
        self.core.set_clock(10_000_000, 1)  # a tick is an instruction

    def read(self, address: int, width: int = WORD) -> int:
        value = self.core.read_device(address, width)
        assert value is not None
        return value

    def write(self, address: int, value: int, width: int = WORD) -> None:
        assert self.core.write_device(address, width, value)

    def look(self) -> None:
        """As the run loop does before an instruction."""
        self.machine.run(0)

    @property
    def lines(self) -> int:
        """The interrupt lines, with everything that has happened."""
        self.look()
        return self.core.lines
