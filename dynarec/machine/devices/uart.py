"""A 16550A serial port (National Semiconductor PC16550D). What is sent is sent at once; the baud rate means nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from dynarec.machine.state import Fields, State

SIZE = 0x100
FIFO_BYTES = 16
BYTE = 0xFF


class Register(IntEnum):
    """Offsets; with the divisor latch, the first two are its halves."""

    DATA = 0
    INTERRUPTS = 1
    FIFO = 2
    LINE = 3
    MODEM = 4
    LINE_STATUS = 5
    MODEM_STATUS = 6
    SCRATCH = 7


RECEIVE_ENABLED, SEND_ENABLED, ENABLE_MASK = 1, 2, 0xF
ID_NONE, ID_SEND, ID_RECEIVE, ID_FIFO = 0x01, 0x02, 0x04, 0xC0
FIFO_ON, FIFO_CLEAR_RECEIVED = 1, 2
LATCH = 0x80
LOOPBACK = 0x10
STATUS_RECEIVED, STATUS_IDLE = 0x01, 0x60
"""LSR: data is there; holding and shift register are empty."""
MODEM_PRESENT = 0xB0
"""MSR: carrier, data set ready, clear to send."""
LOOPED = ((0x01, 0x20), (0x02, 0x10), (0x04, 0x40), (0x08, 0x80))
"""Outputs of the modem control register, and the inputs that they are in loopback."""


class Uart:
    """One port. The guest's side belongs to the CPU thread; `receive` and `room` may be called from any thread.

    send: takes what the guest sends. set_line: told the level of the interrupt. refill: gives up to so many bytes of
    input that is always ready, as a file is; it is asked whenever there is room. idle: called when the guest looks for
    input and there is none.
    """

    def __init__(
        self,
        send: Callable[[int], None],
        set_line: Callable[[bool], None],
        refill: Callable[[int], bytes] = lambda size: b"",
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._send = send
        self._set_line = set_line
        self._refill = refill
        self._idle = idle
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._received: deque[int] = deque()
        self._registers = [0] * len(Register)
        self._divisor = [0, 0]
        self._fifo = False
        self._sent = False
        """The interrupt for an empty transmitter is due."""

    # -- the line's side ----------------------------------------------------------------------------------------------

    def room(self, timeout: float | None = None) -> int:
        """Wait until bytes can be received; how many, 0 if none within the timeout."""
        with self._room:
            self._room.wait_for(lambda: len(self._received) < FIFO_BYTES, timeout)
            return FIFO_BYTES - len(self._received)

    def receive(self, data: bytes) -> None:
        """Bytes come in; there is room for them."""
        with self._lock:
            self._received.extend(data)
            self._update()

    @property
    def interrupts_on_input(self) -> bool:
        """Whether input raises the interrupt."""
        return bool(self._registers[Register.INTERRUPTS] & RECEIVE_ENABLED)

    def save(self) -> State:
        with self._lock:
            return {
                "received": list(self._received), "registers": list(self._registers), "divisor": list(self._divisor),
                "fifo": int(self._fifo), "sent": int(self._sent),
            }  # fmt: skip

    def restore(self, state: State) -> None:
        fields = Fields(state, "uart")
        with self._lock:
            self._received = deque(fields.numbers("received", BYTE + 1))
            self._registers = fields.numbers("registers", BYTE + 1, len(Register))
            self._divisor = fields.numbers("divisor", BYTE + 1, 2)
            self._fifo, self._sent = fields.flag("fifo"), fields.flag("sent")
            self._room.notify_all()
            self._update()

    # -- the guest's side ---------------------------------------------------------------------------------------------

    def read(self, offset: int, width: int) -> int:
        if offset not in range(len(Register)):
            return 0
        with self._lock:
            self._fill()
            value = self._read(Register(offset))
            self._update()
            return value

    def write(self, offset: int, width: int, value: int) -> None:
        if offset not in range(len(Register)):
            return
        with self._lock:
            self._write(Register(offset), value & BYTE)
            self._fill()
            self._update()

    def _fill(self) -> None:
        if len(self._received) < FIFO_BYTES:
            self._received.extend(self._refill(FIFO_BYTES - len(self._received)))

    def _has_latch(self, register: Register) -> bool:
        return register <= Register.INTERRUPTS and bool(self._registers[Register.LINE] & LATCH)

    def _read(self, register: Register) -> int:
        if self._has_latch(register):
            return self._divisor[register]
        match register:
            case Register.DATA:
                return self._take()
            case Register.FIFO:
                return self._identify()
            case Register.LINE_STATUS:
                if not self._received:
                    self._idle()
                return STATUS_IDLE | (STATUS_RECEIVED if self._received else 0)
            case Register.MODEM_STATUS:
                return self._modem_status()
        return self._registers[register]

    def _take(self) -> int:
        value = self._received.popleft() if self._received else 0
        self._room.notify_all()
        self._fill()
        return value

    def _identify(self) -> int:
        """Reading that the transmitter is empty takes that interrupt back."""
        reason = self._reason()
        if reason == ID_SEND:
            self._sent = False
        return reason | (ID_FIFO if self._fifo else 0)

    def _reason(self) -> int:
        enabled = self._registers[Register.INTERRUPTS]
        if enabled & RECEIVE_ENABLED and self._received:
            return ID_RECEIVE
        return ID_SEND if enabled & SEND_ENABLED and self._sent else ID_NONE

    def _modem_status(self) -> int:
        outputs = self._registers[Register.MODEM]
        if not outputs & LOOPBACK:
            return MODEM_PRESENT
        return sum(status for output, status in LOOPED if outputs & output)

    def _write(self, register: Register, value: int) -> None:
        if self._has_latch(register):
            self._divisor[register] = value
        elif register is Register.DATA:
            self._transmit(value)
        elif register is Register.FIFO:
            self._fifo = bool(value & FIFO_ON)
            if value & FIFO_CLEAR_RECEIVED:
                self._received.clear()
                self._room.notify_all()
        elif register is Register.INTERRUPTS:
            self._sent = self._sent or bool(value & ~self._registers[register] & SEND_ENABLED)
            self._registers[register] = value & ENABLE_MASK
        elif register not in (Register.LINE_STATUS, Register.MODEM_STATUS):
            self._registers[register] = value

    def _transmit(self, value: int) -> None:
        if self._registers[Register.MODEM] & LOOPBACK:
            self._received.append(value)
        else:
            self._send(value)
        self._sent = True

    def _update(self) -> None:
        self._set_line(self._reason() != ID_NONE)
