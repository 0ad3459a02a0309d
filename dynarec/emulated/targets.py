"""What differs between the emulated hosts: Unicorn's names of their registers, how units are left and linked.

The counterpart of native/<host>/enter.S and native/<host>/host.h.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from dynarec.errors import DynarecError
from dynarec.host.base import Host

X86_64_CHARGE = bytes.fromhex("836dfc 00 0f89")
X86_64_REFUND = bytes.fromhex("8345fc 00 40e9")
X86_64_JUMP = bytes.fromhex("e9")
X86_64_NOP = bytes.fromhex("0f1f440000")
X86_64_MOST = 127
"""What a link can take from the budget, or give back."""
ARM64_INSTRUCTION = 4
ARM64_NEAR = 1 << 20
"""Bytes that a conditional branch reaches, either way."""
ARM64_SUBS, ARM64_ADD = 0x7100_035A, 0x1100_035A
ARM64_B, ARM64_B_PL = 0x1400_0000, 0x5400_0005
MASK32 = 0xFFFF_FFFF
UNICORN_MISSING = "emulating a host needs the unicorn package, which is missing: pip install unicorn"


def import_unicorn() -> ModuleType:
    """The unicorn package. Raises DynarecError when it is not installed."""
    try:
        import unicorn
    except ImportError:
        raise DynarecError(UNICORN_MISSING) from None
    module: ModuleType = unicorn
    return module


@dataclass(frozen=True, slots=True)
class Target:
    """One emulated host; registers by Unicorn's numbers.

    homes: in the order of `dr_cpu.homes`. budget: None where it stays in memory. scratch: what else units may change.
    returns: the register with the return address of the exit call.
    exit_call_size: bytes of the call of the exit stub. branch: the bytes of a link that takes so much from the budget,
    and goes over a distance in bytes; reaches: whether there are any.
    count: the host instructions in some bytes of code.
    """

    arch: int
    mode: int
    pc: int
    stack: int
    state: int
    window: int
    homes: tuple[int, ...]
    budget: int | None
    scratch: tuple[int, ...]
    returns: int
    exit_call_size: int
    branch: Callable[[int, int], bytes]
    reaches: Callable[[int, int], bool]
    count: Callable[[bytes], int]


def find_target(host: Host) -> Target:
    """The target that runs the code of `host`."""
    return {"x86_64": _x86_64, "arm64": _arm64}[host.name](import_unicorn(), host)


def _x86_64(unicorn: ModuleType, host: Host) -> Target:
    from unicorn import x86_const

    def named(*names: str) -> tuple[int, ...]:
        return tuple(getattr(x86_const, f"UC_X86_REG_{name}") for name in names)

    pc, stack, state, window = named("RIP", "RSP", "RBP", "GS_BASE")
    return Target(
        unicorn.UC_ARCH_X86,
        unicorn.UC_MODE_64,
        pc,
        stack,
        state,
        window,
        homes=named("RBX", "RSI", "RDI", *(f"R{n}" for n in range(8, 16))),
        budget=None,
        scratch=named("RAX", "RCX", "RDX"),
        returns=x86_const.UC_X86_REG_RAX,
        exit_call_size=10,
        branch=x86_64_branch,
        reaches=lambda charge, distance: abs(charge) <= X86_64_MOST,
        count=lambda code: len(host.disassemble(code)),
    )


def _arm64(unicorn: ModuleType, host: Host) -> Target:
    from unicorn import arm64_const

    def numbered(*numbers: int) -> tuple[int, ...]:
        return tuple(getattr(arm64_const, f"UC_ARM64_REG_X{number}") for number in numbers)

    budget, window, state = numbered(26, 27, 28)
    return Target(
        unicorn.UC_ARCH_ARM64,
        unicorn.UC_MODE_ARM,
        arm64_const.UC_ARM64_REG_PC,
        arm64_const.UC_ARM64_REG_SP,
        state,
        window,
        homes=numbered(*host.home_registers),
        budget=budget,
        scratch=numbered(16, 17, 30),
        returns=numbered(30)[0],
        exit_call_size=2 * ARM64_INSTRUCTION,
        branch=arm64_branch,
        reaches=lambda charge, distance: charge <= 0 or abs(distance) < ARM64_NEAR,
        count=lambda code: len(code) // ARM64_INSTRUCTION,
    )


def x86_64_branch(charge: int, distance: int) -> bytes:
    """sub and jns, or add and jmp, or jmp alone (SDM volume 2: rel32 counts from the end of the instruction)."""
    code = bytearray(X86_64_CHARGE if charge > 0 else X86_64_REFUND if charge else X86_64_JUMP)
    if charge:
        code[3] = abs(charge)
    code += (distance - len(code) - 4 & MASK32).to_bytes(4, "little")
    return bytes(code) if charge else bytes(code) + X86_64_NOP


def arm64_branch(charge: int, distance: int) -> bytes:
    """subs and b.pl, or add and b, or b alone (Arm ARM, B: imm26 words; B.cond: imm19)."""
    words = distance // ARM64_INSTRUCTION
    first, second = (ARM64_B | each & 0x3FF_FFFF for each in (words, words - 1))
    if charge > 0:
        first, second = ARM64_SUBS | charge << 10, ARM64_B_PL | (words - 1 & 0x7_FFFF) << 5
    elif charge:
        first = ARM64_ADD | -charge << 10
    return first.to_bytes(ARM64_INSTRUCTION, "little") + second.to_bytes(ARM64_INSTRUCTION, "little")
