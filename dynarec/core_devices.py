"""The devices of a core: those of C, those of Python, and the interrupts that they raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dynarec._native import ffi, lib
from dynarec.core_handle import CoreHandle
from dynarec.device_states import restore_devices, save_devices

if TYPE_CHECKING:
    from dynarec.machine.base import Device, Outcome, SerialPort
    from dynarec.machine.state import State

WORD_MASK = (1 << 32) - 1
NEVER = (1 << 64) - 1
"""A virtual time that does not come."""

Accessors = tuple[Callable[[int, int], int], Callable[[int, int, int], "Outcome | None"]]
"""Read and write of a device."""


@dataclass(slots=True, eq=False)
class DeviceSlot:
    """A device of Python in the guest's memory; C calls it through a handle.

    refusals: exceptions by which it refuses an access: the guest traps.
    """

    core: CoreDevices
    where: range
    device: Device
    refusals: tuple[type[Exception], ...]
    read: Callable[[int, int], int]
    write: Callable[[int, int, int], Outcome | None]


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_read_device(handle: Any, offset: int, size: int, value: Any) -> int:
    """A load from a device: 0, or 1 when the guest gets an access fault."""
    slot: DeviceSlot = ffi.from_handle(handle)
    try:
        value[0] = slot.read(offset, size) & WORD_MASK
        return 0
    except slot.refusals:
        return 1
    except BaseException as error:
        slot.core.fail(error)
        return 1


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_write_device(handle: Any, offset: int, size: int, value: int) -> int:
    """A store to a device: 0, or 1 when the guest gets an access fault."""
    slot: DeviceSlot = ffi.from_handle(handle)
    try:
        outcome = slot.write(offset, size, value)
    except slot.refusals:
        return 1
    except BaseException as error:
        slot.core.fail(error)
        return 1
    if outcome is not None:
        slot.core.end(outcome)
    return 0


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_uart_send(handle: Any, data: Any, count: int) -> None:
    """What the guest has sent through the serial port."""
    core: CoreDevices = ffi.from_handle(handle)
    try:
        if core.port is not None:
            core.port.send(bytes(ffi.buffer(data, count)))
    except BaseException as error:
        core.fail(error)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_uart_source(handle: Any, data: Any, room: int) -> int:
    """Input for the serial port: how many bytes."""
    core: CoreDevices = ffi.from_handle(handle)
    try:
        found = core.port.fetch(room)[:room] if core.port is not None else b""
    except BaseException as error:
        core.fail(error)
        return 0
    ffi.memmove(data, found, len(found))
    return len(found)


class CoreDevices(CoreHandle):
    """What a core's guest finds at the addresses of devices."""

    def __init__(self) -> None:
        self.port: SerialPort | None = None
        self.has_own_traps = False
        self._slots: list[tuple[DeviceSlot, Any]] = []
        self._tapper: Callable[[DeviceSlot], Accessors] | None = None
        self._outcome: Outcome | None = None
        self._device_error: BaseException | None = None
        self._handle = ffi.new_handle(self)

    def request_stop(self) -> None:
        """Make `run` return soon, from any thread; in force until `clear_stop`."""
        lib.dr_request_stop(self.pointer)

    def clear_stop(self) -> None:
        lib.dr_clear_stop(self.pointer)

    def add_device(self, where: range, device: Device, refusals: tuple[type[Exception], ...]) -> None:
        """Let a device answer the accesses to whole pages. Raises DynarecError."""
        slot = DeviceSlot(self, where, device, refusals, device.read, device.write)
        handle = ffi.new_handle(slot)
        self.check(lib.dynarec_add_device(self.pointer, where.start, len(where), handle))
        if self._tapper is not None:
            slot.read, slot.write = self._tapper(slot)
        self._slots.append((slot, handle))

    @property
    def device_ranges(self) -> list[range]:
        """The addresses of all devices, those of C too."""
        found: list[range] = []
        where = ffi.new("struct dr_range *")
        while not lib.dr_device_range(self.pointer, len(found), where):
            found.append(range(where.address, where.address + where.size))
        return found

    def tap(self, make: Callable[[DeviceSlot], Accessors]) -> None:
        """Have somebody stand between the guest and the devices of Python."""
        self._tapper = make
        for slot, _ in self._slots:
            slot.read, slot.write = make(slot)

    def untap(self) -> None:
        """Nobody stands there any longer."""
        self._tapper = None
        for slot, _ in self._slots:
            slot.read, slot.write = slot.device.read, slot.device.write

    @property
    def devices(self) -> dict[str, Device]:
        """The devices of Python, by their addresses."""
        return {f"{slot.where.start:#x}": slot.device for slot, _ in self._slots}

    def fail(self, error: BaseException) -> None:
        """A device raised something that is no refusal: the run ends with it."""
        self._device_error = error
        self.request_stop()

    def end(self, outcome: Outcome) -> None:
        """A device ends the run."""
        self._outcome = outcome
        self.request_stop()

    def take_outcome(self) -> Outcome | None:
        """The outcome that a device gave, once. Raises the exception that a device raised, unchanged."""
        error, self._device_error = self._device_error, None
        outcome, self._outcome = self._outcome, None
        if error is not None:
            raise error
        return outcome

    def read_device(self, address: int, size: int) -> int | None:
        """A load of the guest's from a device, with its effects; None: refused."""
        value = ffi.new("uint32_t *")
        return None if lib.dr_read_device(self.pointer, address, size, value) else int(value[0])

    def write_device(self, address: int, size: int, value: int) -> bool:
        """A store of the guest's to a device; whether it was taken."""
        return not lib.dr_write_device(self.pointer, address, size, value)

    def peek_device(self, address: int, size: int) -> int | None:
        """What a load would give, without its effects; None where a device cannot tell."""
        for slot, _ in self._slots:
            if address in slot.where:
                return slot.device.peek(address - slot.where.start, size)
        value = ffi.new("uint32_t *")
        return None if lib.dr_peek_device(self.pointer, address, size, value) else int(value[0])

    # -- the guest's own traps and interrupts (see `Interrupts` in dynarec.machine.base) ------------------------------

    def own_traps(self) -> None:
        """Deliver traps and interrupts to the guest. Raises DynarecError for a guest without a machine mode."""
        self.check(lib.dr_set_own_traps(self.pointer, True))
        self.has_own_traps = True

    def set_lines(self, lines: int, up: bool) -> None:
        lib.dr_set_lines(self.pointer, lines, up)

    def set_source(self, number: int, up: bool) -> None:
        lib.dr_set_source(self.pointer, number, up)

    def set_clock(self, ticks_per_second: int, instructions_per_tick: int) -> None:
        lib.dr_set_clock(self.pointer, ticks_per_second, instructions_per_tick)

    @property
    def lines(self) -> int:
        return int(lib.dr_lines(self.pointer))

    @property
    def ticks(self) -> int:
        return int(lib.dr_time(self.pointer))

    @property
    def virtual_time(self) -> int:
        return int(lib.dr_virtual_time(self.pointer))

    def set_deadline(self, ticks: int | None, lines: int) -> None:
        lib.dr_set_deadline(self.pointer, NEVER if ticks is None else min(ticks, NEVER), lines)

    def wait(self, instructions_per_second: int) -> None:
        lib.dr_wait(self.pointer, instructions_per_second)

    def add_clint(self, address: int, software: int, timer: int) -> None:
        self.check(lib.dr_add_clint(self.pointer, address, software, timer))

    def add_plic(self, address: int, external: int) -> None:
        self.check(lib.dr_add_plic(self.pointer, address, external))

    def add_finisher(self, address: int) -> None:
        self.check(lib.dr_add_finisher(self.pointer, address))

    def add_uart(self, address: int, source: int, port: SerialPort, always_ready: bool) -> None:
        self.port = port
        self.check(lib.dr_add_uart(self.pointer, address, source))
        lib.dynarec_connect_uart(self.pointer, self._handle, always_ready)

    def feed_uart(self, data: bytes) -> int:
        return int(lib.dr_feed_uart(self.pointer, data, len(data)))

    def flush_uart(self) -> None:
        if self._pointer is not None:  # the garbage collector may have closed it before the machine
            lib.dr_flush_uart(self._pointer)

    def save_devices(self) -> State:
        return save_devices(self.pointer)

    def restore_devices(self, state: State) -> None:
        restore_devices(self.pointer, state)

    @property
    def uart_hears(self) -> bool:
        return bool(lib.dr_uart_hears(self.pointer))

    @property
    def off_status(self) -> int:
        """The status with which the guest has switched the machine off."""
        return int(lib.dr_off_status(self.pointer))
