"""Machine virt with a program that does nothing, for tests that use its devices as a guest would."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.engine import Machine
from dynarec.loading import read_kernel
from dynarec.machine.base import Hardware
from tests.machine.devices.board import Board

LOOP = (0x6F).to_bytes(4, "little")  # j .


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board without input."""
    image = tmp_path / "Image"
    image.write_bytes(LOOP)
    sent = io.BytesIO()
    options = {"hardware": Hardware(memory=1 << 20), "stdin": io.BytesIO(), "stdout": sent}
    with Machine.load(read_kernel(image), "virt", tier="interp", **options) as machine:  # type: ignore[arg-type]
        yield Board(machine, sent)
