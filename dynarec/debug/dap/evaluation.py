"""Expressions that the editor asks about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.debug.language import Result
    from dynarec.debug.source import Frame


def evaluate(debugger: Debugger, text: str, frame: Frame | None, may_change: bool = False) -> Result:
    """The value of an expression in a frame. Raises DynarecError; for an assignment, unless it may change the guest."""
    from dynarec.debug.language import parse
    from dynarec.debug.scope import Scope

    expression = parse(text)
    if expression.is_assignment and not may_change:
        raise DynarecError(f"{text}: this would change the program: do it in the console")
    return expression.evaluate(Scope(debugger.machine, debugger.source, frame))
