"""A loaded process whose files are below a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.program import load_program
from tests.machine.elf import simple
from tests.machine.fake import MACHINE_IDS, Process


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "root").mkdir()
    made = Process(load_program(simple(), MACHINE_IDS), tmp_path / "root", stdin=b"input\nmore")
    yield made
    made.profile.close()
    made.profile.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"
