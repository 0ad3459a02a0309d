"""The C core, typed: guest memory, registers, the code cache, the run loop.

Memory and registers may be read from any thread; everything that changes the guest belongs to the CPU thread, or to
whoever owns the machine while it does not run.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from dynarec._native import ffi, lib
from dynarec.built import (
    ELSEWHERE,
    has_interpreter,
    install_nanoseconds,
    is_automatic,
    native_host,
    passed_over,
    policies,
    probe_policy,
    verify,
)
from dynarec.code_cache import CodeCache, home_words
from dynarec.conditions import SIZE, Condition
from dynarec.core_devices import WORD_MASK, CoreDevices, DeviceSlot
from dynarec.core_handle import text
from dynarec.core_values import DEATHS, EXIT_KINDS, CoreConfig, CoreStop, Death, Hit, Tier, TrapInfo
from dynarec.errors import DynarecError
from dynarec.guest_pages import Moment, Pages, read_moment, write_moment
from dynarec.guest_state import GuestMemory, Registers
from dynarec.observer import Observer

if TYPE_CHECKING:
    from dynarec.evaluated import Stepper
    from dynarec.ir.state import StateLayout
    from guest_isa.guest import Guest

__all__ = [
    "DEATHS", "ELSEWHERE", "EXIT_KINDS", "Core", "CoreConfig", "CoreStop", "Death", "DeviceSlot", "Hit", "Tier",
    "TrapInfo", "has_interpreter", "install_nanoseconds", "is_automatic", "native_host", "passed_over", "policies",
    "probe_policy", "verify",
]  # fmt: skip
REGISTER_BYTES = 4 * lib.DR_STATE_WORDS


class Core(CodeCache, CoreDevices):
    """One machine's core. Its C part lives as long as this object."""

    def __init__(self, config: CoreConfig, layout: StateLayout, evaluated: Guest | None = None) -> None:
        """evaluated: the guest, if the reference evaluator is to execute its instructions, for it has no interpreter.

        Raises DynarecError when the core cannot be made here.
        """
        self._pointer = _create(config, evaluated is not None)
        self.tier = config.tier
        self.cache_size = config.cache_size
        CodeCache.__init__(self)
        CoreDevices.__init__(self)
        self.memory = GuestMemory(self)
        self.regs = Registers(self, layout)
        self.observer = Observer(self)
        self._hit = ffi.new("struct dr_hit *")
        self._stepper = _stepper(self, evaluated) if evaluated is not None else None

    @property
    def policy(self) -> str:
        """The W^X policy in use; "none" without a code region."""
        return text(lib.dr_policy(self.pointer))

    @property
    def instructions(self) -> int:
        """Guest instructions retired; may be read while the guest runs."""
        return int(lib.dr_instructions(self.pointer))

    @property
    def interpreted(self) -> int:
        """Guest instructions that the interpreter has done; may be read while the guest runs."""
        return int(lib.dr_interpreted(self.pointer))

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


def _stepper(core: Core, guest: Guest) -> Stepper:
    from dynarec.evaluated import Stepper

    return Stepper(core, guest)


def _create(config: CoreConfig, evaluated: bool) -> Any:
    """A new struct dr_core. Raises DynarecError."""
    native, _alive = _native_config(config, evaluated)
    pointer = lib.dr_create(native)
    if pointer == ffi.NULL:
        gc.collect()  # machines that were dropped without being closed still count
        pointer = lib.dr_create(native)
    if pointer == ffi.NULL:
        raise DynarecError(text(lib.dr_error()))
    return pointer


def _native_config(config: CoreConfig, evaluated: bool) -> tuple[Any, tuple[Any, ...]]:
    """A struct dr_config, and what has to live as long as it; dr_create keeps none of its pointers."""
    strings = ffi.new("char[]", config.guest.encode()), ffi.new("char[]", config.policy.encode())
    homes = home_words(config.homes)
    native = ffi.new(
        "struct dr_config *",
        {
            "guest": strings[0], "policy": strings[1], "homes": homes,
            "cache_size": config.cache_size, "tier": int(config.tier), "hot": config.hot,
            "jump_shift": config.jump_shift, "harden": config.harden,
            "host_page": config.host_page, "by_byte": config.by_byte, "evaluated": evaluated,
            "cause_fetch": config.causes[0], "cause_read": config.causes[1], "cause_write": config.causes[2],
        },
    )  # fmt: skip
    return native, (*strings, homes)


def _native_condition(condition: Condition | None) -> Any:
    """A struct dr_condition. Raises DynarecError when it is too long."""
    if condition is None:
        return ffi.NULL
    if len(condition.insns) > SIZE:
        raise DynarecError(f"a condition of {len(condition.insns)} instructions: there is room for {SIZE}")
    insns = [(insn.op, insn.number & WORD_MASK) for insn in condition.insns]
    return ffi.new("struct dr_condition *", (len(insns), insns))
