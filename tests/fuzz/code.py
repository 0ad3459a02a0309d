"""Guest code: any words decode, print and translate for both hosts, and the verifiers accept what comes out."""

from __future__ import annotations

import random
from collections.abc import Iterator

from dynarec import core
from dynarec.host import make_host
from dynarec.host.base import Hardening, Host, HostCode
from dynarec.ir.verify import verify
from dynarec.loading import HARDENING_BITS
from dynarec.opt import PASS_NAMES
from dynarec.translate import Translator
from guest_isa.rv32 import GUEST
from tests.fuzz.oracle import check_line
from tests.guest_isa.words import encode

CODE = 0x1_0000
OPTIONS = 2
"""Bytes before the code: the flags below, and a bit for each pass that is left out."""
BMI2, BTI, PAC, AT_THE_TOP = 1, 2, 4, 8
LIMITS = (64, 1, 7, 32)
"""Guest instructions of the longest trace, by two more bits of the flags."""
LIMIT_SHIFT = 6
MAX_BLOCKS = 3
"""Blocks translated for a host: the first, and some that it leads to."""
MAX_SIZE = OPTIONS + 160
ADDRESS_SPACE = 1 << 32
PARCEL = GUEST.isa.parcel


def check(data: bytes) -> None:
    """Options, then code."""
    flags, without = data[:OPTIONS].ljust(OPTIONS, b"\0")
    code = data[OPTIONS:]
    base = ADDRESS_SPACE - (len(code) & -PARCEL) if flags & AT_THE_TOP and len(code) >= PARCEL else CODE
    code = code[: ADDRESS_SPACE - base]
    _check_listing(code, base)
    left_out = [name for bit, name in enumerate(PASS_NAMES) if without >> bit & 1]
    for host, harden in _hosts(flags):
        _check_host(host, harden, code, base, left_out, LIMITS[flags >> LIMIT_SHIFT])


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Put an instruction of the table somewhere, in place of another or before it."""
    rng = random.Random(seed)
    spec = rng.choice(GUEST.isa.specs)
    numbers = {name: _number(rng, kind.bits) for name, kind in spec.operands.items()}
    word = encode(spec, numbers).to_bytes(spec.length, "little")
    at = min(len(data), OPTIONS + rng.randrange(0, max(len(data), 1), PARCEL))
    behind = at + rng.choice((0, spec.length))
    return (data[:at] + word + data[behind:])[:max_size]


def _number(rng: random.Random, bits: int) -> int:
    """Of few registers, so that one instruction uses what another has made; of small and of all constants."""
    return rng.choice((rng.randrange(8, 12), rng.randrange(4), rng.getrandbits(bits))) & (1 << bits) - 1


def _hosts(flags: int) -> Iterator[tuple[Host, int]]:
    harden = frozenset(each for bit, each in ((BTI, Hardening.BTI), (PAC, Hardening.PAC)) if flags & bit)
    yield make_host("x86_64", GUEST, bmi2=bool(flags & BMI2)), 0
    yield make_host("arm64", GUEST, harden=harden), sum(HARDENING_BITS[each.value] for each in harden)


def _check_listing(code: bytes, base: int) -> None:
    """Each word is no instruction, or one that prints as a line, with its length and its bits."""
    for at in range(0, len(code), PARCEL):
        word = int.from_bytes(code[at : at + 8], "little")
        insn = GUEST.isa.decode(word)
        if insn is None:
            continue
        assert insn.word == word & (1 << 8 * insn.length) - 1
        assert insn.word & insn.spec.mask == insn.spec.match
        check_line(insn.text(base + at))
        check_line(insn.text(base + at, aliases=False))


def _check_host(host: Host, harden: int, code: bytes, base: int, without: list[str], limit: int) -> None:
    def fetch(address: int, size: int) -> bytes:
        return code[address - base :][:size] if address >= base else b""

    translator = Translator(GUEST, host, fetch, without=without, limit=limit)
    waiting, seen = [base], set[int]()
    while waiting and len(seen) < MAX_BLOCKS:
        key = waiting.pop(0)
        if key in seen:
            continue
        seen.add(key)
        verify(translator.form(key).unit, GUEST.layout)
        made = translator.translate(key)
        verify(made.unit, GUEST.layout)
        assert all(base <= start < start + size <= base + len(code) for start, size in made.ranges)
        _check_code(host, harden, made.code)
        waiting += [each.target for each in made.code.exits]


def _check_code(host: Host, harden: int, made: HostCode) -> None:
    """The verifier accepts it, and an independent disassembler reads it from end to end."""
    links = [each.link for each in made.exits if each.link]
    refusal = core.verify(host.name, made.code, links, harden)
    assert refusal is None, refusal
    assert b"".join(part for _, part, _ in host.disassemble(made.code)) == made.code
