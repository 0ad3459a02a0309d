"""The frames of a stopped guest: who called whom, with the registers as each of them has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dynarec.debug.cfi import CallFrames, Row, Rule
from dynarec.debug.expression import Unavailable, evaluate
from dynarec.debug.sections import BadDwarf, Budget
from dynarec.debug.state import Memory, Registers
from dynarec.errors import GuestMemoryError
from guest_isa.profile import DwarfRegisters

ADDRESS_SIZE = 4
ADDRESS_MASK = 0xFFFF_FFFF
MAX_FRAMES = 10_000
STEPS_PER_FRAME = 25
"""Call frame instructions, in units of a budget."""


@dataclass(slots=True)
class Activation:
    """One call of a function, with what is inlined into it.

    pc: where it goes on. registers: by DWARF number; those that are lost are left out. saved: where in memory the
    registers are that a called function has saved. cfa: its caller's stack pointer before the call; None when unknown.
    caller: who called; None when it was not found.
    called: whether the pc is the place that a call returns to, and not where the guest stopped or was interrupted.
    """

    pc: int
    registers: dict[int, int]
    saved: dict[int, int] = field(default_factory=dict)
    cfa: int | None = None
    called: bool = False
    caller: Activation | None = None

    @property
    def place(self) -> int:
        """An address of the instruction it is at: a call may be the last one of a function."""
        return self.pc - 1 if self.called and self.pc else self.pc


class Unwinder:
    """Finds callers by call frame information, and without any by the conventions of the guest."""

    def __init__(
        self,
        frames: CallFrames,
        numbers: DwarfRegisters,
        is_code: Callable[[int], bool],
        function_at: Callable[[int], int | None],
    ) -> None:
        """is_code: whether an address can be executed. function_at: where the function of an address begins."""
        self._frames = frames
        self._numbers = numbers
        self._is_code = is_code
        self._function_at = function_at

    def activations(
        self, pc: int, registers: Registers, memory: Memory, most: int = MAX_FRAMES
    ) -> Iterator[Activation]:
        """From the innermost outwards, at most so many. Ends where no caller can be found."""
        budget = Budget(STEPS_PER_FRAME * most)
        known = {number: registers[number] & ADDRESS_MASK for number in range(len(self._numbers.names))}
        activation: Activation | None = Activation(pc, known)
        for _ in range(most):
            if activation is None:
                return
            activation.caller = self._caller(activation, memory, budget)
            yield activation
            activation = activation.caller

    def _caller(self, activation: Activation, memory: Memory, budget: Budget) -> Activation | None:
        """The caller; sets the activation's cfa."""
        try:
            entry = self._frames.at(activation.place)
            if entry is None:
                return self._by_convention(activation, memory)
            row = entry.row(activation.place, budget)
            activation.cfa = cfa = self._cfa(row, activation, memory)
            caller = self._restored(row, cfa, activation, memory)
        except (BadDwarf, Unavailable, GuestMemoryError):
            return None
        if entry.common.return_address not in caller.registers:
            return None
        caller.pc = caller.registers[entry.common.return_address] & ~1
        caller.called = not entry.common.signal
        return caller if self._is_progress(activation, caller) else None

    def _is_progress(self, activation: Activation, caller: Activation) -> bool:
        """Whether the caller can be one: code, and further out on the stack, unless the innermost pushed nothing."""
        stack = self._numbers.stack
        before, after = activation.registers.get(stack, 0), caller.registers.get(stack, 0)
        return self._is_code(caller.pc) and (after > before or (after == before and not activation.called))

    def _cfa(self, row: Row, activation: Activation, memory: Memory) -> int:
        if row.expression is not None:
            return evaluate(row.expression, _Frame(activation, memory))
        if row.register not in activation.registers:
            raise Unavailable("the CFA is relative to a register that is lost")
        return activation.registers[row.register] + row.offset & ADDRESS_MASK

    def _restored(self, row: Row, cfa: int, activation: Activation, memory: Memory) -> Activation:
        """The registers of the caller: those that no rule speaks of are the same."""
        caller = Activation(0, dict(activation.registers), dict(activation.saved))
        caller.registers[self._numbers.stack] = cfa
        for number, rule in row.rules.items():
            caller.saved.pop(number, None)
            caller.registers.pop(number, None)
            try:
                self._restore(number, rule, cfa, activation, caller, memory)
            except (Unavailable, GuestMemoryError):
                continue
        return caller

    def _restore(
        self, number: int, rule: Rule, cfa: int, activation: Activation, caller: Activation, memory: Memory
    ) -> None:
        frame = _Frame(activation, memory)
        if rule.kind == "same":
            caller.registers[number] = frame.register(number)
            if number in activation.saved:
                caller.saved[number] = activation.saved[number]
        elif rule.kind in ("at", "points"):
            points = rule.kind == "points"
            address = evaluate(rule.expression, frame, cfa) if points else cfa + rule.number & ADDRESS_MASK
            caller.registers[number] = _word(memory, address)
            caller.saved[number] = address
        elif rule.kind == "value":
            caller.registers[number] = cfa + rule.number & ADDRESS_MASK
        elif rule.kind == "register":
            caller.registers[number] = frame.register(rule.number)
        elif rule.kind == "computes":
            caller.registers[number] = evaluate(rule.expression, frame, cfa)

    def _by_convention(self, activation: Activation, memory: Memory) -> Activation | None:
        """Without call frame information. The innermost function may not have saved its return address."""
        numbers = self._numbers
        function = self._function_at(activation.place)
        back = activation.registers.get(numbers.return_address, 0) & ~1
        if (
            not activation.called
            and self._is_code(back)
            and (function is None or self._function_at(back - 1) != function)
        ):
            return Activation(back, dict(activation.registers), dict(activation.saved), called=True)
        frame = activation.registers.get(numbers.frame, 0)
        if frame % ADDRESS_SIZE or frame <= activation.registers.get(numbers.stack, 0):
            return None
        caller = Activation(0, dict(activation.registers), dict(activation.saved), called=True)
        for number, offset in ((numbers.return_address, numbers.saved_return), (numbers.frame, numbers.saved_frame)):
            address = frame + offset & ADDRESS_MASK
            caller.registers[number] = _word(memory, address)
            caller.saved[number] = address
        caller.registers[numbers.stack] = activation.cfa = frame
        caller.pc = caller.registers[numbers.return_address] & ~1
        return caller if self._is_code(caller.pc) else None


class _Frame:
    """What expressions of call frame information may refer to."""

    def __init__(self, activation: Activation, memory: Memory) -> None:
        self.memory = memory
        self._registers = activation.registers

    def register(self, number: int) -> int:
        if number not in self._registers:
            raise Unavailable("a register that is lost")
        return self._registers[number]

    def frame_base(self) -> int:
        raise Unavailable("the frame base, where registers are found")

    def cfa(self) -> int:
        raise Unavailable("the CFA, where it is found")

    def entry_value(self, expression: bytes) -> int:
        raise Unavailable("an entry value, where registers are found")

    def indexed_address(self, index: int) -> int:
        raise Unavailable("an address of a unit, where registers are found")

    def base_type(self, offset: int) -> tuple[int, bool]:
        raise Unavailable("a type, where registers are found")


def _word(memory: Memory, address: int) -> int:
    return int.from_bytes(memory.read(address, ADDRESS_SIZE), "little")
