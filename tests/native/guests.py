"""Small guest programs, assembled from the instruction table."""

from __future__ import annotations

from dynarec.engine import Machine
from guest_isa.rv32 import GUEST, isa
from tests.guest_isa.words import encode
from tests.machine.elf import Part, R, W, X, build

CODE = 0x10000
DATA = 0x20000
PAGE = 4096
_SPECS = {spec.name: spec for spec in isa}


def register(name: str) -> int:
    """Number of a register by its name or alias."""
    return 0 if name == "zero" else GUEST.layout[name].index


def asm(name: str, **operands: int | str) -> bytes:
    """One instruction; registers by name, everything else as numbers."""
    numbers = {key: register(value) if isinstance(value, str) else value for key, value in operands.items()}
    spec = _SPECS[name]
    return encode(spec, numbers).to_bytes(spec.length, "little")


def li(rd: str, value: int) -> bytes:
    """A small constant."""
    return asm("addi", rd=rd, rs1="zero", imm=value)


def lui(rd: str, value: int) -> bytes:
    """A multiple of 4096."""
    return asm("lui", rd=rd, upper=value)


EXIT = li("a7", 93) + asm("ecall")
"""exit(a0)."""


def load(code: bytes, **options: object) -> Machine:
    """A machine with this code, writable and executable, and one page of data behind it; it waits for translations."""
    options.setdefault("sync", True)
    parts = [Part(CODE, code.ljust(PAGE, b"\0"), flags=R | W | X), Part(DATA, size=PAGE, flags=R | W)]
    return Machine.load(build(parts, entry=CODE), **options)  # type: ignore[arg-type]


def registers(machine: Machine) -> list[int]:
    """x1 to x31, and the pc."""
    return [machine.regs[f"x{number}"] for number in range(1, 32)] + [machine.pc]
