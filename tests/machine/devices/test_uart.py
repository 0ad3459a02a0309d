"""The serial port: data, status, interrupts, the divisor latch, loopback."""

from __future__ import annotations

import io
from pathlib import Path

from dynarec.engine import Machine
from dynarec.loading import read_kernel
from tests.machine.devices.board import PLIC, UART, Board
from tests.machine.devices.conftest import LOOP

DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)
FCR = IIR
SOURCE = 10
FIFO_BYTES = 16


class Port:
    """The port of a board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.core = board.core
        # Input comes by `feed_uart`, as that of a terminal does.
        self.core.add_uart(UART, SOURCE, board.machine.profile, always_ready=False)  # type: ignore[arg-type]

    @property
    def line(self) -> bool:
        self.board.look()
        return bool(self.board.read(PLIC + 0x1000) >> SOURCE & 1)

    def read(self, register: int) -> int:
        return self.board.read(UART + register, 1)

    def write(self, register: int, value: int) -> None:
        self.board.write(UART + register, value, 1)


def test_what_is_sent_is_handed_on_by_lines(board: Board) -> None:
    port = Port(board)
    for byte in b"hello\nyou":
        assert port.read(LSR) & 0x20
        port.write(DATA, byte)
        assert board.sent.getvalue() in (b"", b"hello\n")
    port.read(LSR)
    port.read(LSR)  # who looks again waits for an answer to what has been sent
    assert board.sent.getvalue() == b"hello\nyou"


def test_a_line_without_an_end_is_handed_on_after_a_while(board: Board) -> None:
    Port(board).write(DATA, ord("$"))
    board.machine.run(2_000_000)
    assert board.sent.getvalue() == b"$"


def test_long_lines_lose_nothing(board: Board) -> None:
    port = Port(board)
    for _ in range(1000):
        port.write(DATA, ord("x"))
    board.core.flush_uart()
    assert board.sent.getvalue() == b"x" * 1000


def test_what_comes_in_is_read_in_order(board: Board) -> None:
    port = Port(board)
    assert board.core.feed_uart(b"ab") == 2
    assert port.read(LSR) == 0x61
    assert bytes((port.read(DATA), port.read(DATA))) == b"ab"
    assert port.read(LSR) == 0x60
    assert port.read(DATA) == 0


def test_looking_takes_nothing(board: Board) -> None:
    port = Port(board)
    board.core.feed_uart(b"a")
    board.look()
    assert board.machine.memory[UART : UART + 8] == bytes((ord("a"), 0, 0x01, 0, 0, 0x61, 0xB0, 0))
    assert port.read(DATA) == ord("a")


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    text = bytes(range(256)) * 5
    image = tmp_path / "Image"
    image.write_bytes(LOOP)
    with Machine.load(read_kernel(image), "virt", stdin=io.BytesIO(text), stdout=io.BytesIO()) as machine:
        got = bytearray()
        while machine._core.read_device(UART + LSR, 1) == 0x61:
            got.append(machine._core.read_device(UART + DATA, 1) or 0)
    assert got == text


def test_input_interrupts_when_enabled_until_it_is_read(board: Board) -> None:
    port = Port(board)
    board.core.feed_uart(b"a")
    assert not port.line
    port.write(IER, 1)
    assert port.line
    assert port.read(IIR) == 0x04
    port.read(DATA)
    assert not port.line
    assert port.read(IIR) == 0x01
    board.core.feed_uart(b"b")
    assert port.line


def test_the_empty_transmitter_interrupts_until_somebody_has_looked(board: Board) -> None:
    port = Port(board)
    port.write(IER, 2)
    assert port.line
    assert port.read(IIR) == 0x02
    assert not port.line
    port.write(DATA, 65)
    assert port.line


def test_the_fifo_shows_in_the_identification_and_can_be_cleared(board: Board) -> None:
    port = Port(board)
    port.write(FCR, 1)
    assert port.read(IIR) == 0xC1
    board.core.feed_uart(b"abc")
    board.look()
    port.write(FCR, 3)
    assert port.read(LSR) == 0x60


def test_the_divisor_latch_hides_data_and_interrupts(board: Board) -> None:
    port = Port(board)
    port.write(LCR, 0x83)
    port.write(DATA, 0x12)
    port.write(IER, 0x34)
    assert (port.read(DATA), port.read(IER)) == (0x12, 0x34)
    port.write(LCR, 0x03)
    assert (port.read(IER), port.read(LCR)) == (0, 3)
    board.core.flush_uart()
    assert board.sent.getvalue() == b""


def test_loopback(board: Board) -> None:
    port = Port(board)
    assert port.read(MSR) == 0xB0
    port.write(MCR, 0x1B)
    assert port.read(MSR) == 0xB0
    port.write(MCR, 0x12)
    assert port.read(MSR) == 0x10
    port.write(DATA, 7)
    assert (port.read(DATA), board.sent.getvalue()) == (7, b"")


def test_scratch_keeps_a_byte_and_other_offsets_nothing(board: Board) -> None:
    port = Port(board)
    port.write(SCR, 0x1A5)
    port.write(8, 1)
    assert (port.read(SCR), port.read(8)) == (0xA5, 0)


def test_what_there_is_no_room_for_is_not_taken(board: Board) -> None:
    port = Port(board)
    taken = 0
    while more := board.core.feed_uart(bytes(100)):
        taken += more
        board.look()
    assert taken > FIFO_BYTES
    for _ in range(taken):
        assert port.read(LSR) & 1
        port.read(DATA)
    assert port.read(LSR) == 0x60
    assert board.core.feed_uart(b"x") == 1
