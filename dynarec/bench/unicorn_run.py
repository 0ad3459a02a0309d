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
from dynarec.machine.base import Access, Continue, Died, Exited, Interrupts, Options, Trap
from dynarec.machine.user import UserProfile
from dynarec.program import Program
from guest_isa.guest import Guest

NOWHERE = 0xFFFF_FFFF
"""Where no program goes."""
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

    instructions = 0  # counting them would slow Unicorn down

    def __init__(self, path: Path, arguments: Sequence[str]) -> None:
        """Load a program. Raises DynarecError, also without Unicorn."""
        self.program: Program
        self.guest: Guest
        self.program, self.guest = loading.read_program(path, None)
        unicorn = import_unicorn()
        cpu, bits = cpu_of(path)
        constants = _registers(cpu)
        self._engine: Any = unicorn.Uc(*(getattr(unicorn, f"UC_{name.upper()}") for name in (f"arch_{cpu}", f"mode_{cpu}{bits}")))
        self._failure: type[Exception] = unicorn.UcError
        self._pc_number = constants["PC"]
        self.pc = 0
        self.memory = UnicornMemory(self._engine)
        self.regs = UnicornRegisters(self._engine, self.guest, constants)
        self.profile = UserProfile(self, Options(list(arguments)))
        self._cause: int | None = None
        self._engine.hook_add(unicorn.UC_HOOK_INTR, self._stop_at)
        self.profile.load()

    @property
    def interrupts(self) -> Interrupts:
        """Raises DynarecError: programs in machine mode do not run here."""
        raise DynarecError(f"{self.program.name}: there are no interrupts here: choose a program of machine user")

    def _stop_at(self, engine: Any, cause: int, data: object) -> None:
        self._cause = cause
        engine.emu_stop()

    def run(self) -> int:
        """Run to the end; the exit status. Raises DynarecError when the program does what Unicorn refuses."""
        while True:
            outcome = self.profile.trap(self._next_trap())
            if not isinstance(outcome, Continue):
                return outcome.status

    def _next_trap(self) -> Trap:
        self._cause = None
        try:
            self._engine.emu_start(self.pc, NOWHERE)
        except self._failure as error:
            raise DynarecError(f"{self.program.name}: Unicorn ends it: {error}") from error
        cause = self._cause
        if cause not in self.guest.causes: raise DynarecError
        known = self.guest.causes[cause]
        pc = int(self._engine.reg_read(self._pc_number)) - CALL_SIZE
        return Trap(known.kind, cause, known.name, pc, 0, CALL_SIZE)


def _registers(cpu: str) -> dict[str, int]:
    constants = vars(importlib.import_module(f"unicorn.{cpu}_const"))
    prefix = f"UC_{cpu.upper()}_REG_"
    return {name.removeprefix(prefix): number for name, number in constants.items() if name.startswith(prefix)}

def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status."""
    try:
        path, *rest = arguments
        return UnicornMachine(Path(path), rest).run()
    except DynarecError as error:
        print(error, file=sys.stderr)
        return STATUS_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
