"""Guest memory in an emulated host: the window's pages, mapped in Unicorn as far as the guest has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from dynarec.emulated.targets import import_unicorn
from dynarec.errors import GuestMemoryError
from dynarec.ir.evaluate import MemoryFault
from dynarec.machine.base import PAGE_SIZE, Access

ADDRESS_SPACE = 1 << 32
PAGES = ADDRESS_SPACE // PAGE_SIZE
MAPPED = 8
"""Flag of a page that belongs to somebody, beside its Access."""
BYTE = 8


class Device(Protocol):
    """Registers behind a range of guest addresses; `width` in bytes."""

    def read(self, offset: int, width: int, /) -> int: ...

    def write(self, offset: int, width: int, value: int, /) -> object: ...


class EmulatedMemory:
    """Guest memory for profiles (`machine.base.Memory`), for the evaluator (`EvalMemory`) and for emulated code.

    refusals: exceptions by which a device refuses an access. outcome: what a device's `write` returned last.
    """

    def __init__(self, engine: Any, window: int) -> None:
        """engine: the Unicorn engine. window: its address of guest address 0."""
        unicorn = import_unicorn()
        self._engine = engine
        self._window = window
        self._pages = bytearray(PAGES)
        self._uc_read, self._uc_write = unicorn.UC_PROT_READ, unicorn.UC_PROT_WRITE
        self._devices: list[tuple[range, Device]] = []
        self._watches: list[range] = []
        self.refusals: tuple[type[Exception], ...] = ()
        self.outcome: object = None
        self.stored: tuple[int, int] | None = None
        """Address and size of the last store to a watched range, until somebody takes it."""
        self.code_changed = False
        """Whether executable memory may have changed otherwise than by the guest's own stores."""

    # -- mapping ------------------------------------------------------------------------------------------------------

    def map(self, address: int, size: int, access: Access) -> None:
        """Map zeroed pages."""
        self.unmap(address, size)
        if size:
            self._engine.mem_map(self._window + address, size, self._protection(access))
            self._flag(address, size, MAPPED | access)

    def unmap(self, address: int, size: int) -> None:
        """Unmap a range; parts that are not mapped are ignored."""
        for start, length in self._runs(address, size):
            self._engine.mem_unmap(self._window + start, length)
        self.code_changed = True
        self._flag(address, size, 0)

    def protect(self, address: int, size: int, access: Access) -> None:
        """Change permissions. Raises GuestMemoryError when part of the range is not mapped."""
        self._require(address, size, MAPPED, "map")
        if size:
            self._engine.mem_protect(self._window + address, size, self._protection(access))
            self._flag(address, size, MAPPED | access)
            self.code_changed = True

    def device(self, address: int, size: int, device: Device) -> None:
        """Let a device answer the accesses to whole pages."""
        self._devices.append((range(address, address + size), device))

    def watch(self, address: int, size: int) -> None:
        """Note the guest's stores to the range in `stored`: in the host, they fault."""
        self._require(address, size, MAPPED, "map")
        self._watches.append(range(address, address + size))
        start = address & -PAGE_SIZE
        end = -(-(address + size) // PAGE_SIZE) * PAGE_SIZE
        self._engine.mem_protect(self._window + start, end - start, self._uc_read)

    def _protection(self, access: int) -> int:
        """What the host lets generated code do; an executable page can be read, as on a real host."""
        return (self._uc_read if access else 0) | (self._uc_write if access & Access.WRITE else 0)

    def _flag(self, address: int, size: int, flags: int) -> None:
        first, count = address // PAGE_SIZE, size // PAGE_SIZE
        self._pages[first : first + count] = bytes((flags,)) * count

    def _runs(self, address: int, size: int) -> Iterator[tuple[int, int]]:
        """(address, size) of the mapped parts of a range."""
        page, end = address // PAGE_SIZE, (address + size) // PAGE_SIZE
        while page < end:
            stop = page + 1
            while stop < end and bool(self._pages[stop]) == bool(self._pages[page]):
                stop += 1
            if self._pages[page]:
                yield page * PAGE_SIZE, (stop - page) * PAGE_SIZE
            page = stop

    # -- for profiles -------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int, checked: bool = False) -> bytes:
        """The bytes of a range. Raises GuestMemoryError when not mapped, or (checked) not readable by the guest."""
        self._require(address, size, MAPPED | (Access.READ if checked else 0), "read")
        return bytes(self._engine.mem_read(self._window + address, size)) if size else b""

    def write(self, address: int, data: bytes, checked: bool = False) -> None:
        """Store bytes. Raises GuestMemoryError, before any is stored, when not mapped or (checked) not writable."""
        self._require(address, len(data), MAPPED | (Access.WRITE if checked else 0), "write")
        if data:
            self._engine.mem_write(self._window + address, bytes(data))
            self.code_changed = True

    def is_mapped(self, address: int, size: int) -> bool:
        """Whether every byte of the range is mapped."""
        return self._first_without(address, size, MAPPED) is None

    def code(self, address: int, limit: int) -> bytes:
        """Up to `limit` bytes that the guest may execute, from address on; none where it may execute nothing."""
        limit = min(limit, ADDRESS_SPACE - address)
        missing = self._first_without(address, limit, Access.EXECUTE)
        return self.read(address, limit if missing is None else missing - address)

    def _require(self, address: int, size: int, flags: int, kind: str) -> None:
        missing = self._first_without(address, size, flags)
        if missing is not None:
            raise GuestMemoryError(missing, size, kind)

    def _first_without(self, address: int, size: int, flags: int) -> int | None:
        """The first address of the range whose page lacks one of the flags."""
        if not (0 <= address <= ADDRESS_SPACE and 0 <= size <= ADDRESS_SPACE - address):
            return address
        end = address + size
        while address < end:
            if self._pages[address // PAGE_SIZE] & flags != flags:
                return address
            address = (address | PAGE_SIZE - 1) + 1
        return None

    # -- for the evaluator --------------------------------------------------------------------------------------------

    def load(self, address: int, bits: int) -> int:
        """As the guest loads. Raises MemoryFault."""
        size = bits // BYTE
        if (found := self._find_device(address)) is not None:
            return int(self._ask(address, lambda: found[1].read(found[0], size)))
        if self._first_without(address, size, Access.READ) is not None:
            raise MemoryFault(address)
        return int.from_bytes(self._engine.mem_read(self._window + address, size), "little")

    def store(self, address: int, bits: int, value: int) -> None:
        """As the guest stores. Raises MemoryFault."""
        size = bits // BYTE
        if (found := self._find_device(address)) is not None:
            self.outcome = self._ask(address, lambda: found[1].write(found[0], size, value))
            return
        if self._first_without(address, size, Access.WRITE) is not None:
            raise MemoryFault(address)
        self._engine.mem_write(self._window + address, value.to_bytes(size, "little"))
        if any(address < watch.stop and watch.start < address + size for watch in self._watches):
            self.stored = address, size

    def _find_device(self, address: int) -> tuple[int, Device] | None:
        for where, device in self._devices:
            if address in where:
                return address - where.start, device
        return None

    def _ask(self, address: int, access: Any) -> Any:
        try:
            return access()
        except self.refusals:
            raise MemoryFault(address) from None
