"""The registers as packets hold them: little-endian words, by GDB's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.debug.gdb.description import REGISTER_BITS
from dynarec.debug.gdb.text import BadPacket

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from guest_isa.profile import GdbRegister, GdbTarget

SIZE = REGISTER_BITS // 8


class RegisterFile:
    """Of one program."""

    def __init__(self, debugger: Debugger, target: GdbTarget) -> None:
        self._debugger = debugger
        self._by_number = {each.number: each for each in target.registers}
        self.pc = next(each.number for each in target.registers if each.role == "pc")

    def read(self, number: int) -> bytes:
        """Raises BadPacket for a number that there is not."""
        state = self._register(number).state
        value = 0 if state is None else self._debugger.machine.regs[state]
        return value.to_bytes(SIZE, "little")

    def write(self, number: int, data: bytes) -> None:
        """A register that is always zero stays that. Raises DynarecError for what it cannot hold.

        To write what it holds already changes nothing: LLDB restores all registers at once.
        """
        register = self._register(number)
        if len(data) != SIZE:
            raise BadPacket(f"register {register.name} has {SIZE} bytes, not {len(data)}")
        if register.state is not None and data != self.read(number):
            try:
                self._debugger.write_register(register.state, int.from_bytes(data, "little"))
            except ValueError as error:
                raise BadPacket(str(error)) from error

    def read_all(self) -> bytes:
        """In the order of their numbers."""
        return b"".join(map(self.read, self._by_number))

    def write_all(self, data: bytes) -> None:
        """Raises DynarecError, before any is written, for another number of bytes."""
        if len(data) != SIZE * len(self._by_number):
            raise BadPacket(f"all registers have {SIZE * len(self._by_number)} bytes, not {len(data)}")
        for index, number in enumerate(self._by_number):
            self.write(number, data[index * SIZE : (index + 1) * SIZE])

    def _register(self, number: int) -> GdbRegister:
        if number not in self._by_number:
            raise BadPacket(f"there is no register {number:#x}")
        return self._by_number[number]
