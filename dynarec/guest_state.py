"""The guest's memory and registers, as Python sees them: views of what the C core holds.

Both may be read from any thread; changing them belongs to the CPU thread, or to whoever owns the machine while
it does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntFlag
from typing import TYPE_CHECKING, Any, overload

from dynarec._native import ffi, lib
from dynarec.errors import GuestMemoryError

if TYPE_CHECKING:
    from dynarec.core import Core
    from dynarec.ir.state import Field, StateLayout
    from dynarec.machine.base import Access

ADDRESS_SPACE = 1 << 32
ADDRESS_MASK = ADDRESS_SPACE - 1
WORD = 4
PAGE = 4096
PC = "pc"
PC_BITS = 32
READ, WRITE, EXECUTE = lib.DR_READ, lib.DR_WRITE, lib.DR_EXECUTE


Change = tuple[str, tuple[Any, ...]]
"""A method of GuestMemory that changes it, and its arguments."""


class PageFlag(IntFlag):
    """Bits of a page's permissions beside those of the guest (enum dr_access)."""

    DEVICE = lib.DR_DEVICE
    KEPT = lib.DR_OWNED
    """The page has no permission and yet belongs to somebody: its bytes come back with its permissions."""


class GuestMemory:
    """The guest's 4 GiB. `memory[address]` is a byte, `memory[start:end]` bytes; both can be assigned."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.journal: list[Change] | None = None
        """Where changes are written down, while there is one."""

    @overload
    def __getitem__(self, where: int) -> int: ...

    @overload
    def __getitem__(self, where: slice) -> bytes: ...

    def __getitem__(self, where: int | slice) -> int | bytes:
        if isinstance(where, slice):
            start, size = _bounds(where)
            return self.read(start, size)
        return self.read(where, 1)[0]

    def __setitem__(self, where: int | slice, value: int | bytes) -> None:
        if not isinstance(where, slice):
            self.write(where, bytes((value,)) if isinstance(value, int) else value)
            return
        start, size = _bounds(where)
        data = memoryview(bytes(value)) if not isinstance(value, int) else None
        if data is None or len(data) != size:
            raise ValueError(f"{size} bytes of guest memory can be set to {size} bytes only")
        self.write(start, bytes(data))

    def map(self, address: int, size: int, access: Access) -> None:
        """Map zeroed pages. Raises GuestMemoryError when the range is not made of whole pages, or there is no room."""
        self._check_range(address, size, "map")
        self._change(lib.dr_map, address, size, int(access) or PageFlag.KEPT)
        self._note("map", address, size, access)

    def unmap(self, address: int, size: int) -> None:
        """Unmap a range; parts that are not mapped are ignored."""
        self._check_range(address, size, "map")
        self._change(lib.dr_map, address, size, 0)
        self._note("unmap", address, size)

    def protect(self, address: int, size: int, access: Access) -> None:
        """Change permissions. Raises GuestMemoryError when part of the range is not mapped."""
        missing = self._first_unmapped(address, size)
        if missing is not None:
            raise GuestMemoryError(missing, size, "map")
        self._change(lib.dr_protect, address, size, int(access) or PageFlag.KEPT)
        self._note("protect", address, size, access)

    def read(self, address: int, size: int, checked: bool = False) -> bytes:
        """The bytes of a range; of a device, what it can show without being changed by it.

        Raises GuestMemoryError when not mapped, or (checked) not readable by the guest.
        """
        if not checked and self.flags(address & ADDRESS_MASK) & PageFlag.DEVICE:
            return bytes(self._peek(address + offset) for offset in range(size))
        self._require(address, size, READ if checked else 0, "read")
        data = bytearray(size)
        if size:
            self._core.check(lib.dr_read(self._core.pointer, address, ffi.from_buffer(data), size))
        return bytes(data)

    def write(self, address: int, data: bytes, checked: bool = False) -> None:
        """Store bytes. Raises GuestMemoryError, before any is stored, when not mapped or (checked) not writable."""
        self._require(address, len(data), WRITE if checked else 0, "write")
        if data:
            self._core.check(lib.dr_write(self._core.pointer, address, ffi.from_buffer(data), len(data)))
            self._note("write", address, data)

    def code(self, address: int, limit: int) -> bytes:
        """Up to `limit` bytes that the guest may execute, from address on; empty when it may execute none there."""
        size = min(limit, ADDRESS_SPACE - address)
        missing = lib.dr_check(self._core.pointer, address, size, EXECUTE)
        return self.read(address, size if missing < 0 else missing - address)

    def is_mapped(self, address: int, size: int) -> bool:
        """Whether every byte of the range is mapped, with or without permissions."""
        return self._first_unmapped(address, size) is None

    def watch(self, address: int, size: int) -> None:
        """Report the guest's stores to the range."""
        self._require(address, size, 0, "map")
        watched = lib.DR_HOOK_STORED
        self._core.check(lib.dr_hook(self._core.pointer, watched, address, address + size, 0, ffi.NULL))

    def flags(self, address: int) -> int:
        """The permissions of the page at address, with its PageFlags."""
        return int(lib.dr_page_access(self._core.pointer, address))

    def set_flags(self, address: int, flags: int) -> None:
        """Replace the permissions and PageFlags of the page that starts at address."""
        self._core.check(lib.dr_protect(self._core.pointer, address, PAGE, flags))

    def _peek(self, address: int) -> int:
        """A byte of a device, or of a word of it. Raises GuestMemoryError when the device does not show it."""
        value = self._core.peek_device(address, 1)
        if value is None:
            word = self._core.peek_device(address & -WORD, WORD)
            if word is None:
                raise GuestMemoryError(address, 1, "read")
            value = word >> 8 * (address % WORD)
        return value & 0xFF

    def _change(self, function: Callable[[Any, int, int, int], int], address: int, size: int, flags: int) -> None:
        if function(self._core.pointer, address, size, flags):
            raise GuestMemoryError(address, size, "map", self._core.error)

    def _note(self, method: str, *arguments: Any) -> None:
        if self.journal is not None:
            self.journal.append((method, arguments))

    def _check_range(self, address: int, size: int, kind: str) -> None:
        if not (0 <= address < ADDRESS_SPACE and 0 <= size <= ADDRESS_SPACE - address):
            raise GuestMemoryError(address, size, kind)

    def _require(self, address: int, size: int, access: int, kind: str) -> None:
        self._check_range(address, size, kind)
        missing = lib.dr_check(self._core.pointer, address, size, access)
        if missing >= 0:
            raise GuestMemoryError(missing, size, kind)

    def _first_unmapped(self, address: int, size: int) -> int | None:
        self._check_range(address, size, "map")
        end = address + size
        while address < end:
            missing: int = lib.dr_check(self._core.pointer, address, end - address, 0)
            if missing < 0:
                return None
            if not self.flags(missing) & PageFlag.KEPT:
                return missing
            address = (missing | (PAGE - 1)) + 1
        return None


def _bounds(where: slice) -> tuple[int, int]:
    """Start and size of a slice of guest memory."""
    if where.step is not None or where.start is None or where.stop is None or where.stop < where.start:
        raise ValueError("a slice of guest memory is memory[start:end], with start <= end")
    return where.start, where.stop - where.start


class Registers:
    """The guest's registers by name or alias, as items and as attributes; `pc` is one of them. Values are unsigned."""

    __slots__ = ("_core", "_layout")
    _core: Core
    _layout: StateLayout

    def __init__(self, core: Core, layout: StateLayout) -> None:
        object.__setattr__(self, "_core", core)
        object.__setattr__(self, "_layout", layout)

    def __getitem__(self, name: str) -> int:
        if name == PC:
            return int(self._core.cpu.pc)
        return int(self._core.cpu.state[self._field(name).index])

    def __setitem__(self, name: str, value: int) -> None:
        bits = PC_BITS if name == PC else self._field(name).bits
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise ValueError(f"register {name} has {bits} bits: {value:#x} does not fit")
        value &= (1 << bits) - 1
        if name == PC:
            self._core.cpu.pc = value
        else:
            self._core.cpu.state[self._field(name).index] = value

    def __getattr__(self, name: str) -> int:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __setattr__(self, name: str, value: int) -> None:
        try:
            self[name] = value
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def index(self, name: str) -> int:
        """The word of the core's state that holds a register. Raises KeyError."""
        return self._field(name).index

    def __iter__(self) -> Iterator[str]:
        """The names of the registers, pc first, without aliases."""
        yield PC
        yield from (field.name for field in self._layout)

    def __dir__(self) -> list[str]:
        return [PC, *self._layout.names]

    def _field(self, name: str) -> Field:
        if name not in self._layout:
            raise KeyError(f"the guest has no register {name!r}")
        return self._layout[name]
