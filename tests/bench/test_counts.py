"""`dynarec bench --counts`: executed host instructions, and those that were recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from dynarec.bench import counts
from dynarec.bench.processes import Run, WrongResult
from dynarec.bench.programs import load_programs
from tests.bench.calls import Bench, failed


class Emulation:
    """Stands in for the process of dynarec.bench.emulation: three host instructions for each guest instruction."""

    def __init__(self, status: int = 0, output: bytes = b"crc32 0fa35b7f\n", errors: str = "") -> None:
        self.done = Run(status, output, errors, 1.0, 1.0)

    def __call__(self, command: Sequence[str | Path]) -> Run:
        Path(command[-1]).write_text(json.dumps({"guest": 100, "host": 300 if "arm64" in command else 400}))
        return self.done


def test_counts(bench: Bench, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "run", Emulation())
    path = tmp_path / "counts.json"
    status, output, errors = bench("--counts", "--bench-dir", folder, "--json", path)
    assert (status, errors) == (0, "")
    assert re.search(r"^crc32 .* 100 +300 +3\.000 +400 +4\.000$", output, re.M)
    assert "arm64: host instructions for each guest instruction: arithmetic mean 3.000, geometric mean 3.000" in output
    results = json.loads(path.read_text())
    assert results["programs"][0]["hosts"]["x86_64"] == {"guest": 100, "host": 400, "ratio": 4.0}
    assert results["means"]["arm64"] == pytest.approx({"arithmetic": 3.0, "geometric": 3.0})


def test_hosts_that_disagree(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guests = {"arm64": 100, "x86_64": 101}
    monkeypatch.setattr(counts, "count_on", lambda program, host, folder: counts.Count(guests[host], 300))
    with pytest.raises(WrongResult, match=r"crc32: the hosts disagree .*'x86_64': 101"):
        counts.count_program(load_programs(folder, [], "small")[0], tmp_path)


@pytest.mark.parametrize(
    ("emulation", "status", "text"),
    [
        (Emulation(output=b"crc32 1\n"), 1, "crc32: dynarec on emulated arm64 printed b'crc32 1\\n'"),
        (Emulation(status=-11), 1, "ended with status -11"),
        (Emulation(status=125, errors="unicorn is missing\n"), 125, "dynarec: unicorn is missing"),
    ],
)
def test_counts_that_fail(
    bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch, emulation: Emulation, status: int, text: str
) -> None:
    monkeypatch.setattr(counts, "run", emulation)
    failed(bench("--counts", "--bench-dir", folder), text, status)


def test_counts_by_emulation(folder: Path, tmp_path: Path) -> None:
    program = load_programs(folder, [], "small")[0]
    for count in counts.count_program(program, tmp_path).counts.values():
        assert count.host > count.guest > 0
