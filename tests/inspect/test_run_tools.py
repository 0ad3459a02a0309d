"""The options of `dynarec run` for other people's tools."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.cli import main
from dynarec.inspect.perf import FOLDER_VARIABLE
from tests.debug.build import ELF

HELLO = "roms/hello.elf"


def status(*arguments: object) -> int:
    """Of a run."""
    return main(["run", *map(str, arguments)])


@pytest.mark.parametrize("suffix", ["lcov", "info", "drcov"])
def test_coverage(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    plain = status(ELF, "--tier", "jit")
    assert status(ELF, "--tier", "jit", "--coverage", path) == plain
    assert path.read_bytes().startswith(b"DRCOV VERSION: 2\n" if suffix == "drcov" else b"TN:\nSF:")


def test_coverage_of_a_run_that_a_limit_ends(tmp_path: Path) -> None:
    path = tmp_path / "run.drcov"
    assert status(HELLO, "--max-instructions", 1000, "--coverage", path) == 124
    assert path.exists()


def test_coverage_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(HELLO, "--coverage", tmp_path / "run.txt") == 125
    assert "rename it" in capsys.readouterr().err
    assert status(HELLO, "--coverage", tmp_path / "run.lcov", "--dump", tmp_path / "dump") == 125
    assert "compile it with -g" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "it has not been run"
    assert status(HELLO, "--coverage", tmp_path / "run.drcov", "--tier", "interp") == 125
    assert "everything is interpreted" in capsys.readouterr().err


def test_coverage_beside_a_dump_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "run.drcov"
    assert status(HELLO, "--coverage", path, "--dump", tmp_path / "none" / "dump") == 125
    assert path.exists()


def test_jitdump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert status(HELLO, "--tier", "jit", "--perf", "jitdump") == 0
    assert (tmp_path / f"jit-{os.getpid()}.dump").read_bytes().startswith(b"DTiJ")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
    assert status(HELLO, "--tier", "jit", "--perf", "jitdump") == 125


def test_jitdump_where_nothing_may_be_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr("dynarec.inspect.perf.mmap.mmap", refuse)
    assert status(HELLO, "--tier", "jit", "--perf", "jitdump") == 125
    assert f"jit-{os.getpid()}.dump: cannot be mapped as code (Operation not permitted)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def map_file() -> Iterator[Path]:
    path = Path(f"/tmp/perf-{os.getpid()}.map")
    yield path
    path.unlink()


def test_the_map_and_gdb_at_once(map_file: Path) -> None:
    assert status(HELLO, "--tier", "jit", "--perf", "map", "--gdb-jit") == 0
    assert " main" in map_file.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="for Linux: perf")
@pytest.mark.usefixtures("map_file")
def test_perf_would_not_look_into_the_map(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(HELLO, "--tier", "jit", "--perf", "map", "--wx", "dualmap") == 0
    assert "choose --perf jitdump" in capsys.readouterr().err
