"""The states of the devices that are in C, field by field: clint, plic and serial port (native/api.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynarec._native import ffi, lib

if TYPE_CHECKING:
    from dynarec.machine.state import Fields, State, Value

GETTERS = {"clint": lib.dr_get_clint, "plic": lib.dr_get_plic, "uart": lib.dr_get_uart}
BYTE = 8


def save_devices(core: Any) -> State:
    """Their states, by their names."""
    lib.dr_settle_devices(core)
    return {name: _save(getter(core)) for name, getter in GETTERS.items()}


def restore_devices(core: Any, state: State) -> None:
    """Set their states. Raises BadState. Indexes need no check: C takes them modulo the size of what they are for."""
    from dynarec.machine.state import Fields

    fields = Fields(state, "devices")
    for name, getter in GETTERS.items():
        _restore(getter(core), fields.fields(name))
    lib.dr_resume_devices(core)


def _fields(struct: Any) -> list[tuple[str, Any]]:
    return [(name, field.type) for name, field in ffi.typeof(struct).item.fields]


def _save(struct: Any) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, kind in _fields(struct):
        value = getattr(struct, name)
        found[name] = bytes(ffi.buffer(value)) if kind.kind == "array" else int(value)
    return found


def _restore(struct: Any, fields: Fields) -> None:
    for name, kind in _fields(struct):
        if kind.kind == "array":
            ffi.buffer(getattr(struct, name))[:] = fields.data(name, ffi.sizeof(kind))
        else:
            setattr(struct, name, fields.number(name, 1 << BYTE * ffi.sizeof(kind)))
