"""Results as a JSON file.

One object. Both kinds of measurement: `format` (1), `kind` ("times" or "counts"), `computer` (`cpu`, `system`,
`python`, `dynarec`, `date`, and for times `compiler`, `qemu` and `unicorn`), `command` (the command line), `commands`
(of each kind of run, for people), `rounds` ("full" or "small"), `problems` (a line for each program without a result).

Times: `tiers` (of dynarec; the first is `dynarec` below); `programs`, each with `name`, `kind`, `rounds`, `native`,
`dynarec`, `qemu`, `unicorn` and the other tiers, those that ran (each `cpu` and `wall`: seconds of every run),
`instructions` (guest instructions executed), `translated` (guest instructions in translated code),
`translation_seconds`, `translation_micros` (for each translated instruction), `mips`, `ratio` and `qemu_ratio` (median
of the processor times of each run to that of the native one of the same round); `means`: `cpu` and `wall`, each null or
`programs`, geometric means of ratios by who ran, and `speedup` (over QEMU); `hello`: null or the fields of
`startup.Startup`, its `hello` as `cpu` and `wall`; `memory`, `installs` (nanoseconds of a batch with one small unit, by
W^X policy), `snapshots`, `devices`, `conditions`, `debugging`, `counting`: what they cost, by the names of
`memory.MemoryCosts`, `snapshots.SnapshotCosts`, `devices.DeviceCosts`, `conditions.ConditionCosts`,
`debugging.DebuggingCosts` and `counting.CountingCosts`; `lines`: the last ones for people.

Counts: `programs`, each with `name`, `kind`, `rounds` and `hosts`: by host `guest`, `host` (instructions executed) and
`ratio`; `means`: by host `arithmetic` and `geometric`; `savings`: by pass or feature, what the geometric mean of each
host is without it; nothing unless that was asked for.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dynarec.bench.counts import COUNTED_HOSTS, Count, Counted, mean_ratios
from dynarec.bench.programs import Subject
from dynarec.bench.runners import DYNAREC, NATIVE, PEERS, QEMU, TIERS
from dynarec.bench.savings import Saving
from dynarec.bench.startup import Startup
from dynarec.bench.timing import CLOCKS, Samples, Timing, Work, mean_slowdowns
from dynarec.errors import DynarecError

FORMAT = 1
TIMES, COUNTS = "times", "counts"
RUNNERS = (NATIVE, DYNAREC, *TIERS, *PEERS)


@dataclass(frozen=True, slots=True)
class Results:
    """A measurement as it was saved: timings, or what was counted.

    commands: of each kind of run. tiers: of timings. startup: processor times of hello.elf as multiples of those of
    Python alone, in the same round.
    """

    path: Path
    kind: str
    computer: dict[str, str]
    command: str
    commands: dict[str, str]
    rounds: str
    problems: list[str]
    tiers: tuple[str, ...]
    timings: list[Timing] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    startup: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    savings: list[Saving] = field(default_factory=list)

    @property
    def subjects(self) -> list[Subject]:
        """The programs."""
        return [timing.program for timing in self.timings] + [counted.program for counted in self.counted]


def timings_json(timings: Sequence[Timing], startup: Startup | None) -> dict[str, object]:
    """The keys of times."""
    means: dict[str, object] = dict.fromkeys(CLOCKS)
    for clock in CLOCKS if timings else ():
        mean = mean_slowdowns(timings, clock)
        means[clock] = {"programs": mean.programs, **mean.slowdowns, "speedup": mean.speedup}
    hello = None
    if startup is not None:
        numbers = asdict(startup)
        hello = numbers.pop("hello") | numbers
    return {"programs": [_timing_json(timing) for timing in timings], "means": means, "hello": hello}


def counts_json(counted: Sequence[Counted], savings: Sequence[Saving] = ()) -> dict[str, object]:
    """The keys of counts."""
    programs = [{**asdict(_subject(each)), "hosts": _hosts_json(each)} for each in counted]
    means = {host: asdict(mean_ratios(counted, host)) for host in COUNTED_HOSTS if counted}
    found = {"savings": {each.name: dict(each.means) for each in savings}} if savings else {}
    return {"programs": programs, "means": means, **found}


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


def read(path: Path) -> Results:
    """Results that were written. Raises DynarecError when the file is something else."""
    try:
        saved = json.loads(path.read_text())
        if saved["format"] != FORMAT:
            raise DynarecError(f"{path} has results in format {saved['format']}, not {FORMAT}: measure again")
        return parse(path, saved)
    except OSError as error:
        raise DynarecError(f"cannot read the results {path}: {error.strerror}: name a file of --json") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DynarecError(f"{path} has no results of dynarec bench --json: {error!r}") from error


def parse(path: Path, saved: dict[str, Any]) -> Results:
    """Results from what is written. Raises several exceptions for what is not."""
    programs = saved["programs"]
    is_counts = saved["kind"] == COUNTS if "kind" in saved else any("hosts" in each for each in programs)
    return Results(
        path,
        COUNTS if is_counts else TIMES,
        {str(name): str(fact) for name, fact in saved["computer"].items()},
        str(saved["command"]),
        {str(name): str(command) for name, command in saved.get("commands", {}).items()},
        str(saved["rounds"]),
        [str(line) for line in saved["problems"]],
        tuple(saved.get("tiers", TIERS[:1])),
        [] if is_counts else [_timing(each) for each in programs],
        [_counted(each) for each in programs] if is_counts else [],
        _startup(saved.get("hello") or {}),
        [str(line) for line in saved.get("lines", [])],
        [_saving(name, means) for name, means in saved.get("savings", {}).items()],
    )


def _subject(saved: Timing | Counted | dict[str, Any]) -> Subject:
    if isinstance(saved, dict):
        return Subject(str(saved["name"]), str(saved["kind"]), int(saved["rounds"]))
    return Subject(saved.program.name, saved.program.kind, saved.program.rounds)


def _timing_json(timing: Timing) -> dict[str, object]:
    work = timing.work
    return {
        **asdict(_subject(timing)),
        **{who: asdict(samples) for who, samples in timing.runs.items()},
        "instructions": work.instructions,
        "translated": work.translated,
        "translation_seconds": work.translation_seconds,
        "translation_micros": work.translation_micros,
        "mips": timing.mips,
        "ratio": timing.slowdown(DYNAREC, "cpu"),
        "qemu_ratio": timing.slowdown(QEMU, "cpu") if QEMU in timing.runs else None,
    }


def _timing(saved: dict[str, Any]) -> Timing:
    work = Work(int(saved["instructions"]), int(saved["translated"]), float(saved["translation_seconds"]))
    runs = {who: _samples(saved[who]) for who in RUNNERS if saved.get(who) is not None}
    if not {NATIVE, DYNAREC} <= runs.keys():
        raise KeyError(f"{NATIVE} or {DYNAREC}")
    return Timing(_subject(saved), work, runs)


def _samples(saved: dict[str, Any]) -> Samples:
    samples = Samples(*([float(seconds) for seconds in saved[clock]] for clock in CLOCKS))
    if not samples.cpu or min(*samples.cpu, *samples.wall) <= 0:
        raise ValueError("times that are none")
    return samples


def _startup(saved: dict[str, Any]) -> list[float]:
    if "python" not in saved:
        return []
    pairs = zip(_samples(saved).cpu, _samples(saved["python"]).cpu, strict=True)
    return [hello / python for hello, python in pairs]


def _saving(name: str, means: dict[str, Any]) -> Saving:
    return Saving(str(name), {str(host): float(mean) for host, mean in means.items()})


def _hosts_json(counted: Counted) -> dict[str, object]:
    return {host: {**asdict(count), "ratio": count.ratio} for host, count in counted.counts.items()}


def _counted(saved: dict[str, Any]) -> Counted:
    hosts = {str(host): Count(int(each["guest"]), int(each["host"])) for host, each in saved["hosts"].items()}
    if any(min(count.guest, count.host) <= 0 for count in hosts.values()) or not hosts:
        raise ValueError("counts that are none")
    return Counted(_subject(saved), hosts)
