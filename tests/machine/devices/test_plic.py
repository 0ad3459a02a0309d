"""The interrupt controller: priorities, threshold, claim and completion, levels."""

from __future__ import annotations

import pytest

from tests.machine.devices.board import PLIC, Board

EXTERNAL = 1 << 11
PENDING, ENABLE, THRESHOLD, CLAIM = PLIC + 0x1000, PLIC + 0x2000, PLIC + 0x20_0000, PLIC + 0x20_0004
LOW, HIGH = 3, 11


@pytest.fixture
def plic(board: Board) -> Board:
    """With two enabled sources."""
    board.write(PLIC + 4 * LOW, 1)
    board.write(PLIC + 4 * HIGH, 2)
    board.write(ENABLE, 1 << LOW | 1 << HIGH)
    return board


def raise_source(board: Board, number: int, up: bool = True) -> None:
    board.machine.set_interrupt(number, up)
    board.look()


def test_the_highest_priority_is_claimed_first(plic: Board) -> None:
    raise_source(plic, LOW)
    raise_source(plic, HIGH)
    assert plic.lines == EXTERNAL
    assert plic.read(PENDING) == 1 << LOW | 1 << HIGH
    assert [plic.read(CLAIM), plic.read(CLAIM), plic.read(CLAIM)] == [HIGH, LOW, 0]
    assert plic.lines == 0


def test_looking_does_not_claim(plic: Board) -> None:
    raise_source(plic, LOW)
    assert plic.machine.memory[CLAIM] == LOW
    assert plic.machine.memory[CLAIM : CLAIM + 4] == bytes((LOW, 0, 0, 0))
    assert plic.read(CLAIM) == LOW


def test_of_one_priority_the_lowest_number_is_first(plic: Board) -> None:
    plic.write(PLIC + 4 * LOW, 2)
    raise_source(plic, HIGH)
    raise_source(plic, LOW)
    assert plic.read(CLAIM) == LOW


def test_a_level_that_stays_up_is_pending_again_after_completion(plic: Board) -> None:
    raise_source(plic, LOW)
    assert plic.read(CLAIM) == LOW
    assert plic.lines == 0
    plic.write(CLAIM, LOW)
    assert plic.lines == EXTERNAL
    plic.read(CLAIM)
    raise_source(plic, LOW, up=False)
    plic.write(CLAIM, LOW)
    assert plic.lines == 0


def test_a_level_that_goes_down_unclaimed_is_forgotten(plic: Board) -> None:
    raise_source(plic, LOW)
    raise_source(plic, LOW, up=False)
    assert (plic.lines, plic.read(CLAIM)) == (0, 0)


@pytest.mark.parametrize(("register", "value"), [(THRESHOLD, 1), (PLIC + 4 * LOW, 0), (ENABLE, 0)])
def test_threshold_priority_zero_and_enable_hold_back(plic: Board, register: int, value: int) -> None:
    raise_source(plic, LOW)
    before = plic.read(register)
    plic.write(register, value)
    assert plic.lines == 0
    plic.write(register, before)
    assert plic.lines == EXTERNAL


def test_registers_are_words(plic: Board) -> None:
    assert plic.core.read_device(CLAIM + 1, 1) is None
    assert plic.core.read_device(CLAIM + 2, 4) is None
    assert not plic.core.write_device(ENABLE, 2, 1)


def test_source_zero_does_not_exist(plic: Board) -> None:
    plic.write(PLIC, 7)
    plic.write(ENABLE, 0xFFFF_FFFF)
    plic.core.set_source(0, True)
    plic.look()
    assert (plic.read(PLIC), plic.read(ENABLE), plic.read(PENDING)) == (0, 0xFFFF_FFFE, 0)


@pytest.mark.parametrize("number", [-1, 32, 1 << 20])
def test_there_are_31_sources(plic: Board, number: int) -> None:
    with pytest.raises(ValueError, match="1 to 31"):
        plic.machine.set_interrupt(number, True)
