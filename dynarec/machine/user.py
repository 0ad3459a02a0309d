"""The `user` machine: one program, and the operating system calls it makes, answered by the host."""

from __future__ import annotations

from typing import ClassVar

from dynarec.errors import DynarecError
from dynarec.machine import bare_start, linux_start
from dynarec.machine.address_space import page_down, page_up, place_segments
from dynarec.machine.base import Continue, Died, Machine, Options, Outcome, Profile, Trap, TrapKind
from dynarec.machine.htif import WORD_SIZE, Htif
from dynarec.machine.recognise import TOHOST, has_marker
from dynarec.machine.semihosting import Semihosting, is_call
from dynarec.machine.state import Fields, State, Stateful
from dynarec.machine.syscalls import perform
from dynarec.machine.system import ADDRESS_MASK, System
from dynarec.machine.waiting import Interrupted
from guest_isa.profile import Abi


class UserProfile(Profile):
    """Static ELF programs: Linux ones (asm-generic system calls, newlib's too), and bare ones with semihosting or HTIF.

    The convention only decides the memory and the start state: system calls and semihosting calls are answered in
    every program.
    """

    name: ClassVar[str] = "user"
    description: ClassVar[str] = "static ELF programs: Linux system calls, semihosting, HTIF"

    def __init__(self, machine: Machine, options: Options) -> None:
        super().__init__(machine, options)
        if machine.guest.abi is None:
            raise DynarecError(f"{machine.guest.name}: this guest has no system calls; choose another machine")
        self.abi: Abi = machine.guest.abi
        self.system = System(machine, options)
        self.semihosting = Semihosting(self.system)
        self.htif: Htif | None = None

    def load(self) -> None:
        tohost = self.machine.program.symbols.lookup(TOHOST)
        if tohost is not None or has_marker(self.machine.program, self.abi.semihosting):
            stack = bare_start.set_up_memory(self.system)
        else:
            stack = self._load_linux()
        if tohost is not None:
            self._watch(tohost)
        self.machine.regs[self.abi.stack] = stack & ADDRESS_MASK
        self.machine.pc = self.machine.program.entry

    def _load_linux(self) -> int:
        place_segments(self.machine.memory, self.system.space, self.machine.program.segments)
        return linux_start.fill_stack(self.system, linux_start.set_up_memory(self.system))

    def _watch(self, tohost: int) -> None:
        bare_start.map_missing(self.system, page_down(tohost), page_up(tohost + WORD_SIZE))
        self.htif = Htif(self.system, tohost)
        self.machine.memory.watch(tohost, WORD_SIZE)

    def trap(self, trap: Trap) -> Outcome:
        self.machine.pc = trap.pc
        try:
            if trap.kind is TrapKind.SYSCALL:
                return self._system_call(trap)
            if trap.kind is TrapKind.BREAKPOINT and self._is_semihosting(trap):
                return self._semihosting_call(trap)
        except Interrupted:
            return Continue()
        return Died(trap)

    def _system_call(self, trap: Trap) -> Outcome:
        regs = self.machine.regs
        args = tuple(regs[name] for name in self.abi.args)
        return self._finish(trap, self.abi.result, perform(self.system, regs[self.abi.number], args))

    def _is_semihosting(self, trap: Trap) -> bool:
        marker = self.abi.semihosting
        return marker is not None and is_call(self.machine, marker, trap)

    def _semihosting_call(self, trap: Trap) -> Outcome:
        marker = self.abi.semihosting
        assert marker is not None
        regs = self.machine.regs
        result = self.semihosting.perform(regs[marker.operation], regs[marker.parameter])
        return self._finish(trap, marker.operation, result)

    def _finish(self, trap: Trap, register: str, result: int | Outcome) -> Outcome:
        if not isinstance(result, int):
            return result
        self.machine.regs[register] = result & ADDRESS_MASK
        self.machine.pc = (trap.pc + trap.length) & ADDRESS_MASK
        return Continue()

    def stored(self, address: int, size: int) -> Outcome:
        if self.htif is None:
            return Continue()
        try:
            return self.htif.stored(address, size)
        except Interrupted:
            return Continue()

    def _stateful(self) -> dict[str, Stateful]:
        """What has a state, by its name in a snapshot."""
        always: dict[str, Stateful] = {"semihosting": self.semihosting, "system": self.system}
        return always if self.htif is None else {**always, "htif": self.htif}

    def save(self) -> State:
        return {name: each.save() for name, each in self._stateful().items()}

    def restore(self, state: State) -> None:
        fields = Fields(state, "user")
        for name, each in self._stateful().items():
            each.restore(fields.state(name))

    def stand_still(self) -> None:
        self.system.stand_still()

    def go_on(self) -> None:
        self.system.go_on()

    def interrupt(self) -> None:
        self.system.waiter.interrupt()

    def close(self) -> None:
        self.system.close()
