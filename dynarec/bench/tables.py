"""Results as aligned text, line by line as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynarec.bench.counts import COUNTED_HOSTS, Counted, RatioMeans
from dynarec.bench.programs import Subject
from dynarec.bench.runners import DYNAREC, NATIVE, QEMU, SLOW, UNICORN
from dynarec.bench.timing import WORK_RUNS, Means, Timing

GAP = "  "
TIME_WIDTH = 9
COUNT_WIDTH = 13
TIMING_LEGEND = (
    "s: median processor time (user and system) of a process in seconds, start-up and translation included;"
    " least: of all runs\n"
    "ratio: to native, median of those of each round; range: the least and the most of these; by turns, but only once: "
    f"{', '.join(SLOW)}\n"
    "us/insn: microseconds of processor time for each guest instruction of the units that were made, also of those made"
    f" again, from guest bytes to installed code; median of {WORK_RUNS} more runs, with --sync\n"
    "MIPS: millions of guest instructions executed in a second of dynarec's processor time"
)
NAMES = {QEMU: "QEMU", UNICORN: "Unicorn", "interp": "the interpreter alone", "jit": "without the interpreter"}
SMALL_LEGEND = "rounds are small: these times are mostly start-up and say nothing about speed"
COUNT_LEGEND = (
    "insns: instructions executed, on hosts those of translated code without the run loop; exact, by emulation\n"
    "ratio: host instructions for each guest instruction"
)


def described(facts: Mapping[str, str]) -> str:
    """A line for each fact: its name and its value."""
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}{GAP}{value}" for name, value in facts.items())


class Table:
    """Lines of a program's name and kind, then numbers in columns of one width."""

    def __init__(self, programs: Sequence[Subject], width: int) -> None:
        """width: characters of a number's column."""
        self._name_width = max(len("program"), *(len(program.name) for program in programs))
        self._kind_width = max(len("kind"), *(len(program.kind) for program in programs))
        self._width = width

    def line(self, name: str, kind: str, numbers: Sequence[str]) -> str:
        columns = (f"{number:>{self._width}}" for number in numbers)
        return GAP.join((f"{name:<{self._name_width}}", f"{kind:<{self._kind_width}}", *columns))


class TimingTable(Table):
    """The table of times: dynarec beside native code, then the others who ran."""

    def __init__(self, programs: Sequence[Subject], whos: Sequence[str]) -> None:
        """whos: who runs them."""
        super().__init__(programs, TIME_WIDTH)
        self._others = [who for who in whos if who not in (NATIVE, DYNAREC)]

    def head(self) -> str:
        others = [head for who in self._others for head in (f"{who} s", "ratio")]
        dynarec = ("dynarec s", "least", "ratio", "range")
        return self.line("program", "kind", ("native s", *dynarec, *others, "us/insn", "MIPS"))

    def row(self, timing: Timing) -> str:
        native, dynarec = timing.runs[NATIVE], timing.runs[DYNAREC]
        ratios = timing.slowdowns(DYNAREC, "cpu")
        numbers = [
            f"{native.median('cpu'):.4f}",
            f"{dynarec.median('cpu'):.4f}",
            f"{min(dynarec.cpu):.4f}",
            f"{timing.slowdown(DYNAREC, 'cpu'):.2f}",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
        ]
        for who in self._others:
            numbers += [f"{timing.runs[who].median('cpu'):.4f}", f"{timing.slowdown(who, 'cpu'):.2f}"]
        numbers += [f"{timing.work.translation_micros:.2f}", f"{timing.mips:.1f}"]
        return self.line(timing.program.name, timing.program.kind, numbers)


class CountTable(Table):
    """The table of executed instructions."""

    def __init__(self, programs: Sequence[Subject]) -> None:
        super().__init__(programs, COUNT_WIDTH)

    def head(self) -> str:
        heads = [text for host in COUNTED_HOSTS for text in (f"{host} insns", "ratio")]
        return self.line("program", "kind", ("guest insns", *heads))

    def row(self, counted: Counted) -> str:
        guest = counted.counts[COUNTED_HOSTS[0]].guest
        numbers = [f"{guest:,}"]
        for count in counted.counts.values():
            numbers += [f"{count.host:,}", f"{count.ratio:.3f}"]
        return self.line(counted.program.name, counted.program.kind, numbers)


def means_text(means: Means) -> str:
    """ "geometric means of 15 programs, wall time: dynarec 1.80 x native, QEMU 4.40 x native: ..." """
    clock = {"cpu": "processor time", "wall": "wall time"}[means.clock]
    each = ", ".join(f"{NAMES.get(who, who)} {slowdown:.2f} x native" for who, slowdown in means.slowdowns.items())
    speedup = "" if means.speedup is None else f": dynarec is {means.speedup:.2f} times faster than QEMU"
    return f"geometric means of {means.programs} programs, {clock}: {each}{speedup}"


def ratio_means_text(host: str, means: RatioMeans) -> str:
    return (
        f"{host}: host instructions for each guest instruction: arithmetic mean {means.arithmetic:.3f}, "
        f"geometric mean {means.geometric:.3f}"
    )
