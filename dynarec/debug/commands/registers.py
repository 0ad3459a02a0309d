"""The registers that users look at, by the names of conventions: `a0` for `x10`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.guest_state import PC

if TYPE_CHECKING:
    from dynarec.engine import Machine


def shown(machine: Machine) -> list[str]:
    """pc, the registers that compilers know, and those of traps on a machine whose program handles them."""
    layout = machine.guest.layout
    numbers = machine.guest.dwarf
    known = [name for name in numbers.names if name] if numbers else [field.name for field in layout]
    others = [field.name for field in layout if field.name not in known] if machine.has_own_traps else []
    called: dict[str, str] = {}
    for name in layout.names:
        if name != layout[name].name:
            called.setdefault(layout[name].name, name)
    return [PC, *(called.get(name, name) for name in (*known, *others))]
