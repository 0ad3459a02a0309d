"""The code cache of a core: what is installed, erased, found and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dynarec._native import ffi, lib
from dynarec.core_handle import CoreHandle
from dynarec.core_values import DEATH_LOG, DEATHS, Death
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.ir.state import Field
    from dynarec.translate import Translation


class CodeCache(CoreHandle):
    """The translations that a core has."""

    def __init__(self) -> None:
        self._site_changes = 0
        self._left_alone: frozenset[int] = frozenset()

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

    def deaths(self, first: int = 0) -> list[Death]:
        """The deaths of units from number `first` on, as far as the log of the last 1024 goes back. Any thread."""
        records = ffi.new("struct dr_death_record[]", DEATH_LOG)
        count = lib.dr_deaths(self.pointer, first, records, DEATH_LOG)
        return [Death(each.key, each.instructions, DEATHS[each.reason], each.address) for each in records[0:count]]


def home_words(fields: Sequence[Field]) -> Any:
    """The words of the state that the home registers hold."""
    words = [field.index for field in fields]
    return ffi.new("uint8_t[]", words + [lib.DR_SINK_WORD] * (lib.DR_MAX_HOMES - len(words)))


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
