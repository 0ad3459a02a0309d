"""A unit as bytes, and back: what the core installs (struct dr_unit), and nothing that people look at.

While somebody looks at the translations of a machine, none comes from here: what made them, the IR and the times that
it took, is not kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dynarec._native import ffi

if TYPE_CHECKING:
    from dynarec.code_cache import NativeUnit
    from dynarec.disk.units_file import Record

UNIT = struct.Struct("<9I")
"""key, instructions, body, bytes of code, bytes of source, exits, sites, ranges, loans."""
ALIGNMENT = 4
EXIT, SITE, RANGE, LOAN = 24, 12, 8, 8
"""Bytes of struct dr_exit, and so on."""


def record_size(code: int, source: int, exits: int, sites: int, ranges: int, loans: int) -> int:
    """Bytes of the record of a unit with so many bytes of code and of source, exits, and so on."""
    size = UNIT.size + exits * EXIT + sites * SITE + ranges * RANGE + loans * LOAN + code + source
    return size + -size % ALIGNMENT


def pack(unit: NativeUnit) -> bytes:
    """The record of a unit that has no counters, and does not compare its bytes itself."""
    native = unit.pointer
    sizes = native.code_size, native.source_size
    counts = native.exit_count, native.site_count, native.range_count, native.loan_count
    parts = [UNIT.pack(native.key, native.insns, native.body, *sizes, *counts)]
    for array, size in (
        (native.exits, native.exit_count * EXIT), (native.sites, native.site_count * SITE),
        (native.ranges, native.range_count * RANGE), (native.loans, native.loan_count * LOAN),
        (native.code, native.code_size), (native.source, native.source_size),
    ):  # fmt: skip
        parts.append(bytes(ffi.buffer(array, size)) if size else b"")
    return b"".join(parts).ljust(record_size(*sizes, *counts), b"\0")


class KeptUnit:
    """A unit of an earlier run, as the core takes it."""

    __slots__ = ("_alive", "epoch", "insns", "key", "pointer")

    def __init__(self, record: Record, epoch: int) -> None:
        """record: as `pack` makes it. epoch: of the core."""
        self.epoch = epoch
        self.key, self.insns = UNIT.unpack_from(record)[:2]
        self.pointer, self._alive = _unpack(record, epoch)


def _unpack(record: Record, epoch: int) -> tuple[Any, Any]:
    """A struct dr_unit, and what has to live as long as it."""
    key, insns, body, code_size, source_size, exits, sites, ranges, loans = UNIT.unpack_from(record)
    data = ffi.from_buffer("uint8_t[]", record)
    at = data + UNIT.size
    site = at + exits * EXIT
    range_ = site + sites * SITE
    loan = range_ + ranges * RANGE
    code = loan + loans * LOAN
    native = ffi.new(
        "struct dr_unit *",
        (
            key, code, code_size, insns, body,
            ffi.cast("struct dr_exit *", at), exits, ffi.cast("struct dr_site *", site), sites,
            ffi.cast("struct dr_range *", range_), ranges, code + code_size, source_size,
            ffi.cast("struct dr_loan *", loan), loans, 0, ffi.NULL, 0, 0, epoch, 1,
        ),
    )  # fmt: skip
    return native, data


def ranges_of(record: Record) -> Iterator[tuple[int, int]]:
    """The guest bytes that the unit was made from, as (address, size)."""
    _, _, _, _, _, exits, sites, ranges, _ = UNIT.unpack_from(record)
    start = UNIT.size + exits * EXIT + sites * SITE
    return struct.iter_unpack("<2I", record[start : start + ranges * RANGE])
