"""Results as a JSON file.

One object. Both kinds of measurement: `format` (1), `computer` (`cpu`, `system`, `python`, `dynarec`, `date`, and for
times `compiler` and `qemu`), `command` (the command line), `rounds` ("full" or "small"), `problems` (a line for each
program without a result).

Times: `programs`, each with `name`, `kind`, `rounds`, `native`, `dynarec` and `qemu` (each `cpu` and `wall`: seconds of
every run; `qemu` may be null), `instructions` (guest instructions executed), `translated` (guest instructions in
translated code), `translation_seconds`, `translation_micros` (for each translated instruction), `mips`, `ratio` and
`qemu_ratio` (medians of processor time, to native); `means`: `cpu` and `wall`, each null or `programs`, `dynarec`,
`qemu` (geometric means of ratios to native) and `speedup` (over QEMU); `hello`: null or `cpu`, `wall`, `peak_bytes`;
`installs`: nanoseconds of a batch with one small unit, by W^X policy; `snapshots`, `devices`, `conditions`,
`debugging`, `counting`: what they cost, by the names of `snapshots.SnapshotCosts`, `devices.DeviceCosts`,
`conditions.ConditionCosts`, `debugging.DebuggingCosts` and `counting.CountingCosts`.

Counts: `programs`, each with `name`, `kind`, `rounds` and `hosts`: by host `guest`, `host` (instructions executed) and
`ratio`; `means`: by host `arithmetic` and `geometric`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from dynarec.bench.counts import COUNTED_HOSTS, Counted, mean_ratios
from dynarec.bench.timing import CLOCKS, Hello, Timing, mean_slowdowns
from dynarec.errors import DynarecError

FORMAT = 1


def timings_json(timings: Sequence[Timing], hello: Hello | None) -> dict[str, object]:
    """The keys of times."""
    means: dict[str, object] = dict.fromkeys(CLOCKS)
    for clock in CLOCKS if timings else ():
        mean = mean_slowdowns(timings, clock)
        means[clock] = {
            "programs": mean.programs, "dynarec": mean.dynarec, "qemu": mean.qemu, "speedup": mean.speedup,
        }  # fmt: skip
    start = None if hello is None else {**asdict(hello.samples), "peak_bytes": hello.peak_bytes}
    return {"programs": [_timing_json(timing) for timing in timings], "means": means, "hello": start}


def counts_json(counted: Sequence[Counted]) -> dict[str, object]:
    """The keys of counts."""
    programs = [{**_program_json(each), "hosts": _hosts_json(each)} for each in counted]
    means = {host: asdict(mean_ratios(counted, host)) for host in COUNTED_HOSTS if counted}
    return {"programs": programs, "means": means}


def check_writable(path: Path) -> None:
    """Before a long measurement: raises DynarecError when a file can certainly not be written."""
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise DynarecError(f"cannot write the results {path}: choose another place")


def write(path: Path, content: Mapping[str, object]) -> None:
    """Write the whole file or nothing. Raises DynarecError when it cannot be written."""
    text = json.dumps({"format": FORMAT, **content}, indent=2) + "\n"
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            new = Path(folder) / path.name
            new.write_text(text)
            new.replace(path)
    except OSError as error:
        raise DynarecError(f"cannot write the results {path}: {error.strerror}: choose another place") from error


def _program_json(result: Timing | Counted) -> dict[str, object]:
    program = result.program
    return {"name": program.name, "kind": program.kind, "rounds": program.rounds}


def _timing_json(timing: Timing) -> dict[str, object]:
    work = timing.work
    return {
        **_program_json(timing),
        "native": asdict(timing.native),
        "dynarec": asdict(timing.dynarec),
        "qemu": None if timing.qemu is None else asdict(timing.qemu),
        "instructions": work.instructions,
        "translated": work.translated,
        "translation_seconds": work.translation_seconds,
        "translation_micros": work.translation_micros,
        "mips": timing.mips,
        "ratio": timing.slowdown("cpu"),
        "qemu_ratio": timing.qemu_slowdown("cpu"),
    }


def _hosts_json(counted: Counted) -> dict[str, object]:
    return {host: {**asdict(count), "ratio": count.ratio} for host, count in counted.counts.items()}
