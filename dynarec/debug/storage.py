"""The bytes of a variable, wherever they are: memory, registers, several of them, or only in the file."""

from __future__ import annotations

from dataclasses import dataclass

from dynarec.debug.expression import Constant, InMemory, InRegister, Location, Pieces, Simple, Unavailable
from dynarec.debug.state import Memory, Registers
from dynarec.debug.unwind import Activation
from dynarec.errors import DynarecError

REGISTER_SIZE = 4
ADDRESS_MASK = 0xFFFF_FFFF
MAX_READ = 1 << 16
MAX_BITS = 8 * MAX_READ


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a variable is, in a frame of a stopped guest."""

    location: Location
    activation: Activation
    memory: Memory
    registers: Registers | None

    @property
    def address(self) -> int | None:
        """Where it begins in memory; None when it is not there, or not all of it."""
        return self.location.address if isinstance(self.location, InMemory) else None

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of it. Raises Unavailable when it does not have them, and GuestMemoryError."""
        if not 0 <= size <= MAX_READ or offset < 0:
            raise Unavailable("more than a variable has")
        if isinstance(self.location, Pieces):
            return self.read_bits(8 * offset, 8 * size).to_bytes(size, "little")
        return self._read(self.location, offset, size)

    def read_bits(self, start: int, count: int) -> int:
        """Bits of it, unsigned; raises as `read`. Those beside them may be lost."""
        if not 0 <= count <= MAX_BITS or start < 0:
            raise Unavailable("more than a variable has")
        if not isinstance(self.location, Pieces):
            return self._bits(self.location, start, count)
        value = done = 0
        end = start + count
        for place, bits, skipped in self.location.pieces:
            low, high = max(start, done), min(end, done + bits)
            if low < high:
                value |= self._bits(place, low - done + skipped, high - low) << (low - start)
            done += bits
        if done < end:
            raise Unavailable("more than its pieces have")
        return value

    def write(self, offset: int, data: bytes) -> None:
        """Change bytes of it. Raises DynarecError when they cannot be changed, and GuestMemoryError."""
        where = self.location
        if isinstance(where, InMemory):
            self.memory.write(where.address + offset & ADDRESS_MASK, data)
        elif isinstance(where, InRegister) and offset + len(data) <= REGISTER_SIZE:
            self._write_register(where.number, offset, data)
        else:
            raise DynarecError("it cannot be changed: it is not in memory or in one register here")

    def _read(self, where: Simple, offset: int, size: int) -> bytes:
        if isinstance(where, InMemory):
            return self.memory.read(where.address + offset & ADDRESS_MASK, size)
        if isinstance(where, InRegister):
            data = self._register(where.number).to_bytes(REGISTER_SIZE, "little")
        elif isinstance(where, Constant):
            data = where.data
        else:
            raise Unavailable("optimised out")
        found = data[offset : offset + size]
        if len(found) < size:
            raise Unavailable("more than its place has")
        return found

    def _register(self, number: int) -> int:
        if number not in self.activation.registers:
            raise Unavailable("in a register that is lost")
        return self.activation.registers[number]

    def _write_register(self, number: int, offset: int, data: bytes) -> None:
        value = bytearray(self._register(number).to_bytes(REGISTER_SIZE, "little"))
        value[offset : offset + len(data)] = data
        if number in self.activation.saved:
            self.memory.write(self.activation.saved[number], bytes(value))
        elif self.registers is not None and self.registers[number] == self._register(number):
            self.registers[number] = int.from_bytes(value, "little")
        else:
            raise DynarecError("it cannot be changed: its register is lost")
        self.activation.registers[number] = int.from_bytes(value, "little")

    def _bits(self, place: Simple, start: int, count: int) -> int:
        if count > MAX_BITS:
            raise Unavailable("more than a variable has")
        data = self._read(place, start // 8, (start % 8 + count + 7) // 8)
        return int.from_bytes(data, "little") >> start % 8 & ((1 << count) - 1)
