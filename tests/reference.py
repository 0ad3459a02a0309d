"""A guest CPU made of the reference parts alone: decode, lift one instruction, evaluate it. Slow and plain."""

from __future__ import annotations

from collections.abc import Iterator

from dynarec.ir.builder import Builder
from dynarec.ir.evaluate import Counter, EvalMemory, Left, MemoryFault, Outcome, evaluate
from dynarec.ir.ops import MASK32
from dynarec.ir.state import STATE_WORDS
from dynarec.ir.unit import Jump, Unit
from guest_isa.guest import Guest
from guest_isa.isa import Insn

BYTE = 8


class Region:
    """Guest memory with one mapped region: `size` bytes at `base`. Everything else faults, byte by byte."""

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.data = bytearray(size)

    def _place(self, address: int, size: int) -> int:
        place = address - self.base
        if not 0 <= place <= len(self.data) - size:
            raise MemoryFault(address)
        return place

    def load(self, address: int, bits: int) -> int:
        place = self._place(address, bits // BYTE)
        return int.from_bytes(self.data[place : place + bits // BYTE], "little")

    def store(self, address: int, bits: int, value: int) -> None:
        place = self._place(address, bits // BYTE)
        self.data[place : place + bits // BYTE] = value.to_bytes(bits // BYTE, "little")


class Regions:
    """Guest memory with several regions; an access lies in one of them or faults."""

    def __init__(self, *regions: Region) -> None:
        self._regions = regions

    def _region(self, address: int) -> Region:
        for region in self._regions:
            if 0 <= address - region.base < len(region.data):
                return region
        raise MemoryFault(address)

    def load(self, address: int, bits: int) -> int:
        return self._region(address).load(address, bits)

    def store(self, address: int, bits: int, value: int) -> None:
        self._region(address).store(address, bits, value)


def lift_one(insn: Insn, pc: int) -> Unit:
    """The unit of one instruction."""
    builder = Builder(pc)
    builder.begin(pc, insn.length, insn.text(pc))
    insn.lift(builder)
    builder.unit.terminal = builder.terminal or Jump(builder.next_pc)
    return builder.unit


class Reference:
    """A guest that runs one instruction at a time; `state` holds its fields by `Field.index`."""

    def __init__(self, guest: Guest, memory: EvalMemory, pc: int, counter: Counter | None = None) -> None:
        self.guest = guest
        self.memory = memory
        self.pc = pc
        self.counter = counter
        self.state = [0] * STATE_WORDS

    def __getitem__(self, name: str) -> int:
        return self.state[self.guest.layout[name].index]

    def __setitem__(self, name: str, value: int) -> None:
        self.state[self.guest.layout[name].index] = value

    def _fetch(self) -> int:
        """The instruction word at pc."""
        parcel = self.guest.isa.parcel
        word = self.memory.load(self.pc, parcel * BYTE)
        for offset in range(parcel, self.guest.isa.length(word), parcel):
            word |= self.memory.load((self.pc + offset) & MASK32, parcel * BYTE) << offset * BYTE
        return word

    def step(self) -> Outcome:
        """Run one instruction; every failure is a trap with the guest's own cause."""
        causes = self.guest.access_causes
        try:
            word = self._fetch()
        except MemoryFault as fault:
            return Outcome(Left.TRAP, self.pc, 0, causes.fetch, fault.address)
        insn = self.guest.isa.decode(word)
        if insn is None:
            return Outcome(Left.TRAP, self.pc, 0, self.guest.illegal, word)
        outcome = evaluate(lift_one(insn, self.pc), self.state, self.memory, self.counter)
        self.pc = outcome.pc
        if outcome.left is Left.READ_FAULT:
            return Outcome(Left.TRAP, outcome.pc, 0, causes.read, outcome.value)
        if outcome.left is Left.WRITE_FAULT:
            return Outcome(Left.TRAP, outcome.pc, 0, causes.write, outcome.value)
        return outcome

    def run(self, limit: int) -> Iterator[Outcome]:
        """The outcomes of up to `limit` instructions; a trap is the last."""
        for _ in range(limit):
            outcome = self.step()
            yield outcome
            if outcome.left is Left.TRAP:
                return
