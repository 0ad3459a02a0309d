"""A unit as bytes, and back: what the core installs (struct dr_unit), and nothing that people look at.

While somebody looks at the translations of a machine, none comes from here: what made them, the IR and the times that
it took, is not kept. What is kept of struct dr_unit stands in two tables; a field more of dr_exit or dr_site needs
nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from dynarec._native import ffi, lib

if TYPE_CHECKING:
    from dynarec.code_cache import NativeUnit

Record: TypeAlias = "bytes | memoryview"

NUMBERS = ("key", "checked", "insns", "body")
"""Fields of struct dr_unit."""
ARRAYS = {
    "exits": "exit_count",
    "sites": "site_count",
    "ranges": "range_count",
    "loans": "loan_count",
    "recoveries": "recovery_count",
    "code": "code_size",
    "source": "source_size",
}
"""Fields that point to several of something, with those that say how many. What is in bytes comes last."""
FIELDS = dict(ffi.typeof("struct dr_unit").fields)
POINTERS = {name: FIELDS[name].type for name in ARRAYS}
SIZES = {name: ffi.sizeof(pointer.item) for name, pointer in POINTERS.items()}
HEAD = struct.Struct(f"<{lib.DR_MAX_HOMES}s{len(NUMBERS) + len(ARRAYS)}I")
ALIGNMENT = 4
assert all(ffi.alignof(pointer.item) in (1, ALIGNMENT) for pointer in POINTERS.values())


class Purpose(NamedTuple):
    """What a unit is for. homes: the word of the guest's state in each home register, as struct dr_cpu has them.

    checked: it compares its bytes by itself.
    """

    homes: bytes
    key: int
    checked: int


def pack(unit: NativeUnit, homes: bytes) -> bytes:
    """The record of a unit without counters."""
    native = unit.pointer
    counts = [getattr(native, count) for count in ARRAYS.values()]
    parts = [HEAD.pack(homes, *(getattr(native, name) for name in NUMBERS), *counts)]
    for name, count in zip(ARRAYS, counts, strict=True):
        parts.append(bytes(ffi.buffer(getattr(native, name), count * SIZES[name])) if count else b"")
    return b"".join(parts).ljust(_size(counts), b"\0")


def record_at(data: Record, at: int) -> Record | None:
    """The record that begins there; None if it is cut off."""
    if len(data) - at < HEAD.size:
        return None
    size = _size(HEAD.unpack_from(data, at)[-len(ARRAYS) :])
    return data[at : at + size] if size <= len(data) - at else None


def purpose_of(record: Record) -> Purpose:
    """What `pack` was told of the unit."""
    return Purpose(*HEAD.unpack_from(record)[:3])


def ranges_of(record: Record) -> Iterator[tuple[int, int]]:
    """The guest bytes that the unit was made from, as (address, size)."""
    for name, at, count in _arrays(record):
        if name == "ranges":
            yield from struct.iter_unpack("<2I", record[at : at + count * SIZES[name]])


class KeptUnit:
    """A unit of an earlier run, as the core takes it."""

    __slots__ = ("_alive", "epoch", "key", "pointer")

    def __init__(self, record: Record, epoch: int) -> None:
        """record: as `pack` makes it. epoch: of the core."""
        self.epoch = epoch
        self.key = purpose_of(record).key
        self.pointer, self._alive = _unpack(record, epoch)


def _unpack(record: Record, epoch: int) -> tuple[Any, Any]:
    """A struct dr_unit, and what has to live as long as it."""
    data = ffi.from_buffer("uint8_t[]", record)
    native = ffi.new("struct dr_unit *", {"epoch": epoch, "kept": 1})
    for name, number in zip(NUMBERS, HEAD.unpack_from(record)[1:], strict=False):
        setattr(native, name, ffi.cast(FIELDS[name].type, number))
    for name, at, count in _arrays(record):
        setattr(native, name, ffi.cast(POINTERS[name], data + at))
        setattr(native, ARRAYS[name], count)
    return native, data


def _arrays(record: Record) -> Iterator[tuple[str, int, int]]:
    """Each with where it begins, and how many there are."""
    at = HEAD.size
    for name, count in zip(ARRAYS, HEAD.unpack_from(record)[-len(ARRAYS) :], strict=True):
        yield name, at, count
        at += count * SIZES[name]


def _size(counts: Sequence[int]) -> int:
    size: int = HEAD.size + sum(count * each for count, each in zip(counts, SIZES.values(), strict=True))
    return size + -size % ALIGNMENT
