"""What the C core is made with and tells, as values."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dynarec.ir.state import Field


class Tier(IntEnum):
    """What runs the guest (enum dr_tier)."""

    AUTO = 0
    JIT = 1
    INTERP = 2


class CoreStop(IntEnum):
    """Why the native run loop returned (enum dr_stop)."""

    BUDGET = 0
    REQUEST = 1
    TRANSLATE = 2
    TRAP = 3
    STORED = 4
    UNTIL = 5
    ERROR = 6
    WAIT = 7
    OFF = 8
    HOOK = 9
    CAUGHT = 10
    INPUT = 11
    READY = 12


EXIT_KINDS = ("jump", "indirect", "interpret", "budget")
"""Names of enum dr_exit_kind, in its order."""


class CoreConfig(NamedTuple):
    """How to make a core (struct dr_config). homes: the fields that the host's home registers hold, in their order."""

    guest: str
    jump_shift: int
    causes: tuple[int, int, int]
    tier: Tier = Tier.INTERP
    policy: str = "auto"
    cache_size: int = 16 << 20
    hot: int = 1
    homes: tuple[Field, ...] = ()
    harden: int = 0
    host_page: int = 0
    by_byte: bool = False


DEATHS = ("store", "fence.i", "host-write", "flush", "evicted", "breakpoint", "hook", "device")
"""Names of enum dr_death, in its order: why units die."""
DEATH_LOG = 1024


class Death(NamedTuple):
    """The end of a unit: its key, guest instructions retired by then, the reason, the address written (or 0)."""

    key: int
    instructions: int
    reason: str
    address: int


class TrapInfo(NamedTuple):
    """The last trap, or the last store to watched memory (struct dr_trap)."""

    cause: int
    value: int
    pc: int
    length: int


class Hit(NamedTuple):
    """What the run loop stopped for (struct dr_hit). kinds: bits by HookKind. address, size, value: of an access."""

    kinds: int
    pc: int
    address: int
    size: int
    value: int

    @property
    def is_access(self) -> bool:
        """Whether it is an access that the instruction at pc is about to make."""
        return self.size != 0
