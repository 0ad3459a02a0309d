"""The examples in the README, as they stand there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SURROUNDINGS = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
OUTPUT = {
    "From Python": "hello",
    "Devices": "00000001\n> mem 0x40000000\n00000002\n",
    "Snapshots": "5000000\n",
    "Hooks": "main, with 1 arguments",
    "In Python": "rename_account at ./src/ledger.c:22",
    "Inspect the code cache": " True",
}
"""Headings of sections with an example, and a part of what it prints."""
SHOWN = "    {name"
"""How a block begins that is the whole output."""
NO_CODE = ("    dynarec ", SHOWN)
TIMED_OUT, DONE = 124, 0


def blocks(heading: str) -> list[str]:
    section = (ROOT / "README.md").read_text().partition(f"# {heading}\n")[2].partition("\n## ")[0]
    return [block for block in section.strip("\n").split("\n\n") if block.startswith("    ")]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not (folder / "roms").exists():
        (folder / "roms").symlink_to(ROOT / "roms")
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=SURROUNDINGS, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("heading", OUTPUT)
def test_examples_in_python(heading: str, tmp_path: Path) -> None:
    code = "\n\n".join(block for block in blocks(heading) if not block.startswith(NO_CODE))
    done = run(tmp_path, "-c", textwrap.dedent(code))
    assert (done.returncode, done.stderr) == (0, "")
    assert all(textwrap.dedent(block) in done.stdout for block in blocks(heading) if block.startswith(SHOWN))
    assert OUTPUT[heading].lower() in done.stdout.lower()


def test_a_picture_from_a_snapshot_is_the_picture(tmp_path: Path) -> None:
    lines = [line.split() for block in blocks("Snapshots") for line in block.splitlines()]
    commands = [words[1:] for words in lines if words[:1] == ["dynarec"]]
    assert [run(tmp_path, "-m", "dynarec", *words).returncode for words in commands] == [TIMED_OUT, DONE]
    whole = ROOT / "roms" / "pictures" / "mandelbrot.png"
    assert (tmp_path / "whole.png").read_bytes() == whole.read_bytes()
