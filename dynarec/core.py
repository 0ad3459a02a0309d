"""The C core, typed: guest memory, registers, the code cache, the run loop. Nothing else imports `dynarec._native`.

Memory and registers may be read from any thread; everything that changes the guest belongs to the CPU thread, or to whoever
owns the machine while it does not run.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any, Protocol, overload

from dynarec._native import ffi, lib
from dynarec.errors import DynarecError, GuestMemoryError

if TYPE_CHECKING:
    from dynarec.ir.state import Field, StateLayout
    from dynarec.machine.base import Access, Outcome
    from dynarec.translate import Translation

ADDRESS_SPACE = 1 << 32
PAGE = 4096
ADDRESS_MASK = ADDRESS_SPACE - 1


class Tier(IntEnum):
    """What runs the guest (enum dr_tier)."""

    AUTO = 0
    JIT = 1
    INTERP = 2


class CoreStop(IntEnum):
    """Why the native run loop returned (enum dr_stop)."""

    BUDGET = 0
    REQUEST = 1
    TRANSLATE = 2
    TRAP = 3
    STORED = 4
    ERROR = 5


class PageFlag(IntFlag):
    """Bits of a page's permissions beside those of the guest (enum dr_access)."""

    DEVICE = lib.DR_DEVICE
    KEPT = 32
    """The page has no permission and yet belongs to somebody: its bytes come back with its permissions."""


EXIT_KINDS = ("jump", "indirect", "interpret", "budget")
"""Names of enum dr_exit_kind, in its order."""


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """How to make a core (struct dr_config). homes: the fields that the host's home registers hold, in their order."""

    guest: str
    jump_shift: int
    causes: tuple[int, int, int]
    tier: Tier = Tier.INTERP
    policy: str = "auto"
    cache_size: int = 16 << 20
    hot: int = 1
    homes: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class TrapInfo:
    """The last trap, or the last store to watched memory (struct dr_trap)."""

    cause: int
    value: int
    pc: int
    length: int


class Device(Protocol):
    """Registers behind a range of guest addresses. An access that they refuse raises one of the core's `refusals`."""

    def read(self, offset: int, width: int, /) -> int: ...

    def write(self, offset: int, width: int, value: int, /) -> Outcome | None: ...


@dataclass(slots=True)
class DeviceBus:
    """The devices of one machine, and what came of their last accesses; C calls it through a handle.

    refusals: exceptions by which a device refuses an access: the guest traps.
    outcome: the outcome that a device's `write` returned. error: any other exception; both stop the run loop.
    """

    devices: list[tuple[range, Device]] = field(default_factory=list)
    refusals: tuple[type[Exception], ...] = ()
    outcome: Outcome | None = None
    error: BaseException | None = None

    def find(self, address: int) -> tuple[int, Device]:
        """Offset and device at a guest address."""
        for where, device in self.devices:
            if address in where:
                return address - where.start, device
        raise LookupError(f"no device at {address:#010x}")

    def take_outcome(self) -> Outcome | None:
        """The outcome, once. Raises the exception that a device raised, unchanged."""
        error, self.error = self.error, None
        outcome, self.outcome = self.outcome, None
        if error is not None:
            raise error
        return outcome


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_read_device(handle: Any, address: int, size: int, value: Any) -> int:
    """A load from a device page: 0, or 1 when the guest gets an access fault."""
    core: Core = ffi.from_handle(handle)
    bus = core.bus
    try:
        offset, device = bus.find(address)
        value[0] = device.read(offset, size) & ADDRESS_MASK
        return 0
    except bus.refusals:
        return 1
    except BaseException as error:
        bus.error = error
        return 1


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_write_device(handle: Any, address: int, size: int, value: int) -> int:
    """A store to a device page: 0, or 1 when the guest gets an access fault."""
    core: Core = ffi.from_handle(handle)
    bus = core.bus
    try:
        offset, device = bus.find(address)
        bus.outcome = device.write(offset, size, value)
    except bus.refusals:
        return 1
    except BaseException as error:
        bus.error = error
        return 1
    if bus.outcome is not None:
        core.request_stop()
    return 0


class GuestMemory:
    """The guest's 4 GiB. `memory[address]` is a byte, `memory[start:end]` bytes; both can be assigned."""

    def __init__(self, core: Core) -> None:
        self._core = core

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
        """Map zeroed pages. Raises DynarecError when the range is not made of whole pages."""
        self._check_range(address, size, "map")
        self._core.check(lib.dr_map(self._core.pointer, address, size, int(access) or PageFlag.KEPT))

    def unmap(self, address: int, size: int) -> None:
        """Unmap a range; parts that are not mapped are ignored."""
        self._check_range(address, size, "map")
        self._core.check(lib.dr_unmap(self._core.pointer, address, size))

    def protect(self, address: int, size: int, access: Access) -> None:
        """Change permissions. Raises GuestMemoryError when part of the range is not mapped."""
        missing = self._first_unmapped(address, size)
        if missing is not None:
            raise GuestMemoryError(missing, size, "map")
        self._core.check(lib.dr_protect(self._core.pointer, address, size, int(access) or PageFlag.KEPT))

    def read(self, address: int, size: int, checked: bool = False) -> bytes:
        """The bytes of a range. Raises GuestMemoryError when not mapped, or (checked) not readable by the guest."""
        self._require(address, size, _READ if checked else 0, "read")
        data = bytearray(size)
        if size:
            self._core.check(lib.dr_read(self._core.pointer, address, ffi.from_buffer(data), size))
        return bytes(data)

    def write(self, address: int, data: bytes, checked: bool = False) -> None:
        """Store bytes. Raises GuestMemoryError, before any is stored, when not mapped or (checked) not writable."""
        self._require(address, len(data), _WRITE if checked else 0, "write")
        if data:
            self._core.check(lib.dr_write(self._core.pointer, address, ffi.from_buffer(data), len(data)))

    def code(self, address: int, limit: int) -> bytes:
        """Up to `limit` bytes that the guest may execute, from address on; empty when it may execute none there."""
        size = min(limit, ADDRESS_SPACE - address)
        missing = lib.dr_check(self._core.pointer, address, size, _EXECUTE)
        return self.read(address, size if missing < 0 else missing - address)

    def is_mapped(self, address: int, size: int) -> bool:
        """Whether every byte of the range is mapped, with or without permissions."""
        return self._first_unmapped(address, size) is None

    def watch(self, address: int, size: int) -> None:
        """Report the guest's stores to the range."""
        self._require(address, size, 0, "map")
        self._core.check(lib.dr_watch(self._core.pointer, address, size))

    def device(self, address: int, size: int, device: Device) -> None:
        """Let a device answer the accesses to whole pages."""
        self._check_range(address, size, "map")
        self._core.check(lib.dr_map(self._core.pointer, address, size, PageFlag.DEVICE))
        self._core.bus.devices.append((range(address, address + size), device))

    def flags(self, address: int) -> int:
        """The permissions of the page at address, with its PageFlags."""
        return int(lib.dr_page_access(self._core.pointer, address))

    def set_flags(self, address: int, flags: int) -> None:
        """Replace the permissions and PageFlags of the page that starts at address."""
        self._core.check(lib.dr_protect(self._core.pointer, address, PAGE, flags))

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


_READ, _WRITE, _EXECUTE = lib.DR_READ, lib.DR_WRITE, lib.DR_EXECUTE


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
        if name == "pc":
            return int(self._core.cpu.pc)
        return int(self._core.cpu.state[self._field(name).index])

    def __setitem__(self, name: str, value: int) -> None:
        bits = 32 if name == "pc" else self._field(name).bits
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise ValueError(f"register {name} has {bits} bits: {value:#x} does not fit")
        value &= (1 << bits) - 1
        if name == "pc":
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

    def __iter__(self) -> Iterator[str]:
        """The names of the registers, pc first, without aliases."""
        yield "pc"
        yield from (field.name for field in self._layout)

    def __dir__(self) -> list[str]:
        return ["pc", *self._layout.names]

    def _field(self, name: str) -> Field:
        if name not in self._layout:
            raise KeyError(f"the guest has no register {name!r}")
        return self._layout[name]


class Core:
    """One machine's core. Its C part lives as long as this object."""

    def __init__(self, config: CoreConfig, layout: StateLayout) -> None:
        """Raises DynarecError when the core cannot be made here."""
        self._pointer: Any = _create(config)
        self.tier = config.tier
        self.bus = DeviceBus()
        self.memory = GuestMemory(self)
        self.regs = Registers(self, layout)
        self._handle = ffi.new_handle(self)
        lib.dynarec_connect(self.pointer, self._handle)

    @property
    def pointer(self) -> Any:
        """The struct dr_core. Raises DynarecError when it has been freed."""
        if self._pointer is None:
            raise DynarecError("the machine is closed: load the program again")
        return self._pointer

    @property
    def cpu(self) -> Any:
        """The struct dr_cpu."""
        return lib.dr_cpu(self.pointer)

    def check(self, result: int) -> None:
        """Raise what the C core says when one of its functions failed."""
        if result:
            raise DynarecError(self.error)

    @property
    def error(self) -> str:
        """What went wrong last."""
        return _text(lib.dr_error(self.pointer))

    @property
    def policy(self) -> str:
        """The W^X policy in use; "none" without a code region."""
        return _text(lib.dr_policy(self.pointer))

    @property
    def instructions(self) -> int:
        """Guest instructions retired; may be read while the guest runs."""
        return int(lib.dr_instructions(self.pointer))

    @property
    def trap(self) -> TrapInfo:
        """The last trap, or the last store to watched memory."""
        info = ffi.new("struct dr_trap *")
        lib.dr_trap_info(self.pointer, info)
        return TrapInfo(info.cause, info.value, info.pc, info.length)

    def bind_thread(self) -> None:
        """Make the calling thread the CPU thread."""
        self.check(lib.dr_bind_thread(self.pointer))

    def run(self, limit: int) -> CoreStop:
        """Run at most `limit` guest instructions; the GIL is released. CPU thread only."""
        return CoreStop(lib.dr_run(self.pointer, limit))

    def request_stop(self) -> None:
        """Make `run` return soon, from any thread; in force until `clear_stop`."""
        lib.dr_request_stop(self.pointer)

    def clear_stop(self) -> None:
        lib.dr_clear_stop(self.pointer)

    def flush(self) -> None:
        """Forget every translation. CPU thread only."""
        lib.dr_flush(self.pointer)

    def install(self, translation: Translation) -> None:
        """Put a translation into the code cache. CPU thread only; raises DynarecError."""
        native, _alive = _native_unit(translation)
        self.check(lib.dr_install(self.pointer, native))

    def stats(self) -> dict[str, int | list[int]]:
        """The counters of struct dr_stats by name."""
        stats = ffi.new("struct dr_stats *")
        lib.dr_get_stats(self.pointer, stats)
        names = [name for name, _ in ffi.typeof("struct dr_stats").fields]
        return {name: list(stats.exits) if name == "exits" else int(getattr(stats, name)) for name in names}

    def close(self) -> None:
        """Free the C part. May be called twice."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            ffi.release(pointer)


def _create(config: CoreConfig) -> Any:
    """A struct dr_core that is destroyed with the object. Raises DynarecError."""
    native, _alive = _native_config(config)
    pointer = lib.dr_create(native)
    if pointer == ffi.NULL:
        gc.collect()  # machines that were dropped without being closed still count
        pointer = lib.dr_create(native)
    if pointer == ffi.NULL:
        raise DynarecError(_text(lib.dr_error(ffi.NULL)))
    return ffi.gc(pointer, lib.dr_destroy)


def _text(string: Any) -> str:
    return ffi.string(string).decode() if string != ffi.NULL else "no reason is known"


def _native_config(config: CoreConfig) -> tuple[Any, tuple[Any, ...]]:
    """A struct dr_config, and what has to live as long as it; dr_create keeps none of its pointers."""
    words = [field.index for field in config.homes]
    strings = ffi.new("char[]", config.guest.encode()), ffi.new("char[]", config.policy.encode())
    homes = ffi.new("uint8_t[]", words + [lib.DR_SINK_WORD] * (lib.DR_MAX_HOMES - len(words)))
    native = ffi.new(
        "struct dr_config *",
        {
            "guest": strings[0], "policy": strings[1], "homes": homes,
            "cache_size": config.cache_size, "tier": int(config.tier), "hot": config.hot,
            "jump_shift": config.jump_shift, "segment": 1,
            "cause_fetch": config.causes[0], "cause_read": config.causes[1], "cause_write": config.causes[2],
        },
    )  # fmt: skip
    return native, (*strings, homes)


def _native_unit(translation: Translation) -> tuple[Any, tuple[Any, ...]]:
    """A struct dr_unit, and what has to live as long as it."""
    code, unit = translation.code, translation.unit
    exits = ffi.new("struct dr_exit[]", [(e.kind, e.ret, e.link, e.target, e.refund) for e in code.exits])
    sites = ffi.new("struct dr_site[]", [(s.offset, s.pc, s.refund) for s in code.sites])
    ranges = ffi.new("struct dr_range[]", translation.ranges)
    bytes_ = ffi.from_buffer("uint8_t[]", code.code)
    native = ffi.new(
        "struct dr_unit *",
        (
            unit.key, bytes_, len(code.code), unit.retired,
            exits, len(code.exits), sites, len(code.sites), ranges, len(translation.ranges),
        ),
    )  # fmt: skip
    return native, (exits, sites, ranges, bytes_)


def native_host() -> str:
    """The host that the C core was built for."""
    return _text(lib.dr_host())


def has_interpreter(guest: str) -> bool:
    """Whether the C core was built with an interpreter for the guest."""
    return bool(lib.dr_has_interpreter(guest.encode()))


def policies() -> list[str]:
    """The W^X policies built for this system, strictest first."""
    names: list[str] = []
    while (name := lib.dr_policy_name(len(names))) != ffi.NULL:
        names.append(_text(name))
    return names


def probe_policy(name: str) -> str | None:
    """Why a policy does not work here; None when it does."""
    reason = lib.dr_policy_probe(name.encode())
    return None if reason == ffi.NULL else _text(reason)
