"""Registers that are wider than an access, or narrower."""

from __future__ import annotations

from dynarec.machine.base import AccessFault

WORD = 4


def part(value: int, offset: int, width: int) -> int:
    """`width` bytes of a register, from byte `offset` on."""
    return value >> 8 * offset & ((1 << 8 * width) - 1)


def replaced(value: int, offset: int, width: int, new: int) -> int:
    """The register after a store of `width` bytes at byte `offset`."""
    mask = ((1 << 8 * width) - 1) << 8 * offset
    return value & ~mask | new << 8 * offset & mask


def check_word(name: str, offset: int, width: int) -> None:
    """Raise AccessFault for anything but an aligned 32-bit access."""
    if width != WORD or offset % WORD:
        raise AccessFault(f"{width}-byte access to {name} offset {offset:#x}, not an aligned 4-byte one")
