"""A whole measurement: what is measured, what is printed on the way, what is written at the end."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from dynarec.bench import computer, report, results_file, rivals, savings, tables
from dynarec.bench.costs import Costs, measure_costs
from dynarec.bench.counts import Counted, count_program
from dynarec.bench.processes import WrongResult
from dynarec.bench.programs import BenchProgram, Size, load_programs
from dynarec.bench.results_file import Results
from dynarec.bench.runners import Field, find_field
from dynarec.bench.savings import Saving
from dynarec.bench.startup import HELLO, measure_startup, startup_text
from dynarec.bench.timing import Timing, time_program

Given = ParamSpec("Given")
Result = TypeVar("Result")
UNSAVED = Path("this run")
"""The name of results that nobody wants in a file."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. names: programs, none for all. json: file for the results. given_folder: not the default one.

    brief: nothing beside the programs. tiers: of dynarec, the first one is compared. peers: who is to be beside it;
    None: those that are installed. without: passes and features that counts do without; "all": one after the other.
    """

    names: tuple[str, ...]
    size: Size
    repeat: int
    counts: bool
    folder: Path
    given_folder: bool
    json: Path | None
    brief: bool
    tiers: tuple[str, ...]
    peers: tuple[str, ...] | None
    without: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command line that measures this, with its defaults."""
        words = ["dynarec", "bench", *self.names, "--rounds", self.size]
        words += ["--counts"] if self.counts else ["--repeat", str(self.repeat), "--tiers", ",".join(self.tiers)]
        words += ["--without", *self.without] if self.without else []
        words += ["--brief"] if self.brief else []
        words += ["--peers", ",".join(self.peers)] if self.peers is not None else []
        words += ["--bench-dir", str(self.folder)] if self.given_folder else []
        words += ["--json", str(self.json)] if self.json is not None else []
        return shlex.join(words)


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


def measure(plan: Plan) -> Results:
    """Time programs, print the results, and write them."""
    programs = _programs(plan)
    field_ = find_field(programs[0].elf, plan.tiers, plan.peers)
    facts = {**computer.describe(), **field_.facts()}
    commands = {runner.who: runner.shown for runner in field_.runners}
    print(report.preface(facts, plan.command, commands), "", sep="\n", flush=True)
    problems = Problems()
    timings = list(_timed(programs, field_, plan, problems))
    startup = None if plan.brief else problems.guarded(measure_startup, plan.folder.parent / HELLO, plan.repeat)
    costs = Costs() if plan.brief else measure_costs(programs, plan.folder, plan.size)
    lines = [*([] if startup is None else [startup_text(startup)]), *costs.lines]
    content = {"commands": commands, "tiers": list(plan.tiers), "lines": lines, **costs.numbers}
    results = _saved(plan, facts, problems, content | results_file.timings_json(timings, startup))
    print("", report.ending(results), sep="\n")
    return results


def count(plan: Plan) -> Results:
    """Count executed host instructions, print the results, and write them."""
    programs = _programs(plan)
    facts = computer.describe()
    print(report.preface(facts, plan.command, {}), "", sep="\n", flush=True)
    problems = Problems()
    every = plan.without == (savings.EVERY,)
    counted = list(_counted(programs, () if every else plan.without, problems))
    saved = list(_savings(programs, counted)) if every and not problems.lines else []
    results = _saved(plan, facts, problems, results_file.counts_json(counted, saved))
    print("", report.ending(results), sep="\n")
    return results


def _savings(programs: Sequence[BenchProgram], counted: Sequence[Counted]) -> Iterator[Saving]:
    """Counts with one thing after the other left out, and prints the table as it goes."""
    whole = savings.geometric_means(counted)
    print("", savings.head(), sep="\n", flush=True)
    for saving in savings.measure_savings(programs):
        print(savings.row(saving, whole), flush=True)
        yield saving


def _programs(plan: Plan) -> list[BenchProgram]:
    if plan.json is not None:
        results_file.check_writable(plan.json)
    return load_programs(plan.folder, plan.names, plan.size)


def _timed(programs: Sequence[BenchProgram], field_: Field, plan: Plan, problems: Problems) -> Iterator[Timing]:
    """Times program after program, and prints the table as it goes."""
    runners = field_.runners
    table = tables.TimingTable(programs, [runner.who for runner in runners])
    with tempfile.TemporaryDirectory(prefix="dynarec-bench-") as name:
        folder = Path(name)
        natives = {program: rivals.compile_native(field_.compiler, program, folder) for program in programs}
        print(table.head(), flush=True)
        for program, native in natives.items():
            timing = problems.guarded(time_program, program, native, runners, plan.repeat, plan.tiers[0], folder)
            if timing is not None:
                print(table.row(timing), flush=True)
                yield timing


def _counted(programs: Sequence[BenchProgram], without: Sequence[str], problems: Problems) -> Iterator[Counted]:
    """Counts program after program, and prints the table as it goes."""
    table = tables.CountTable(programs)
    print(table.head(), flush=True)
    with tempfile.TemporaryDirectory(prefix="dynarec-bench-") as name:
        folder = Path(name)
        for program in programs:
            counted = problems.guarded(count_program, program, folder, without)
            if counted is not None:
                print(table.row(counted), flush=True)
                yield counted


def _saved(plan: Plan, facts: dict[str, str], problems: Problems, content: dict[str, object]) -> Results:
    kind = results_file.COUNTS if plan.counts else results_file.TIMES
    preface = {
        "kind": kind,
        "computer": facts,
        "command": plan.command,
        "rounds": plan.size,
        "problems": problems.lines,
    }
    whole = {**preface, **content}
    if plan.json is not None:
        results_file.write(plan.json, whole)
    return results_file.parse(plan.json or UNSAVED, whole)
