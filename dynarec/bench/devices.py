"""What an access to a device costs: one in C, and one in Python."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path

from dynarec.engine import Machine
from dynarec.machine.base import Device
from dynarec.machine.board import BOARDS
from dynarec.machine.recognise import RAM_START

PROGRAM = "devices.elf"
FUNCTION = "read_bytes"
LINE_STATUS = 5
PYTHON = 0x4000_0000
MEMORY = RAM_START + (1 << 20)
INSTRUCTIONS = 4
"""Of a round of its loop."""
COUNTS = {"memory": 5_000_000, "c": 1_000_000, "python": 100_000}
ROUNDS = 5


class Register(Device):
    """As small as a device can be."""

    def read(self, offset: int, width: int, /) -> int:
        return offset


@dataclass(frozen=True, slots=True)
class DeviceCosts:
    """Nanoseconds of a load, with the loop around it, that of memory taken off: of a register in C, and in Python."""

    c: float
    python: float


def device_costs(folder: Path) -> DeviceCosts:
    """Measure: the least of some rounds, which take turns. folder: of the ROMs. Raises DynarecError."""
    least = dict.fromkeys(COUNTS, float("inf"))
    with Machine.load(folder / PROGRAM, "virt", stdin=io.BytesIO(), stdout=io.BytesIO()) as machine:
        machine.add_device(PYTHON, Register())
        machine.run(until="main")
        places = {"memory": MEMORY, "c": BOARDS["virt"].uart + LINE_STATUS, "python": PYTHON}
        for _ in range(ROUNDS):
            for name, address in places.items():
                least[name] = min(least[name], loop_nanoseconds(machine, address, COUNTS[name]))
    return DeviceCosts(least["c"] - least["memory"], least["python"] - least["memory"])


def loop_nanoseconds(machine: Machine, address: int, count: int) -> float:
    """Of one round of the loop: the function is called for so many."""
    machine.regs["a0"], machine.regs["a1"] = address, count
    machine.pc = machine.address(FUNCTION)
    since = time.perf_counter()
    machine.run(instructions=count * INSTRUCTIONS)
    return (time.perf_counter() - since) / count * 1e9


def devices_text(costs: DeviceCosts) -> str:
    return f"nanoseconds of a load from a device: {costs.c:.0f} in C, {costs.python:.0f} in Python"
