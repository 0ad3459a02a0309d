"""Which guest addresses are taken: by the program, the stack, the heap, and the guest's own mappings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dynarec.machine.base import PAGE_SIZE, Access, Memory
from dynarec.machine.state import BadState
from dynarec.program import ADDRESS_SPACE, Segment


def page_down(address: int) -> int:
    """The start of the page of an address."""
    return address & -PAGE_SIZE


def page_up(address: int) -> int:
    """The first page boundary at or above an address."""
    return (address + PAGE_SIZE - 1) & -PAGE_SIZE


class Span(NamedTuple):
    """Addresses from start up to, not including, end."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        """Whether they share an address."""
        return self.start < other.end and other.start < self.end


class AddressSpace:
    """The taken spans, page aligned, sorted and disjoint."""

    def __init__(self) -> None:
        self._taken: list[Span] = []

    def spans(self) -> list[Span]:
        """The taken spans, in order."""
        return list(self._taken)

    def restore(self, ends: list[int]) -> None:
        """Take exactly these spans: start and end of one after the other. Raises BadState for what are none."""
        if len(ends) % 2 or ends != sorted(ends) or any(end % PAGE_SIZE for end in ends):
            raise BadState("the snapshot is damaged: the addresses that are taken are no spans of pages")
        self._taken = [Span(start, end) for start, end in zip(ends[::2], ends[1::2], strict=True) if start < end]

    def is_free(self, start: int, end: int) -> bool:
        """Whether nothing in the range is taken."""
        return not any(span.overlaps(Span(start, end)) for span in self._taken)

    def take(self, start: int, end: int) -> None:
        """Mark [start, end) as taken; it may overlap what is taken already."""
        start, end = page_down(start), page_up(end)
        joined = [s for s in self._taken if s.start <= end and start <= s.end]
        start = min([start, *(s.start for s in joined)])
        end = max([end, *(s.end for s in joined)])
        rest = [s for s in self._taken if s not in joined]
        self._taken = sorted([*rest, Span(start, end)], key=lambda s: s.start)

    def release(self, start: int, end: int) -> None:
        """Mark [start, end) as free."""
        hole = Span(page_down(start), page_up(end))
        kept: list[Span] = []
        for span in self._taken:
            if not span.overlaps(hole):
                kept.append(span)
                continue
            kept += [Span(a, b) for a, b in ((span.start, hole.start), (hole.end, span.end)) if a < b]
        self._taken = kept

    def find_below(self, top: int, size: int, bottom: int = PAGE_SIZE) -> int | None:
        """The highest free range of `size` bytes that ends at or below top; its start, or None."""
        end = page_down(top)
        for span in reversed(self._taken):
            if span.start >= end:
                continue
            if span.end + size <= end:
                break
            end = span.start
        return end - size if end - size >= bottom else None

    def free_above(self, start: int, limit: int = ADDRESS_SPACE) -> int:
        """The first taken address at or above start, or the limit: how far [start, ...) can grow."""
        return min([limit, *(max(span.start, start) for span in self._taken if span.end > start)])


def segment_access(segment: Segment) -> Access:
    """The permissions of a segment."""
    access = Access.READ if segment.readable else Access.NONE
    access |= Access.WRITE if segment.writable else Access.NONE
    return access | (Access.EXECUTE if segment.executable else Access.NONE)


def place_segments(
    memory: Memory, space: AddressSpace, segments: Sequence[Segment], more: Access = Access.NONE
) -> None:
    """Map the segments, which come in order, and copy their data.

    A page that segments share gets the union of their permissions. more: permissions that every segment gets.
    """
    mapped = 0
    for segment in segments:
        first, end = page_down(segment.address), page_up(segment.end)
        if first < mapped:
            memory.protect(first, PAGE_SIZE, _access_of_page(segments, first) | more)
        start = max(first, mapped)
        if start < end:
            memory.map(start, end - start, segment_access(segment) | more)
        mapped = max(mapped, end)
        space.take(first, end)
        memory.write(segment.address, segment.data)


def _access_of_page(segments: Sequence[Segment], page: int) -> Access:
    """The union over the segments that have bytes in the page."""
    access = Access.NONE
    for segment in segments:
        if segment.address < page + PAGE_SIZE and page < segment.end:
            access |= segment_access(segment)
    return access
