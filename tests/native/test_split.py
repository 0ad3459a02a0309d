"""The model of an incoherent instruction cache (`--wx split`) runs old code whenever a flush is missing or wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("cc")


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_old_code_runs_until_just_its_place_is_flushed(tmp_path: Path) -> None:
    program = tmp_path / "split"
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'native'}"]
    sources = [ROOT / "tests" / "native" / "split_driver.c", ROOT / "native" / "codemem_split.c"]
    subprocess.run([str(COMPILER), *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1" + " 1 1 1" * 3 + " 2 3\n"
