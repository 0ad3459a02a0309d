"""A, atomics (volume I, chapter 13). One hart runs on one host thread, so each is its plain sequence of accesses.

A misaligned address traps (13.1: no misaligned atomicity granule here). The acquire and release bits need nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from dynarec.ir import ops
from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.rv32.operands import LOAD_MISALIGNED, NO_RESERVATION, RESERVED, STORE_MISALIGNED, isa

isa.extension("A")
_ORDERINGS = (("", "00"), (".rl", "01"), (".aq", "10"), (".aqrl", "11"))
_WORD_MASK = 3


def _aligned(b: Semantics, address: Value, cause: int) -> None:
    b.trap_if(b.ne(b.and_(address, _WORD_MASK), 0), cause, address)


def _lr(suffix: str, ordering: str) -> None:
    @isa.insn(f"lr.w{suffix}", f"00010 {ordering} 00000 rs1 010 rd 0101111", "{rd}, ({rs1})")
    def lr(b: Semantics, rd: Register, rs1: Register) -> None:
        address = b.get(rs1)
        _aligned(b, address, LOAD_MISALIGNED)
        value = b.load32(address)
        b.set(RESERVED, address)
        b.set(rd, value)


def _sc(suffix: str, ordering: str) -> None:
    @isa.insn(f"sc.w{suffix}", f"00011 {ordering} rs2 rs1 010 rd 0101111", "{rd}, {rs2}, ({rs1})")
    def sc(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
        address = b.get(rs1)
        _aligned(b, address, STORE_MISALIGNED)
        succeeds = b.eq(b.get(RESERVED), address)
        b.store32_if(succeeds, address, b.get(rs2))
        failed = b.select(succeeds, 0, 1)
        b.set(RESERVED, NO_RESERVATION)
        b.set(rd, failed)


Combine = Callable[[Semantics, Value, Value], Value]


def _amo(name: str, funct5: str, combine: Combine) -> None:
    for suffix, ordering in _ORDERINGS:

        @isa.insn(f"{name}.w{suffix}", f"{funct5} {ordering} rs2 rs1 010 rd 0101111", "{rd}, {rs2}, ({rs1})")
        def amo(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
            address = b.get(rs1)
            _aligned(b, address, STORE_MISALIGNED)
            old = b.op(ops.LOAD32, address, 0, attr=ops.AS_WRITE)
            b.store32(address, combine(b, old, b.get(rs2)))
            b.set(rd, old)


for _suffix, _ordering in _ORDERINGS:
    _lr(_suffix, _ordering)
    _sc(_suffix, _ordering)
_amo("amoswap", "00001", lambda b, old, value: value)
_amo("amoadd", "00000", lambda b, old, value: b.add(old, value))
_amo("amoxor", "00100", lambda b, old, value: b.xor(old, value))
_amo("amoand", "01100", lambda b, old, value: b.and_(old, value))
_amo("amoor", "01000", lambda b, old, value: b.or_(old, value))
_amo("amomin", "10000", lambda b, old, value: b.select(b.lts(old, value), old, value))
_amo("amomax", "10100", lambda b, old, value: b.select(b.lts(old, value), value, old))
_amo("amominu", "11000", lambda b, old, value: b.select(b.ltu(old, value), old, value))
_amo("amomaxu", "11100", lambda b, old, value: b.select(b.ltu(old, value), value, old))
