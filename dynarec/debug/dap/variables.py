"""Requests about values: variables, registers, expressions."""

from __future__ import annotations

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.containers import MOST, Shown, assign, show, whole_number
from dynarec.debug.dap.evaluation import evaluate as evaluate_expression
from dynarec.debug.dap.requests import PENDING, Body, Request
from dynarec.debug.dap.session import Session
from dynarec.errors import DynarecError

REPL = "repl"
"""The context of the debug console."""
NAMED, INDEXED = "named", "indexed"


def variables(session: Session, arguments: Arguments) -> Body:
    """A page of what a scope or a variable consists of."""
    container = session.look.container(arguments.number("variablesReference"))
    start = max(arguments.number("start", 0), 0)
    most = arguments.number("count", 0)
    return {"variables": container.page(start, min(most, MOST) if most > 0 else MOST)}


def set_variable(session: Session, arguments: Arguments) -> Body:
    container = session.look.container(arguments.number("variablesReference"))
    return _without_name(container.change(arguments.text("name"), arguments.text("value")))


def set_expression(session: Session, arguments: Arguments) -> Body:
    """Assign to what an expression names."""
    text, value = arguments.text("expression"), arguments.text("value")
    frame = session.frame(arguments)
    variable = evaluate_expression(session.debugger, text, frame).variable
    if variable is not None:
        assign(session, variable, value, frame)
        return _without_name(show(session, variable, text))
    whole_number(session, value, frame)
    result = evaluate_expression(session.debugger, f"{text} = {value}", frame, may_change=True)
    session.changed()
    return {"value": result.text, "type": result.type}


def _without_name(shown: Shown) -> Shown:
    return {name: value for name, value in shown.items() if name not in ("name", "evaluateName")}


def evaluate(session: Session, arguments: Arguments) -> Body:
    """The value of an expression. In the console it may change the program, and what is none may be a command."""
    text, context = arguments.text("expression"), arguments.text("context", "")
    frame = session.frame(arguments)
    try:
        result = evaluate_expression(session.debugger, text, frame, may_change=context == REPL)
    except DynarecError:
        if context != REPL:
            raise
        session.later(lambda: session.execute(text))
        return PENDING
    if context == REPL:
        session.changed()
    if result.variable is not None:
        shown = _without_name(show(session, result.variable, text))
        return {"result": shown.pop("value"), **shown}
    body: dict[str, object] = {"result": result.text, "type": result.type, "variablesReference": 0}
    return body | ({"memoryReference": hex(result.number & 0xFFFF_FFFF)} if result.number is not None else {})


def completions(session: Session, arguments: Arguments) -> Body:
    """What the text before the cursor may become."""
    text = arguments.text("text")[: session.client.own_column(arguments.number("column")) - 1]
    found = session.console.complete(text)
    length = len(text)
    return {"targets": [{"label": word, "text": each, "start": 0, "length": length} for word, each in found.items()]}


REQUESTS = {
    "variables": Request(variables),
    "setVariable": Request(set_variable),
    "setExpression": Request(set_expression),
    "evaluate": Request(evaluate),
    "completions": Request(completions),
}
