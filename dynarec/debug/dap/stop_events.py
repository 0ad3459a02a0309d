"""Why the program has stopped, as the protocol says it ("stopped" event)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.debug.stops import Reason, Stopped

if TYPE_CHECKING:
    from dynarec.debug.dap.points import Points

REASONS = {
    Reason.START: "entry",
    Reason.STEP: "step",
    Reason.BREAKPOINT: "breakpoint",
    Reason.WATCHPOINT: "data breakpoint",
    Reason.CATCHPOINT: "exception",
    Reason.INTERRUPTED: "pause",
    Reason.TRAPPED: "exception",
    Reason.BEGINNING: "pause",
    Reason.EXITED: "pause",
}


def stop_event(stopped: Stopped, points: Points) -> dict[str, object]:
    """The body of the event, without the thread."""
    body: dict[str, object] = {"reason": REASONS[stopped.reason]}
    if stopped.reason is Reason.BREAKPOINT:
        body["reason"] = points.kind(stopped.stoppers[0])
    if stopped.stoppers:
        body["hitBreakpointIds"] = [each.number for each in stopped.stoppers]
    text = describe(stopped)
    if text:
        body |= {"description": text[:1].upper() + text[1:], "text": text}
    return body


def describe(stopped: Stopped) -> str:
    """What there is to say beside the reason; "" if there is nothing."""
    if stopped.trap is not None:
        return f"{stopped.trap.name} at {stopped.trap.pc:#010x}"
    if stopped.reason is Reason.BEGINNING:
        return "beginning of the history that is kept"
    if stopped.reason is Reason.EXITED:
        return f"exited with status {stopped.status}: continue to end the session, or step back"
    if stopped.detail or stopped.access is None:
        return stopped.detail
    access = stopped.access
    value = "" if access.value is None else f" of {access.value:#x}"
    return f"{access.kind}{value}, {access.size} bytes at {access.address:#010x}"
