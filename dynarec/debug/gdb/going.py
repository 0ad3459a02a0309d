"""Packets that let the program go on: they are answered when it stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dynarec.debug.gdb.stop_reply import SIGTRAP, signal_of, stop_reply, what_happened
from dynarec.debug.gdb.text import BadPacket, number, numbers
from dynarec.debug.stops import Stopped

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.debug.gdb.session import Session

ACTIONS = "vCont;c;C;s;S;r"
"""GDB does not use vCont without `C`."""


class Going:
    """Of one client."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.commands: dict[str, Callable[[str], str | None]] = {
            "c": lambda text: self._from(text, self._continue),
            "s": lambda text: self._from(text, self._step),
            "C": lambda text: self._with_signal(text, self._continue),
            "S": lambda text: self._with_signal(text, self._step),
            "vCont": self._v_cont,
            "bc": lambda text: self._back(lambda: self._debugger.reverse_resume()),
            "bs": lambda text: self._back(lambda: self._debugger.reverse_step_instruction(1)),
        }

    @property
    def _debugger(self) -> Debugger:
        return self._session.target.debugger

    def _continue(self) -> Stopped:
        return self._debugger.resume()

    def _step(self) -> Stopped:
        return self._debugger.step_instruction()

    def _v_cont(self, text: str) -> str:
        """There is one thread, so the first action is for it."""
        if text == "?":
            return ACTIONS
        action = text.partition(";")[0].partition(":")[0]
        if action.startswith("r"):
            return self._range(action[1:])
        command = self.commands.get(action[:1]) if action[:1] in ("c", "C", "s", "S") else None
        if command is None or (action[0] in "cs" and action[1:]):
            raise BadPacket(f"vCont knows no action {action[:20]!r}")
        return command(action[1:]) or ""

    def _range(self, text: str) -> str:
        """Step while the pc is in a range; at least once."""
        start, end = numbers(text, 2)
        if not start <= self._debugger.machine.pc < end:
            return self._go(self._step)
        return self._go(lambda: self._debugger.step_range(range(start, end)))

    def _from(self, text: str, action: Callable[[], Stopped]) -> str:
        """From an address, if there is one."""
        if text:
            self._debugger.write_register("pc", number(text))
        return self._go(action)

    def _with_signal(self, text: str, action: Callable[[], Stopped]) -> str:
        """A program that gets the signal of a trap, on which it has stopped, dies of it."""
        word, _, address = text.partition(";")
        signal, stopped = number(word), self._debugger.stopped
        if stopped.trap and not address and signal == signal_of(stopped) != SIGTRAP:
            self._session.target.killed_by = signal
        return self._from(address, action)

    def _back(self, action: Callable[[], Stopped]) -> str:
        if not self._debugger.can_reverse:
            return ""
        with self._session.target.trace.paused():
            return self._go(action)

    def _tell(self, stopped: Stopped) -> None:
        """Say what the answer has no word for."""
        text = what_happened(stopped)
        if text:
            self._session.say(f"{text}\n")

    def _go(self, action: Callable[[], Stopped]) -> str:
        target = self._session.target
        if target.is_alive:
            target.points.settle()
            self._tell(action())
        return stop_reply(target, self._session.features)
