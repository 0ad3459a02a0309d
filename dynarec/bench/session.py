"""A whole measurement: what is measured, what is printed on the way, what is written at the end."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from dynarec.bench import computer, results_file, rivals, tables
from dynarec.bench.conditions import condition_costs, conditions_text
from dynarec.bench.counting import counting_costs, counting_text
from dynarec.bench.counts import COUNTED_HOSTS, Counted, count_program, mean_ratios
from dynarec.bench.debugging import debugging_costs, debugging_text
from dynarec.bench.devices import device_costs, devices_text
from dynarec.bench.installs import install_costs, installs_text
from dynarec.bench.processes import WrongResult
from dynarec.bench.programs import BenchProgram, Size, load_programs
from dynarec.bench.snapshots import snapshot_costs, snapshots_text
from dynarec.bench.timing import HELLO, Hello, Timing, mean_slowdowns, measure_hello, time_program

Given = ParamSpec("Given")
Result = TypeVar("Result")
STATUS_WRONG = 1
"""A program failed, or printed something else than it must."""
SHORT_RUN = 0.5
"""Seconds of the run that is stepped back in, with small rounds."""
SHORT_WARM_UP, SHORT_COUNT = 1_000_000, 2_000_000
"""Instructions before and in a run that counts, with small rounds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. names: programs, none for all. json: file for the results. given_folder: not the default one."""

    names: tuple[str, ...]
    size: Size
    repeat: int
    counts: bool
    folder: Path
    given_folder: bool
    json: Path | None

    @property
    def command(self) -> str:
        """The command line that measures this, with its defaults."""
        words = ["dynarec", "bench", *self.names, "--rounds", self.size]
        words += ["--counts"] if self.counts else ["--repeat", str(self.repeat)]
        words += ["--bench-dir", str(self.folder)] if self.given_folder else []
        words += ["--json", str(self.json)] if self.json is not None else []
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class Rivals:
    """What dynarec is compared with. qemu: None where it is not installed; qemu_names: what it was looked for as."""

    compiler: str
    qemu: str | None
    qemu_names: tuple[str, ...]

    def facts(self) -> dict[str, str]:
        """Their versions."""
        missing = f"not installed ({' or '.join(self.qemu_names)} in PATH): no columns"
        return {
            "compiler": rivals.version_line(self.compiler),
            "qemu": missing if self.qemu is None else rivals.version_line(self.qemu),
        }


@dataclass(slots=True)
class Problems:
    """Programs without a result. Each is told at once; the others are measured all the same."""

    lines: list[str] = field(default_factory=list)

    def guarded(self, measure: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result | None:
        """What `measure` returns, or None for a wrong result."""
        try:
            return measure(*args, **options)
        except WrongResult as error:
            self.lines.append(str(error))
            print(f"dynarec: {error}", file=sys.stderr)
            return None

    @property
    def status(self) -> int:
        return STATUS_WRONG if self.lines else 0


def measure(plan: Plan) -> int:
    """Time programs; the exit status."""
    programs = _programs(plan)
    rival = _find_rivals(programs)
    facts = {**computer.describe(), **rival.facts()}
    print(tables.described({**facts, "command": plan.command, **_commands(rival)}), "", sep="\n", flush=True)
    problems = Problems()
    timings = list(_timed(programs, rival, plan.repeat, problems))
    hello = problems.guarded(measure_hello, plan.folder.parent / HELLO, plan.repeat)
    costs = install_costs()
    snapshots = snapshot_costs(programs[0])
    devices, conditions = device_costs(plan.folder.parent), condition_costs(plan.folder.parent)
    debugging = debugging_costs(plan.folder, *([SHORT_RUN] if plan.size == "small" else []))
    lines = [installs_text(costs), snapshots_text(snapshots), devices_text(devices), conditions_text(conditions)]
    counting = counting_costs(programs, *([SHORT_WARM_UP, SHORT_COUNT] if plan.size == "small" else []))
    lines += [debugging_text(debugging), counting_text(counting)]
    _print_times_end(plan, timings, hello, lines)
    if plan.json is not None:
        others = {"installs": costs, "snapshots": asdict(snapshots)}
        others |= {"devices": asdict(devices), "conditions": asdict(conditions), "debugging": asdict(debugging)}
        others["counting"] = asdict(counting)
        results = results_file.timings_json(timings, hello) | others
        results_file.write(plan.json, _preface(plan, facts, problems) | results)
    return problems.status


def count(plan: Plan) -> int:
    """Count executed host instructions; the exit status."""
    programs = _programs(plan)
    facts = computer.describe()
    print(tables.described({**facts, "command": plan.command}), "", sep="\n", flush=True)
    problems = Problems()
    counted = list(_counted(programs, problems))
    print("", tables.COUNT_LEGEND, sep="\n")
    for host in COUNTED_HOSTS if counted else ():
        print(tables.ratio_means_text(host, mean_ratios(counted, host)))
    if plan.json is not None:
        results_file.write(plan.json, _preface(plan, facts, problems) | results_file.counts_json(counted))
    return problems.status


def _programs(plan: Plan) -> list[BenchProgram]:
    if plan.json is not None:
        results_file.check_writable(plan.json)
    return load_programs(plan.folder, plan.names, plan.size)


def _find_rivals(programs: Sequence[BenchProgram]) -> Rivals:
    names = rivals.qemu_names(programs[0].elf)
    return Rivals(rivals.find_compiler(), rivals.find_qemu(names), names)


def _commands(rival: Rivals) -> dict[str, str]:
    """How each kind of run is started, in the order in which they take turns."""
    flags = " ".join(rivals.COMPILER_FLAGS)
    commands = {
        "native runs": f"{rivals.COMPILER} {flags} -o PROGRAM PROGRAM.c; PROGRAM ROUNDS",
        "dynarec runs": "python -m dynarec run PROGRAM.elf -- ROUNDS",
    }
    if rival.qemu is not None:
        commands["qemu runs"] = f"{Path(rival.qemu).name} PROGRAM.elf ROUNDS"
    return commands


def _timed(programs: Sequence[BenchProgram], rival: Rivals, repeat: int, problems: Problems) -> Iterator[Timing]:
    """Times program after program, and prints the table as it goes."""
    table = tables.TimingTable(programs, with_qemu=rival.qemu is not None)
    with tempfile.TemporaryDirectory(prefix="dynarec-bench-") as name:
        folder = Path(name)
        natives = {program: rivals.compile_native(rival.compiler, program, folder) for program in programs}
        print(table.head(), flush=True)
        for program, native in natives.items():
            timing = problems.guarded(time_program, program, native, rival.qemu, repeat, folder)
            if timing is not None:
                print(table.row(timing), flush=True)
                yield timing


def _counted(programs: Sequence[BenchProgram], problems: Problems) -> Iterator[Counted]:
    """Counts program after program, and prints the table as it goes."""
    table = tables.CountTable(programs)
    print(table.head(), flush=True)
    with tempfile.TemporaryDirectory(prefix="dynarec-bench-") as name:
        folder = Path(name)
        for program in programs:
            counted = problems.guarded(count_program, program, folder)
            if counted is not None:
                print(table.row(counted), flush=True)
                yield counted


def _print_times_end(plan: Plan, timings: Sequence[Timing], hello: Hello | None, costs: Sequence[str]) -> None:
    print("", tables.TIMING_LEGEND, sep="\n")
    if plan.size == "small":
        print(tables.SMALL_LEGEND)
    if hello is not None:
        print(tables.hello_text(hello))
    print(*costs, sep="\n")
    for clock in ("wall", "cpu") if timings else ():
        print(tables.means_text(mean_slowdowns(timings, clock)))


def _preface(plan: Plan, facts: dict[str, str], problems: Problems) -> dict[str, object]:
    return {"computer": facts, "command": plan.command, "rounds": plan.size, "problems": problems.lines}
