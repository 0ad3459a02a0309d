"""The timer block: software interrupt, time, and the alarm at the very instruction."""

from __future__ import annotations

from tests.machine.devices.board import CLINT, Board

SOFTWARE, TIMER = 8, 128
MSIP, MTIMECMP, MTIME = CLINT, CLINT + 0x4000, CLINT + 0xBFF8
HALF = 4
NEVER = 0xFFFF_FFFF


def set_alarm(board: Board, ticks: int) -> None:
    board.write(MTIMECMP + HALF, NEVER)
    board.write(MTIMECMP, ticks & NEVER)
    board.write(MTIMECMP + HALF, ticks >> 32)


def test_the_software_interrupt_is_a_bit(board: Board) -> None:
    board.write(MSIP, NEVER)
    assert (board.read(MSIP), board.lines) == (1, SOFTWARE)
    board.write(MSIP, 0)
    assert (board.read(MSIP), board.lines) == (0, 0)


def test_time_is_the_clock_by_words_and_bytes(board: Board) -> None:
    board.machine.run(0x1234)
    assert (board.read(MTIME), board.read(MTIME + HALF)) == (0x1234, 0)
    assert (board.read(MTIME, 2), board.read(MTIME + 1, 1)) == (0x1234, 0x12)


def test_the_line_goes_up_at_the_tick(board: Board) -> None:
    set_alarm(board, 100)
    board.machine.run(99)
    assert board.lines == 0
    board.machine.run(1)
    assert board.lines == TIMER


def test_a_later_time_lowers_the_line(board: Board) -> None:
    board.machine.run(100)
    set_alarm(board, 100)
    assert board.lines == TIMER
    set_alarm(board, 5000)
    assert board.lines == 0
    board.machine.run(4900)
    assert board.lines == TIMER


def test_what_was_written_can_be_read(board: Board) -> None:
    assert (board.read(MTIMECMP), board.read(MTIMECMP + HALF)) == (NEVER, NEVER)
    set_alarm(board, 0x1_2345_6789)
    assert (board.read(MTIMECMP), board.read(MTIMECMP + HALF)) == (0x2345_6789, 1)
