"""The op table: everything else about the IR derives from it.

Values are 32 bits (`I32`, kept as unsigned Python integers) or one bit (`I1`). Edge cases are defined here, for every
host: shift counts are taken modulo 32; a division by zero gives all ones and the dividend as remainder; the signed
overflow -2**31 / -1 gives -2**31 and remainder 0; zero has 32 leading and 32 trailing zeros. A guest that differs emits
`select`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, Flag, auto

WORD_BITS = 32
MASK32 = 0xFFFF_FFFF
SIGN32 = 0x8000_0000
SHIFT_MASK = WORD_BITS - 1


class Type(Enum):
    """Type of a value, or of an op without one."""

    I32 = "i32"
    I1 = "i1"
    VOID = "void"


class Effect(Flag):
    """What an op does besides computing a value."""

    NONE = 0
    READS_STATE = auto()
    WRITES_STATE = auto()
    READS_MEMORY = auto()
    WRITES_MEMORY = auto()
    EXITS = auto()
    """May leave the unit here: guest state must be exact before it (a side exit, or an access that faults)."""


Evaluator = Callable[..., int]


@dataclass(frozen=True, slots=True, eq=False)
class OpKind:
    """One row of the table. `evaluate` is present for pure ops: unsigned integers in, unsigned integer out."""

    name: str
    params: tuple[Type, ...]
    result: Type
    doc: str
    effects: Effect = Effect.NONE
    evaluate: Evaluator | None = None
    commutative: bool = False
    bits: int = WORD_BITS
    """Width of the memory access."""
    pure: bool = True
    exits: bool = False
    compares: bool = False

    def __repr__(self) -> str:
        return self.name


OPS: dict[str, OpKind] = {}


def signed(value: int) -> int:
    """The 32-bit pattern `value` as a signed number."""
    return value - 0x1_0000_0000 if value & SIGN32 else value


def is_near(constant: int) -> bool:
    """Whether a value is near to its sum with the constant."""
    return abs(signed(constant)) <= NEAR


def _extend(value: int, bits: int) -> int:
    low = value & ((1 << bits) - 1)
    return (low - (1 << bits)) & MASK32 if low >> (bits - 1) else low


def _rotate(value: int, count: int) -> int:
    return (value >> count | value << (WORD_BITS - count)) & MASK32


def _leading_zeros(value: int) -> int:
    return WORD_BITS - value.bit_length()


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1 if value else WORD_BITS


def _reverse_bytes(value: int) -> int:
    return int.from_bytes(value.to_bytes(WORD_BITS // 8, "little"), "big")


def _quotient_signed(a: int, b: int) -> int:
    if b == 0:
        return MASK32
    magnitude = abs(signed(a)) // abs(signed(b))
    return (magnitude if (a ^ b) & SIGN32 == 0 else -magnitude) & MASK32


def _remainder_signed(a: int, b: int) -> int:
    if b == 0:
        return a
    magnitude = abs(signed(a)) % abs(signed(b))
    return (-magnitude if a & SIGN32 else magnitude) & MASK32


def _define(name: str, params: tuple[Type, ...], result: Type, doc: str, **rest: object) -> OpKind:
    effects = rest.get("effects", Effect.NONE)
    assert isinstance(effects, Effect)
    row = OpKind(
        name,
        params,
        result,
        doc,
        pure=effects is Effect.NONE,
        exits=bool(effects & Effect.EXITS),
        compares=result is Type.I1,
        **rest,  # type: ignore[arg-type]
    )
    if OPS.setdefault(name, row) is not row:
        raise ValueError(f"op {name} is declared twice")
    return row


_I, _B, _V = Type.I32, Type.I1, Type.VOID


def _binary(name: str, doc: str, evaluate: Evaluator, commutative: bool = False) -> OpKind:
    return _define(name, (_I, _I), _I, doc, evaluate=evaluate, commutative=commutative)


def _unary(name: str, doc: str, evaluate: Evaluator) -> OpKind:
    return _define(name, (_I,), _I, doc, evaluate=evaluate)


def _compare(name: str, doc: str, evaluate: Evaluator) -> OpKind:
    return _define(name, (_I, _I), _B, doc, evaluate=evaluate, commutative=name in ("eq", "ne"))


ADD = _binary("add", "a + b", lambda a, b: (a + b) & MASK32, commutative=True)
SUB = _binary("sub", "a - b", lambda a, b: (a - b) & MASK32)
MUL = _binary("mul", "low half of a * b", lambda a, b: (a * b) & MASK32, commutative=True)
MULHU = _binary("mulhu", "high half of a * b, unsigned", lambda a, b: a * b >> WORD_BITS, commutative=True)
MULHS = _binary(
    "mulhs", "high half of a * b, signed", lambda a, b: (signed(a) * signed(b) >> WORD_BITS) & MASK32, commutative=True
)
MULHSU = _binary("mulhsu", "high half of signed a * unsigned b", lambda a, b: (signed(a) * b >> WORD_BITS) & MASK32)
DIVU = _binary("divu", "a / b, unsigned; all ones for b = 0", lambda a, b: a // b if b else MASK32)
DIVS = _binary("divs", "a / b, signed, towards zero; all ones for b = 0", _quotient_signed)
REMU = _binary("remu", "a mod b, unsigned; a for b = 0", lambda a, b: a % b if b else a)
REMS = _binary("rems", "remainder with the sign of a; a for b = 0", _remainder_signed)
AND = _binary("and", "a & b", lambda a, b: a & b, commutative=True)
OR = _binary("or", "a | b", lambda a, b: a | b, commutative=True)
XOR = _binary("xor", "a ^ b", lambda a, b: a ^ b, commutative=True)
SHL = _binary("shl", "a << (b mod 32)", lambda a, b: (a << (b & SHIFT_MASK)) & MASK32)
SHR = _binary("shr", "a >> (b mod 32), zeros come in", lambda a, b: a >> (b & SHIFT_MASK))
SAR = _binary("sar", "a >> (b mod 32), the sign comes in", lambda a, b: (signed(a) >> (b & SHIFT_MASK)) & MASK32)
ROR = _binary("ror", "a rotated right by b mod 32", lambda a, b: _rotate(a, b & SHIFT_MASK))

SEXT8 = _unary("sext8", "sign-extend the low 8 bits", lambda a: _extend(a, 8))
SEXT16 = _unary("sext16", "sign-extend the low 16 bits", lambda a: _extend(a, 16))
ZEXT8 = _unary("zext8", "the low 8 bits", lambda a: a & 0xFF)
ZEXT16 = _unary("zext16", "the low 16 bits", lambda a: a & 0xFFFF)

CLZ = _unary("clz", "zeros above the highest one; 32 for a = 0", _leading_zeros)
CTZ = _unary("ctz", "zeros below the lowest one; 32 for a = 0", _trailing_zeros)
POPCNT = _unary("popcnt", "how many bits are one", int.bit_count)
BSWAP = _unary("bswap", "the bytes in reverse order", _reverse_bytes)

EQ = _compare("eq", "a = b", lambda a, b: int(a == b))
NE = _compare("ne", "a != b", lambda a, b: int(a != b))
LTU = _compare("ltu", "a < b, unsigned", lambda a, b: int(a < b))
GEU = _compare("geu", "a >= b, unsigned", lambda a, b: int(a >= b))
LTS = _compare("lts", "a < b, signed", lambda a, b: int(signed(a) < signed(b)))
GES = _compare("ges", "a >= b, signed", lambda a, b: int(signed(a) >= signed(b)))

SELECT = _define("select", (_B, _I, _I), _I, "b if a else c", evaluate=lambda a, b, c: b if a else c)
BIT = _define("bit", (_B,), _I, "1 if a else 0", evaluate=lambda a: a)

GET = _define("get", (), _I, "read a field of the guest state", effects=Effect.READS_STATE)
SET = _define("set", (_I,), _V, "write a field of the guest state", effects=Effect.WRITES_STATE)

_READ = Effect.READS_MEMORY | Effect.EXITS
_WRITE = Effect.WRITES_MEMORY | Effect.EXITS
LOAD8U = _define("load8u", (_I, _I), _I, "byte at a + constant b, zero-extended", effects=_READ, bits=8)
LOAD8S = _define("load8s", (_I, _I), _I, "byte at a + constant b, sign-extended", effects=_READ, bits=8)
LOAD16U = _define("load16u", (_I, _I), _I, "halfword at a + constant b, zero-extended", effects=_READ, bits=16)
LOAD16S = _define("load16s", (_I, _I), _I, "halfword at a + constant b, sign-extended", effects=_READ, bits=16)
LOAD32 = _define("load32", (_I, _I), _I, "word at a + constant b", effects=_READ)
STORE8 = _define("store8", (_I, _I, _I), _V, "low byte of c to a + constant b", effects=_WRITE, bits=8)
STORE16 = _define("store16", (_I, _I, _I), _V, "low half of c to a + constant b", effects=_WRITE, bits=16)
STORE32 = _define("store32", (_I, _I, _I), _V, "c to a + constant b", effects=_WRITE)
STORE32_IF = _define("store32_if", (_B, _I, _I, _I), _V, "if a: d to b + constant c", effects=_WRITE)

EXIT_IF = _define("exit_if", (_B,), _V, "leave the unit through a side exit if a", effects=Effect.EXITS)
CALL = _define(
    "call",
    (_I,),
    _I,
    "ask the machine: a named counter, shifted right by a; never reaches a host (the instruction is interpreted)",
    effects=Effect.READS_STATE,
)

LOADS = (LOAD8U, LOAD8S, LOAD16U, LOAD16S, LOAD32)
STORES = (STORE8, STORE16, STORE32)
OFFSET_OPERAND = {**dict.fromkeys((*LOADS, *STORES), 1), STORE32_IF: 2}
"""Which operand of a memory access is its offset."""
BIT_COUNTS = (CLZ, CTZ, POPCNT)
COMPARES = (EQ, NE, LTU, GEU, LTS, GES)
NEAR = 1 << 12
"""A value is made again from one that is no further away than this: an immediate operand on every host."""
AS_WRITE = "as_write"
"""`attr` of a load that belongs to a read-modify-write: if it fails, the guest is told that a write has failed."""
NEGATED = {EQ: NE, NE: EQ, LTU: GEU, GEU: LTU, LTS: GES, GES: LTS}
"""The compare that holds exactly when another does not."""

COUNTERS = ("instret", "cycle", "time", "lines")
"""What `call` can ask for: 64-bit counters of the machine, and its interrupt lines as bits."""
