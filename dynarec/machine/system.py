"""What the system calls of one guest process work on: its memory, files, heap, clock and signals."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Callable
from typing import Any

from dynarec.errors import GuestMemoryError
from dynarec.machine.address_space import AddressSpace
from dynarec.machine.base import PAGE_SIZE, SIGNAL_STATUS_BASE, Access, Exited, Machine, Options, Outcome
from dynarec.machine.files import MAX_TRANSFER, FileTable
from dynarec.machine.linux_errno import EFAULT, ENAMETOOLONG, GuestError
from dynarec.machine.random_state import restore_random, save_random
from dynarec.machine.state import BadState, Fields, State, Value
from dynarec.machine.waiting import Waiter
from dynarec.program import ADDRESS_SPACE

ADDRESS_MASK = ADDRESS_SPACE - 1
SIGN_BIT = 1 << 31
MAX_STRING = 4096
"""PATH_MAX."""
NEWLIB_SYMBOLS = ("_impure_ptr", "_impure_data", "__sinit", "__sflush_r")
"""Names that only programs linked with newlib have: its calls differ in open flags and in lseek."""

ADDRESSES = ("heap_start", "heap_end", "heap_limit", "stack_top", "mmap_top")
"""Attributes of a System, and their names in a snapshot."""
ACTION_SIZE = 16
"""struct sigaction of the kernel on a 32-bit guest without sa_restorer: handler, flags, 64-bit mask."""
MASK_SIZE = 8
TIME_END = (1 << 31) * 1_000_000_000
"""Nanoseconds: no clock gets so far."""

Args = tuple[int, ...]
Result = int | Outcome
Call = Callable[["System", Args], Result]


def signed(value: int) -> int:
    """The two's complement reading of a 32-bit value."""
    return value - ADDRESS_SPACE if value & SIGN_BIT else value


def signed64(low: int, high: int) -> int:
    """The two's complement reading of a 64-bit value in two registers."""
    return low | signed(high) << 32


class Clock:
    """A clock of the host that is only asked how much time has passed: in a snapshot it stands still."""

    def __init__(self, source: Callable[[], int]) -> None:
        """source: gives nanoseconds."""
        self._source = source
        self._ahead = 0
        self._held: int | None = None

    def now(self) -> int:
        """Nanoseconds."""
        return self._source() + self._ahead if self._held is None else self._held

    def set(self, now: int) -> None:
        """Go on from there, or stand still there."""
        self._ahead = now - self._source()
        self._held = None if self._held is None else now

    def stand_still(self) -> None:
        self._held = self.now()

    def go_on(self) -> None:
        now, self._held = self.now(), None
        self.set(now)


class System:
    """One guest process. Faults of guest pointers become GuestError(EFAULT) here, so that no call has to check."""

    def __init__(self, machine: Machine, options: Options) -> None:
        self.machine = machine
        self.options = options
        self.waiter = Waiter()
        self.files = FileTable(options, self.waiter)
        self.space = AddressSpace()
        self.heap_start = self.heap_end = self.heap_limit = 0
        self.stack_top = 0
        self.mmap_top = ADDRESS_SPACE - PAGE_SIZE
        self.signal_actions: dict[int, bytes] = {}
        self.signal_mask = bytes(8)
        self.monotonic, self.cpu_time = Clock(time.monotonic_ns), Clock(time.process_time_ns)
        self.started = self.monotonic.now()
        self._random = random.Random(options.seed) if options.seed is not None else None
        self._uses_newlib: bool | None = None

    def close(self) -> None:
        """Release the host's files."""
        self.files.close()
        self.waiter.close()

    def stand_still(self) -> None:
        """Its clocks stand still."""
        self.monotonic.stand_still()
        self.cpu_time.stand_still()

    def go_on(self) -> None:
        """They go on from there."""
        self.monotonic.go_on()
        self.cpu_time.go_on()

    @property
    def age(self) -> int:
        """Nanoseconds since the program's start."""
        return self.monotonic.now() - self.started

    @property
    def uses_newlib(self) -> bool:
        """Whether the program is linked with newlib, by its symbols; False when it is stripped."""
        if self._uses_newlib is None:
            self._uses_newlib = any(name in self.machine.program.symbols for name in NEWLIB_SYMBOLS)
        return self._uses_newlib

    def random_bytes(self, size: int) -> bytes:
        """Random bytes: from the seed when there is one, else from the host."""
        return self._random.randbytes(size) if self._random else os.urandom(size)

    def is_mapped(self, address: int, size: int) -> bool:
        """Whether the guest has this range; an empty one it has always."""
        return not size or (address + size <= ADDRESS_SPACE and self.machine.memory.is_mapped(address, size))

    def read(self, address: int, size: int) -> bytes:
        """Guest memory, with the guest's permissions."""
        try:
            return self.machine.memory.read(address, size, checked=True) if size else b""
        except GuestMemoryError as error:
            raise GuestError(EFAULT) from error

    def write(self, address: int, data: bytes) -> None:
        """Store to guest memory, with the guest's permissions."""
        try:
            if data:
                self.machine.memory.write(address, data, checked=True)
        except GuestMemoryError as error:
            raise GuestError(EFAULT) from error

    def pack(self, address: int, layout: str, *values: Any) -> None:
        """Store a struct."""
        self.write(address, struct.pack(layout, *values))

    def unpack(self, address: int, layout: str) -> tuple[Any, ...]:
        """Read a struct."""
        return struct.unpack(layout, self.read(address, struct.calcsize(layout)))

    def buffer(self, address: int, size: int) -> int:
        """Check a buffer that is about to be filled or sent, before anything is consumed; the size to transfer."""
        size = min(size, MAX_TRANSFER)
        if not self.is_mapped(address, size):
            raise GuestError(EFAULT)
        return size

    def string(self, address: int) -> str:
        """A zero-terminated string, as a host file name or text."""
        data = b""
        while len(data) < MAX_STRING:
            chunk = self.read(address, PAGE_SIZE - address % PAGE_SIZE)
            end = chunk.find(b"\0")
            if end >= 0:
                return os.fsdecode(data + chunk[:end])
            data += chunk
            address = (address + len(chunk)) & ADDRESS_MASK
        raise GuestError(ENAMETOOLONG)

    def set_up_heap(self, start: int, limit: int) -> None:
        """Place the heap of `brk`: empty at start, growing to limit; its addresses are taken from now on."""
        self.heap_start = self.heap_end = start
        self.heap_limit = max(start, limit)
        if limit > start:
            self.space.take(start, limit)

    def save(self) -> State:
        """Without the seed that a run was not given: it takes random numbers from the host as before."""
        addresses: State = {name: getattr(self, name) for name in ADDRESSES}
        return {
            **addresses,
            "spans": [at for span in self.space.spans() for at in (span.start, span.end)],
            "signals": {str(number): action for number, action in self.signal_actions.items()},
            "signal mask": self.signal_mask,
            "age": self.age, "monotonic": self.monotonic.now(), "cpu time": self.cpu_time.now(),
            "arguments": list[Value](self.options.args),
            "files": self.files.save(),
            **({"random": save_random(self._random)} if self._random else {}),
        }  # fmt: skip

    def restore(self, state: State) -> None:
        fields = Fields(state, "system")
        for name in ADDRESSES:
            setattr(self, name, fields.number(name, ADDRESS_SPACE + 1))
        self.space.restore(fields.numbers("spans", ADDRESS_SPACE + 1))
        self.signal_actions = _signal_actions(fields.fields("signals"), fields.state("signals"))
        self.signal_mask = fields.data("signal mask", MASK_SIZE)
        self.monotonic.set(fields.number("monotonic", TIME_END))
        self.cpu_time.set(fields.number("cpu time", TIME_END))
        self.started = fields.number("monotonic") - fields.number("age", TIME_END)
        self.options.args = fields.texts("arguments")
        if "random" in fields:
            self._random = self._random or random.Random()
            restore_random(self._random, fields.fields("random"))
        self.files.restore(fields.state("files"))

    def map_anonymous(self, start: int, size: int, access: Access) -> None:
        """Map zeroed pages and take the addresses."""
        self.machine.memory.map(start, size, access)
        self.space.take(start, start + size)


def _signal_actions(fields: Fields, names: State) -> dict[int, bytes]:
    """The actions by their numbers. Raises BadState."""
    if not all(name.isdecimal() and name.isascii() and len(name) <= len("64") for name in names):
        raise BadState("the snapshot is damaged: a signal has no number")
    return {int(name): fields.data(name, ACTION_SIZE) for name in names}


class CallTable:
    """Numbers to named functions; a number is declared once."""

    def __init__(self) -> None:
        self.calls: dict[int, tuple[str, Call]] = {}

    def call(self, number: int, name: str) -> Callable[[Call], Call]:
        """Declare a system call; the decorator leaves the function as it is, so one function can have many numbers."""

        def declare(function: Call) -> Call:
            if number in self.calls:
                raise ValueError(f"system call {number} is declared twice: {self.calls[number][0]} and {name}")
            self.calls[number] = (name, function)
            return function

        return declare

    def include(self, other: CallTable) -> None:
        """Add the calls of another table."""
        for number, (name, function) in other.calls.items():
            self.call(number, name)(function)


def died_of_signal(number: int) -> Exited:
    """How a process ends that a signal kills."""
    return Exited(SIGNAL_STATUS_BASE + number)
