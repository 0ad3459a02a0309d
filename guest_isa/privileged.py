"""What a guest declares about its machine mode: how it takes traps and interrupts by itself, and how it is started.

The functions are written in the language of meanings and end up in the generated interpreter
(`guest_isa.interpreter`), so the core can deliver traps and interrupts without knowing a guest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from dynarec.ir.semantics import Semantics, Value


class Boards(NamedTuple):
    """The names that device trees use for the guest's own parts.

    cpu: properties of the CPU's node. controller: `compatible` of its interrupt controller. timer, interrupts:
    `compatible` of the timer block and of the platform's interrupt controller.
    """

    cpu: Mapping[str, str | tuple[str, ...]]
    controller: str
    timer: tuple[str, ...]
    interrupts: tuple[str, ...]


class Privileged(NamedTuple):
    """The machine mode of a guest.

    take_trap(b, cause, value): enter the handler for a trap, or an interrupt, at the instruction `b.pc`.
    pending(b): whether an interrupt is to be taken now (not 0), and the cause to give to take_trap.
    wakes(b): whether an instruction that waits for interrupts goes on (not 0).
    reset: registers that a machine starts with, others are 0. software, timer, external: the bits of its interrupt
    lines. hart, tree: the registers with the number of the CPU and the address of the device tree, for a kernel.
    marker: a pattern of bytes that code has which sets up a machine (it may occur elsewhere, but rarely).
    """

    take_trap: Callable[[Semantics, Value, Value], None]
    pending: Callable[[Semantics], tuple[Value, Value]]
    wakes: Callable[[Semantics], Value]
    reset: Mapping[str, int]
    software: int
    timer: int
    external: int
    marker: bytes
    hart: str
    tree: str
    boards: Boards
