"""The table's self checks, and what every guest's table must hold."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from dynarec.ir import ops
from dynarec.ir.state import Field, StateLayout
from dynarec.ir.unit import Jump, Unit
from dynarec.ir.verify import verify
from guest_isa import bundled_guests, load_guests
from guest_isa.guest import Guest
from guest_isa.isa import Alias, InsnSpec, Isa, IsaError, OperandKind
from guest_isa.rv32 import GUEST
from tests.guest_isa.words import encode, random_word
from tests.reference import lift_one

SEED = 21
WORDS_EACH = 20
PC = 0x1_0000


@pytest.fixture
def isa() -> Isa:
    """Two-byte instructions with the operands `a` and `b` of 4 bits, `s` of 4 signed bits and `w` of 8."""
    made = Isa("toy", parcel=2, length="2")
    for kind in (OperandKind("a", 4), OperandKind("b", 4), OperandKind("s", 4, signed=True), OperandKind("w", 8)):
        made.operand(kind)
    return made


def nothing(b: Any) -> None:
    """A meaning without operands."""


def one(b: Any, a: Any) -> None:
    """A meaning with the operand `a`."""


def two(b: Any, a: Any, w: Any) -> None:
    """A meaning with two operands."""


def wide(b: Any, w: Any) -> None:
    """A meaning with the operand `w`."""


Declare = Callable[[Isa], object]
MISTAKES: list[tuple[str, Declare]] = [
    ("overlaps", lambda isa: (isa.insn("x", "0000 w 0001")(wide), isa.insn("y", "0000 0000 0000 a")(one))),
    ("overlaps", lambda isa: (isa.insn("x", "00000000 0000 a")(one), isa.insn("y", "00000000 0000 a")(one))),
    ("declared twice", lambda isa: isa.operand(OperandKind("a", 5))),
    ("unknown operand q", lambda isa: isa.insn("x", "00000000 0000 q")(one)),
    ("cannot read the pattern", lambda isa: isa.insn("x", "00000000 0002 a")(one)),
    ("has 12 bits", lambda isa: isa.insn("x", "00000000 a")(one)),
    ("has 0 bits", lambda isa: isa.insn("x", "")(nothing)),
    ("the meaning takes", lambda isa: isa.insn("x", "00000000 0000 a")(nothing)),
    ("the meaning takes", lambda isa: isa.insn("x", "00000000 00000000")(one)),
    ("not distinct bits", lambda isa: isa.insn("x", "00000000 00 a[1:0] a[2:1] 00")(one)),
    ("not distinct bits", lambda isa: isa.insn("x", "00000000 0000 a[4:1]")(one)),
    ("not distinct bits", lambda isa: isa.insn("x", "00000000 a a")(one)),
    ("not distinct bits", lambda isa: isa.insn("x", "00000000 00000000 a[0:1]")(one)),
    ("the syntax names", lambda isa: isa.insn("x", "00000000 0000 a", "{b}")(one)),
    ("the syntax names", lambda isa: isa.insn("x", "00000000 0000 a", "{a}", aliases=(Alias("y", {}, "{b}"),))(one)),
    ("alias y looks at", lambda isa: isa.insn("x", "00000000 0000 a", aliases=(Alias("y", {"b": 0}, ""),))(one)),
    ("exclusion of", lambda isa: isa.insn("x", "00000000 0000 a", unless={"b": (0,)})(one)),
]


@pytest.mark.parametrize(("message", "declare"), MISTAKES, ids=[f"{n}: {m}" for n, (m, _) in enumerate(MISTAKES)])
def test_a_mistake_is_refused_when_it_is_made(isa: Isa, message: str, declare: Declare) -> None:
    with pytest.raises(IsaError, match=message):
        declare(isa)


def test_one_name_for_two_kinds(isa: Isa) -> None:
    isa.operand(OperandKind("a'", 3))
    with pytest.raises(IsaError, match="operand a has two kinds"):
        isa.insn("x", "00000000 0 a' a")(one)


def test_an_exclusion_makes_room(isa: Isa) -> None:
    isa.insn("x", "w 0000 a", "{a}, {w}", unless={"w": (0, 3)})(two)
    isa.insn("y", "00000000 0000 a")(one)
    names = {word >> 8: insn and insn.spec.name for word in (0x0001, 0x0201, 0x0301) if [insn := isa.decode(word)]}
    assert names == {0: "y", 2: "x", 3: None}


def test_pieces_signs_and_listings(isa: Isa) -> None:
    def meaning(b: Any, s: Any) -> None:
        """Its operand is sign-extended."""

    isa.insn("x", "s[0|3:1] 0000 00000000", "{s}", aliases=(Alias("minus", {"s": 0xFFFF_FFFF}, "one"),))(meaning)
    texts = [insn.text() for word in (0x1000, 0x8000, 0x4000, 0xF000) if (insn := isa.decode(word))]
    assert texts == ["x 2", "x 1", f"x {0xFFFF_FFF8}", "minus one"]
    minus = isa.decode(0xF000)
    assert minus is not None
    assert minus.text(aliases=False) == f"x {0xFFFF_FFFF}"


def test_ever_new_words_do_not_fill_the_memory(isa: Isa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guest_isa.isa.CACHED_WORDS", 16)
    isa.insn("x", "00000000 0000 a", "{a}")(one)
    assert sum(isa.decode(word) is not None for word in range(100)) == 16
    assert len(isa._cache) <= 16
    assert isa.decode(3) is isa.decode(3)


def test_the_most_specific_pattern_wins_by_exclusion_only(isa: Isa) -> None:
    isa.insn("x", "w 0000 a", unless={"w": (0,)})(two)
    with pytest.raises(IsaError, match="y overlaps x"):
        isa.insn("y", "00000001 0000 a")(one)


# -- every guest ------------------------------------------------------------------------------------------------------

every_guest = pytest.mark.parametrize("guest", bundled_guests(), ids=lambda guest: guest.name)


def test_bundled_guests_are_found() -> None:
    assert load_guests()[GUEST.name] is GUEST


@every_guest
def test_what_a_guest_declares_fits_together(guest: Guest) -> None:
    assert len(set(guest.homes)) == len(guest.homes)
    assert set(guest.homes) <= set(guest.layout)
    causes = {guest.illegal, guest.access_causes.fetch, guest.access_causes.read, guest.access_causes.write}
    assert causes <= set(guest.causes)
    if guest.abi is not None:
        assert all(name in guest.layout for name in (guest.abi.number, *guest.abi.args, guest.abi.stack))


@every_guest
def test_the_decoder_finds_what_the_table_encodes(guest: Guest) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for spec in guest.isa:
        for _ in range(WORDS_EACH):
            word = random_word(rng, spec)
            insn = guest.isa.decode(word)
            assert insn is not None
            assert insn.spec is spec, (hex(word), insn.spec.name, spec.name)
            assert encode(spec, dict(zip(spec.operands, insn.numbers, strict=True))) == word


def units(guest: Guest, spec: InsnSpec) -> list[Unit]:
    rng = random.Random(SEED)
    decoded = (guest.isa.decode(random_word(rng, spec)) for _ in range(WORDS_EACH))
    return [lift_one(insn, PC) for insn in decoded if insn is not None]


@every_guest
def test_every_meaning_lifts_to_a_well_formed_unit(guest: Guest) -> None:
    for spec in guest.isa:
        for unit in units(guest, spec):
            verify(unit, guest.layout)


@every_guest
def test_nothing_faults_or_traps_after_a_set(guest: Guest) -> None:
    for spec in guest.isa:
        for unit in units(guest, spec):
            kinds = [op.kind for op in unit.ops if not (op.kind is ops.EXIT_IF and isinstance(op.attr, Jump))]
            first = kinds.index(ops.SET) if ops.SET in kinds else len(kinds)
            assert not any(kind.exits for kind in kinds[first:]), spec.name


@every_guest
def test_only_interpreted_instructions_ask_the_machine(guest: Guest) -> None:
    for spec in guest.isa:
        if any(op.kind is ops.CALL for unit in units(guest, spec) for op in unit.ops):
            assert spec.interpreted, spec.name


@pytest.mark.parametrize(
    "make",
    [
        lambda: StateLayout([Field("a", 1), Field("a", 2)]),
        lambda: StateLayout([Field("a", 1), Field("b", 1)]),
        lambda: StateLayout([Field("a", 48)]),
        lambda: StateLayout([Field("a", 1), Field("b", 2)], {"a": "b"}),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(make: Callable[[], StateLayout]) -> None:
    with pytest.raises(ValueError, match=r"field|word"):
        make()
