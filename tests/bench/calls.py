"""How tests call the command, and what they expect of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dynarec.bench import rivals

BENCH = Path(__file__).parents[2] / "roms" / "bench"
QUICK = ("--rounds", "small", "--repeat", "1")
Bench = Callable[..., tuple[int, str, str]]
"""Arguments to exit status, output and errors."""


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
