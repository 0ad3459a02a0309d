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
from dynarec.machine.waiting import Waiter
from dynarec.program import ADDRESS_SPACE

ADDRESS_MASK = ADDRESS_SPACE - 1
SIGN_BIT = 1 << 31
MAX_STRING = 4096
"""PATH_MAX."""
NEWLIB_SYMBOLS = ("_impure_ptr", "_impure_data", "__sinit", "__sflush_r")
"""Names that only programs linked with newlib have: its calls differ in open flags and in lseek."""

Args = tuple[int, ...]
Result = int | Outcome
Call = Callable[["System", Args], Result]


def signed(value: int) -> int:
    """The two's complement reading of a 32-bit value."""
    return value - ADDRESS_SPACE if value & SIGN_BIT else value


def signed64(low: int, high: int) -> int:
    """The two's complement reading of a 64-bit value in two registers."""
    return low | signed(high) << 32


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
        self.started = time.monotonic_ns()
        self._random = random.Random(options.seed) if options.seed is not None else None
        self._uses_newlib: bool | None = None

    def close(self) -> None:
        """Release the host's files."""
        self.files.close()
        self.waiter.close()

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

    def map_anonymous(self, start: int, size: int, access: Access) -> None:
        """Map zeroed pages and take the addresses."""
        self.machine.memory.map(start, size, access)
        self.space.take(start, start + size)


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
