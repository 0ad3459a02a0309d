"""What a snapshot has of the core: guest memory, shared with other snapshots page by page, and registers and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dynarec._native import ffi, lib
from dynarec.errors import DynarecError

PAGE = 4096
Run = tuple[int, int, int]
"""Number of the first page, how many, and their permissions (enum dr_access)."""


class Moment(NamedTuple):
    """The guest's registers and time (struct dr_moment). state: the words of the guest's registers."""

    instructions: int
    skipped: int
    elapsed: int
    deadline: int
    deadline_lines: int
    lines: int
    pc: int
    passed: int
    waits: int
    begins: bool
    state: tuple[int, ...]


class Pages:
    """Guest memory at one moment (struct dr_pages); it does not change."""

    def __init__(self, pointer: Any) -> None:
        """Raises DynarecError when C could not make it."""
        if pointer == ffi.NULL:
            raise DynarecError(ffi.string(lib.dr_error()).decode())
        self.pointer = ffi.gc(pointer, lib.dr_free_pages)

    @classmethod
    def make(cls, runs: Sequence[Run]) -> Pages:
        """Zeros, to be filled with `put` before others see it. Raises DynarecError for runs that cannot be."""
        return cls(lib.dr_make_pages(ffi.new("struct dr_run[]", runs), len(runs)))

    def put(self, page: int, data: bytes | memoryview) -> None:
        """Set the bytes of a page, by its number. Raises DynarecError where there is none, or without memory."""
        assert len(data) == PAGE
        if lib.dr_put_page(self.pointer, page, ffi.from_buffer(data)):
            raise DynarecError(ffi.string(lib.dr_error()).decode())

    @property
    def runs(self) -> list[Run]:
        """Pages and their permissions, in order."""
        count = ffi.new("uint32_t *")
        runs = lib.dr_page_runs(self.pointer, count)
        return [(run.first, run.count, run.access) for run in runs[0 : count[0]]]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the pages that are not zero, in order."""
        count = lib.dr_list_pages(self.pointer, ffi.NULL, 0)
        numbers = ffi.new("uint32_t[]", count)
        lib.dr_list_pages(self.pointer, numbers, count)
        return list(numbers)

    def __getitem__(self, page: int) -> bytes:
        """The bytes of a page, by its number; zeros where there is none."""
        found = lib.dr_page_bytes(self.pointer, page)
        return bytes(PAGE) if found == ffi.NULL else bytes(ffi.buffer(found, PAGE))

    def difference(self, other: Pages) -> int:
        """How many pages the two do not share."""
        return int(lib.dr_count_different(self.pointer, other.pointer))

    def place(self, number: int) -> int:
        """Where the bytes of a page are in this process, so that it can be seen what snapshots share; 0: zeros."""
        return int(ffi.cast("uintptr_t", lib.dr_page_bytes(self.pointer, number)))

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Number and bytes of the pages that are not zero, in order."""
        return ((number, self[number]) for number in self.numbers)


def read_moment(core: Any) -> Moment:
    """The registers and time of a struct dr_core."""
    raw = ffi.new("struct dr_moment *")
    lib.dr_get_moment(core, raw)
    times = (raw.instructions, raw.skipped, raw.elapsed, raw.deadline)
    flow = (raw.pc, raw.passed, raw.waits, bool(raw.begins))
    return Moment(*times, raw.deadline_lines, raw.lines, *flow, tuple(raw.state))


def write_moment(core: Any, moment: Moment) -> None:
    """Set the registers and time of a struct dr_core."""
    times = (moment.instructions, moment.skipped, moment.elapsed, moment.deadline)
    flow = (moment.pc, moment.passed, moment.waits, moment.begins)
    fields = (*times, moment.deadline_lines, moment.lines, *flow, moment.state)
    lib.dr_set_moment(core, ffi.new("struct dr_moment *", fields))
