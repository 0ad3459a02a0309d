"""Values of what users write in commands, in the selected frame."""

from __future__ import annotations

from dataclasses import dataclass

from dynarec.debug.commands.session import Context
from dynarec.debug.values import Variable
from dynarec.errors import DynarecError


@dataclass(frozen=True, slots=True)
class Result:
    """number: None for what is no number. variable: of the source, or None."""

    number: int | None
    text: str
    variable: Variable | None = None


def evaluate(context: Context, text: str) -> Result:
    """Raises DynarecError."""
    left, equals, right = text.partition("=")
    if equals:
        return _assign(context, left.strip(), evaluate(context, right.strip()))
    return _leaf(context, text.strip())


def _leaf(context: Context, text: str) -> Result:
    debugger = context.debugger
    name = text.removeprefix("$")
    if not text.startswith("$"):
        variable = debugger.source.variable(name, context.frame, debugger.machine.memory, debugger.view.registers)
        if variable is not None:
            try:
                number = variable.number()
            except Exception:
                number = None
            return Result(number, variable.text, variable)
    if name == "pc" or name in debugger.machine.guest.layout:
        value = debugger.machine.regs[name]
        return Result(value, str(value - (1 << 32) if value >> 31 else value))
    address = debugger.places.address(name)
    return Result(address, f"{address:#x}" if not name.isdecimal() else str(address))


def _assign(context: Context, name: str, value: Result) -> Result:
    if value.number is None:
        raise DynarecError("only numbers can be assigned")
    target = _leaf(context, name)
    if target.variable is not None:
        target.variable.assign(value.number)
    else:
        context.debugger.write_register(name.removeprefix("$"), value.number)
    return _leaf(context, name)
