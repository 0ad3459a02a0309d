"""What each pass and feature saves: counts of all programs with everything, and with one after the other left out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynarec.bench.counts import COUNTED_HOSTS, Counted, count_program, mean_ratios
from dynarec.bench.programs import BenchProgram
from dynarec.features import ALL, NAMES

EVERY = "all"
"""What --without says to have this table."""
GAP = "  "
NAME_WIDTH = max(map(len, ("without", *NAMES)))
NUMBER_WIDTH = 12
LEGEND = (
    "without: host instructions for each guest instruction with one pass or feature left out, geometric means of all"
    " programs; more: than with everything"
)


@dataclass(frozen=True, slots=True)
class Saving:
    """Geometric means of host instructions for each guest instruction, by host, without a pass or feature."""

    name: str
    means: Mapping[str, float]

    def more(self, host: str, whole: Mapping[str, float]) -> float:
        """Percent beyond what it is with everything."""
        return 100 * (self.means[host] / whole[host] - 1)


def geometric_means(counted: Sequence[Counted]) -> dict[str, float]:
    """By host."""
    return {host: mean_ratios(counted, host).geometric for host in counted[0].counts}


def measure_savings(programs: Sequence[BenchProgram]) -> Iterator[Saving]:
    """Leave out one after the other. Raises WrongResult, and DynarecError as `count_program` does."""
    for name in NAMES:
        with tempfile.TemporaryDirectory(prefix="dynarec-bench-") as folder:
            counted = [count_program(program, Path(folder), [name]) for program in programs]
        yield Saving(name, geometric_means(counted))


def doc(name: str) -> str:
    """What it is, for people; "" for one that this version does not have."""
    return next((each.doc for each in ALL if each.name == name), "")


def head() -> str:
    """Of the table."""
    return _line("without", [text for host in COUNTED_HOSTS for text in (host, "more")])


def row(saving: Saving, whole: Mapping[str, float]) -> str:
    """A line of it."""
    pairs = ((f"{saving.means[host]:.3f}", f"{saving.more(host, whole):+.1f} %") for host in saving.means)
    return _line(saving.name, [text for pair in pairs for text in pair])


def _line(name: str, numbers: Sequence[str]) -> str:
    return GAP.join((f"{name:<{NAME_WIDTH}}", *(f"{number:>{NUMBER_WIDTH}}" for number in numbers)))
