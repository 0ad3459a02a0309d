"""Hardening on arm64: landing pads (BTI) and signed code pointers (PAC) really stop what they are for.

What the processor refuses is told by the run, and is no crash. Where the processor lacks them, asking for them is one
clear error; on arm64 Linux, QEMU's `-cpu max` has both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dynarec._native import ffi
from dynarec.core import policies, probe_policy
from dynarec.engine import Machine, StopReason
from dynarec.errors import DynarecError
from dynarec.host import native_host_name
from tests.native.guests import CODE, asm, load, lui

HELLO = Path(__file__).resolve().parents[2] / "roms" / "hello.elf"
POLICIES = [name for name in policies() if probe_policy(name) is None]
NAMES = ("bti", "pac")
SETS = [each for size in (1, 2) for each in combinations(NAMES, size)]
FUNCTION = CODE + 0x100
POINTER_BIT = 1 << 20
"""Of an address; what is signed covers it."""
WORD = 4

CALLS = (
    lui("s2", FUNCTION & ~0xFFF)
    + asm("addi", rd="s2", rs1="s2", imm=FUNCTION & 0xFFF)
    + asm("jalr", rd="ra", rs1="s2", imm=0)
    + asm("jal", rd=0, offset=-4)
)
RETURN = asm("addi", rd="s0", rs1="s0", imm=1) + asm("jalr", rd=0, rs1="ra", imm=0)


def problem() -> str | None:
    """Why code cannot be hardened here."""
    try:
        load(CALLS, tier="jit", harden=NAMES).close()
    except DynarecError as error:
        return str(error)
    return None


hardened = pytest.mark.skipif(problem() is not None, reason=f"not on this processor: {problem()}")


@pytest.fixture
def calling() -> Iterator[Any]:
    """Makes machines that call a function through a register, for ever, and have done so for a while."""
    machines: list[Machine] = []

    def make(harden: tuple[str, ...]) -> Machine:
        code = CALLS.ljust(FUNCTION - CODE, b"\0") + RETURN
        machine = load(code, tier="jit", harden=harden)
        machines.append(machine)
        assert machine.run(10_000).reason is StopReason.BUDGET
        return machine

    yield make
    for machine in machines:
        machine.close()


def moved(pointer: Any, change: int) -> Any:
    return ffi.cast("void *", int(ffi.cast("uintptr_t", pointer)) + change)


def change_entries(machine: Machine, change: int) -> None:
    """Let the entries that indirect jumps find lead elsewhere."""
    for slot in machine._core.cpu.jumps:
        if slot.entry != ffi.NULL:
            slot.entry = moved(slot.entry, change)


@pytest.mark.skipif(native_host_name() == "arm64", reason="arm64 has it")
@pytest.mark.parametrize("names", SETS)
def test_only_arm64_has_it(names: tuple[str, ...]) -> None:
    with pytest.raises(DynarecError, match=r"x86_64 code cannot be hardened: --harden is for arm64"):
        Machine.load(HELLO, harden=names)


def test_unknown_names() -> None:
    with pytest.raises(DynarecError, match="unknown hardening 'cfi': choose one of bti, pac"):
        Machine.load(HELLO, harden=["cfi"])


def test_emulated_arm64_has_it_in_ci() -> None:
    """Else everything below would be skipped unnoticed."""
    if native_host_name() == "arm64" and os.environ.get("DYNAREC_NEEDS_HARDENING"):
        assert problem() is None


@hardened
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("names", SETS)
@pytest.mark.parametrize("tier", ["jit", "auto"])
def test_programs_run(tier: str, names: tuple[str, ...], policy: str, tmp_path: Path) -> None:
    with (
        (tmp_path / "out").open("wb", 0) as out,
        Machine.load(HELLO, tier=tier, wx=policy, harden=names, stdout=out) as machine,
    ):
        assert machine.run().status == 0
        assert machine.stats().policy == policy
    assert (tmp_path / "out").read_text().startswith("Hello")


@hardened
def test_a_jump_to_a_place_without_a_landing_pad(calling: Any) -> None:
    machine = calling(("bti",))
    change_entries(machine, WORD)
    with pytest.raises(DynarecError, match="an indirect jump went to a place without a landing pad"):
        machine.run(10_000)


@hardened
def test_a_changed_entry(calling: Any) -> None:
    machine = calling(("pac",))
    change_entries(machine, WORD)
    with pytest.raises(DynarecError, match="code pointer was changed"):
        machine.run(10_000)


@hardened
def test_an_entry_of_another_block(calling: Any) -> None:
    """It is signed, but not for this key."""
    machine = calling(("pac",))
    slots = [slot for slot in machine._core.cpu.jumps if slot.entry != ffi.NULL]
    assert len(slots) > 1
    entries = [slot.entry for slot in slots]
    for slot, entry in zip(slots, entries[1:] + entries[:1], strict=True):
        slot.entry = entry
    with pytest.raises(DynarecError, match="code pointer was changed"):
        machine.run(10_000)


@hardened
@pytest.mark.parametrize("change", [WORD, POINTER_BIT])
def test_a_changed_exit(calling: Any, change: int) -> None:
    machine = calling(("pac",))
    machine._core.cpu.exit = moved(machine._core.cpu.exit, change)
    with pytest.raises(DynarecError, match="code pointer was changed"):
        machine.run(10_000)
