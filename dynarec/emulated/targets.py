"""What differs between the emulated hosts: Unicorn's names of their registers, how units are left and linked.

The counterpart of native/<host>/enter.S and native/<host>/host.h.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from dynarec.errors import DynarecError
from dynarec.host.base import Host

BRANCH_SIZE = 4
"""Bytes that linking patches, on every host."""
ARM64_INSTRUCTION = 4
ARM64_BRANCH = 0x1400_0000
ARM64_DISTANCE_MASK = 0x03FF_FFFF
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
    exit_call_size: bytes of the call of the exit stub. branch: the bytes that link a branch over a distance in bytes.
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
    branch: Callable[[int], bytes]
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
        branch=lambda distance: (distance - BRANCH_SIZE & MASK32).to_bytes(BRANCH_SIZE, "little"),
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
        branch=_arm64_branch,
        count=lambda code: len(code) // ARM64_INSTRUCTION,
    )


def _arm64_branch(distance: int) -> bytes:
    """`b` (Arm ARM, B: imm26 counts instructions)."""
    word = ARM64_BRANCH | distance // ARM64_INSTRUCTION & ARM64_DISTANCE_MASK
    return word.to_bytes(ARM64_INSTRUCTION, "little")
