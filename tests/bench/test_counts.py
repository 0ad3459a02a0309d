"""`dynarec bench --counts`: executed host instructions, and those that were recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec.bench import counts
from dynarec.bench.counts import Counted
from dynarec.bench.processes import Run, WrongResult
from dynarec.bench.programs import load_programs
from dynarec.host import HOSTS
from tests.bench import __main__ as guard
from tests.bench.calls import BENCH, Bench, failed
from tests.bench.recorded import check_count, complaint, recorded


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
    monkeypatch.setattr(counts, "count_on", lambda program, host, folder, without: counts.Count(guests[host], 300))
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


def test_what_was_recorded_is_of_all_programs_and_hosts() -> None:
    assert recorded().rounds == "small"
    programs = load_programs(BENCH, [], "small")
    assert [each.program.name for each in recorded().counted] == [program.name for program in programs]
    assert [each.program.rounds for each in recorded().counted] == [program.rounds for program in programs]
    assert all(set(each.counts) == set(HOSTS) for each in recorded().counted)


def test_more_host_instructions_than_recorded_fail() -> None:
    known = recorded().counted[0].counts["arm64"].host
    name = recorded().counted[0].program.name
    check_count(name, "arm64", known * 1009 // 1000)
    assert complaint(name, "arm64", known * 1009 // 1000) == ""
    with pytest.raises(AssertionError, match=r"executes .*, \+2\.00 % to what was recorded; after .* --update"):
        check_count(name, "arm64", known * 102 // 100)
    with pytest.raises(AssertionError, match="nonesuch on arm64"):
        check_count("nonesuch", "arm64", known)


def test_fewer_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    fewer = [Counted(each.program, _scaled(each, 0.9)) for each in recorded().counted]
    more = [Counted(each.program, _scaled(each, 1.02)) for each in recorded().counted]
    assert guard.check(replace(recorded(), counted=fewer)) == 0
    assert capsys.readouterr().out.count("-10.00 % to what was recorded") == 2 * len(fewer)
    assert guard.check(replace(recorded(), counted=fewer[:3] + more[3:])) == 1
    assert guard.check(recorded()) == 0


def _scaled(counted: Counted, factor: float) -> dict[str, counts.Count]:
    return {host: replace(count, host=round(count.host * factor)) for host, count in counted.counts.items()}
