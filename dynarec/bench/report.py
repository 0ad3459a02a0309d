"""What there is to be said about results: text for people, a picture, and a comparison with a saved run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from dynarec.bench import plot, results_file, savings, tables
from dynarec.bench.compare import compare, comparison_text
from dynarec.bench.counts import mean_ratios
from dynarec.bench.results_file import Results
from dynarec.bench.timing import mean_slowdowns
from dynarec.errors import DynarecError

STATUS_BAD = 1
"""A program failed, printed something else than it must, or got worse than it may."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to do with results. compare: with this saved run. fail_over: percent that may be lost. plot: a file."""

    compare: Path | None = None
    fail_over: float | None = None
    plot: Path | None = None


class Reporter:
    """Does it; what can fail is tried before anything is measured."""

    def __init__(self, wishes: Wishes) -> None:
        """Raises DynarecError when it cannot be done."""
        self._wishes = wishes
        if wishes.fail_over is not None and wishes.compare is None:
            raise DynarecError("--fail-over needs a saved run: name it with --compare")
        self._old = None if wishes.compare is None else results_file.read(wishes.compare)
        if wishes.plot is not None:
            results_file.check_writable(wishes.plot)
            plot.check_installed()

    def report(self, results: Results) -> int:
        """The exit status. Raises DynarecError."""
        status = STATUS_BAD if results.problems else 0
        if not results.timings and not results.counted:
            return status
        if self._wishes.plot is not None:
            plot.draw(results, self._wishes.plot)
        return max(status, self._compare(results))

    def _compare(self, results: Results) -> int:
        if self._old is None:
            return 0
        comparison = compare(self._old, results)
        print("", comparison_text(comparison), sep="\n")
        worse = [] if self._wishes.fail_over is None else comparison.check(self._wishes.fail_over)
        for line in worse:
            print(f"dynarec: {line}", file=sys.stderr)
        return STATUS_BAD if worse else 0


def show(results: Results) -> None:
    """Print saved results as they were printed when they were measured."""
    print(preface(results.computer, results.command, results.commands), "", table(results), "", sep="\n")
    print(ending(results))


def preface(facts: dict[str, str], command: str, commands: dict[str, str]) -> str:
    """What was measured, and where. commands: of each kind of run."""
    return tables.described({**facts, "command": command, **{f"{who} runs": words for who, words in commands.items()}})


def table(results: Results) -> str:
    """The lines of all programs."""
    if results.kind == results_file.COUNTS:
        counts = tables.CountTable(results.subjects)
        return "\n".join([counts.head(), *map(counts.row, results.counted), *_savings(results)])
    times = tables.TimingTable(results.subjects, list(results.timings[0].runs) if results.timings else [])
    return "\n".join([times.head(), *map(times.row, results.timings)])


def _savings(results: Results) -> list[str]:
    if not results.savings:
        return []
    whole = savings.geometric_means(results.counted)
    return ["", savings.head(), *(savings.row(each, whole) for each in results.savings)]


def ending(results: Results) -> str:
    """Legend, means and what else was measured."""
    if results.kind == results_file.COUNTS:
        hosts = list(results.counted[0].counts) if results.counted else []
        means = [tables.ratio_means_text(host, mean_ratios(results.counted, host)) for host in hosts]
        return "\n".join([tables.COUNT_LEGEND, *([savings.LEGEND] if results.savings else []), *means])
    lines = [tables.TIMING_LEGEND, *([tables.SMALL_LEGEND] if results.rounds == "small" else []), *results.lines]
    for clock in ("wall", "cpu") if results.timings else ():
        lines.append(tables.means_text(mean_slowdowns(results.timings, clock)))
    return "\n".join(lines)
