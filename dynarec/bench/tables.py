"""Results as aligned text, line by line as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynarec.bench.counts import COUNTED_HOSTS, Counted, RatioMeans
from dynarec.bench.programs import BenchProgram
from dynarec.bench.timing import Hello, Means, Timing

MEBI = 1 << 20
GAP = "  "
TIME_WIDTH = 9
COUNT_WIDTH = 13
TIMING_LEGEND = (
    "s: median processor time (user and system) of a process in seconds, start-up and translation included;"
    " ratio: to native\n"
    "us/insn: microseconds of translation for each translated guest instruction, in one more run that is not timed\n"
    "MIPS: millions of guest instructions executed in a second of dynarec's processor time"
)
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

    def __init__(self, programs: Sequence[BenchProgram], width: int) -> None:
        """width: characters of a number's column."""
        self._name_width = max(len("program"), *(len(program.name) for program in programs))
        self._kind_width = max(len("kind"), *(len(program.kind) for program in programs))
        self._width = width

    def line(self, name: str, kind: str, numbers: Sequence[str]) -> str:
        columns = (f"{number:>{self._width}}" for number in numbers)
        return GAP.join((f"{name:<{self._name_width}}", f"{kind:<{self._kind_width}}", *columns))


class TimingTable(Table):
    """The table of times. Without QEMU its columns are absent."""

    def __init__(self, programs: Sequence[BenchProgram], *, with_qemu: bool) -> None:
        super().__init__(programs, TIME_WIDTH)
        self._qemu_heads = ("qemu s", "ratio") if with_qemu else ()

    def head(self) -> str:
        return self.line("program", "kind", ("native s", "dynarec s", "ratio", *self._qemu_heads, "us/insn", "MIPS"))

    def row(self, timing: Timing) -> str:
        qemu_ratio = timing.qemu_slowdown("cpu")
        numbers = [
            f"{timing.native.median('cpu'):.4f}",
            f"{timing.dynarec.median('cpu'):.4f}",
            f"{timing.slowdown('cpu'):.2f}",
            *((f"{timing.qemu.median('cpu'):.4f}",) if timing.qemu is not None else ()),
            *((f"{qemu_ratio:.2f}",) if qemu_ratio is not None else ()),
            f"{timing.work.translation_micros:.2f}",
            f"{timing.mips:.1f}",
        ]
        return self.line(timing.program.name, timing.program.kind, numbers)


class CountTable(Table):
    """The table of executed instructions."""

    def __init__(self, programs: Sequence[BenchProgram]) -> None:
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


def hello_text(hello: Hello) -> str:
    cpu, wall = hello.samples.median("cpu"), hello.samples.median("wall")
    return (
        f"hello.elf: {cpu:.3f} s processor time, {wall:.3f} s wall time, {hello.peak_bytes / MEBI:.1f} MiB at its peak"
    )


def means_text(means: Means) -> str:
    """ "geometric means of 15 programs, wall time: dynarec 1.80 x native, QEMU 4.40 x native: ..." """
    clock = {"cpu": "processor time", "wall": "wall time"}[means.clock]
    qemu = ""
    if means.qemu is not None and means.speedup is not None:
        qemu = f", QEMU {means.qemu:.2f} x native: dynarec is {means.speedup:.2f} times faster than QEMU"
    return f"geometric means of {means.programs} programs, {clock}: dynarec {means.dynarec:.2f} x native{qemu}"


def ratio_means_text(host: str, means: RatioMeans) -> str:
    return (
        f"{host}: host instructions for each guest instruction: arithmetic mean {means.arithmetic:.3f}, "
        f"geometric mean {means.geometric:.3f}"
    )
