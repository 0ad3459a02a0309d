"""`dynarec bench`: what it measures, prints and writes, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dynarec import cli
from dynarec.bench import conditions, counts, debugging, devices, installs, rivals, session, snapshots
from dynarec.bench.processes import Run, WrongResult, peak_bytes, run
from dynarec.bench.programs import default_folder, load_programs
from dynarec.bench.timing import Samples, Timing, Work, mean_slowdowns
from dynarec.errors import DynarecError

BENCH = Path(__file__).parent.parent / "roms" / "bench"
QUICK = ("--rounds", "small", "--repeat", "1")
MEBI = 1 << 20
Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured beside the programs is measured once, not as often as a good number needs."""
    if "CI" in os.environ:
        return
    for module in (conditions, devices, installs, snapshots):
        monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(debugging, "REPEAT", 1)
    monkeypatch.setattr(debugging, "STEPS_BACK", 3)
    monkeypatch.setattr(session, "SHORT_RUN", 0.05)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Runs the command; its exit status, output and errors."""
    monkeypatch.setitem(cli.COMMANDS, "bench", "measure")

    def call(*words: str | Path) -> tuple[int, str, str]:
        status = cli.main(["bench", *map(str, words)])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bench folder of one program, crc32, to spoil."""
    copy = tmp_path / "roms" / "bench"
    copy.mkdir(parents=True)
    for name in ("crc32.c", "crc32.elf", "../hello.elf", "../devices.elf"):
        shutil.copy(BENCH / name, copy / name)
    set_catalogue(copy)
    return copy


def set_catalogue(folder: Path, **changes: object) -> None:
    entries = json.loads((BENCH / "programs.json").read_text())
    crc32 = next(entry for entry in entries if entry["name"] == "crc32")
    (folder / "programs.json").write_text(json.dumps([crc32 | changes]))


def needs_compiler() -> None:
    if shutil.which(rivals.COMPILER) is None:
        pytest.skip(f"needs {rivals.COMPILER}")


def failed(result: tuple[int, str, str], text: str, status: int = 125) -> None:
    assert result[0] == status, result
    assert result[2].count("\n") == 1
    assert text in result[2]


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
    assert f"dynarec bench vm crc32 --rounds small --repeat 1 --json {path}" in output
    assert re.search(r"^hello\.elf: \d.* MiB at its peak$", output, re.M)
    assert lines[-1].startswith("geometric means of 2 programs, processor time: dynarec ")
    with_qemu = rivals.find_qemu(rivals.qemu_names(BENCH / "vm.elf")) is not None
    assert ("times faster than QEMU" in lines[-1]) == with_qemu
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
    _, output, _ = bench(*QUICK, "--bench-dir", folder)
    assert re.search(r"^qemu +not installed \(qemu-riscv32-static or qemu-riscv32 in PATH\): no columns$", output, re.M)
    assert "qemu s" not in output
    assert "QEMU" not in output


def test_runs_take_turns(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    turns: list[str] = []

    def note(program: object, who: str, command: Sequence[object]) -> Run:
        turns.append(who)
        return Run(0, b"", "", 1.0, 2.0)

    monkeypatch.setattr("dynarec.bench.timing.run_checked", note)
    monkeypatch.setattr("dynarec.bench.timing.measure_work", lambda program, folder: Work(100, 10, 0.001))
    timing = session.time_program(load_programs(folder, [], "small")[0], Path("native"), "qemu", 2, tmp_path)
    assert turns == ["native", "dynarec", "qemu"] * 2
    assert timing.work.translation_micros == pytest.approx(100)


def test_means() -> None:
    program = load_programs(BENCH, ["vm"], "full")[0]

    def timing(native: float, dynarec: float, qemu: float) -> Timing:
        samples = [Samples([seconds], [seconds]) for seconds in (native, dynarec, qemu)]
        return Timing(program, Work(2_000_000, 1, 0.0), *samples)

    means = mean_slowdowns([timing(1, 2, 6), timing(1, 8, 24)], "cpu")
    assert (means.dynarec, means.qemu, means.speedup) == pytest.approx((4, 12, 3))
    assert timing(1, 2, 6).mips == pytest.approx(1)


def test_wrong_checksum(bench: Bench, folder: Path, tmp_path: Path) -> None:
    needs_compiler()
    set_catalogue(folder, small_checksum="00000000")
    path = tmp_path / "results.json"
    result = bench(*QUICK, "--bench-dir", folder, "--json", path)
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
        session.results_file.write(path, {})
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
