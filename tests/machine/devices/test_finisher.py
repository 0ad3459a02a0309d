"""What switches a machine off, and with which status."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynarec.engine import Machine, StopReason
from dynarec.loading import read_kernel
from tests.machine.devices.board import FINISHER, Board

OFF = [(0x5555, 0), (0x7777, 0), (0x3333, 1), (0x2A_3333, 42), (0xFFFF_3333, 255)]
STORE = (0x0010_02B7, 0x00A2_A023, 0x0000_006F)  # lui t0, 0x100; sw a0, 0(t0); j .


@pytest.mark.parametrize("tier", ["interp", "jit"])
@pytest.mark.parametrize(("value", "status"), [*OFF, (0, None), (0x1234, None)])
def test_commands(tmp_path: Path, tier: str, value: int, status: int | None) -> None:
    image = tmp_path / "Image"
    image.write_bytes(b"".join(word.to_bytes(4, "little") for word in STORE))
    with Machine.load(read_kernel(image), "virt", tier=tier) as machine:
        machine.regs.a0 = value
        stop = machine.run(100)
        assert stop.status == status
        assert stop.instructions == (100 if status is None else 2)
        assert (stop.reason is StopReason.EXITED) == (status is not None)
        assert machine.run(1).status == status


def test_nothing_can_be_read(board: Board) -> None:
    assert board.read(FINISHER) == 0
