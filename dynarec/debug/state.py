"""What is looked at: the memory and the registers of a stopped guest, of a machine or of a snapshot."""

from __future__ import annotations

from typing import Protocol


class Memory(Protocol):
    """Guest memory."""

    def read(self, address: int, size: int) -> bytes:
        """The bytes at an address; raises GuestMemoryError when they are not mapped."""

    def write(self, address: int, data: bytes) -> None:
        """Store bytes; raises GuestMemoryError, before any is stored, when they are not mapped."""


class Registers(Protocol):
    """Registers by their DWARF number; values are unsigned. Numbers that the guest does not have raise KeyError."""

    def __getitem__(self, number: int) -> int: ...

    def __setitem__(self, number: int, value: int) -> None: ...
