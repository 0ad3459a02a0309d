"""What native/build.py says when it cannot build, and what it compiles."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from native import build

ROOT = Path(__file__).resolve().parents[2]
BUILD = [sys.executable, "-W", "ignore", "-c", "from setuptools import setup; setup()", "-q", "build_ext"]
MISSING = "/nonexistent"


def test_without_a_compiler_the_build_ends_with_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "CC": MISSING}
    folders = ["--build-temp", str(tmp_path), "--build-lib", str(tmp_path)]
    result = subprocess.run([*BUILD, *folders], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last == build.COMPILER_MISSING.format(compiler=MISSING, problem="was not found")
    assert "Traceback" not in result.stderr


def test_a_compiler_that_fails_is_told_from_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{sys.executable} -m no_such_module")
    with pytest.raises(SystemExit, match="does not run"):
        build.find_compiler()


def test_a_named_compiler_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", MISSING)
    with pytest.raises(SystemExit, match=f"'{MISSING}' was not found"):
        build.find_compiler()


def test_another_compiler_serves_where_that_of_python_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: MISSING)
    monkeypatch.setattr(build, "COMPILERS", (f"{MISSING}2", sys.executable))
    assert build.find_compiler() == sys.executable


def test_missing_headers_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(SystemExit, match=r"no Python\.h\. Install them"):
        build.check_headers()


@pytest.mark.parametrize(
    ("machine", "system", "expected"),
    [
        ("arm64", "darwin", ("arm64", "macos")),
        ("aarch64", "linux", ("arm64", "linux")),
        ("x86_64", "linux", ("x86_64", "linux")),
    ],
)
def test_supported_machines(
    monkeypatch: pytest.MonkeyPatch, machine: str, system: str, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "platform", system)
    assert build.target() == expected


@pytest.mark.parametrize(("machine", "system"), [("x86_64", "darwin"), ("amd64", "win32"), ("riscv64", "linux")])
def test_other_machines_get_one_line(monkeypatch: pytest.MonkeyPatch, machine: str, system: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(SystemExit, match=f"^dynarec runs on .*; this Python is for {machine} and {system}$"):
        build.target()


@pytest.mark.parametrize(("host", "system"), sorted(build.BUILDS))
def test_every_source_of_every_build_exists(host: str, system: str) -> None:
    sources = build.sources(host, system)
    assert [path for path in sources if not path.is_file()] == []
    assert len(set(sources)) == len(sources)


def test_no_source_is_left_out_of_every_build() -> None:
    used = {path for host, system in build.BUILDS for path in build.sources(host, system)}
    present = {path for suffix in ("c", "S") for path in build.NATIVE.rglob(f"*.{suffix}")}
    assert present == used


def test_generated_sources_are_the_same_each_time(tmp_path: Path) -> None:
    first, second = (build.generate(tmp_path / name) for name in ("first", "second"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
