"""What it takes to start: processes that run a program which does almost nothing."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dynarec.bench.processes import WrongResult, peak_bytes, run
from dynarec.bench.runners import dynarec_command
from dynarec.bench.timing import Samples
from dynarec.errors import DynarecError

HELLO = "hello.elf"
"""The program, in the folder above the benchmark programs."""
NOTHING = (sys.executable, "-c", "")
MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Startup:
    """hello: runs of the program; python: of the same Python with nothing to do, by turns. peak_bytes: resident.

    run_seconds: wall time in the machine's run, from one more; translation_seconds: processor time of translations.
    """

    hello: Samples
    python: Samples
    peak_bytes: int
    run_seconds: float
    translation_seconds: float


def measure_startup(elf: Path, repeat: int) -> Startup:
    """Measure. Raises WrongResult when the program fails, DynarecError when it is missing."""
    if not elf.is_file():
        raise DynarecError(f"{elf} is missing: --bench-dir must name roms/bench of a checkout")
    hello, python = Samples(), Samples()
    for _ in range(repeat):
        python.add(run(NOTHING))
        done = run(dynarec_command(elf))
        if done.status != 0 or not done.output:
            raise WrongResult(f"{elf.name}: dynarec ended with status {done.status} and printed {done.output!r}")
        hello.add(done)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        run(dynarec_command(elf, options=["--stats-json", file.name]))
        stats = json.load(file)
    peak = peak_bytes(dynarec_command(elf))
    return Startup(hello, python, peak, stats["run_seconds"], stats["translation_seconds"])


def startup_text(startup: Startup) -> str:
    hello, alone = startup.hello, startup.python.median("cpu")
    return (
        f"{HELLO}: {hello.median('cpu'):.3f} s processor time (least {min(hello.cpu):.3f}), "
        f"{hello.median('wall'):.3f} s wall time, {startup.peak_bytes / MEBI:.1f} MiB at its peak; "
        f"of it Python alone {alone:.3f} s, the run {startup.run_seconds:.3f} s, "
        f"in which {startup.translation_seconds:.3f} s of translation"
    )
