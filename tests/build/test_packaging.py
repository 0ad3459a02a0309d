"""The archive of the sources and the wheel that is built from it: what is in them, and that it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dynarec", "guest_isa")
ARCHIVE_FOLDERS = {*PACKAGES, "native", "roms", "tests"}
TOP_LEVEL = ("pyproject.toml", "README.md", "LICENSE", *sorted(ARCHIVE_FOLDERS))
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def run_backend(hook: str, sources: Path, output: Path) -> Path:
    """What a hook of the build backend (PEP 517) makes, without the isolation of a front end."""
    command = [sys.executable, "-W", "ignore", "-c", BUILD, hook, str(output)]
    result = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return output / result.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the sources, made from a copy that has nothing built in it."""
    copy = tmp_path_factory.mktemp("copy")
    for name in TOP_LEVEL:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=NOT_SOURCES)
        else:
            shutil.copy(ROOT / name, copy)
    return run_backend("build_sdist", copy, tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the archive builds to."""
    folder = tmp_path_factory.mktemp("unpacked")
    shutil.unpack_archive(archive, folder)
    (sources,) = folder.iterdir()
    return run_backend("build_wheel", sources, tmp_path_factory.mktemp("wheel"))


def sources_below(*folders: str) -> set[str]:
    """The files below folders of this checkout, without what was built there."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = [path for path in found if "__pycache__" not in path.parts and path.suffix != ".so"]
    return {path.relative_to(ROOT).as_posix() for path in kept}


def test_archive_holds_all_sources(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = {member.name.partition("/")[2] for member in tar if member.isfile()}
    held = {name for name in names if name.partition("/")[0] in ARCHIVE_FOLDERS}
    assert held == sources_below(*sorted(ARCHIVE_FOLDERS))
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == sources_below(*PACKAGES) | {"dynarec/_native.abi3.so"}
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_wheel_serves_every_python_from_the_oldest_on(wheel: Path) -> None:
    assert wheel.name.split("-")[2:4] == ["cp311", "abi3"]


def test_wheel_runs_a_program(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-m", "dynarec", "run", str(ROOT / "roms" / "hello.elf")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("Hello from a RISC-V program of 32 bits\n", "")
