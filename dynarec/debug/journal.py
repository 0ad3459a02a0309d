"""What a guest was told by the world, written down as it runs, and told again when a part of its run is repeated.

A run depends on the program and on what comes from outside: answers of the machine profile to traps, values that
devices of Python gave, input, and how long the guest waited. While it is repeated, nothing of that is asked for again,
and nothing goes out: files are not written and output is not shown a second time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dynarec.errors import DynarecError
from dynarec.guest_state import Change
from dynarec.machine.base import Continue, Outcome, Trap
from dynarec.machine.state import State, encode

if TYPE_CHECKING:
    from dynarec.core import Core, DeviceSlot
    from dynarec.engine import Machine
    from dynarec.machine.base import SerialPort

E = TypeVar("E", "Answer", "Wait")
REFUSED = -1
"""In place of the value of a load that a device refused."""
ANSWER_BYTES, WAIT_BYTES = 600, 100
"""About what they take, without what was written to memory."""
STATE_RATIO = 4
"""Bytes of a state as Python holds it, for each of its encoding."""


class Mode(Enum):
    """What the journal does: write down, or tell again."""

    RECORD = "record"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a trap, or of a store to watched memory.

    at: Machine.instructions before it. pc, registers: afterwards. changes: of guest memory. around: the state of the
    machine profile afterwards; None if nothing is kept of it. size: about how many bytes it takes.
    """

    at: int
    outcome: Outcome
    pc: int
    registers: bytes
    changes: list[Change]
    around: State | None
    size: int


@dataclass(frozen=True, slots=True)
class Wait:
    """How long the guest waited for an interrupt: by how many instructions virtual time was ahead of them then."""

    at: int
    skipped: int
    size: int = WAIT_BYTES


@dataclass(slots=True)
class Access:
    """What an access to a device of Python did beside giving a value: to guest memory, and to interrupt lines."""

    changes: list[Change] = field(default_factory=list)
    lines: list[tuple[int, bool]] = field(default_factory=list)


class Mark(NamedTuple):
    """A place in the journal: how many answers, accesses and pieces of input came before it."""

    answers: int = 0
    accesses: int = 0
    pieces: int = 0


class Journal:
    """Of one machine, between that and its machine profile (`dynarec.machine.base.Answers`)."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.mode = Mode.RECORD
        self.told: Callable[[Answer], None] | None = None
        """Called with each answer that is told again, before that has an effect."""
        self._core: Core = machine.core
        self._profile = machine.profile
        self._next = Mark()
        self._first = Mark()
        self._answers: list[Answer | Wait] = []
        self._answer_bytes = 0
        self._values: array[int] = array("q")
        self._accesses: dict[int, Access] = {}
        self._pieces: list[bytes] = []
        self._unread = b""
        self._lines: SimpleQueue[tuple[int, bool]] = SimpleQueue()
        self._access: Access | None = None
        self._last_state: State | None = None
        self._attach()

    def _attach(self) -> None:
        self.machine.answer_by(self, self.set_line)
        self._core.observer.hold_input(True)
        self._core.tap(self._tapped)
        port = self._core.port
        if port is not None:
            self._core.port = JournalPort(self, port)

    def detach(self) -> None:
        """The machine is without journal again."""
        self.machine.answer_by(None)
        self._raise_lines()
        self._core.observer.hold_input(False)
        self._core.untap()
        port = self._core.port
        if isinstance(port, JournalPort):
            self._core.port = port.port
        self._profile.mute(False)

    # -- places in it -------------------------------------------------------------------------------------------------

    @property
    def mark(self) -> Mark:
        """Where it is."""
        return self._next

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return self._answer_bytes + 8 * len(self._values)

    def replay(self, mark: Mark) -> None:
        """Tell again what came behind a place."""
        self._next = mark
        self._set_mode(Mode.REPLAY)

    def record(self, mark: Mark | None = None) -> None:
        """Write down what comes, behind a place, where what was written is forgotten; None: behind all."""
        if mark is not None:
            self._cut(mark)
        self._next = Mark(
            self._first.answers + len(self._answers),
            self._first.accesses + len(self._values),
            self._first.pieces + len(self._pieces),
        )
        self._set_mode(Mode.RECORD)
        if not self._lines.empty():
            self._core.observer.notify()

    def _set_mode(self, mode: Mode) -> None:
        if self.mode is Mode.REPLAY:
            self._core.flush_uart()  # what it holds back has gone out before
        self.mode = mode
        self._profile.mute(mode is Mode.REPLAY)
        self._core.observer.hold_input(True, quietly=mode is Mode.REPLAY)

    def _cut(self, mark: Mark) -> None:
        self._drop(slice(mark.answers - self._first.answers, None))
        del self._values[mark.accesses - self._first.accesses :]
        later = self._pieces[mark.pieces - self._first.pieces :]
        self._unread = b"".join(later) + self._unread
        del self._pieces[mark.pieces - self._first.pieces :]
        self._accesses = {at: access for at, access in self._accesses.items() if at < mark.accesses}

    def forget(self, mark: Mark) -> None:
        """What came before a place is not asked for again."""
        self._drop(slice(mark.answers - self._first.answers))
        del self._values[: mark.accesses - self._first.accesses]
        del self._pieces[: mark.pieces - self._first.pieces]
        self._accesses = {at: access for at, access in self._accesses.items() if at >= mark.accesses}
        self._first = mark

    def _drop(self, where: slice) -> None:
        self._answer_bytes -= sum(each.size for each in self._answers[where])
        del self._answers[where]

    def around(self, mark: Mark) -> State | None:
        """The state that the machine profile had at a place, as far as answers tell; None: they do not."""
        index = mark.answers - self._first.answers
        answers = (each for each in reversed(self._answers[:index]) if isinstance(each, Answer))
        return next((each.around for each in answers if each.around is not None), None)

    # -- traps, watched stores, waiting -------------------------------------------------------------------------------

    def trap(self, trap: Trap) -> Outcome:
        return self._told_again() if self.mode is Mode.REPLAY else self._written_down(lambda: self._profile.trap(trap))

    def stored(self, address: int, size: int) -> Outcome:
        if self.mode is Mode.REPLAY:
            return self._told_again()
        return self._written_down(lambda: self._profile.stored(address, size), is_done=True)

    def wait(self) -> None:
        if self.mode is Mode.REPLAY:
            self._core.skipped = self._next_entry(Wait).skipped
            return
        at, before = self.machine.instructions, self._core.skipped
        self._profile.wait()
        if self._core.skipped != before:
            self._write(Wait(at, self._core.skipped))

    def _written_down(self, act: Callable[[], Outcome], is_done: bool = False) -> Outcome:
        """is_done: the guest does not ask again, whatever is answered."""
        at, before = self.machine.instructions, self._state
        memory = self.machine.memory
        changes: list[Change] = []
        memory.journal = changes
        try:
            outcome = act()
        finally:
            memory.journal = None
        if not is_done and isinstance(outcome, Continue) and not changes and self._state == before:
            return outcome  # it was interrupted, and will be asked for again
        around, size = self._around()
        size += ANSWER_BYTES + _bytes_of(changes)
        self._write(Answer(at, outcome, *self._state, changes, around, size))
        return outcome

    def _told_again(self) -> Outcome:
        answer = self._next_entry(Answer)
        if self.told is not None:
            self.told(answer)
        for method, arguments in answer.changes:
            getattr(self.machine.memory, method)(*arguments)
        self._core.registers = answer.registers
        self.machine.pc = answer.pc
        return answer.outcome

    def _write(self, entry: Answer | Wait) -> None:
        self._answers.append(entry)
        self._answer_bytes += entry.size
        self._next = self._next._replace(answers=self._next.answers + 1)

    def _next_entry(self, kind: type[E]) -> E:
        """The entry that comes next, which must be for this moment."""
        index = self._next.answers - self._first.answers
        entry = self._answers[index] if index < len(self._answers) else None
        if not isinstance(entry, kind) or entry.at != self.machine.instructions:
            raise DynarecError(
                f"{self.machine.program.name}: the run cannot be repeated: "
                f"after {self.machine.instructions} instructions it asked for something else than before"
            )
        self._next = self._next._replace(answers=self._next.answers + 1)
        return entry

    @property
    def _state(self) -> tuple[int, bytes]:
        return self.machine.pc, self._core.registers

    def _around(self) -> tuple[State | None, int]:
        """The profile's state, where it cannot be had by repeating the run, and its size; equal ones are one object."""
        if self._profile.repeats:
            return None, 0
        state = self._profile.save()
        if state == self._last_state:
            return self._last_state, 0
        self._last_state = state
        return state, STATE_RATIO * len(encode(state))

    # -- devices of Python --------------------------------------------------------------------------------------------

    def _tapped(self, slot: DeviceSlot) -> tuple[Callable[[int, int], int], Callable[[int, int, int], Outcome | None]]:
        """What stands between the guest and a device: its read and write."""
        device = slot.device

        def read(offset: int, width: int) -> int:
            if self.mode is Mode.REPLAY:
                return self._value_again(slot)
            return self._noted(slot, lambda: device.read(offset, width))

        def write(offset: int, width: int, value: int) -> Outcome | None:
            if self.mode is Mode.RECORD:
                return self._noted_write(slot, lambda: device.write(offset, width, value))
            if device.repeats:
                with suppress(*slot.refusals):
                    device.write(offset, width, value)
            self._value_again(slot)
            return None

        return read, write

    def _noted(self, slot: DeviceSlot, act: Callable[[], int]) -> int:
        value = REFUSED
        memory = self.machine.memory
        self._access = access = Access()
        memory.journal = access.changes
        try:
            value = act()
            return value
        except slot.refusals:
            raise
        except BaseException:
            memory.journal = self._access = None
            raise
        finally:
            if self._access is not None:
                memory.journal = self._access = None
                self._note(value, access)

    def _noted_write(self, slot: DeviceSlot, act: Callable[[], Outcome | None]) -> Outcome | None:
        outcome: Outcome | None = None

        def write() -> int:
            nonlocal outcome
            outcome = act()
            return 0

        self._noted(slot, write)
        return outcome

    def _note(self, value: int, access: Access) -> None:
        if access.changes or access.lines:
            self._accesses[self._next.accesses] = access
        self._values.append(value if value == REFUSED else value & 0xFFFF_FFFF)
        self._next = self._next._replace(accesses=self._next.accesses + 1)

    def _value_again(self, slot: DeviceSlot) -> int:
        index = self._next.accesses - self._first.accesses
        value = self._values[index] if index < len(self._values) else REFUSED
        access = self._accesses.get(self._next.accesses)
        self._next = self._next._replace(accesses=self._next.accesses + 1)
        if access is not None and not slot.device.repeats:
            for method, arguments in access.changes:
                getattr(self.machine.memory, method)(*arguments)
        for source, up in access.lines if access is not None else ():
            self._core.set_source(source, up)
        if value == REFUSED:
            raise slot.refusals[0]
        return value

    # -- what comes from outside while it runs ------------------------------------------------------------------------

    def set_line(self, source: int, up: bool) -> None:
        """A line into the interrupt controller changes: in an access of the guest's, or at any time."""
        if self._access is not None:
            self._access.lines.append((source, up))
            self._core.set_source(source, up)
        else:
            self._lines.put((source, up))
            self._core.observer.notify()

    def take_input(self) -> None:
        """Give the guest, between two instructions, what has come for it: that cannot be repeated."""
        self._raise_lines()
        data = self._core.observer.fetch_input()
        if data:
            self._core.observer.give_input(data)

    def _raise_lines(self) -> None:
        while not self._lines.empty():
            self._core.set_source(*self._lines.get())

    # -- the serial port ----------------------------------------------------------------------------------------------

    def piece(self, size: int, fetch: Callable[[int], bytes]) -> bytes:
        """Input that is always ready: what another future has read comes first."""
        if self.mode is Mode.REPLAY:
            index = self._next.pieces - self._first.pieces
            piece = self._pieces[index] if index < len(self._pieces) else b""
        else:
            piece, self._unread = self._unread[:size], self._unread[size:]
            piece = piece or fetch(size)
            self._pieces.append(piece)
        self._next = self._next._replace(pieces=self._next.pieces + 1)
        return piece


def _bytes_of(changes: list[Change]) -> int:
    """What was written to memory."""
    return sum(len(each) for _, arguments in changes for each in arguments if isinstance(each, bytes))


class JournalPort:
    """The other end of the serial port, with the journal in between."""

    def __init__(self, journal: Journal, port: SerialPort) -> None:
        self.port = port
        self._journal = journal

    def send(self, data: bytes) -> None:
        if self._journal.mode is Mode.RECORD:
            self.port.send(data)

    def fetch(self, size: int) -> bytes:
        return self._journal.piece(size, self.port.fetch)
