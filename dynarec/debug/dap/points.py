"""The breakpoints that an editor has set: lists that it sends as a whole, each time one of them changes."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynarec.debug.dap.evaluation import evaluate
from dynarec.debug.dap.sources import shown_source
from dynarec.debug.stoppers import Breakpoint, Stopper
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.dap.session import Session
    from dynarec.debug.debugger import Debugger

HIT_CONDITION = re.compile(r"\s*(?P<operator>==?|>=?|<=?|%|)\s*(?P<number>[0-9]{1,9})\s*")
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "=": operator.eq,
    "==": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "%": lambda hits, number: hits % number == 0,
}
EMBEDDED = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Wish:
    """A breakpoint as the editor asks for it; one that stays the same keeps its number and its hits.

    what: tells it from others of its list. make: sets it, given the debugger and the condition; it is no part of the
    comparison. when: a condition. hits: a condition on the number of hits. log: what to write instead of stopping.
    """

    what: Hashable
    when: str = ""
    hits: str = ""
    log: str = ""


Make = Callable[["Debugger", str], Stopper]


class Points:
    """All lists of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lists: dict[Hashable, dict[Wish, Stopper]] = {}
        self._kinds: dict[int, str] = {}

    def kind(self, stopper: Stopper) -> str:
        """The reason of a stop at it, as the protocol names it."""
        return self._kinds.get(stopper.number, "breakpoint")

    def replace(
        self, name: Hashable, wishes: Sequence[tuple[Wish, Make]], kind: str = "breakpoint"
    ) -> list[Stopper | DynarecError]:
        """Set the breakpoints of a list in place of those that it had; for each, the one that is there, or why not."""
        old, new = self._lists.get(name, {}), dict[Wish, Stopper]()
        answers: list[Stopper | DynarecError] = []
        for wish, make in wishes:
            try:
                new[wish] = self._living(old.get(wish) or new.get(wish)) or self._set(wish, make)
            except DynarecError as error:
                answers.append(error)
                continue
            self._kinds[new[wish].number] = kind
            answers.append(new[wish])
        for wish in old.keys() - new.keys():
            self._remove(old[wish])
        self._lists[name] = new
        return answers

    def forget_hits(self) -> None:
        """The program begins again."""
        for each in self._lists.values():
            for stopper in each.values():
                stopper.hits = 0

    def _set(self, wish: Wish, make: Make) -> Stopper:
        counts = _hit_condition(wish.hits)
        stopper = make(self._session.debugger, wish.when)
        if wish.hits or wish.log:
            stopper.on_hit = lambda: counts(stopper.hits) and not self._log(wish.log)
        return stopper

    def _living(self, stopper: Stopper | None) -> Stopper | None:
        """It, unless it was deleted in the console."""
        return stopper if stopper is not None and stopper.number in self._session.debugger.stoppers else None

    def _remove(self, stopper: Stopper) -> None:
        self._kinds.pop(stopper.number, None)
        if self._living(stopper):
            self._session.debugger.delete(stopper.number)

    def _log(self, text: str) -> bool:
        """Write a message, if there is one; whether there was."""
        if text:
            self._session.outbox.output("console", f"{EMBEDDED.sub(self._value, text)}\n")
        return bool(text)

    def _value(self, match: re.Match[str]) -> str:
        debugger = self._session.debugger
        try:
            return evaluate(debugger, match[1], debugger.selected_frame).text
        except DynarecError as error:
            return f"<{error}>"


def _hit_condition(text: str) -> Callable[[int], bool]:
    """What a condition on the number of hits says of one; "" of all. Raises DynarecError."""
    if not text:
        return lambda hits: True
    match = HIT_CONDITION.fullmatch(text)
    if match is None or (match["operator"] == "%" and not int(match["number"])):
        raise DynarecError(f"hit condition {text!r}: write a number, or one behind ==, >, >=, <, <= or %")
    number, compare = int(match["number"]), COMPARE[match["operator"]]
    return lambda hits: compare(hits, number)


def shown_point(session: Session, answer: Stopper | DynarecError) -> dict[str, object]:
    """A "Breakpoint" of the protocol: one that is set, or why it is not."""
    if isinstance(answer, DynarecError):
        return {"verified": False, "message": str(answer), "reason": "failed"}
    shown: dict[str, object] = {"id": answer.number, "verified": True}
    if isinstance(answer, Breakpoint):
        shown |= _place(session, answer.addresses[0])
    return shown


def _place(session: Session, address: int) -> dict[str, object]:
    """Where a breakpoint is: at the line that its code belongs to."""
    source = session.debugger.source
    row = source.lines.at(address)
    place: dict[str, object] = {"instructionReference": hex(address)}
    if row is not None and row.line:
        place |= {"source": shown_source(source, row.file), "line": session.client.shown_line(row.line)}
    return place
