"""`python -m dynarec.bench.unicorn_run ELF ARGUMENT...`: a program on the guest CPU that Unicorn emulates.

What Unicorn cannot do itself is dynarec's: loading, memory and system calls of machine `user`. The exit status is the
program's, and 125 when it could not be run.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynarec import loading
from dynarec.bench.counts import STATUS_FAILED
from dynarec.bench.rivals import cpu_of
from dynarec.emulated.memory import EmulatedMemory
from dynarec.emulated.targets import import_unicorn
from dynarec.errors import DynarecError
from dynarec.machine.base import Access, Continue, Interrupts, Options, Outcome, Trap, TrapKind
from dynarec.machine.user import UserProfile
from guest_isa.guest import Guest

NOWHERE = 0xFFFF_FFFF
"""Where no program goes."""
NO_CAUSE = -1
CALL_SIZE = 4
"""At a system call, Unicorn's pc is this much behind it."""


class UnicornMemory(EmulatedMemory):
    """The guest's memory is that of the emulated CPU, which may execute what the guest may."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine, window=0)

    def _protection(self, access: int) -> int:
        executable: int = import_unicorn().UC_PROT_EXEC
        return super()._protection(access) | (executable if access & Access.EXECUTE else 0)


class UnicornRegisters:
    """The guest's registers by name or alias."""

    def __init__(self, engine: Any, guest: Guest, constants: dict[str, int]) -> None:
        """constants: Unicorn's numbers of registers, by the names of the guest's state in upper case."""
        self._engine = engine
        self._layout = guest.layout
        self._constants = constants

    def _number(self, name: str) -> int:
        return self._constants[self._layout[name].name.upper()]

    def __getitem__(self, name: str) -> int:
        return int(self._engine.reg_read(self._number(name)))

    def __setitem__(self, name: str, value: int) -> None:
        self._engine.reg_write(self._number(name), value)


class UnicornMachine:
    """A guest CPU under Unicorn; what the profile sees as its machine."""

    instructions = 0
    """Counting them would slow Unicorn down."""

    def __init__(self, path: Path, arguments: Sequence[str]) -> None:
        """Load a program. Raises DynarecError, also without Unicorn."""
        unicorn = import_unicorn()
        cpu, bits = cpu_of(path)
        constants = _registers(cpu)
        self.program, self.guest = loading.read_program(path, None)
        self.pc = 0
        modes = (f"UC_ARCH_{cpu}", f"UC_MODE_{cpu}{bits}")
        self._engine: Any = unicorn.Uc(*(getattr(unicorn, name.upper()) for name in modes))
        self._failure: type[Exception] = unicorn.UcError
        self._pc_number = constants["PC"]
        self._cause = NO_CAUSE
        self._engine.hook_add(unicorn.UC_HOOK_INTR, self._stop)
        self.memory = UnicornMemory(self._engine)
        self.regs = UnicornRegisters(self._engine, self.guest, constants)
        self._profile = UserProfile(self, Options(list(arguments)))
        self._profile.load()

    @property
    def interrupts(self) -> Interrupts:
        """Raises DynarecError: programs in machine mode do not run here."""
        raise DynarecError(f"{self.program.name}: there are no interrupts here: take a program of machine user")

    def run(self) -> int:
        """Run to the end; the exit status. Raises DynarecError when Unicorn ends it."""
        outcome: Outcome = Continue()
        while isinstance(outcome, Continue):
            outcome = self._profile.trap(self._next_trap())
        return outcome.status

    def _stop(self, engine: Any, cause: int, data: object) -> None:
        self._cause = cause
        engine.emu_stop()

    def _next_trap(self) -> Trap:
        self._cause = NO_CAUSE
        try:
            self._engine.emu_start(self.pc, NOWHERE)
        except self._failure as error:
            raise DynarecError(f"{self.program.name}: Unicorn cannot go on: {error}") from error
        known = self.guest.causes.get(self._cause)
        if known is None or known.kind is not TrapKind.SYSCALL:
            raise DynarecError(f"{self.program.name}: Unicorn stops with cause {self._cause}, which is no system call")
        behind = int(self._engine.reg_read(self._pc_number))
        return Trap(known.kind, self._cause, known.name, behind - CALL_SIZE, 0, CALL_SIZE)


def _registers(cpu: str) -> dict[str, int]:
    """Unicorn's numbers of a CPU's registers, by their names."""
    prefix = f"UC_{cpu.upper()}_REG_"
    constants = vars(importlib.import_module(f"unicorn.{cpu}_const"))
    return {name.removeprefix(prefix): number for name, number in constants.items() if name.startswith(prefix)}


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status."""
    try:
        return UnicornMachine(Path(arguments[0]), arguments[1:]).run()
    except DynarecError as error:
        print(error, file=sys.stderr)
        return STATUS_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
