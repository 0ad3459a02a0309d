"""`dynarec bench --compare`: what counts as a change, and what the exit status says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynarec.bench import results_file
from dynarec.bench.compare import Change, compare
from dynarec.errors import DynarecError
from tests.bench.calls import Bench, failed

RUNS = 5


def samples(*cpu: float) -> dict[str, list[float]]:
    return {"cpu": list(cpu), "wall": list(cpu)}


def times(**programs: list[float]) -> dict[str, Any]:
    """Saved times of programs that take a second natively: those of dynarec."""
    counts = {"instructions": 1000, "translated": 10, "translation_seconds": 0.001}
    each = [
        {
            "name": name,
            "kind": "",
            "rounds": 1,
            "native": samples(*[1.0] * len(cpu)),
            "dynarec": samples(*cpu),
            **counts,
        }
        for name, cpu in programs.items()
    ]
    computer = {"cpu": "a 6502", "date": "today"}
    preface = {"format": 1, "computer": computer, "command": "dynarec bench", "rounds": "full", "problems": []}
    return preface | {"programs": each, "hello": None}


def counts(**programs: int) -> dict[str, Any]:
    hosts = {name: {"arm64": {"guest": 100, "host": count}} for name, count in programs.items()}
    each = [{"name": name, "kind": "", "rounds": 1, "hosts": found} for name, found in hosts.items()]
    return times() | {"kind": "counts", "rounds": "small", "programs": each}


def saved(folder: Path, name: str, content: dict[str, Any]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def spread(middle: float) -> list[float]:
    return [middle * (1 + step / 100) for step in range(-2, RUNS - 2)]


@pytest.fixture
def call(bench: Bench, tmp_path: Path) -> Bench:
    def compared(old: dict[str, Any], new: dict[str, Any], *words: str) -> tuple[int, str, str]:
        return bench("--from", saved(tmp_path, "new", new), "--compare", saved(tmp_path, "old", old), *words)

    return compared


def test_slower_than_all_runs_before_is_worse(call: Bench) -> None:
    old, new = times(aes=spread(2.0), vm=spread(2.0)), times(aes=spread(2.2), vm=spread(2.02))
    status, output, errors = call(old, new, "--fail-over", "5")
    lines = output.partition("compared with")[2].splitlines()
    assert lines[2].split() == ["aes", "programs", "2.000", "2.200", "0.9091", "worse"]
    assert lines[3].split() == ["vm", "programs", "2.000", "2.020", "0.9901"]
    assert "geometric mean, programs: old/new 0.9487" in output
    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith("dynarec: aes (programs): 10.0 % worse than in ")


def test_no_more_than_allowed(call: Bench) -> None:
    old, new = times(aes=spread(2.0)), times(aes=spread(2.2))
    assert call(old, new, "--fail-over", "11")[0] == 0
    assert call(old, new)[0] == 0
    assert call(new, old, "--fail-over", "0")[0] == 0


def test_faster_is_better(call: Bench) -> None:
    assert "1.1000  better\n" in call(times(aes=spread(2.2)), times(aes=spread(2.0)))[1]


def test_a_slower_computer_is_no_change(call: Bench) -> None:
    slow = times(aes=spread(4.0))
    slow["programs"][0]["native"] = samples(*[2.0] * RUNS)
    slow["computer"]["cpu"] = "a Z80"
    status, output, _ = call(slow, times(aes=spread(2.0)), "--fail-over", "0")
    assert (status, "on another computer: a Z80" in output) == (0, True)


def test_one_run_tells_nothing(call: Bench) -> None:
    old, new = times(aes=[2.0]), times(aes=[3.0])
    status, output, _ = call(old, new)
    assert (status, "worse" in output.partition("mean")[0]) == (0, False)
    assert "too few runs to tell a change from noise: --repeat 4 or more" in output
    failed(call(old, new, "--fail-over", "5"), "too few runs to tell a change from noise")


@pytest.mark.parametrize(("runs", "enough"), [(3, False), (4, True)])
def test_how_many_runs_are_enough(runs: int, enough: bool) -> None:
    change = Change("aes", "programs", [1.0] * runs, [2.0] * runs)
    assert change.is_real == enough


def test_start_up_is_compared(call: Bench) -> None:
    old, new = times(aes=spread(2.0)), times(aes=spread(2.0))
    old["hello"] = samples(*spread(0.2)) | {"python": samples(*[0.02] * RUNS)}
    new["hello"] = samples(*spread(0.3)) | {"python": samples(*[0.02] * RUNS)}
    assert "hello.elf (start-up): 50.0 % worse" in call(old, new, "--fail-over", "5")[2]


def test_counts_have_no_noise(call: Bench) -> None:
    status, output, errors = call(counts(aes=1000, vm=500), counts(aes=1011, vm=499), "--fail-over", "1")
    assert status == 1
    assert errors.startswith("dynarec: aes (arm64): 1.1 % worse than in ")
    assert "499   1.0020  better\n" in output
    assert call(counts(aes=1000), counts(aes=1010), "--fail-over", "1")[0] == 0


def test_programs_that_only_one_has(call: Bench) -> None:
    assert "only measured once: lz, vm\n" in call(counts(aes=1, lz=1), counts(aes=1, vm=1))[1]


@pytest.mark.parametrize(
    ("old", "text"),
    [
        (counts(aes=1), "old.json has kind counts, not times: nothing to compare"),
        (times(aes=[1.0]) | {"rounds": "small"}, "old.json has rounds small, not full: nothing to compare"),
        (times(aes=[1.0]) | {"tiers": ["jit"]}, "old.json: tier jit, and not auto: nothing to compare"),
        (times(vm=[1.0]), "old.json: no program of this measurement is in it: nothing to compare"),
        (times(aes=[1.0]) | {"format": 2}, "old.json has results in format 2, not 1: measure again"),
        ({}, "old.json has no results of dynarec bench --json: KeyError('format')"),
        (times(aes=[0.0]), "old.json has no results of dynarec bench --json: ValueError"),
        (counts(aes=0), "old.json has no results of dynarec bench --json: ValueError"),
    ],
)
def test_what_cannot_be_compared(call: Bench, old: dict[str, Any], text: str) -> None:
    failed(call(old, times(aes=[1.0])), text)


def test_bad_requests(bench: Bench, tmp_path: Path) -> None:
    path = saved(tmp_path, "new", times(aes=[1.0]))
    failed(bench("--from", path, "--fail-over", "5"), "--fail-over needs a saved run: name it with --compare")
    failed(bench("--compare", tmp_path / "none"), "cannot read the results")
    assert bench("--from", path, "--fail-over", "-1")[0] == 125
    assert bench("--from", path, "--fail-over", "x")[0] == 125
    (tmp_path / "new.json").write_text("[")
    failed(bench("--from", path), "new.json has no results of dynarec bench --json: JSONDecodeError")


def test_what_was_measured_is_what_is_read(tmp_path: Path) -> None:
    old = results_file.read(saved(tmp_path, "old", times(aes=spread(2.0))))
    new = tmp_path / "new.json"
    results_file.write(new, times() | results_file.timings_json(old.timings, None))
    assert results_file.read(new).timings == old.timings
    with pytest.raises(DynarecError, match="nothing to compare"):
        compare(old, results_file.read(saved(tmp_path, "counts", counts(aes=1))))
