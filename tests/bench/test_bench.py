"""`dynarec bench`: what it measures, prints and writes, and what it says when it cannot."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dynarec.bench import results_file, rivals, timing
from dynarec.bench.processes import Run, peak_bytes, run
from dynarec.bench.programs import default_folder, load_programs
from dynarec.bench.runners import Field
from dynarec.bench.timing import Samples, Timing, Work, mean_slowdowns
from dynarec.errors import DynarecError
from tests.bench.calls import BENCH, QUICK, Bench, failed, needs_compiler, set_catalogue

MEBI = 1 << 20


def test_default_folder() -> None:
    assert default_folder() == BENCH


def test_times(bench: Bench, tmp_path: Path) -> None:
    needs_compiler()
    path = tmp_path / "results.json"
    status, output, errors = bench("vm", "crc32", *QUICK, "--json", path)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("program"))
    assert [line.split()[0] for line in lines[head + 1 : head + 3]] == ["crc32", "vm"]
    assert f"dynarec bench vm crc32 --rounds small --repeat 1 --tiers auto --json {path}" in output
    assert re.search(r"^hello\.elf: \d.* MiB at its peak; of it Python alone 0\.\d+ s, ", output, re.M)
    assert lines[-1].startswith("geometric means of 2 programs, processor time: dynarec ")
    assert bench("--from", path) == (0, output, "")
    with_qemu = rivals.find_qemu(rivals.qemu_names(BENCH / "vm.elf")) is not None
    assert ("times faster than QEMU" in lines[-1]) == with_qemu
    assert ("unicorn s" in lines[head]) == (find_spec("unicorn") is not None)
    assert re.search(
        r"^resident memory for each translated guest instruction: \d+\.\d bytes of at most 120, ", output, re.M
    )
    assert "by policy: none works here" not in output
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]
    check_times_json(json.loads(path.read_text()))


def check_times_json(results: dict[str, Any]) -> None:
    assert (results["format"], results["rounds"], results["problems"]) == (1, "small", [])
    crc32 = results["programs"][0]
    assert crc32["instructions"] > crc32["translated"] > 0
    for clock in ("cpu", "wall"):
        assert [len(crc32[who][clock]) for who in ("native", "dynarec")] == [1, 1]
        assert results["means"][clock]["programs"] == 2
    assert results["hello"]["peak_bytes"] > MEBI


def test_columns_with_and_without_qemu(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_compiler()
    monkeypatch.setattr(rivals, "find_qemu", lambda names: None)
    _, output, _ = bench(*QUICK, "--brief", "--bench-dir", folder)
    assert re.search(r"^qemu +none of qemu-riscv32-static or qemu-riscv32 in PATH: no columns$", output, re.M)
    assert "qemu s" not in output
    assert "QEMU" not in output


def test_runs_take_turns_and_slow_ones_run_once(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    turns: list[str] = []

    def note(program: object, who: str, command: Sequence[object]) -> Run:
        turns.append(who)
        return Run(0, b"", "", 1.0, 2.0)

    monkeypatch.setattr(timing, "run_checked", note)
    monkeypatch.setattr(timing, "measure_work", lambda program, tier, folder: Work(100, 10, 0.001))
    program = load_programs(folder, [], "small")[0]
    runners = Field("cc", ("auto", "jit", "interp"), "qemu", (), unicorn=True).runners
    found = timing.time_program(program, Path("native"), runners, 2, "auto", tmp_path)
    assert turns == ["native", "dynarec", "jit", "interp", "qemu", "unicorn", "native", "dynarec", "jit", "qemu"]
    assert [len(samples.cpu) for samples in found.runs.values()] == [2, 2, 2, 1, 2, 1]
    assert found.work.translation_micros == pytest.approx(100)


def made(native: float, dynarec: float, qemu: float) -> Timing:
    runs = {who: Samples([s], [s]) for who, s in (("native", native), ("dynarec", dynarec), ("qemu", qemu))}
    return Timing(load_programs(BENCH, ["vm"], "full")[0], Work(2_000_000, 1, 0.0), runs)


def test_means() -> None:
    means = mean_slowdowns([made(1, 2, 6), made(1, 8, 24)], "cpu")
    assert means.slowdowns == pytest.approx({"dynarec": 4, "qemu": 12})
    assert means.speedup == pytest.approx(3)
    assert made(1, 2, 6).mips == pytest.approx(1)


def test_what_disturbs_a_whole_round_changes_no_ratio() -> None:
    runs = {"native": Samples([1.0, 3.0, 1.0], [1.0] * 3), "dynarec": Samples([2.0, 6.0, 2.2], [1.0] * 3)}
    timing = Timing(load_programs(BENCH, ["vm"], "full")[0], Work(1, 1, 0.0), runs)
    assert timing.slowdowns("dynarec", "cpu") == pytest.approx([2.0, 2.0, 2.2])
    assert timing.slowdown("dynarec", "cpu") == pytest.approx(2.0)


def test_wrong_checksum(bench: Bench, folder: Path, tmp_path: Path) -> None:
    needs_compiler()
    set_catalogue(folder, small_checksum="00000000")
    path = tmp_path / "results.json"
    result = bench(*QUICK, "--brief", "--bench-dir", folder, "--json", path)
    failed(result, "crc32: dynarec printed 'crc32 0fa35b7f' and not 'crc32 00000000'", status=1)
    assert "geometric" not in result[1]
    results = json.loads(path.read_text())
    assert (results["programs"], results["means"]["cpu"]) == ([], None)
    assert len(results["problems"]) == 1


def test_no_compiler(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    failed(bench(*QUICK, "--bench-dir", folder), "there is no C compiler 'cc' in PATH")


def test_source_that_does_not_compile(bench: Bench, folder: Path) -> None:
    needs_compiler()
    (folder / "crc32.c").write_text("#error\n")
    failed(bench(*QUICK, "--bench-dir", folder), "cc cannot compile ")


def test_bad_requests(bench: Bench, folder: Path) -> None:
    failed(bench("nonesuch"), "unknown benchmark program 'nonesuch': choose from aes, ")
    failed(bench("--bench-dir", "/nonexistent"), "not installed; name that folder with --bench-dir")
    failed(bench("--json", "/nonexistent/x"), "cannot write the results /nonexistent/x")
    assert bench("--repeat", "0")[0] == 125


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[1]", '[{"name": "x"}]'])
def test_bad_catalogue(bench: Bench, folder: Path, text: str) -> None:
    (folder / "programs.json").write_text(text)
    failed(bench("--bench-dir", folder), "programs.json")


def test_missing_program_file(bench: Bench, folder: Path) -> None:
    (folder / "crc32.elf").unlink()
    failed(bench("--bench-dir", folder), "crc32.elf is missing")


def test_results_stay_whole_when_writing_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "results.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DynarecError, match="No space left"):
        results_file.write(path, {})
    assert path.read_text() == "old"
    assert not list(folder.glob(".results*"))


def test_process_measurements() -> None:
    done = run([sys.executable, "-c", "import sys; print(sys.stdin.read()); sys.exit('bad')"])
    assert (done.status, done.output, done.errors) == (1, b"\n", "bad\n")
    assert done.cpu_seconds > 0
    assert run([sys.executable, "-c", "import os; os.abort()"]).status == -6
    with pytest.raises(DynarecError, match="cannot run /nonexistent"):
        run(["/nonexistent"])


def test_peak_is_not_that_of_the_parent() -> None:
    ballast = b"x" * (256 * MEBI)
    small = peak_bytes([sys.executable, "-S", "-c", ""])
    large = peak_bytes([sys.executable, "-S", "-c", f"b'x' * (64 * {MEBI})"])
    assert len(ballast) > large > 64 * MEBI > small
