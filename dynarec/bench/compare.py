"""Two measurements beside each other: what has changed, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from statistics import geometric_mean, median

from dynarec.bench.results_file import TIMES, Results
from dynarec.bench.runners import DYNAREC
from dynarec.bench.startup import HELLO
from dynarec.errors import DynarecError

MOST_CHANCE = 0.05
"""A change is one if chance alone would separate the runs so with at most this probability."""
FEWEST_RUNS = 4
PERCENT = 100
PROGRAMS, STARTUP = "programs", "start-up"
LEGEND = (
    "old, new: median processor time to that of native code, of start-up to that of Python alone, in the same round\n"
    "better, worse: all runs are on that side of all the others"
)
COUNTS_LEGEND = "old, new: executed host instructions"


@dataclass(frozen=True, slots=True)
class Change:
    """What was measured about one program: each run of old and new, larger is worse.

    what: the kind of times, or the host of counts. exact: there is no noise.
    """

    name: str
    what: str
    old: Sequence[float]
    new: Sequence[float]
    exact: bool = False

    @property
    def gain(self) -> float:
        """Median old to median new: above 1 it is better now."""
        return median(self.old) / median(self.new)

    @property
    def is_real(self) -> bool:
        """Whether it is more than noise: all runs of one are above all of the other, and there are enough of them."""
        if self.exact:
            return self.old != self.new
        apart = max(self.old) < min(self.new) or max(self.new) < min(self.old)
        return apart and self.chance <= MOST_CHANCE

    @property
    def chance(self) -> float:
        """How probable it is that runs of one and the same thing fall apart like that (a permutation test)."""
        return 2 / comb(len(self.old) + len(self.new), len(self.old))

    def is_worse(self, percent: float) -> bool:
        """Whether it really got worse by more than this."""
        return self.is_real and 1 / self.gain > 1 + percent / PERCENT


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes of the programs that both have. missing: those that only one has."""

    old: Results
    new: Results
    changes: list[Change]
    missing: list[str]

    @property
    def whats(self) -> list[str]:
        """The kinds of changes."""
        return list(dict.fromkeys(change.what for change in self.changes))

    @property
    def can_tell(self) -> bool:
        """Whether there are runs enough to tell a change from noise."""
        return all(change.exact or change.chance <= MOST_CHANCE for change in self.changes)

    def mean(self, what: str) -> float:
        """Geometric mean of the gains."""
        return geometric_mean(change.gain for change in self.changes if change.what == what)

    def check(self, percent: float) -> list[str]:
        """A line for each change that is worse by more than this. Raises DynarecError when that cannot be told."""
        if not self.can_tell:
            raise DynarecError(
                f"{self.old.path}: too few runs to tell a change from noise: --repeat {FEWEST_RUNS} or more"
            )
        return [
            f"{change.name} ({change.what}): {PERCENT / change.gain - PERCENT:.1f} % worse than in {self.old.path}"
            for change in self.changes
            if change.is_worse(percent)
        ]


def compare(old: Results, new: Results) -> Comparison:
    """Raises DynarecError when they have nothing to be compared."""
    for what in ("kind", "rounds"):
        if getattr(old, what) != getattr(new, what):
            raise DynarecError(
                f"{old.path} has {what} {getattr(old, what)}, not {getattr(new, what)}: nothing to compare"
            )
    if old.kind == TIMES and old.tiers[:1] != new.tiers[:1]:
        raise DynarecError(f"{old.path}: tier {old.tiers[0]}, and not {new.tiers[0]}: nothing to compare")
    changes = list(_changes(old, new))
    if not changes:
        raise DynarecError(f"{old.path}: no program of this measurement is in it: nothing to compare")
    names = [{subject.name for subject in each.subjects} for each in (old, new)]
    return Comparison(old, new, changes, sorted(names[0] ^ names[1]))


def _changes(old: Results, new: Results) -> Iterator[Change]:
    timings = {timing.program.name: timing for timing in old.timings}
    for timing in new.timings:
        before = timings.get(timing.program.name)
        if before is not None:
            runs = before.slowdowns(DYNAREC, "cpu"), timing.slowdowns(DYNAREC, "cpu")
            yield Change(timing.program.name, PROGRAMS, *runs)
    if old.startup and new.startup:
        yield Change(HELLO, STARTUP, old.startup, new.startup)
    counted = {each.program.name: each.counts for each in old.counted}
    for each in new.counted:
        known = counted.get(each.program.name, {})
        for host in (host for host in each.counts if host in known):
            yield Change(each.program.name, host, [known[host].host], [each.counts[host].host], exact=True)


def comparison_text(comparison: Comparison) -> str:
    """A table with a line for each change, and what they come to."""
    old = comparison.old
    lines = [", ".join(filter(None, (f"compared with {old.path}: {old.command}", old.computer.get("date"))))]
    if old.kind == TIMES and old.computer.get("cpu") != comparison.new.computer.get("cpu"):
        lines.append(f"on another computer: {old.computer.get('cpu')}")
    width = max(len(change.name) for change in comparison.changes)
    lines.append(f"{'program':<{width}}  {'':8}  {'old':>13}  {'new':>13}  {'old/new':>7}")
    lines += [_line(change, width) for change in comparison.changes]
    lines += [f"geometric mean, {what}: old/new {comparison.mean(what):.4f}" for what in comparison.whats]
    if not comparison.can_tell:
        lines.append(f"too few runs to tell a change from noise: --repeat {FEWEST_RUNS} or more, both times")
    if comparison.missing:
        lines.append(f"only measured once: {', '.join(comparison.missing)}")
    return "\n".join([*lines, LEGEND if old.kind == TIMES else COUNTS_LEGEND])


def _line(change: Change, width: int) -> str:
    old, new = (_number(median(values), change.exact) for values in (change.old, change.new))
    verdict = "" if not change.is_real else "  better" if change.gain > 1 else "  worse"
    return f"{change.name:<{width}}  {change.what:8}  {old:>13}  {new:>13}  {change.gain:7.4f}{verdict}"


def _number(value: float, exact: bool) -> str:
    return f"{value:,}" if exact else f"{value:.3f}"
