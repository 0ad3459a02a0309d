"""The serial port: data, status, interrupts, the divisor latch, loopback."""

from __future__ import annotations

from dynarec.machine.devices.uart import FIFO_BYTES, Uart

DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)
FCR = IIR


class Port:
    """A port with its ends."""

    def __init__(self, text: bytes = b"") -> None:
        self.sent = bytearray()
        self.line = False
        self.idle = 0
        self._text = text
        self.uart = Uart(self.sent.append, self._set, self._refill, self._count)

    def _set(self, up: bool) -> None:
        self.line = up

    def _refill(self, size: int) -> bytes:
        data, self._text = self._text[:size], self._text[size:]
        return data

    def _count(self) -> None:
        self.idle += 1

    def read(self, register: int) -> int:
        return self.uart.read(register, 1)

    def write(self, register: int, value: int) -> None:
        self.uart.write(register, 1, value)


def test_what_is_sent_is_sent_at_once() -> None:
    port = Port()
    for byte in b"hello":
        assert port.read(LSR) == 0x60
        port.write(DATA, byte)
    assert port.sent == b"hello"


def test_what_comes_in_is_read_in_order() -> None:
    port = Port()
    port.uart.receive(b"ab")
    assert port.read(LSR) == 0x61
    assert bytes((port.read(DATA), port.read(DATA))) == b"ab"
    assert port.read(LSR) == 0x60
    assert port.read(DATA) == 0
    assert port.idle == 1


def test_a_file_refills_the_fifo() -> None:
    text = bytes(range(65, 65 + 2 * FIFO_BYTES))
    port = Port(text)
    got = bytearray()
    while port.read(LSR) & 1:
        got.append(port.read(DATA))
    assert got == text


def test_input_interrupts_when_enabled_until_it_is_read() -> None:
    port = Port()
    port.uart.receive(b"a")
    assert not port.line
    port.write(IER, 1)
    assert port.line
    assert port.read(IIR) == 0x04
    port.read(DATA)
    assert not port.line
    assert port.read(IIR) == 0x01


def test_the_empty_transmitter_interrupts_until_somebody_has_looked() -> None:
    port = Port()
    port.write(IER, 2)
    assert port.line
    assert port.read(IIR) == 0x02
    assert not port.line
    port.write(DATA, 65)
    assert port.line


def test_the_fifo_shows_in_the_identification() -> None:
    port = Port()
    port.write(FCR, 1)
    assert port.read(IIR) == 0xC1
    port.uart.receive(b"abc")
    port.write(FCR, 3)
    assert port.read(LSR) == 0x60


def test_the_divisor_latch_hides_data_and_interrupts() -> None:
    port = Port()
    port.write(LCR, 0x83)
    port.write(DATA, 0x12)
    port.write(IER, 0x34)
    assert (port.read(DATA), port.read(IER), port.sent) == (0x12, 0x34, b"")
    port.write(LCR, 0x03)
    assert (port.read(IER), port.read(LCR)) == (0, 3)


def test_loopback() -> None:
    port = Port()
    assert port.read(MSR) == 0xB0
    port.write(MCR, 0x1B)
    assert port.read(MSR) == 0xB0
    port.write(MCR, 0x12)
    assert port.read(MSR) == 0x10
    port.write(DATA, 7)
    assert (port.sent, port.read(DATA)) == (b"", 7)


def test_scratch_keeps_a_byte_and_other_offsets_nothing() -> None:
    port = Port()
    port.write(SCR, 0x1A5)
    port.write(8, 1)
    assert (port.read(SCR), port.read(8)) == (0xA5, 0)


def test_there_is_room_for_sixteen_bytes() -> None:
    port = Port()
    port.uart.receive(bytes(FIFO_BYTES))
    assert port.uart.room(0) == 0
    port.read(DATA)
    assert port.uart.room(0) == 1
