"""One declaration per instruction: bits, syntax and meaning stand together, and everything else is derived.

    @isa.insn("addi", "imm[11:0] rs1 000 rd 0010011", "{rd}, {rs1}, {imm}")
    def addi(b, rd, rs1, imm):
        b.set(rd, b.add(b.get(rs1), imm))

The pattern is the manual's notation, most significant bit first: literal bits, operands in full (`rd`), or pieces of
one (`imm[12|10:5]`). The function's parameters are the operands of the pattern. A table checks itself as it grows:
patterns that overlap, operands without parameters, parameters without operands, operands whose pieces do not fit them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any, NamedTuple

Meaning = Callable[..., None]
LiftOperand = Callable[[int], object]
FormatOperand = Callable[[int, int], str]


CACHED_WORDS = 1 << 16
"""Decoded instructions that are kept; more than a program has, but guests can make up ever new ones."""


class IsaError(ValueError):
    """A table that contradicts itself."""


class Piece(NamedTuple):
    """`width` bits of an operand: at `shift` in the instruction word, at `place` in the operand."""

    shift: int
    width: int
    place: int

    @property
    def mask(self) -> int:
        """The bits of the instruction word that this piece takes."""
        return ((1 << self.width) - 1) << self.shift


class StateIndex(NamedTuple):
    """A register operand in C: the expression of its state word; word `zero` reads 0 and is never written."""

    expression: str
    zero: int | None = None


class OperandKind(NamedTuple):
    """What a name in a pattern stands for.

    lift: the decoded number -> what a meaning receives (a register's field, a constant).
    text: the decoded number and the instruction's pc -> the operand in a listing.
    c: the C expression of what a meaning receives, from the C expression of the decoded number.
    choices: numbers for which the meaning is run one by one when it is printed as C (a meaning that looks at the number
    itself); every other number runs it once more, as `other`.
    """

    name: str
    bits: int
    signed: bool = False
    lift: LiftOperand = lambda number: number
    text: FormatOperand = lambda number, pc: str(number)
    c: Callable[[str], str | StateIndex] = lambda number: number
    choices: tuple[int, ...] = ()
    other: int = -1


class Alias(NamedTuple):
    """A pseudo-instruction: the name and syntax in listings when the operands have the given numbers."""

    name: str
    when: Mapping[str, int]
    syntax: str


@dataclass(eq=False, slots=True)
class InsnSpec:
    """One instruction of the table."""

    name: str
    pattern: str
    syntax: str
    meaning: Meaning
    length: int
    mask: int
    match: int
    operands: dict[str, OperandKind]
    pieces: dict[str, tuple[Piece, ...]]
    unless: Mapping[str, tuple[int, ...]]
    aliases: tuple[Alias, ...]
    interpreted: bool
    extension: str

    def decode(self, word: int) -> tuple[int, ...]:
        """The operands' numbers."""
        numbers = []
        for name, kind in self.operands.items():
            number = 0
            for shift, width, place in self.pieces[name]:
                number |= (word >> shift & (1 << width) - 1) << place
            if kind.signed and number >= self.sign(name):
                number += (1 << 32) - 2 * self.sign(name)
            numbers.append(number)
        return tuple(numbers)

    def sign(self, name: str) -> int:
        """The operand's highest bit."""
        return 1 << (max([piece.place + piece.width for piece in self.pieces[name]]) - 1)

    def expression(self, name: str) -> str:
        """How the operand is taken out of the word `w`, in C."""
        parts = [f"(w >> {p.shift} & {(1 << p.width) - 1}) << {p.place}" for p in self.pieces[name]]
        value = " | ".join(parts)
        if not self.operands[name].signed:
            return f"({value})"
        sign = self.sign(name)
        return f"(((({value}) ^ {sign}) - {sign}) & 0xffffffff)"

    def allows(self, numbers: tuple[int, ...]) -> bool:
        """Whether the operands have none of the numbers that belong to other instructions."""
        if not self.unless:
            return True
        values = dict(zip(self.operands, numbers, strict=True))
        return all(values[name] not in excluded for name, excluded in self.unless.items())

    def fixed(self, name: str, other: InsnSpec) -> int | None:
        """The number that `other`'s literal bits give this spec's operand; None where they leave it open."""
        number = 0
        for piece in self.pieces[name]:
            if piece.mask & ~other.mask:
                return None
            number |= (other.match >> piece.shift & ((1 << piece.width) - 1)) << piece.place
        return number

    def shuts_out(self, other: InsnSpec) -> bool:
        """Whether an exclusion of this spec keeps it from every word of `other`."""
        return any(self.fixed(name, other) in excluded for name, excluded in self.unless.items())

    def overlaps(self, other: InsnSpec) -> bool:
        """Whether some word belongs to both, whose literal bits agree where both have some."""
        return self.length == other.length and not (self.shuts_out(other) or other.shuts_out(self))


class Insn:
    """A decoded instruction: position-independent, so one object serves every place where the word stands."""

    __slots__ = ("arguments", "code", "length", "numbers", "spec", "word")

    def __init__(self, spec: InsnSpec, word: int, numbers: tuple[int, ...]) -> None:
        self.spec = spec
        self.word = word
        self.length = spec.length
        self.code = word.to_bytes(spec.length, "little")
        self.numbers = numbers
        self.arguments = [kind.lift(n) for kind, n in zip(spec.operands.values(), numbers, strict=True)]

    def lift(self, builder: Any) -> None:
        """Run the meaning on a builder (`dynarec.ir.semantics.Semantics`)."""
        builder.encoding = self.word
        self.spec.meaning(builder, *self.arguments)

    def _naming(self) -> tuple[str, str]:
        values = dict(zip(self.spec.operands, self.numbers, strict=True))
        for alias in self.spec.aliases:
            if all(values[name] == number for name, number in alias.when.items()):
                return alias.name, alias.syntax
        return self.spec.name, self.spec.syntax

    def text(self, pc: int = 0, aliases: bool = True) -> str:
        """The instruction as a listing shows it at address `pc`."""
        name, syntax = self._naming() if aliases else (self.spec.name, self.spec.syntax)
        named = zip(self.spec.operands.items(), self.numbers, strict=True)
        operands = syntax.format(**{operand: kind.text(number, pc) for (operand, kind), number in named})
        return f"{name} {operands}".rstrip()


_TOKEN = re.compile(r"(?P<bits>[01]+)|(?P<name>[a-z]\w*'?)(?:\[(?P<pieces>[\d:|]+)\])?")


class Isa:
    """An instruction set: operand kinds, instructions, decoder.

    parcel: bytes by which code is aligned and read. length: bytes of the instruction whose first parcel is `w`, written
    in the common part of Python and C.
    """

    def __init__(self, name: str, parcel: int, length: str) -> None:
        self.name = name
        self.parcel = parcel
        self._parcel_mask = (1 << 8 * parcel) - 1
        self.length_expression = length
        self.length: Callable[[int], int] = eval(f"lambda w: {length}")  # made from the table alone
        self.specs: list[InsnSpec] = []
        self._operands: dict[str, OperandKind] = {}
        self._groups: dict[int, list[tuple[int, dict[int, list[InsnSpec]]]]] = {}
        self._tables: dict[int, tuple[int, dict[int, list[InsnSpec]]]] = {}
        self._cache: dict[int, Insn | None] = {}
        self._masks: dict[int, int] = {}
        """The bits of instructions by their first parcel."""
        self._extension = ""

    def __iter__(self) -> Iterator[InsnSpec]:
        return iter(self.specs)

    def extension(self, name: str) -> None:
        """The instructions that follow belong to this extension."""
        self._extension = name

    def operand(self, kind: OperandKind) -> OperandKind:
        """Declare what a name in patterns stands for."""
        if self._operands.setdefault(kind.name, kind) is not kind:
            raise IsaError(f"operand {kind.name} is declared twice")
        return kind

    def insn(
        self,
        name: str,
        pattern: str,
        syntax: str = "",
        *,
        unless: Mapping[str, tuple[int, ...]] | None = None,
        aliases: tuple[Alias, ...] = (),
        interpreted: bool = False,
    ) -> Callable[[Meaning], Meaning]:
        """Declare an instruction; the decorated function is its meaning.

        unless: numbers of operands for which the word is another instruction, or none.
        interpreted: translations leave it to the interpreter.
        """

        def declare(meaning: Meaning) -> Meaning:
            self._add(name, pattern, syntax, meaning, unless or {}, aliases, interpreted)
            return meaning

        return declare

    def _add(
        self,
        name: str,
        pattern: str,
        syntax: str,
        meaning: Meaning,
        unless: Mapping[str, tuple[int, ...]],
        aliases: tuple[Alias, ...],
        interpreted: bool,
    ) -> None:
        width, mask, match, kinds, pieces = self._parse(name, pattern)
        code = meaning.__code__
        wanted = code.co_varnames[1 : code.co_argcount]
        if sorted(wanted) != sorted(kinds):
            raise IsaError(f"{name}: the pattern has operands {sorted(kinds)}, the meaning takes {sorted(wanted)}")
        operands = {parameter: kinds[parameter] for parameter in wanted}
        spec = InsnSpec(
            name, pattern, syntax, meaning, width // 8, mask, match, operands, {parameter: tuple(pieces[parameter]) for
            parameter in wanted}, unless, aliases, interpreted, self._extension,
        )  # fmt: skip
        self._check_operands(spec)
        self._check_syntax(spec)
        for other in self.specs:
            if not spec.mask & other.mask & (spec.match ^ other.match) and spec.overlaps(other):
                raise IsaError(f"{name} overlaps {other.name}")
        self.specs.append(spec)
        self._groups.clear()
        self._tables.clear()
        self._cache.clear()

    def _parse(self, name: str, pattern: str) -> tuple[int, int, int, dict[str, OperandKind], dict[str, list[Piece]]]:
        tokens = [_TOKEN.fullmatch(token) for token in pattern.split()]
        width = mask = match = 0
        kinds: dict[str, OperandKind] = {}
        pieces: dict[str, list[Piece]] = {}
        for token in reversed(tokens):
            if token is None:
                raise IsaError(f"{name}: cannot read the pattern {pattern!r}")
            if bits := token["bits"]:
                mask |= ((1 << len(bits)) - 1) << width
                match |= int(bits, 2) << width
                width += len(bits)
                continue
            kind = self._operands.get(token["name"])
            if kind is None:
                raise IsaError(f"{name}: unknown operand {token['name']}")
            parameter = token["name"].rstrip("'")
            if kinds.setdefault(parameter, kind) is not kind:
                raise IsaError(f"{name}: operand {parameter} has two kinds")
            for piece in _pieces(token["pieces"] or f"{kind.bits - 1}:0", width):
                pieces.setdefault(parameter, []).append(piece)
                width += piece.width
        if not width or width % (8 * self.parcel):
            raise IsaError(f"{name}: the pattern has {width} bits")
        return width, mask, match, kinds, pieces

    def _check_operands(self, spec: InsnSpec) -> None:
        for name, kind in spec.operands.items():
            taken = 0
            for piece in spec.pieces[name]:
                bits = ((1 << max(piece.width, 0)) - 1) << piece.place
                if not bits or bits & taken or bits >> kind.bits:
                    raise IsaError(f"{spec.name}: the pieces of {name} are not distinct bits of its {kind.bits}")
                taken |= bits
        if unknown := set(spec.unless) - set(spec.operands):
            raise IsaError(f"{spec.name}: exclusion of {sorted(unknown)}, which the pattern lacks")

    def _check_syntax(self, spec: InsnSpec) -> None:
        for syntax in (spec.syntax, *(alias.syntax for alias in spec.aliases)):
            unknown = set(re.findall(r"{(\w+)}", syntax)) - set(spec.operands)
            if unknown:
                raise IsaError(f"{spec.name}: the syntax names {sorted(unknown)}, which the pattern lacks")
        for alias in spec.aliases:
            if unknown := set(alias.when) - set(spec.operands):
                raise IsaError(f"{spec.name}: alias {alias.name} looks at {sorted(unknown)}")

    # -- decoding -----------------------------------------------------------------------------------------------------

    def candidates(self, length: int) -> list[tuple[int, dict[int, list[InsnSpec]]]]:
        """(mask, {match: specs}) of the instructions of this length, those with most literal bits first."""
        if length not in self._groups:
            groups: dict[int, dict[int, list[InsnSpec]]] = {}
            for spec in self.specs:
                if spec.length == length:
                    groups.setdefault(spec.mask, {}).setdefault(spec.match, []).append(spec)
            self._groups[length] = sorted(groups.items(), key=lambda item: -item[0].bit_count())
        return self._groups[length]

    def decode(self, word: int) -> Insn | None:
        """The instruction in the low bytes of `word` (what follows them does not matter); None if there is none."""
        try:
            return self._cache[word & self._masks[word & self._parcel_mask]]
        except KeyError:
            return self._decode_new(word)

    def _decode_new(self, word: int) -> Insn | None:
        """An instruction that is not in the cache."""
        if len(self._cache) >= CACHED_WORDS:
            self._cache.clear()
            self._masks.clear()
        parcel = word & self._parcel_mask
        length = self.length(parcel)
        mask = self._masks[parcel] = (1 << 8 * length) - 1
        insn = self._cache[word & mask] = self._decode(word & mask, length)
        return insn

    def _decode(self, word: int, length: int) -> Insn | None:
        fixed, specs = self._tables.get(length) or self._table(length)
        for spec in specs.get(word & fixed, ()):
            if word & spec.mask == spec.match:
                numbers = spec.decode(word)
                if spec.allows(numbers):
                    return Insn(spec, word, numbers)
        return None

    def _table(self, length: int) -> tuple[int, dict[int, list[InsnSpec]]]:
        """The bits that are literal in all instructions of this length, and the instructions by these."""
        specs = [spec for spec in self.specs if spec.length == length]
        fixed = reduce(and_, (spec.mask for spec in specs), -1)
        table: dict[int, list[InsnSpec]] = {}
        for spec in specs:
            table.setdefault(spec.match & fixed, []).append(spec)
        self._tables[length] = fixed, table
        return fixed, table


def _pieces(text: str, shift: int) -> Iterator[Piece]:
    """The pieces of `12|10:5`, lowest in the word first; `shift` is where the lowest starts."""
    for part in reversed(text.split("|")):
        high, _, low = part.partition(":")
        place = int(low or high)
        width = int(high) - place + 1
        yield Piece(shift, width, place)
        shift += width
