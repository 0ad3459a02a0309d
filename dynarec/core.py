"""The C core, typed: guest memory, registers, the code cache, the run loop. Nothing else imports `dynarec._native`.

Memory and registers may be read from any thread; everything that changes the guest belongs to the CPU thread, or to
whoever owns the machine while it does not run.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from dynarec._native import ffi, lib
from dynarec.conditions import SIZE, Condition
from dynarec.device_states import restore_devices, save_devices
from dynarec.errors import DynarecError
from dynarec.guest_pages import Moment, Pages, read_moment, write_moment
from dynarec.guest_state import GuestMemory, Registers
from dynarec.observer import Observer
from dynarec.profiles import BranchProfile, JumpProfile, read_profile

if TYPE_CHECKING:
    from dynarec.ir.state import Field, StateLayout
    from dynarec.machine.base import Device, Outcome, SerialPort
    from dynarec.machine.state import State
    from dynarec.translate import Translation

WORD_MASK = (1 << 32) - 1
REGISTER_BYTES = 4 * lib.DR_STATE_WORDS
NEVER = (1 << 64) - 1
"""A virtual time that does not come."""


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
    UNTIL = 5
    ERROR = 6
    WAIT = 7
    OFF = 8
    HOOK = 9
    CAUGHT = 10
    INPUT = 11


EXIT_KINDS = ("jump", "indirect", "interpret", "budget")
"""Names of enum dr_exit_kind, in its order."""


class CoreConfig(NamedTuple):
    """How to make a core (struct dr_config). homes: the fields that the host's home registers hold, in their order."""

    guest: str
    jump_shift: int
    causes: tuple[int, int, int]
    tier: Tier = Tier.INTERP
    policy: str = "auto"
    cache_size: int = 16 << 20
    hot: int = 1
    homes: tuple[Field, ...] = ()
    harden: int = 0
    host_page: int = 0
    by_byte: bool = False


DEATHS = ("store", "fence.i", "host-write", "flush", "evicted", "breakpoint", "hook", "device")
"""Names of enum dr_death, in its order: why units die."""
DEATH_LOG = 1024


class Death(NamedTuple):
    """The end of a unit: its key, guest instructions retired by then, the reason, the address written (or 0)."""

    key: int
    instructions: int
    reason: str
    address: int


class TrapInfo(NamedTuple):
    """The last trap, or the last store to watched memory (struct dr_trap)."""

    cause: int
    value: int
    pc: int
    length: int


class Hit(NamedTuple):
    """What the run loop stopped for (struct dr_hit). kinds: bits by HookKind. address, size, value: of an access."""

    kinds: int
    pc: int
    address: int
    size: int
    value: int

    @property
    def is_access(self) -> bool:
        """Whether it is an access that the instruction at pc is about to make."""
        return self.size != 0


Accessors = tuple[Callable[[int, int], int], Callable[[int, int, int], "Outcome | None"]]
"""Read and write of a device."""


@dataclass(slots=True, eq=False)
class DeviceSlot:
    """A device of Python in the guest's memory; C calls it through a handle.

    refusals: exceptions by which it refuses an access: the guest traps.
    """

    core: Core
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
    core: Core = ffi.from_handle(handle)
    try:
        if core.port is not None:
            core.port.send(bytes(ffi.buffer(data, count)))
    except BaseException as error:
        core.fail(error)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_uart_source(handle: Any, data: Any, room: int) -> int:
    """Input for the serial port: how many bytes."""
    core: Core = ffi.from_handle(handle)
    try:
        found = core.port.fetch(room)[:room] if core.port is not None else b""
    except BaseException as error:
        core.fail(error)
        return 0
    ffi.memmove(data, found, len(found))
    return len(found)


class Core:
    """One machine's core. Its C part lives as long as this object."""

    _pointer: Any = None  # until it has been made

    def __init__(self, config: CoreConfig, layout: StateLayout) -> None:
        """Raises DynarecError when the core cannot be made here."""
        self._pointer = _create(config)
        self.tier = config.tier
        self.cache_size = config.cache_size
        self.port: SerialPort | None = None
        self.has_own_traps = False
        self._site_changes = 0
        self._left_alone: frozenset[int] = frozenset()
        self._slots: list[tuple[DeviceSlot, Any]] = []
        self._tapper: Callable[[DeviceSlot], Accessors] | None = None
        self._outcome: Outcome | None = None
        self._device_error: BaseException | None = None
        self.memory = GuestMemory(self)
        self.regs = Registers(self, layout)
        self.observer = Observer(self)
        self._handle = ffi.new_handle(self)
        self._hit = ffi.new("struct dr_hit *")

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
        return _text(lib.dr_error())

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

    # -- devices ------------------------------------------------------------------------------------------------------

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

    # -- the code cache -----------------------------------------------------------------------------------------------

    def left_alone(self) -> frozenset[int]:
        """Addresses of instructions that are to be left to the interpreter, because they keep reaching devices."""
        count = ffi.new("uint32_t *")
        changes = lib.dr_slow_sites(self.pointer, ffi.NULL, count)
        if changes != self._site_changes:
            pcs = ffi.new("uint32_t[]", int(count[0]))
            self._site_changes = lib.dr_slow_sites(self.pointer, pcs, count)
            self._left_alone = frozenset(pcs)
        return self._left_alone

    def install(self, translation: Translation) -> int:
        """Put a translation into the code cache. CPU thread only; raises DynarecError.

        Its serial, from 1 in the order of installation; 0 if guest memory has changed meanwhile: it is not there.
        """
        native, _alive = _native_unit(translation)
        serial = int(lib.dr_install(self.pointer, native))
        if serial < 0:
            raise DynarecError(self.error)
        return serial

    def erase(self, key: int) -> None:
        """Let the unit of a key die, if there is one. CPU thread only; raises DynarecError."""
        self.check(lib.dr_erase(self.pointer, key))

    def flush(self) -> None:
        """Forget every translation. CPU thread only; raises DynarecError."""
        self.check(lib.dr_flush(self.pointer))

    def set_busy(self, busy: bool) -> None:
        """Whether the machine runs, be it in Python."""
        lib.dr_set_busy(self.pointer, busy)

    def hook(self, kind: int, start: int, end: int, reason: str, condition: Condition | None = None) -> None:
        """Make `run` stop before something (enum dr_hook) in a range of addresses, if the condition holds.

        reason: why translations die that were made without the hook. CPU thread only; raises DynarecError.
        """
        native = _native_condition(condition)
        self.check(lib.dr_hook(self.pointer, kind, start, end, DEATHS.index(reason), native))

    def unhook(self, kind: int, start: int, end: int, reason: str, condition: Condition | None = None) -> None:
        """Undo `hook`. CPU thread only; raises DynarecError."""
        native = _native_condition(condition)
        self.check(lib.dr_unhook(self.pointer, kind, start, end, DEATHS.index(reason), native))

    def holds(self, start: int, end: int, condition: Condition) -> bool:
        """Whether the condition of such a hook holds, at what `run` returned CoreStop.HOOK for. CPU thread only."""
        return bool(lib.dr_holds(self.pointer, start, end, _native_condition(condition)))

    @property
    def hit(self) -> Hit:
        """What `run` returned CoreStop.HOOK for."""
        hit = self._hit
        lib.dr_hit_info(self.pointer, hit)
        return Hit(hit.kinds, hit.pc, hit.address, hit.size, hit.value)

    def is_hooked(self, pc: int, begins: bool) -> bool:
        """Whether the instruction at pc is hooked; or, if it begins one, the basic block. CPU thread only."""
        return bool(lib.dr_is_hooked(self.pointer, pc, begins))

    def set_until(self, key: int | None) -> None:
        """Make `run` stop before that pc. CPU thread only; raises DynarecError."""
        self.check(lib.dr_set_until(self.pointer, -1 if key is None else key))

    def set_homes(self, fields: Sequence[Field]) -> None:
        """Hold other fields in the home registers; empties the code cache. CPU thread only."""
        self.check(lib.dr_set_homes(self.pointer, _home_words(fields)))

    def find(self, key: int) -> int | None:
        """Where the translation of the block `key` begins, in bytes from the start of the code memory. Any thread."""
        offset = int(lib.dr_find(self.pointer, key))
        return None if offset < 0 else offset

    def read_code(self, offset: int, size: int) -> bytes:
        """Bytes of the code memory, between two writes to it. Any thread; raises DynarecError."""
        code = ffi.new("uint8_t[]", size)
        self.check(lib.dr_read_code(self.pointer, offset, code, size))
        return bytes(ffi.buffer(code))

    @property
    def run_address(self) -> int:
        """The address in this process at which the code memory is executed; 0 without one."""
        return int(lib.dr_run_address(self.pointer))

    def is_mixed(self, address: int, size: int) -> bool:
        """Whether a range has pages that are code and data alike: units made from it compare their bytes themselves."""
        return bool(lib.dr_is_mixed(self.pointer, address, size))

    def profile(self, pc: int) -> BranchProfile | JumpProfile | None:
        """Where control went from the branch or jump at pc while it was interpreted, since its bytes are what they are.

        None: it is something else, goes to one place, or is not known to the interpreter. Any thread.
        """
        return read_profile(self.pointer, pc)

    @property
    def elapsed(self) -> int:
        """Nanoseconds of the host's clock since the guest's time was 0."""
        return int(lib.dr_elapsed(self.pointer))

    @elapsed.setter
    def elapsed(self, elapsed: int) -> None:
        lib.dr_set_elapsed(self.pointer, elapsed)

    @property
    def skipped(self) -> int:
        """By how many instructions virtual time is ahead of those retired."""
        return int(lib.dr_virtual_time(self.pointer) - lib.dr_instructions(self.pointer))

    @skipped.setter
    def skipped(self, skipped: int) -> None:
        lib.dr_set_skipped(self.pointer, skipped)

    @property
    def registers(self) -> bytes:
        """The words of the guest's registers, without the pc."""
        return bytes(ffi.buffer(self.cpu.state, REGISTER_BYTES))

    @registers.setter
    def registers(self, words: bytes) -> None:
        ffi.memmove(self.cpu.state, words, REGISTER_BYTES)

    @property
    def moment(self) -> Moment:
        """The guest's registers and time; may be set while the guest does not run."""
        return read_moment(self.pointer)

    @moment.setter
    def moment(self, moment: Moment) -> None:
        write_moment(self.pointer, moment)

    def save_pages(self) -> Pages:
        """Guest memory as it is; the guest does not run. Raises DynarecError when the host has no memory for it."""
        return Pages(lib.dr_save_pages(self.pointer))

    def check_pages(self, pages: Pages) -> None:
        """Raise DynarecError when they do not fit this machine's devices."""
        self.check(lib.dr_check_pages(self.pointer, pages.pointer))

    def restore_pages(self, pages: Pages) -> None:
        """Make guest memory what it was; units made from bytes that differ die. Raises DynarecError."""
        self.check(lib.dr_restore_pages(self.pointer, pages.pointer))

    def deaths(self, first: int = 0) -> list[Death]:
        """The deaths of units from number `first` on, as far as the log of the last 1024 goes back. Any thread."""
        records = ffi.new("struct dr_death_record[]", DEATH_LOG)
        count = lib.dr_deaths(self.pointer, first, records, DEATH_LOG)
        return [Death(each.key, each.instructions, DEATHS[each.reason], each.address) for each in records[0:count]]

    def stats(self) -> dict[str, int | list[int]]:
        """The counters of struct dr_stats by name."""
        stats = ffi.new("struct dr_stats *")
        lib.dr_get_stats(self.pointer, stats)
        names = [name for name, _ in ffi.typeof("struct dr_stats").fields]
        arrays = ("exits", "deaths")
        return {name: list(getattr(stats, name)) if name in arrays else int(getattr(stats, name)) for name in names}

    def close(self) -> None:
        """Free the C part. May be called twice."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            lib.dr_destroy(pointer)

    def __del__(self) -> None:
        self.close()


def _create(config: CoreConfig) -> Any:
    """A new struct dr_core. Raises DynarecError."""
    native, _alive = _native_config(config)
    pointer = lib.dr_create(native)
    if pointer == ffi.NULL:
        gc.collect()  # machines that were dropped without being closed still count
        pointer = lib.dr_create(native)
    if pointer == ffi.NULL:
        raise DynarecError(_text(lib.dr_error()))
    return pointer


def _text(string: Any) -> str:
    return ffi.string(string).decode() if string != ffi.NULL else "no reason is known"


def _home_words(fields: Sequence[Field]) -> Any:
    words = [field.index for field in fields]
    return ffi.new("uint8_t[]", words + [lib.DR_SINK_WORD] * (lib.DR_MAX_HOMES - len(words)))


def _native_config(config: CoreConfig) -> tuple[Any, tuple[Any, ...]]:
    """A struct dr_config, and what has to live as long as it; dr_create keeps none of its pointers."""
    strings = ffi.new("char[]", config.guest.encode()), ffi.new("char[]", config.policy.encode())
    homes = _home_words(config.homes)
    native = ffi.new(
        "struct dr_config *",
        {
            "guest": strings[0], "policy": strings[1], "homes": homes,
            "cache_size": config.cache_size, "tier": int(config.tier), "hot": config.hot,
            "jump_shift": config.jump_shift, "harden": config.harden,
            "host_page": config.host_page, "by_byte": config.by_byte,
            "cause_fetch": config.causes[0], "cause_read": config.causes[1], "cause_write": config.causes[2],
        },
    )  # fmt: skip
    return native, (*strings, homes)


def _native_unit(translation: Translation) -> tuple[Any, tuple[Any, ...]]:
    """A struct dr_unit, and what has to live as long as it."""
    code, unit = translation.code, translation.unit
    exits = ffi.new("struct dr_exit[]", [(e.kind, e.ret, e.link, e.target, e.refund, e.inside) for e in code.exits])
    sites = ffi.new("struct dr_site[]", [(s.offset, s.pc, s.refund) for s in code.sites])
    ranges = ffi.new("struct dr_range[]", translation.ranges)
    loans = ffi.new("struct dr_loan[]", code.loans)
    counts = ffi.new("uint32_t[]", [counter.offset for counter in code.counters])
    bytes_ = ffi.from_buffer("uint8_t[]", code.code)
    source = ffi.from_buffer("uint8_t[]", translation.source)
    native = ffi.new(
        "struct dr_unit *",
        (
            unit.key, bytes_, len(code.code), unit.retired,
            exits, len(code.exits), sites, len(code.sites), ranges, len(translation.ranges),
            source, len(translation.source), loans, len(code.loans), translation.checked,
            counts, len(code.counters), len(code.unexecuted),
        ),
    )  # fmt: skip
    return native, (exits, sites, ranges, loans, source, bytes_, counts)


def _native_condition(condition: Condition | None) -> Any:
    """A struct dr_condition. Raises DynarecError when it is too long."""
    if condition is None:
        return ffi.NULL
    if len(condition.insns) > SIZE:
        raise DynarecError(f"a condition of {len(condition.insns)} instructions: there is room for {SIZE}")
    insns = [(insn.op, insn.number & WORD_MASK) for insn in condition.insns]
    return ffi.new("struct dr_condition *", (len(insns), insns))


def native_host() -> str:
    """The host that the C core was built for."""
    return _text(lib.dr_host())


def has_interpreter(guest: str) -> bool:
    """Whether the C core was built with an interpreter for the guest."""
    return bool(lib.dr_has_interpreter(guest.encode()))


def verify(host: str, code: bytes, links: Sequence[int], jump_shift: int, harden: int = 0) -> tuple[int, str] | None:
    """What the verifier of a host ("x86_64" or "arm64") refuses in the code of a unit: the offset in bytes, and why.

    links: offsets of the branches that are to be linked (`Exit.link`). harden: enum dr_harden bits. None: it may be
    installed. Works on any machine (native/verify.h).
    """
    reason = ffi.new("char **")
    offset = lib.dr_verify(host.encode(), code, len(code), list(links), len(links), jump_shift, harden, reason)
    return None if offset < 0 else (int(offset), _text(reason[0]))


def install_nanoseconds(policy: str, batches: int) -> int | None:
    """What a batch with one small unit costs under a policy: verified, written, flushed. None if that does not work."""
    cost = int(lib.dr_policy_cost(policy.encode(), batches))
    return None if cost < 0 else cost


def policies() -> list[str]:
    """The W^X policies built for this system, strictest first."""
    names: list[str] = []
    while (name := lib.dr_policy_name(len(names))) != ffi.NULL:
        names.append(_text(name))
    return names


ELSEWHERE = {
    "apple-toggle": "macOS on Apple silicon",
    "apple-callback": "macOS on Apple silicon",
    "apple-witness": "macOS on Apple silicon",
    "pkey": "Linux on x86-64",
    "mprotect": "Linux",
}
"""Policies that not every system has, and where they are."""


def is_automatic(policy: str) -> bool:
    """Whether "auto" may take a policy of this system."""
    return bool(lib.dr_policy_choice(policies().index(policy)) != lib.DR_BY_NAME)


def passed_over(chosen: str) -> list[str]:
    """Policies that "auto" would have taken before the chosen one, and that should work on such a system."""
    names = policies()
    return [
        name
        for index, name in enumerate(names[: names.index(chosen)])
        if lib.dr_policy_choice(index) == lib.DR_EXPECTED
    ]


def probe_policy(name: str) -> str | None:
    """Why a policy does not work here; None when it does."""
    reason = lib.dr_policy_probe(name.encode())
    return None if reason == ffi.NULL else _text(reason)
