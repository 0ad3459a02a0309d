"""The example in the README, as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
SURROUNDINGS = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
HEADING, NEXT = "## Snapshots\n", "\n## "


def examples() -> tuple[str, list[list[str]]]:
    """The Python code of the section, and its commands."""
    section = (ROOT / "README.md").read_text().partition(HEADING)[2].partition(NEXT)[0]
    blocks = [block for block in section.strip("\n").split("\n\n") if block.startswith("    ")]
    commands = [line.split() for block in blocks for line in block.splitlines() if line.startswith("    dynarec ")]
    code = "\n\n".join(block for block in blocks if not block.startswith("    dynarec "))
    return textwrap.dedent(code), commands


def test_the_example_works_as_shown(tmp_path: Path) -> None:
    (tmp_path / "roms").symlink_to(ROOT / "roms")
    code, commands = examples()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=SURROUNDINGS, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "5000000\n", "")
    assert len(commands) == 2
    for (_, *arguments), status in zip(commands, (124, 0), strict=True):
        command = [sys.executable, "-m", "dynarec", *arguments]
        ended = subprocess.run(command, cwd=tmp_path, env=SURROUNDINGS, capture_output=True, check=False)
        assert ended.returncode == status, ended.stderr
    whole = ROOT / "roms" / "pictures" / "mandelbrot.png"
    assert (tmp_path / "whole.png").read_bytes() == whole.read_bytes()
