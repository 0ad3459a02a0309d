"""The code cache of a core: what is installed, erased, found and read."""

from __future__ import annotations

from collections.abc import Sequence
from time import thread_time
from typing import TYPE_CHECKING, Any

from dynarec._native import ffi, lib
from dynarec.core_handle import CoreHandle
from dynarec.core_values import DEATH_LOG, DEATHS, Death
from dynarec.profiles import BranchProfile, JumpProfile, read_profile

if TYPE_CHECKING:
    from dynarec.disk.record import KeptUnit
    from dynarec.ir.state import Field
    from dynarec.translate import Translation


class CodeCache(CoreHandle):
    """The translations that a core has."""

    def __init__(self) -> None:
        self._left_alone: tuple[int, frozenset[int]] = 0, frozenset()

    def left_alone(self) -> frozenset[int]:
        """Addresses of instructions that are to be left to the interpreter, because they keep reaching devices."""
        count = ffi.new("uint32_t *")
        changes = lib.dr_slow_sites(self.pointer, ffi.NULL, count)
        while changes != self._left_alone[0]:
            room = int(count[0])
            pcs = ffi.new("uint32_t[]", room)
            changes = lib.dr_slow_sites(self.pointer, pcs, count)
            if count[0] <= room:
                self._left_alone = changes, frozenset(pcs[0 : count[0]])
        return self._left_alone[1]

    def leave_alone(self, pc: int) -> None:
        """Leave the instruction there to the interpreter until it no longer reaches devices. CPU thread only."""
        self.check(lib.dr_leave_alone(self.pointer, pc))

    def install(self, translation: Translation) -> int:
        """Put a translation that was made on this thread into the code cache. CPU thread only; raises DynarecError.

        Its serial, from 1 in the order of installation; 0 if guest memory has changed meanwhile: it is not there.
        """
        return self.install_all([NativeUnit(translation, self.epoch)])[0]

    def install_all(self, units: Sequence[NativeUnit | KeptUnit]) -> list[int]:
        """Put units into the code cache in one batch; their serials. CPU thread only; raises DynarecError.

        A unit's serial is 0 also if it was made in another epoch, or is kept and would be made in another way now.
        """
        serials = ffi.new("uint64_t[]", len(units))
        pointers = ffi.new("struct dr_unit *[]", [unit.pointer for unit in units])
        self.check(lib.dr_install(self.pointer, pointers, len(units), serials))
        return list(serials)

    # -- background translation (native/background.h) -----------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Of what a translation depends on beside guest bytes; read before the rest of it. Any thread."""
        return int(lib.dr_epoch(self.pointer))

    def set_background(self, on: bool) -> None:
        """Whether hot blocks are left to `await_wanted`, in place of CoreStop.TRANSLATE."""
        lib.dr_set_background(self.pointer, on)

    def await_wanted(self) -> int | None:
        """The next block to translate, once there is one; None: there will be none. The translator's thread only."""
        key = int(lib.dr_await_wanted(self.pointer))
        return None if key < 0 else key

    @property
    def wanted(self) -> int:
        """How many blocks wait for the translator."""
        return int(lib.dr_wanted(self.pointer))

    def end_wanted(self) -> None:
        """No block is wanted any more."""
        lib.dr_end_wanted(self.pointer)

    def announce(self) -> None:
        """Make `run` return soon, with CoreStop.READY. Any thread."""
        lib.dr_announce(self.pointer)

    def give_way(self, microseconds: int) -> None:
        """Wait while the CPU thread wants to run Python, at most so long. Any other thread."""
        lib.dr_give_way(self.pointer, microseconds)

    @property
    def nanoseconds_out(self) -> int:
        """Since `run` returned last. CPU thread only."""
        return int(lib.dr_nanoseconds_out(self.pointer))

    # -- what is there ------------------------------------------------------------------------------------------------

    def erase(self, key: int) -> None:
        """Let the unit of a key die, if there is one. CPU thread only; raises DynarecError."""
        self.check(lib.dr_erase(self.pointer, key))

    def flush(self) -> None:
        """Forget every translation. CPU thread only; raises DynarecError."""
        self.check(lib.dr_flush(self.pointer))

    def set_homes(self, fields: Sequence[Field]) -> None:
        """Hold other fields in the home registers; empties the code cache. CPU thread only."""
        self.check(lib.dr_set_homes(self.pointer, home_words(fields)))

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

    def deaths(self, first: int = 0) -> list[Death]:
        """The deaths of units from number `first` on, as far as the log of the last 1024 goes back. Any thread."""
        records = ffi.new("struct dr_death_record[]", DEATH_LOG)
        count = lib.dr_deaths(self.pointer, first, records, DEATH_LOG)
        return [Death(each.key, each.instructions, DEATHS[each.reason], each.address) for each in records[0:count]]


def home_words(fields: Sequence[Field]) -> Any:
    """The words of the state that the home registers hold."""
    words = [field.index for field in fields]
    return ffi.new("uint8_t[]", words + [lib.DR_SINK_WORD] * (lib.DR_MAX_HOMES - len(words)))


class NativeUnit:
    """A translation as the core takes it (struct dr_unit). epoch: of the core, when the translation began."""

    __slots__ = ("_alive", "pointer", "translation")

    def __init__(self, translation: Translation, epoch: int) -> None:
        self.translation = translation
        since = thread_time()
        self.pointer, self._alive = _native_unit(translation, epoch)
        translation.phases["pack"] = thread_time() - since


def _native_unit(translation: Translation, epoch: int) -> tuple[Any, tuple[Any, ...]]:
    """A struct dr_unit, and what has to live as long as it."""
    code, unit = translation.code, translation.unit
    exits = ffi.new("struct dr_exit[]", [(e.kind, e.ret, e.link, e.target, e.refund, e.inside) for e in code.exits])
    sites = ffi.new("struct dr_site[]", [(s.offset, s.pc, s.refund) for s in code.sites])
    ranges = ffi.new("struct dr_range[]", translation.ranges)
    loans = ffi.new("struct dr_loan[]", code.loans)
    recoveries = ffi.new(
        "struct dr_recovery[]", [(r.plus, r.first, r.last, r.word, r.source, r.number) for r in code.recoveries]
    )
    counts = ffi.new("uint32_t[]", [counter.offset for counter in code.counters])
    bytes_ = ffi.from_buffer("uint8_t[]", code.code)
    source = ffi.from_buffer("uint8_t[]", translation.source)
    native = ffi.new(
        "struct dr_unit *",
        (
            unit.key, bytes_, len(code.code), unit.retired, code.body,
            exits, len(code.exits), sites, len(code.sites), ranges, len(translation.ranges),
            source, len(translation.source), loans, len(code.loans), recoveries, len(code.recoveries),
            translation.checked,
            counts, len(code.counters), len(code.unexecuted), epoch, 0,
        ),
    )  # fmt: skip
    return native, (exits, sites, ranges, loans, recoveries, source, bytes_, counts)
