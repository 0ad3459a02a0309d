"""The interrupt controller: priorities, threshold, claim and completion, levels."""

from __future__ import annotations

import pytest

from dynarec.machine.base import AccessFault
from dynarec.machine.devices.plic import CLAIM, ENABLE, PENDING, THRESHOLD, Plic

LOW, HIGH = 3, 10


class Board:
    """A controller with two enabled sources, and its line."""

    def __init__(self) -> None:
        self.line = False
        self.plic = Plic(self._set)
        self.plic.write(4 * LOW, 4, 1)
        self.plic.write(4 * HIGH, 4, 2)
        self.plic.write(ENABLE, 4, 1 << LOW | 1 << HIGH)

    def _set(self, up: bool) -> None:
        self.line = up

    def claim(self) -> int:
        return self.plic.read(CLAIM, 4)

    def complete(self, number: int) -> None:
        self.plic.write(CLAIM, 4, number)


def test_the_highest_priority_is_claimed_first() -> None:
    board = Board()
    board.plic.set_source(LOW, True)
    board.plic.set_source(HIGH, True)
    assert board.line
    assert board.plic.read(PENDING, 4) == 1 << LOW | 1 << HIGH
    assert [board.claim(), board.claim(), board.claim()] == [HIGH, LOW, 0]
    assert not board.line


def test_of_one_priority_the_lowest_number_is_first() -> None:
    board = Board()
    board.plic.write(4 * LOW, 4, 2)
    board.plic.set_source(HIGH, True)
    board.plic.set_source(LOW, True)
    assert board.claim() == LOW


def test_a_level_that_stays_up_is_pending_again_after_completion() -> None:
    board = Board()
    board.plic.set_source(LOW, True)
    assert board.claim() == LOW
    assert not board.line
    board.complete(LOW)
    assert board.line
    board.claim()
    board.plic.set_source(LOW, False)
    board.complete(LOW)
    assert not board.line


def test_a_level_that_goes_down_unclaimed_is_forgotten() -> None:
    board = Board()
    board.plic.set_source(LOW, True)
    board.plic.set_source(LOW, False)
    assert (board.line, board.claim()) == (False, 0)


def test_threshold_priority_zero_and_enable_hold_back() -> None:
    board = Board()
    board.plic.set_source(LOW, True)
    for offset, value in ((THRESHOLD, 1), (4 * LOW, 0), (ENABLE, 0)):
        before = board.plic.read(offset, 4)
        board.plic.write(offset, 4, value)
        assert not board.line
        board.plic.write(offset, 4, before)
        assert board.line


def test_registers_are_words() -> None:
    with pytest.raises(AccessFault):
        Board().plic.read(CLAIM + 1, 1)


def test_source_zero_does_not_exist() -> None:
    board = Board()
    board.plic.write(0, 4, 7)
    board.plic.write(ENABLE, 4, 0xFFFF_FFFF)
    assert (board.plic.read(0, 4), board.plic.read(ENABLE, 4)) == (0, 0xFFFF_FFFE)
