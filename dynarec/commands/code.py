"""A program's code without a machine: its bytes by address, and listings."""

from __future__ import annotations

from collections.abc import Iterator

from dynarec.loading import address_of
from dynarec.program import Program
from guest_isa.guest import Guest
from guest_isa.isa import Insn

LONGEST = 8
"""Bytes enough for any instruction."""


class ProgramCode:
    """The executable bytes of a program's segments, as a machine finds them at first."""

    def __init__(self, program: Program, guest: Guest) -> None:
        self.program = program
        self.guest = guest

    def fetch(self, address: int, size: int) -> bytes:
        """Up to size bytes from address on; none where the program has no code."""
        for segment in self.program.segments:
            if segment.executable and segment.address <= address < segment.end:
                start = address - segment.address
                zeros = min(size, segment.end - address)
                return segment.data[start : start + size].ljust(zeros, b"\0")
        return b""

    def address(self, where: int | str | None) -> int:
        """An address, that of a symbol, or the entry. Raises DynarecError for an unknown symbol."""
        return self.program.entry if where is None else address_of(self.program, where)

    def decode(self, address: int) -> tuple[bytes, Insn | None]:
        """The instruction at an address, and its bytes; no bytes behind the end of the code."""
        data = self.fetch(address, LONGEST)
        insn = self.guest.isa.decode(int.from_bytes(data, "little")) if data else None
        if insn is not None and insn.length > len(data):
            insn = None
        return data[: insn.length if insn is not None else self.guest.isa.parcel], insn

    def listing(self, address: int, count: int) -> Iterator[str]:
        """Lines for count instructions from address on; fewer at the end of the code."""
        labels: dict[int, str] = {symbol.address: symbol.name for symbol in self.program.symbols}
        for _ in range(count):
            data, insn = self.decode(address)
            if not data:
                return
            if address in labels:
                yield f"{labels[address]}:"
            yield line(address, data, insn)
            address += len(data)


def line(address: int, data: bytes, insn: Insn | None) -> str:
    """ "00010074  00112623  sw ra, 12(sp)" """
    text = insn.text(address) if insn is not None else "(no instruction)"
    return f"{address:08x}  {int.from_bytes(data, 'little'):0{2 * len(data)}x}".ljust(20) + text
