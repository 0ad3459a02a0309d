"""A bench that measures little, and a folder of programs to spoil."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dynarec import cli
from dynarec.bench import conditions, costs, counting, debugging, devices, installs, snapshots
from tests.bench.calls import BENCH, Bench, set_catalogue


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured beside the programs is measured once, not as often as a good number needs."""
    if "CI" in os.environ:
        return
    for module in (conditions, devices, installs, snapshots):
        monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(debugging, "REPEAT", 1)
    monkeypatch.setattr(debugging, "STEPS_BACK", 3)
    monkeypatch.setattr(costs, "SHORT_RUN", 0.05)
    monkeypatch.setattr(counting, "SLICES", 1)


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
