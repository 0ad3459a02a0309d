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

    __version__: str

__all__ = [
    "DynarecError", "Hook", "Machine", "MemoryAccess", "Stop", "StopReason", "SystemCall", "__version__",
]  # fmt: skip
HOOKS = ("Hook", "MemoryAccess", "SystemCall")


def __getattr__(name: str) -> object:
    """The names that take time to import, when they are used first (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("dynarec")
    if name in __all__:
        return getattr(import_module("dynarec.hooks" if name in HOOKS else "dynarec.engine"), name)
    raise AttributeError(f"module 'dynarec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
