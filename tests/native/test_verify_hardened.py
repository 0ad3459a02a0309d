"""The verifier of hardened arm64 code: each unit passes under the hardening it was made for, and under no other."""

from __future__ import annotations

from itertools import combinations

import pytest

from dynarec.host import layout, make_host
from dynarec.host.arm64.encode import Assembler
from dynarec.host.base import Hardening, HostCode
from dynarec.loading import HARDENING_BITS
from guest_isa.rv32 import GUEST
from tests.native.verifying import ROOT, links_of, program_units, rom_units, verify

SETS = [frozenset(each) for size in range(3) for each in combinations(Hardening, size)]
ROMS = sorted((ROOT / "roms").glob("*.elf"))
SEED = 31
EXIT, STATE, CONTEXT = 16, 28, 17


def bits(harden: frozenset[Hardening]) -> int:
    return sum(HARDENING_BITS[each.value] for each in harden)


def units(harden: frozenset[Hardening]) -> list[HostCode]:
    host = make_host("arm64", GUEST, harden=harden)
    return [*rom_units(host, ROMS, 60), *program_units(host, SEED, 30)]


@pytest.mark.parametrize("harden", SETS, ids=lambda each: "+".join(sorted(part.value for part in each)) or "plain")
def test_units_pass_under_their_own_hardening_alone(harden: frozenset[Hardening]) -> None:
    made = units(harden)
    assert len(made) > 500
    for unit in made:
        for other in SETS:
            refusal = verify("arm64", unit.code, links_of(unit), harden=bits(other))
            assert (refusal is None) == (other == harden), (harden, other, refusal)


def assembled(*calls: tuple[str, tuple[object, ...]]) -> bytes:
    asm = Assembler()
    for name, operands in calls:
        getattr(asm, name)(*operands)
    return asm.finish()


LOAD = ("ldr64", (EXIT, STATE, layout.EXIT))
SUB = ("sub_ri64", (CONTEXT, STATE, -layout.EXIT))
BLRAA = ("blraa", (EXIT, CONTEXT))
PAD = ("bti", ("j",))
BOTH = bits(frozenset(Hardening))


def test_what_the_escapes_are_made_of_is_accepted() -> None:
    assert verify("arm64", assembled(PAD, LOAD, SUB, BLRAA), [], harden=BOTH) is None


@pytest.mark.parametrize(
    ("calls", "offset", "reason"),
    [
        ((LOAD, SUB, BLRAA), 0, "a unit without a landing pad"),
        ((("bti", ("c",)), LOAD, SUB, BLRAA), 0, "a unit without a landing pad"),
        ((PAD, PAD, LOAD, SUB, BLRAA), 4, "a landing pad inside a unit"),
        ((PAD, LOAD, ("blr", (EXIT,))), 4, "a load from the CPU state outside of the guest's registers"),
        ((PAD, LOAD, ("sub_ri64", (CONTEXT, STATE, 8)), BLRAA), 4, "a load from the CPU state outside"),
        ((PAD, LOAD, SUB, ("blraa", (EXIT, STATE))), 4, "a load from the CPU state outside of the guest's registers"),
        ((PAD, BLRAA), 4, "an indirect branch that is neither exit call nor lookup"),
        ((PAD, ("braa", (EXIT, CONTEXT))), 4, "an indirect branch that is neither exit call nor lookup"),
        ((PAD, ("pacia", (EXIT, CONTEXT))), 4, "an instruction that generated code has no use for"),
    ],
)
def test_escapes(calls: tuple[tuple[str, tuple[object, ...]], ...], offset: int, reason: str) -> None:
    refusal = verify("arm64", assembled(*calls), [], harden=BOTH)
    assert refusal is not None
    assert (refusal[0], refusal[1].startswith(reason)) == (offset, True), refusal


def test_a_lookup_authenticates_its_entry_for_its_key() -> None:
    """With the context of another register, an entry signed for any block would do."""
    host = make_host("arm64", GUEST, harden=frozenset({Hardening.PAC}))
    harden = bits(frozenset({Hardening.PAC}))
    looked_up = list(program_units(host, SEED, 100))
    changed = 0
    for unit in looked_up:
        for at in range(0, len(unit.code), 4):
            word = int.from_bytes(unit.code[at : at + 4], "little")
            if word & 0xFFFFFC00 != 0xD71F0800:
                continue
            for key in set(range(31)) - {word & 31}:
                code = unit.code[:at] + (word & ~31 | key).to_bytes(4, "little") + unit.code[at + 4 :]
                assert verify("arm64", code, links_of(unit), harden=harden) is not None
                changed += 1
    assert changed
