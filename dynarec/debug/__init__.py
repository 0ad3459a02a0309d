"""The debugger: stopping, stepping and looking at programs while they run, forwards and backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger

__all__ = ["Debugger"]


def __getattr__(name: str) -> object:
    """The debugger takes time to import, and machines run without it (PEP 562)."""
    if name == "Debugger":
        from dynarec.debug.debugger import Debugger

        return Debugger
    raise AttributeError(f"module 'dynarec.debug' has no attribute {name!r}")
