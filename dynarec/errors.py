"""The errors a user of dynarec can act on: each is one line that says what, where and what to do."""

from __future__ import annotations


class DynarecError(Exception):
    """A one-line message for the user; the command line prints it and exits with 125."""


class BadProgram(DynarecError):  # noqa: N818
    """A program file that cannot be loaded; the message names the file and what is wrong with it."""


class GuestMemoryError(DynarecError):
    """An access to guest memory that is not mapped, or (checked accesses) not permitted.

    address: the first byte that could not be accessed.
    size: the size in bytes of the whole access.
    kind: "read", "write", "execute" or "map".
    """

    def __init__(self, address: int, size: int, kind: str, reason: str = "") -> None:
        what = f"guest memory cannot be accessed: {kind} of {size} bytes at {address:#010x}"
        super().__init__(f"{what}: {reason}" if reason else what)
        self.address = address
        self.size = size
        self.kind = kind
