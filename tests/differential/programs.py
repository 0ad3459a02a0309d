"""Random RV32IMACB programs, made from the instruction table: a counted loop of code that goes forward."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from guest_isa.isa import InsnSpec
from guest_isa.rv32 import GUEST
from tests.guest_isa.words import encode, random_word
from tests.ir.units import random_value

CODE = 0x1_0000
DATA, DATA_SIZE = 0x100_0000, 0x4000
REGISTER_COUNT = 32
COMPRESSED_BASE = 8
SP, S0, S1, S2, S3, S4, S5, COUNTER = 2, 8, 9, 18, 19, 20, 21, 31
PLAIN_BASES = (S0, S1)
"""Bases of loads and stores; the stack pointer is that of the compressed ones."""
RESERVED_BASES = (S2, S3)
"""Of lr.w and sc.w. Nothing else writes there: what that does to a reservation is the implementation's choice."""
ATOMIC_BASES = (S4, S5)
KEPT = {SP, COUNTER, *PLAIN_BASES, *RESERVED_BASES, *ATOMIC_BASES}
POOL_SIZES = (3, 6, REGISTER_COUNT)
"""How many registers a program computes in."""
MOST_STACK_MOVES = 2
LOOPS = (1, 1, 2, 3, 5)
REACH = 8
"""A forward branch goes over so many instructions at most."""
WILD = 0.06
"""How many programs have an access through any register, which mostly faults."""

SPECS = {spec.name: spec for spec in GUEST.isa}
LEFT_OUT = ("ecall", "ebreak", "c.ebreak", "jal", "jalr", "c.jr", "c.jalr")
BRANCHES = [spec for spec in GUEST.isa if "offset" in spec.operands and spec.name != "jal"]
OTHERS = [
    spec
    for spec in GUEST.isa
    if spec.extension not in ("Zicsr", "machine mode") and spec.name not in LEFT_OUT and "offset" not in spec.operands
]
WEIGHTS = {"I": 45, "C": 30, "M": 15, "A": 9, "Zifencei": 1}
BITS_WEIGHTS = {"Zba": 10, "Zbb": 30, "Zbs": 10}
WITH_BITS = 0.5
"""How many programs have instructions of these, too."""
BY_EXTENSION = {name: [spec for spec in OTHERS if spec.extension == name] for name in (*WEIGHTS, *BITS_WEIGHTS)}
assert sum(map(len, BY_EXTENSION.values())) == len(OTHERS)
STORES = [spec for spec in OTHERS if spec.name in ("sb", "sh", "sw", "lb", "lhu", "lw")]


@dataclass(frozen=True, slots=True)
class Program:
    """A program at `CODE`; registers x1.. and the data it starts with. At `end` there is no instruction: it traps."""

    seed: int
    code: bytes
    end: int
    registers: tuple[int, ...]
    data: bytes
    has_bits: bool = False
    """Whether it has instructions of B."""

    def listing(self) -> str:
        """The program in text."""
        lines, place = [], 0
        while place < len(self.code):
            insn = GUEST.isa.decode(int.from_bytes(self.code[place : place + 4], "little"))
            assert insn is not None
            lines.append(f"{CODE + place:#x}  {insn.text(CODE + place)}")
            place += insn.length
        return "\n".join(lines)


@dataclass(slots=True)
class _Item:
    """Some instructions that stand together. words: made when addresses are known, from (own address, target's)."""

    size: int
    words: Callable[[int, int], list[tuple[int, int]]]
    over: int = 0


def _fixed(spec: InsnSpec, numbers: dict[str, int]) -> _Item:
    return _Item(spec.length, lambda here, target: [(encode(spec, numbers), spec.length)])


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        free = [number for number in range(REGISTER_COUNT) if number not in KEPT]
        self.pool = set(rng.sample(free, min(rng.choice(POOL_SIZES), len(free))))
        self.wild = rng.random() < WILD
        self.has_bits = rng.random() < WITH_BITS
        self.weights = WEIGHTS | BITS_WEIGHTS if self.has_bits else WEIGHTS
        self.stack_moves = 0

    def items(self, count: int) -> list[_Item]:
        """The body of the loop."""
        # An sc.w ends any reservation that something before the program made.
        first = _fixed(SPECS["sc.w"], {"rd": 0, "rs1": S2, "rs2": 0})
        items = [first, *(self._item() for _ in range(count))]
        if self.wild:
            items.insert(self.rng.randrange(1, len(items)), self._wild())
        return items

    def _item(self) -> _Item:
        draw = self.rng.random()
        if draw < 0.12:
            return self._branch()
        if draw < 0.16:
            return self._computed_jump()
        return self._plain()

    def _register(self) -> int:
        return self.rng.choice(sorted(self.pool))

    def _branch(self) -> _Item:
        spec = self.rng.choice([*BRANCHES, SPECS["jal"]])
        numbers = self._numbers(spec)
        over = self.rng.randint(1, REACH)
        return _Item(
            spec.length,
            lambda here, target: [(encode(spec, {**numbers, "offset": target - here}), spec.length)],
            over,
        )

    def _computed_jump(self) -> _Item:
        """auipc, and a jump to a place behind it; the lowest bit of the sum does not count."""
        base, link, odd = self._register() or 1, self._register(), self.rng.getrandbits(1)
        start = (encode(SPECS["auipc"], {"rd": base, "upper": 0}), 4)
        compressed = SPECS[self.rng.choice(("c.jr", "c.jalr"))]

        def long(here: int, target: int) -> list[tuple[int, int]]:
            jump = {"rd": link, "rs1": base, "imm": target - here | odd}
            return [start, (encode(SPECS["jalr"], jump), 4)]

        def short(here: int, target: int) -> list[tuple[int, int]]:
            add = {"rd": base, "rs1": base, "imm": target - here | odd}
            return [start, (encode(SPECS["addi"], add), 4), (encode(compressed, {"rs1": base}), 2)]

        over = self.rng.randint(1, REACH)
        return _Item(10, short, over) if self.rng.random() < 0.5 else _Item(8, long, over)

    def _plain(self) -> _Item:
        (extension,) = self.rng.choices(list(self.weights), list(self.weights.values()))
        spec = self.rng.choice(BY_EXTENSION[extension])
        if spec.name == "c.addi16sp":
            self.stack_moves += 1
            if self.stack_moves > MOST_STACK_MOVES:
                return self._plain()
        return _fixed(spec, self._numbers(spec))

    def _wild(self) -> _Item:
        spec = self.rng.choice(STORES)
        return _fixed(spec, {**self._numbers(spec), "rs1": self._register()})

    def _numbers(self, spec: InsnSpec) -> dict[str, int]:
        """Operands that leave the kept registers alone, mostly from the pool, with bases that point at data."""
        while True:
            numbers = dict(zip(spec.operands, spec.decode(random_word(self.rng, spec)), strict=True))
            if spec.name != "c.addi16sp":
                self._choose_registers(spec, numbers)
            if spec.allows(spec.decode(encode(spec, numbers))) and self._writes(spec, numbers) not in KEPT - {0}:
                return numbers

    def _choose_registers(self, spec: InsnSpec, numbers: dict[str, int]) -> None:
        for name in ("rd", "rs1", "rs2"):
            if name in numbers and spec.operands[name].bits == 5 and self.rng.random() < 0.9:
                numbers[name] = self._register()
        bases = _bases(spec)
        if bases:
            compressed = spec.operands["rs1"].bits == 3
            numbers["rs1"] = self.rng.choice(bases) - (COMPRESSED_BASE if compressed else 0)

    def _writes(self, spec: InsnSpec, numbers: dict[str, int]) -> int:
        """The register that the instruction writes; 0: none that is kept."""
        if "rd" not in numbers or spec.name == "c.addi16sp":
            return 0
        return numbers["rd"] + (COMPRESSED_BASE if spec.operands["rd"].bits == 3 else 0)


def _bases(spec: InsnSpec) -> tuple[int, ...]:
    """Registers that the instruction may have as its base; none if it accesses nothing, or names no base."""
    if spec.name.startswith(("lr.w", "sc.w")):
        return RESERVED_BASES
    if spec.extension == "A":
        return ATOMIC_BASES
    return PLAIN_BASES if "({rs1})" in spec.syntax else ()


def _assemble(items: list[_Item]) -> bytes:
    places = [0]
    for item in items:
        places.append(places[-1] + item.size)
    code = bytearray()
    for number, item in enumerate(items):
        target = places[min(number + max(item.over, 1), len(items) - LOOP_END)]
        for word, size in item.words(places[number], target):
            code += word.to_bytes(size, "little")
    return bytes(code)


LOOP_END = 2
"""Items that nothing jumps over."""


def _loop_end() -> list[_Item]:
    """Count down, and go back to the start."""
    return [
        _fixed(SPECS["addi"], {"rd": COUNTER, "rs1": COUNTER, "imm": -1}),
        _Item(4, lambda here, target: [(encode(SPECS["bne"], {"rs1": COUNTER, "rs2": 0, "offset": -here}), 4)]),
    ]


def random_program(seed: int) -> Program:
    """The same seed gives the same program."""
    rng = random.Random(seed)
    maker = _Maker(rng)
    items = maker.items(rng.choice((4, 12, 30, 70)))
    code = _assemble([*items, *_loop_end()])
    registers = [random_value(rng) for _ in range(REGISTER_COUNT)]
    registers[SP] = DATA + 0x2800 + 4 * rng.randrange(64)
    registers[S0] = DATA + 0x1000 + rng.randrange(0x800)
    registers[S1] = DATA + 0x2000 + rng.choice((0, 2, rng.randrange(0x600)))
    registers[S2], registers[S3] = DATA + DATA_SIZE - 16, DATA + DATA_SIZE - 12
    registers[S4], registers[S5] = DATA + 0x40, DATA + 0x40 + 4 * rng.randrange(2)
    registers[COUNTER] = rng.choice(LOOPS)
    return Program(seed, code, CODE + len(code), tuple(registers[1:]), rng.randbytes(DATA_SIZE), maker.has_bits)
