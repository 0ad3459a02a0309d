"""What else is measured beside the programs, each with its text: the lines below the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dynarec.bench.conditions import condition_costs, conditions_text
from dynarec.bench.counting import counting_costs, counting_text
from dynarec.bench.debugging import debugging_costs, debugging_text
from dynarec.bench.devices import device_costs, devices_text
from dynarec.bench.installs import install_costs, installs_text
from dynarec.bench.memory import memory_costs, memory_text
from dynarec.bench.programs import BenchProgram, Size
from dynarec.bench.snapshots import snapshot_costs, snapshots_text

SHORT_RUN = 0.5
"""Seconds of the run that is stepped back in, with small rounds."""
SHORT_WARM_UP, SHORT_SLICE = 1_000_000, 100_000
"""Instructions before and in the slices of runs that count, with small rounds."""


@dataclass(slots=True)
class Costs:
    """numbers: what was measured, by names of results; lines: the same for people."""

    numbers: dict[str, object] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def add(self, name: str, numbers: object, line: str) -> None:
        self.numbers[name] = numbers
        self.lines.append(line)


def measure_costs(programs: Sequence[BenchProgram], folder: Path, size: Size) -> Costs:
    """Measure. folder: of the benchmark programs. Raises DynarecError."""
    costs, roms = Costs(), folder.parent
    memory = memory_costs(programs)
    costs.add("memory", asdict(memory) | {"bytes_per_instruction": memory.each}, memory_text(memory))
    installs = install_costs()
    costs.add("installs", installs, installs_text(installs))
    snapshots = snapshot_costs(programs[0])
    costs.add("snapshots", asdict(snapshots), snapshots_text(snapshots))
    devices = device_costs(roms)
    costs.add("devices", asdict(devices), devices_text(devices))
    conditions = condition_costs(roms)
    costs.add("conditions", asdict(conditions), conditions_text(conditions))
    debugging = debugging_costs(folder, *([SHORT_RUN] if size == "small" else []))
    costs.add("debugging", asdict(debugging), debugging_text(debugging))
    counting = counting_costs(programs, *([SHORT_WARM_UP, SHORT_SLICE] if size == "small" else []))
    costs.add("counting", asdict(counting), counting_text(counting))
    return costs
