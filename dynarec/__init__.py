"""A dynamic recompiler for small guest CPUs.

from dynarec import Machine

with Machine.load("prog.elf") as machine:
    stop = machine.run(instructions=1_000_000)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.engine import Machine, Stop, StopReason
    from dynarec.hooks import Hook, MemoryAccess, SystemCall
    from dynarec.machine.base import AccessFault, Device
    from dynarec.snapshot import Snapshot

    __version__: str

__all__ = [
    "AccessFault", "Device", "DynarecError", "Hook", "Machine", "MemoryAccess", "Snapshot", "Stop", "StopReason",
    "SystemCall", "__version__",
]  # fmt: skip
ELSEWHERE = {
    **dict.fromkeys(("AccessFault", "Device"), "dynarec.machine.base"),
    **dict.fromkeys(("Hook", "MemoryAccess", "SystemCall"), "dynarec.hooks"),
    "Snapshot": "dynarec.snapshot",
}


def __getattr__(name: str) -> object:
    """The names that take time to import, when they are used first (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("dynarec")
    if name in __all__:
        return getattr(import_module(ELSEWHERE.get(name, "dynarec.engine")), name)
    raise AttributeError(f"module 'dynarec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
