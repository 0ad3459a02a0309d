"""What ends a machine, and with which status."""

from __future__ import annotations

import pytest

from dynarec.machine.base import Exited
from dynarec.machine.devices.finisher import Finisher


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (0x5555, Exited(0)), (0x7777, Exited(0)), (0x3333, Exited(1)), (0x2A_3333, Exited(42)), (0, None),
        (0x1234, None),
    ],
)  # fmt: skip
def test_commands(value: int, outcome: Exited | None) -> None:
    assert Finisher().write(0, 4, value) == outcome


def test_nothing_can_be_read() -> None:
    assert Finisher().read(0, 4) == 0
