"""The code of any host on any machine: generated code under Unicorn. For tests and counts, not for speed."""

from __future__ import annotations

from dynarec.emulated.cpu import Departure, EmulatedCpu, UnitRun
from dynarec.emulated.machine import Counts, EmulatedMachine, profiled, run_emulated
from dynarec.emulated.memory import EmulatedMemory

__all__ = [
    "Counts",
    "Departure",
    "EmulatedCpu",
    "EmulatedMachine",
    "EmulatedMemory",
    "UnitRun",
    "profiled",
    "run_emulated",
]
