"""Requests about the beginning and the end of a session."""

from __future__ import annotations

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.breakpoints import filters
from dynarec.debug.dap.client import Client
from dynarec.debug.dap.launching import make_launch
from dynarec.debug.dap.requests import Body, Request, When
from dynarec.debug.dap.session import Session
from dynarec.errors import DynarecError

CAPABILITIES = (
    "supportsBreakpointLocationsRequest",
    "supportsCompletionsRequest",
    "supportsConditionalBreakpoints",
    "supportsConfigurationDoneRequest",
    "supportsDataBreakpoints",
    "supportsDelayedStackTraceLoading",
    "supportsDisassembleRequest",
    "supportsEvaluateForHovers",
    "supportsExceptionFilterOptions",
    "supportsExceptionInfoRequest",
    "supportsFunctionBreakpoints",
    "supportsGotoTargetsRequest",
    "supportsHitConditionalBreakpoints",
    "supportsInstructionBreakpoints",
    "supportsLoadedSourcesRequest",
    "supportsLogPoints",
    "supportsModulesRequest",
    "supportsReadMemoryRequest",
    "supportsRestartRequest",
    "supportsSetExpression",
    "supportsSetVariable",
    "supportsSteppingGranularity",
    "supportsTerminateRequest",
    "supportsWriteMemoryRequest",
)
POINTER_BITS = 32


def initialize(session: Session, arguments: Arguments) -> Body:
    """What this debugger can do. Whether it steps back is known when a program is there: by an event."""
    session.client = Client.of(arguments)
    return dict.fromkeys(CAPABILITIES, True) | {"exceptionBreakpointFilters": filters()}


def launch(session: Session, arguments: Arguments) -> None:
    """Load the program; it runs when the editor has set its breakpoints, at `configurationDone`."""
    if session.is_launched:
        raise DynarecError("a program is there already: restart it, or start another session")
    made = make_launch(session.defaults, arguments, session.outbox)
    session.adopt(made, made.start(), arguments)
    session.later(lambda: _announce(session))


def _announce(session: Session) -> None:
    assert session.launch is not None
    if session.debugger.can_reverse:
        session.outbox.event("capabilities", capabilities={"supportsStepBack": True})
    session.outbox.event(
        "process",
        name=session.launch.name,
        isLocalProcess=True,
        startMethod="launch",
        pointerSize=POINTER_BITS,
    )
    session.outbox.event("initialized")


def configuration_done(session: Session, arguments: Arguments) -> None:
    session.debugger  # noqa: B018 - raises without a program
    session.later(session.begin)


def restart(session: Session, arguments: Arguments) -> None:
    """Begin again, with the newest configuration if the editor sends one."""
    session.restart(arguments.inner("arguments") if "arguments" in arguments else None)
    session.later(session.begin)


def terminate(session: Session, arguments: Arguments) -> None:
    """End the program; the editor then leaves."""
    session.close()
    session.later(lambda: session.outbox.event("terminated"))


def disconnect(session: Session, arguments: Arguments) -> None:
    """The program ends with its debugger."""
    session.ended = True


REQUESTS = {
    "initialize": Request(initialize, When.ANY),
    "launch": Request(launch),
    "configurationDone": Request(configuration_done),
    "restart": Request(restart, When.HELD),
    "terminate": Request(terminate, When.HELD),
    "disconnect": Request(disconnect, When.HELD),
}
