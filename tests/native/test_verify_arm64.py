"""The verifier of arm64 code: it accepts what the emitter makes, and nothing that gets out of where it may be."""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Iterator
from functools import cache

import pytest
from unicorn import arm64_const

from dynarec.host import layout, make_host
from dynarec.host.arm64.encode import ZR, Assembler, Cond, Extend, Shift
from dynarec.host.base import Host, HostCode
from guest_isa.rv32 import GUEST
from tests.golden.listing import shaped_insns, translate
from tests.native.verifying import (
    ROOT,
    WINDOW,
    Arena,
    links_of,
    program_units,
    random_units,
    rom_units,
    verify,
)

HOST = "arm64"
WORD = 4
ROMS = sorted((ROOT / "roms").glob("*.elf"))
BENCHES = sorted((ROOT / "roms" / "bench").glob("*.elf"))
SEED = 20_240
LARGE = "CI" in os.environ
ALL_BITS, SOME_BITS, SPLICES = (120, 40, 25) if LARGE else (40, 10, 8)
"""Units of which every bit is flipped; bits of each other unit; words of other units put into each."""
WALKS, STEPS = (1_500, 60) if LARGE else (400, 60)
"""Units that drift away, by so many changes, each kept if it is accepted."""
MOST_DRIFTING = 200
"""Bytes of a unit that drifts."""
MOST_RUNS = 12_000 if LARGE else 3_000
SAMPLED_WORDS = 300_000 if LARGE else 60_000


def make(counting: bool = False) -> Host:
    host = make_host(HOST, GUEST)
    host.counting = counting
    return host


@cache
def real_units() -> list[HostCode]:
    """A few thousand units, each once."""
    made = itertools.chain(
        rom_units(make(), ROMS, 400),
        rom_units(make(), BENCHES, 80),
        random_units(make(), SEED, 1_500),
        program_units(make(), SEED, 200),
        rom_units(make(counting=True), ROMS, 100),
        random_units(make(counting=True), SEED, 500),
    )
    return list({each.code: each for each in made}.values())


def accepted(code: bytes, links: list[int]) -> bool:
    return verify(HOST, code, links) is None


def listing(code: bytes) -> str:
    return "\n".join(f"{offset:5x}  {text}" for offset, _, text in make().disassemble(code))


def one(name: str, *operands: int) -> bytes:
    """One instruction, by the name of the assembler's method."""
    asm = Assembler()
    getattr(asm, name)(*operands)
    return asm.finish()


PAGE = 1 << 12
BEHIND_COUNTERS = layout.COUNTERS + layout.COUNTER_COUNT * layout.COUNTER_SIZE
NOT_COUNTER = "a count outside of the counters"
DISAGREES = "a count whose instructions do not agree on its registers"
NOT_OWN = "a count in registers that are not the code's own"


IN_ORDER = (16, 16, 17, 17, 17, 17, 16)


def count(offset: int, step: int = 1, stores: int = 0, registers: tuple[int, ...] = IN_ORDER) -> bytes:
    """A count at an offset in the CPU state; stores: so many bytes from where it was loaded."""
    page, place = offset & -PAGE, offset % PAGE
    base, loaded_from, loaded, added, one_more, stored, stored_to = registers
    load, store = one("ldr64", loaded, loaded_from, place), one("str64", stored, stored_to, place + stores)
    return one("add_ri64", base, X28, page) + load + one("add_ri64", added, one_more, step) + store


def raw(word: int) -> bytes:
    return word.to_bytes(WORD, "little")


EXIT = one("ldr64", 16, 28, layout.EXIT) + one("blr", 16)


# -- what the emitter makes -------------------------------------------------------------------------------------------


def test_real_units_are_accepted() -> None:
    units = real_units()
    assert len(units) > 3_000
    for unit in units:
        refusal = verify(HOST, unit.code, links_of(unit))
        assert refusal is None, f"seed {SEED}: {refusal}\n{listing(unit.code)}"


def test_every_guest_instruction_is_accepted() -> None:
    host = make()
    for spec in GUEST.isa:
        for insn in shaped_insns(spec):
            unit = translate(host, insn).code
            refusal = verify(HOST, unit.code, links_of(unit))
            assert refusal is None, f"{spec.name}: {refusal}\n{listing(unit.code)}"


# -- mutants ----------------------------------------------------------------------------------------------------------


def flipped(code: bytes, bit: int) -> bytes:
    return code[: bit // 8] + bytes((code[bit // 8] ^ 1 << bit % 8,)) + code[bit // 8 + 1 :]


def mutants(rng: random.Random) -> Iterator[tuple[bytes, list[int]]]:
    """All bits of some units flipped, one by one; some bits of all; words of other units in the place of their own."""
    units = list(real_units())
    rng.shuffle(units)
    words = [unit.code[at : at + WORD] for unit in units for at in range(0, len(unit.code), WORD)]
    for number, unit in enumerate(units):
        code, links = unit.code, links_of(unit)
        bits = range(8 * len(code))
        for bit in bits if number < ALL_BITS else sorted(rng.sample(bits, min(SOME_BITS, len(bits)))):
            yield flipped(code, bit), links
        for _ in range(SPLICES):
            at = rng.randrange(0, len(code), WORD)
            yield code[:at] + rng.choice(words) + code[at + WORD :], links


def drifted(rng: random.Random) -> Iterator[bytes]:
    """Accepted code that has little to do any more with the unit that it was."""
    units = [unit for unit in real_units() if len(unit.code) < MOST_DRIFTING]
    words = [unit.code[at : at + WORD] for unit in units for at in range(0, len(unit.code), WORD)]
    for unit in rng.sample(units, WALKS):
        code, links = unit.code, links_of(unit)
        for _ in range(STEPS):
            at = rng.randrange(0, len(code), WORD)
            spliced = code[:at] + rng.choice(words) + code[at + WORD :]
            changed = rng.choice((spliced, flipped(code, rng.randrange(8 * len(code)))))
            code = changed if accepted(changed, links) else code
        yield code


def make_arena() -> Arena:
    kept = (arm64_const.UC_ARM64_REG_X18, arm64_const.UC_ARM64_REG_X29)
    return Arena(make(), kept)


def test_mutants_that_are_accepted_stay_inside() -> None:
    """Also with a pointer that an earlier unit has left."""
    rng, arena = random.Random(SEED), make_arena()
    passed = [code for code, links in mutants(rng) if accepted(code, links)]
    pointer = arm64_const.UC_ARM64_REG_X25
    for code in (*rng.sample(passed, MOST_RUNS), *drifted(rng)):
        arena.engine.reg_write(pointer, WINDOW + rng.choice((0, 0xFFFF_FFFF, rng.getrandbits(32))))
        escape = arena.run(code, rng)
        assert not escape, f"seed {SEED}: {escape}\n{listing(code)}"
        assert 0 <= arena.engine.reg_read(pointer) - WINDOW < 1 << 32, f"seed {SEED}: the pointer\n{listing(code)}"


def test_the_arena_notices_escapes() -> None:
    arena, rng = make_arena(), random.Random(SEED)
    store = one("str_x", 0, 27, 1)
    assert arena.run(go("b", 0), rng) == "did not end by itself"
    assert arena.run(one("mov64_rr", 28, 27) + one("mov_ri", 27, 0) + EXIT, rng)
    assert arena.run(one("mov_ri", 27, 0) + EXIT, rng) == "changed a register of the core"
    assert arena.run(one("mov_ri", 27, 0) + store + EXIT, rng).startswith("accessed")
    assert arena.run(one("str64", 0, 28, layout.EXIT) + EXIT, rng).startswith("accessed")
    assert arena.run(one("ret", 0), rng).startswith(("failed", "ran at", "did not end"))
    assert arena.run(one("nop"), rng)
    assert arena.run(store + EXIT, rng) == ""


ALLOWED = {
    "add", "addv", "and", "asr", "b", "bic", "cbnz", "cbz", "cinc", "cinv", "clz", "cmn", "cmp", "cnt", "csel", "cset",
    "csetm", "csinc", "csinv", "eon", "eor", "fmov", "ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldur", "ldurb", "ldurh",
    "ldursb", "ldursh", "lsl", "lsr", "madd", "mneg", "mov", "movk", "movn", "movz", "msub", "mul", "mvn", "neg", "orn",
    "orr", "rbit", "rev", "ror", "sdiv", "smull", "str", "strb", "strh", "stur", "sturb", "sturh", "sub", "sxtb",
    "sxth", "sxtw", "tbnz", "tbz", "ubfx", "udiv", "umull", "uxtb", "uxth",
}  # fmt: skip
PLACE = r"\[x27, w([0-9]|1[0-79]|2[0-4]|30|zr), uxtw\]|\[x25(, #-?(0x)?[0-9a-f]+)?\]|\[x28(, #(0x)?[0-9a-f]+)?\]"
POINTING = re.compile(r"add\s+x25, x27, w[0-9z][0-9r]?, uxtw")
CORE = re.compile(r"\b([wx](18|2[5-9])|w?sp)\b")


def test_accepted_words_read_well_to_another_disassembler() -> None:
    """Each alone in front of an exit call: an instruction of the list, memory as it should be, no other register."""
    rng = random.Random(SEED)
    pool = sorted({unit.code[at : at + WORD] for unit in real_units() for at in range(0, len(unit.code), WORD)})
    seen: set[bytes] = set()
    for _ in range(SAMPLED_WORDS):
        number = int.from_bytes(rng.choice(pool), "little")
        for _ in range(rng.randint(1, 4)):
            number ^= 1 << rng.randrange(32)
        word = number.to_bytes(WORD, "little")
        if word not in seen and accepted(word + EXIT, []):
            seen.add(word)
    assert len(seen) > 10_000
    for word in seen:
        ((_, _, text),) = make().disassemble(word)
        assert text.split()[0].split(".")[0] in ALLOWED, text
        if text.split()[0].startswith(("ld", "st")):
            assert re.search(PLACE, text) or text.split(None, 1)[1].endswith(f"[x28, #{layout.PC}]"), text
            text = text[: text.index("[")]
        assert POINTING.fullmatch(text) or not CORE.search(text), text


# -- escapes ----------------------------------------------------------------------------------------------------------

NOT_WINDOW = "an access to memory that is not the guest's window"
NOT_FORM = "an access to memory in a form that is not allowed"
NO_GUEST = "an access that no guest makes"
STORE = "a store to the CPU state outside of the guest's registers"
LOAD = "a load from the CPU state outside of the guest's registers"
WRITE = "a write to a register that is not the code's own"
USE = "a use of a register that is not the code's own"
BUDGET = "a change of the budget that is neither charge nor refund"
SYSTEM = "an exception or system instruction"
INDIRECT = "an indirect branch that is neither exit call nor lookup"
OTHER = "an instruction that generated code has no use for"
OFF_END = "code that runs off its end"
SLOT = "a lookup whose instructions do not agree on the slot"
COMPARE = "a lookup that does not compare the key with its target"
MIDDLE = "a branch into the middle of a sequence"
BACK = "a branch back that does not charge"
OUT = "a branch out of the unit"
PLAIN_JUMP = "a jump that is no link"
UNTOLD = "a jump or refund that is no link"
NOT_A_LINK = "a link that is not as links are before they are linked"
NO_EXIT = "a link that does not go to an exit call"
NOT_AT_START = "a charge that is not at the start"
ROUND_AMOUNT = "a round that takes nothing, or more than a whole one"
OTHER_START = "a round that does not begin behind the charge"
SPENT = "code that is out of budget and does not leave at once"
CHARGE_AMOUNT = "a charge of nothing or of too much"
REFUND_AMOUNT = "a refund of nothing, of too much, or of no less than was charged"
FORWARD = "a charge that does not branch forward when it is out of budget"
LONGER = "an offset in a longer form than it needs"
BITMASK = "an immediate that is no bitmask"
FIELD = "a bit field that is no shift, extension or extraction"

X16, X17, X18, X25, X26, X27, X28, X29, X30 = 16, 17, 18, 25, 26, 27, 28, 29, 30
SCALE_SHIFT = 3


def join(*parts: bytes) -> bytes:
    return b"".join(parts)


def go(name: str, words: int, *operands: int) -> bytes:
    """A branch over so many words, counted from itself."""
    asm = Assembler()
    label = asm.label()
    label.offset = words * WORD
    getattr(asm, name)(*operands, label)
    return asm.finish()


def charge(amount: int, spent: int) -> bytes:
    """Takes from the budget, and branches over `spent` words when it is out of it."""
    return one("subs_ri", X26, X26, amount) + go("bcond", spent - 1, Cond.MI)


def charged(*body: bytes, amount: int = 4) -> bytes:
    """A unit that charges; behind its body is the way out for one without budget."""
    inside = join(*body)
    return charge(amount, 2 + len(inside) // WORD) + inside + EXIT


def lookup(
    *, target: int = 3, slot: int = X16, key: int = X17,
    compared: int | None = None, amount: int = SCALE_SHIFT, extend: int = Extend.UXTH, jumps: int = layout.JUMPS,
    condition: int = Cond.NE, skip: int = 2, jump: int | None = None, base: int = X28,
) -> bytes:  # fmt: skip
    return join(
        one("add_ext64", slot, base, target, extend, amount),
        one("ldp64", key, slot, slot, jumps),
        one("cmp_rr", key, target if compared is None else compared),
        go("bcond", skip, condition),
        one("br", slot if jump is None else jump),
    )


def again(amount: int, words: int) -> bytes:
    """A round; over so many words, counted from its beginning."""
    return one("subs_ri", X26, X26, amount) + go("bcond", words - 1, Cond.PL)


def refund(amount: int) -> bytes:
    """A link that gives back."""
    return one("add_ri", X26, X26, amount) + go("b", 1)


GIVE, GIVE_ALL = (one("add_ri", X26, X26, amount) for amount in (1, 4))
LINK = go("b", 2) + go("b", 1)
"""One that does not."""
MISS = one("str", 3, X28, layout.PC) + EXIT
LINKED = LINK + EXIT
"""With its link at the start."""
ROUND = one("movz", 0, 0)
BODY = 2 * WORD
"""Where the body of a charged unit begins."""

PLAIN: dict[str, tuple[bytes, str]] = {
    "svc": (raw(0xD4000001), SYSTEM),
    "hvc": (raw(0xD4000002), SYSTEM),
    "brk": (one("brk", 0), SYSTEM),
    "hlt": (raw(0xD4400000), SYSTEM),
    "udf": (raw(0), OTHER),
    "mrs x0, tpidr_el0": (raw(0xD53BD040), SYSTEM),
    "msr tpidr_el0, x0": (raw(0xD51BD040), SYSTEM),
    "msr nzcv, x0": (raw(0xD51B4200), SYSTEM),
    "dc zva": (raw(0xD50B7420), SYSTEM),
    "ic ivau": (raw(0xD50B7520), SYSTEM),
    "isb": (one("isb"), SYSTEM),
    "dsb": (one("dsb_ish"), SYSTEM),
    "nop": (one("nop"), SYSTEM),
    "wfi": (raw(0xD503207F), SYSTEM),
    "ret": (one("ret"), INDIRECT),
    "br x0": (one("br", 0), INDIRECT),
    "count in front of the counters": (count(layout.COUNTERS - layout.COUNTER_SIZE), NOT_COUNTER),
    "count behind the counters": (count(BEHIND_COUNTERS), NOT_COUNTER),
    "count that goes elsewhere": (count(layout.COUNTERS, stores=8), "a count that does not store where it loads"),
    "count loaded from elsewhere": (count(layout.COUNTERS, registers=(16, 3, 17, 17, 17, 17, 16)), DISAGREES),
    "count stored to elsewhere": (count(layout.COUNTERS, registers=(16, 16, 17, 17, 17, 17, 3)), DISAGREES),
    "count of something else": (count(layout.COUNTERS, registers=(16, 16, 17, 17, 3, 17, 16)), DISAGREES),
    "count that goes nowhere": (count(layout.COUNTERS, registers=(16, 16, 17, 3, 17, 17, 16)), DISAGREES),
    "something else stored": (count(layout.COUNTERS, registers=(16, 16, 17, 17, 17, 3, 16)), DISAGREES),
    "count in its own base": (count(layout.COUNTERS, registers=(16,) * 7), DISAGREES),
    "count in the state register": (count(layout.COUNTERS, registers=(16, 16, *(X28,) * 4, 16)), NOT_OWN),
    "count with the window's register": (count(layout.COUNTERS, registers=(X27, X27, *(17,) * 4, X27)), NOT_OWN),
    "count with the stack": (count(layout.COUNTERS, registers=(ZR, ZR, *(17,) * 4, ZR)), NOT_OWN),
    "count of two": (count(layout.COUNTERS, step=2), OTHER),
    "blr x0": (one("blr", 0), INDIRECT),
    "eret": (raw(0xD69F03E0), INDIRECT),
    "bl": (raw(0x94000001), "a call"),
    "adr": (go("adr", 0, 0), OTHER),
    "adrp": (raw(0x90000000), OTHER),
    "ldr x0, literal": (raw(0x58000000), NOT_FORM),
    "cbz x0": (raw(0xB4000020), OTHER),
    "tbz x0, #32": (raw(0xB6000020), OTHER),
    "b.al": (raw(0x5400002E), OTHER),
    "bc.eq": (raw(0x54000030), OTHER),
    "state moved": (one("mov64_rr", X28, 0), OTHER),
    "window moved": (one("mov64_rr", X27, 0), OTHER),
    "state written": (one("mov_rr", X28, 0), WRITE),
    "window written": (one("movz", X27, 1), WRITE),
    "window multiplied": (one("umull", X27, 0, 1), WRITE),
    "pointer written": (one("add_rr", X25, 0, 1), WRITE),
    "pointer from another base": (one("add_ext64", X25, X28, 0), OTHER),
    "pointer signed": (one("add_ext64", X25, X27, 0, Extend.SXTW), OTHER),
    "pointer scaled": (one("add_ext64", X25, X27, 0, Extend.UXTW, 1), OTHER),
    "pointer loaded": (one("ldr", X25, X28, 0), WRITE),
    "base plus a number": (one("add_ext64", 0, X27, 0), OTHER),
    "budget set": (one("movz", X26, 1000), BUDGET),
    "budget from a register": (one("add_rr", X26, X26, 0), BUDGET),
    "budget taken without a look": (one("sub_ri", X26, X26, 1), BUDGET),
    "budget loaded": (one("ldr", X26, X28, 0), WRITE),
    "sp written": (one("add_ri64", ZR, ZR, 16), OTHER),
    "wsp written": (one("add_ri", ZR, 0, 16), WRITE),
    "wsp read": (one("add_ri", 0, ZR, 16), USE),
    "wsp by a bitmask": (one("and_ri", ZR, 0, 1), WRITE),
    "x29 written": (one("mov_rr", X29, 0), WRITE),
    "x18 written": (one("mov_rr", X18, 0), WRITE),
    "x18 read": (one("mov_rr", 0, X18), USE),
    "x18 stored": (one("str", X18, X28, 0), USE),
    "x18 as an address": (one("ldr_x", 0, X27, X18), USE),
    "x18 tested": (go("cbz", 1, X18), USE),
    "host address read": (one("lsr_ri64", 0, X27, 32), USE),
    "host address stored": (one("str_x", X28, X27, 0), USE),
    "exit stub replaced": (one("str64", 0, X28, layout.EXIT), STORE),
    "exit stub replaced by half": (one("stur", 0, X28, layout.EXIT), STORE),
    "window replaced": (one("str64", 0, X28, layout.WINDOW), STORE),
    "budget stored": (one("stur", 0, X28, layout.BUDGET), STORE),
    "homes stored": (one("stur", 0, X28, layout.HOMES), STORE),
    "table of entries stored": (one("str", 0, X28, layout.JUMPS + layout.JUMP_ENTRY), STORE),
    "behind the table": (one("str", 0, X28, 4095 * 4), STORE),
    "pointer stored to the state": (one("str64", 0, X28, 0), STORE),
    "half a word of state": (one("strh", 0, X28, 0), STORE),
    "exit stub read": (one("ldr64", X16, X28, layout.EXIT), LOAD),
    "budget read": (one("ldur", 0, X28, layout.BUDGET), LOAD),
    "table of entries read": (one("ldr", 0, X28, layout.JUMPS), LOAD),
    "state by a register": (one("str_x", 0, X28, 1), NOT_WINDOW),
    "any address": (one("str", 0, 1, 0), NOT_WINDOW),
    "stack": (one("str", 0, ZR, 16), NOT_WINDOW),
    "window without an address": (one("ldr", 0, X27, 16), NOT_WINDOW),
    "pointer and a register": (one("ldr_x", 0, X25, 1), NOT_WINDOW),
    "64 bits of the window": (raw(0xF8604B60), NO_GUEST),
    "prefetch": (raw(0xF8A04B60), NO_GUEST),
    "sign-extended to 64 bits": (raw(0xB8A04B60), NO_GUEST),
    "uxtw scaled": (raw(0xB8605B60), NOT_FORM),
    "sxtw": (raw(0xB860CB60), NOT_FORM),
    "64-bit index": (raw(0xB8606B60), NOT_FORM),
    "vector register": (raw(0x3C604B60), NOT_FORM),
    "pre-index": (raw(0xB8004F20), NOT_FORM),
    "post-index": (raw(0xB8004720), NOT_FORM),
    "unprivileged": (raw(0xB8004B20), NOT_FORM),
    "pair": (one("stp", 0, 1, X25, 0), NOT_FORM),
    "exclusive": (raw(0x885F7F20), NOT_FORM),
    "atomic": (raw(0xB8200320), NOT_FORM),
    "compare and swap": (raw(0x88A07F20), NOT_FORM),
    "ldur for ldr": (one("ldur", 0, X25, 4), LONGER),
    "bitmask of ones": (raw(0x12007C00), BITMASK),
    "bitmask with a wide rotation": (raw(0x1230F000), BITMASK),
    "signed bit field": (one("sbfx", 0, 1, 3, 4), FIELD),
    "bit field to the left": (one("ubfiz", 0, 1, 3, 4), FIELD),
    "bit field of 64 bits": (raw(0xD3431C20), OTHER),
    "bit field with a wide rotation": (raw(0x53200420), FIELD),
    "rotation of two": (raw(0x13810400), "an extraction that is no rotation"),
    "movz lsl #32": (raw(0x52C00000), OTHER),
    "64-bit add": (one("add_rr64", 0, 1, 2), OTHER),
    "shifted operand of a comparison": (one("cmp_rr", 1, 2, Shift.LSL, 1), OTHER),
    "rotated operand of a sum": (raw(0x0BC20420), OTHER),
    "operand shifted by 32": (raw(0x0B028020), OTHER),
    "flags by bics": (raw(0x6A220020), OTHER),
    "orn to the budget": (one("orn_rr", 26, 1, 2), BUDGET),
    "bic from the window": (one("bic_rr", 0, 1, 27, Shift.LSL, 3), USE),
    "clz to the pointer": (one("clz", 25, 1), WRITE),
    "rbit of the state": (one("rbit", 0, 28), USE),
    "rev of 64 bits": (raw(0xDAC00C20), OTHER),
    "cls": (raw(0x5AC01420), OTHER),
    "fmov to another vector": (one("fmov_sw", 8, 1), OTHER),
    "fmov of the state": (one("fmov_sw", 0, 28), USE),
    "fmov to the window": (one("fmov_ws", 27, 0), WRITE),
    "fmov from another vector": (one("fmov_ws", 1, 8), OTHER),
    "fmov of 64 bits": (raw(0x9E660000), OTHER),
    "cnt of another vector": (one("cnt", 8, 0), OTHER),
    "addv of another vector": (one("addv", 0, 8), OTHER),
    "crc": (raw(0x1AC24020), OTHER),
    "floating point": (raw(0x1E202820), OTHER),
    "pacia": (one("pacia", 0, 1), OTHER),
}
"""One instruction that an exit call follows."""

UNITS: dict[str, tuple[bytes, list[int], str]] = {
    "nothing": (b"", [], "code that is no whole number of instructions"),
    "part of an instruction": (EXIT + b"\0", [], "code that is no whole number of instructions"),
    "too long": (one("movz", 0, 0) * (1 << 14) + EXIT, [], "a unit that is too long"),
    "off its end": (one("movz", 0, 0), [], OFF_END),
    "off its end, out of budget": (charge(4, 4) + EXIT + one("movz", 0, 0), [], OFF_END),
    "off its end, after a lookup": (charge(4, 2) + EXIT + lookup(), [], OFF_END),
    "half an exit call": (EXIT[:WORD], [], LOAD),
    "exit call through another register": (one("ldr64", X17, X28, layout.EXIT) + one("blr", X17), [], LOAD),
    "jump to the stub": (one("ldr64", X16, X28, layout.EXIT) + one("br", X16), [], LOAD),
    "loop without a charge": (one("movz", 0, 0) + go("b", -1) + EXIT, [], PLAIN_JUMP),
    "conditional loop without a charge": (one("movz", 0, 0) + go("cbz", -1, 0) + EXIT, [], BACK),
    "link without a charge": (one("movz", 0, 0) + LINKED, [WORD], "a link in a unit that has not charged its budget"),
    "lookup without a charge": (lookup() + MISS, [], "a lookup in a unit that has not charged its budget"),
    "refund without a charge": (refund(1) + EXIT, [0], "a link in a unit that has not charged its budget"),
    "two charges": (charged(charge(4, 4), EXIT), [], NOT_AT_START),
    "charge behind a branch": (go("cbz", 1, 0) + charged(EXIT), [], NOT_AT_START),
    "charge behind an exit": (EXIT + charged(EXIT), [], NOT_AT_START),
    "charge behind an instruction": (one("movz", 0, 0) + charged(EXIT), [], NOT_AT_START),
    "charge of nothing": (charged(EXIT, amount=0), [], CHARGE_AMOUNT),
    "charge of too much": (charged(EXIT, amount=8192), [], CHARGE_AMOUNT),
    "charge without a look": (one("subs_ri", X26, X26, 4) + EXIT, [], BUDGET),
    "charge with another condition": (one("subs_ri", X26, X26, 4) + go("bcond", 1, Cond.EQ) + EXIT, [], BUDGET),
    "charge that goes back": (charge(4, 0) + EXIT, [], FORWARD),
    "charge that leaves the unit": (charge(4, 64) + EXIT, [], FORWARD),
    "out of budget into an exit call": (charge(4, 3) + EXIT, [], MIDDLE),
    "out of budget to a round": (charge(4, 4) + EXIT + again(4, 0) + EXIT, [], SPENT),
    "out of budget to a link": (charge(4, 4) + EXIT + LINKED, [4 * WORD], SPENT),
    "out of budget to a branch": (charge(4, 4) + EXIT + go("cbz", -4, 0) + EXIT, [], SPENT),
    "out of budget to a lookup": (charge(4, 4) + EXIT + lookup() + MISS, [], SPENT),
    "out of budget to a refund": (charge(4, 4) + EXIT + refund(1) + EXIT, [4 * WORD], SPENT),
    "round without a charge": (
        one("movz", 0, 0) + again(1, -1) + EXIT, [], "a round in a unit that has not charged its budget"
    ),
    "round of nothing": (charged(ROUND, again(0, -1), EXIT), [], ROUND_AMOUNT),
    "round of more than the charge": (charged(ROUND, again(5, -1), EXIT), [], ROUND_AMOUNT),
    "round that does not look": (charged(ROUND, one("subs_ri", X26, X26, 4), go("b", -2), EXIT), [], BUDGET),
    "round from the charge on": (charged(ROUND, again(4, -3), EXIT), [], OTHER_START),
    "round from the charge's branch on": (charged(ROUND, again(4, -2), EXIT), [], OTHER_START),
    "round forward": (charged(ROUND, again(4, 2), EXIT), [], OTHER_START),
    "round into a sequence": (charged(lookup(), MISS, again(4, -7), EXIT), [], MIDDLE),
    "on, out of budget": (charged(ROUND, again(4, -1), go("cbz", 1, 0), EXIT), [], SPENT),
    "link out of budget": (charged(ROUND, again(4, -1), LINKED), [BODY + 3 * WORD], SPENT),
    "loop past the charge": (charged(one("movz", 0, 0), go("cbz", -1, 0), EXIT), [], BACK),
    "loop to the charge": (charged(go("cbz", -2, 0), EXIT), [], BACK),
    "loop on itself": (charged(go("cbz", 0, 0), EXIT), [], BACK),
    "loop into the charge": (charged(go("cbz", -1, 0), EXIT), [], MIDDLE),
    "jump past the charge": (charged(go("b", 0)), [], PLAIN_JUMP),
    "forward jump": (charged(go("b", 1), EXIT), [], PLAIN_JUMP),
    "out of the unit": (charged(go("cbz", 100, 0), EXIT), [], OUT),
    "before the unit": (charged(go("cbz", -100, 0), EXIT), [], OUT),
    "to the end of the unit": (charged(go("cbz", 5, 0), EXIT), [], OUT),
    "into an exit call": (charged(go("cbz", 2, 0), EXIT), [], MIDDLE),
    "into a lookup": (charged(go("cbz", 5, 0), lookup(), MISS), [], MIDDLE),
    "refund of the charge before a lookup": (charged(GIVE_ALL, lookup(), MISS), [], REFUND_AMOUNT),
    "refund before a lookup, and a round": (charged(GIVE, lookup(), again(4, -8), EXIT), [], SPENT),
    "refund before a lookup, and a link": (charged(GIVE, lookup(), refund(1), EXIT), [BODY + 6 * WORD], SPENT),
    "two refunds before a lookup": (charged(GIVE, GIVE, lookup(), MISS), [], BUDGET),
    "refund of the charge": (charged(refund(4), EXIT), [BODY], REFUND_AMOUNT),
    "refund of more than the charge": (charged(refund(100), EXIT), [BODY], REFUND_AMOUNT),
    "refund of too much": (charged(refund(128), EXIT, amount=1000), [BODY], REFUND_AMOUNT),
    "refund of nothing": (charged(refund(0), EXIT), [BODY], REFUND_AMOUNT),
    "refund alone": (charged(one("add_ri", X26, X26, 1), EXIT), [], BUDGET),
    "refund that is not told": (charged(refund(1), EXIT), [], UNTOLD),
    "link that is not told": (charged(LINKED), [], UNTOLD),
    "link at the end": (charge(4, 2) + EXIT + LINK, [4 * WORD], NO_EXIT),
    "link on no branch": (charged(EXIT), [BODY], NOT_A_LINK),
    "link on a condition": (charged(go("cbz", 1, 0), EXIT), [BODY], NOT_A_LINK),
    "link that is linked": (charged(again(4, 2), EXIT), [BODY], OTHER_START),
    "link inside a link": (charged(LINKED), [BODY, BODY + WORD], NOT_A_LINK),
    "link twice": (charged(LINKED), [BODY, BODY], "a link twice"),
    "link between instructions": (charged(LINKED), [BODY + 2], "a link that is no instruction of the unit"),
    "link outside": (charged(LINKED), [1 << 20], "a link that is no instruction of the unit"),
    "link to itself": (charged(go("b", 0), EXIT), [BODY], PLAIN_JUMP),
    "link to the charge": (charged(go("b", -2), EXIT), [BODY], PLAIN_JUMP),
    "link to no exit call": (charged(LINK, one("movz", 0, 0), EXIT), [BODY], NO_EXIT),
    "into a link": (charged(go("cbz", 2, 0), LINKED), [BODY + WORD], MIDDLE),
    "indirect jump without a lookup": (charged(one("br", X16)), [], INDIRECT),
    "index of too many bits": (charged(lookup(extend=Extend.UXTW), MISS), [], OTHER),
    "index for larger slots": (charged(lookup(amount=4), MISS), [], OTHER),
    "index for smaller slots": (charged(lookup(amount=2), MISS), [], OTHER),
    "index that is signed": (charged(lookup(extend=Extend.SXTH), MISS), [], OTHER),
    "table elsewhere": (charged(lookup(jumps=layout.JUMPS + 8), MISS), [], OTHER),
    "table at another base": (charged(lookup(base=X27), MISS), [], OTHER),
    "comparison with another target": (charged(lookup(compared=4), MISS), [], COMPARE),
    "comparison of the target with itself": (charged(lookup(key=3), MISS), [], COMPARE),
    "target overwritten": (charged(lookup(slot=3), MISS), [], COMPARE),
    "jump elsewhere": (charged(lookup(jump=4), MISS), [], SLOT),
    "jump on any other key": (charged(lookup(condition=Cond.EQ), MISS), [], OTHER),
    "skip that goes on": (charged(lookup(skip=1), MISS), [], OTHER),
    "skip that goes far": (charged(lookup(skip=3), MISS), [], OTHER),
    "lookup in the state register": (
        charged(lookup(key=X28), MISS), [], "a lookup in registers that are not the code's own"
    ),
    "lookup of x18": (charged(lookup(target=X18), MISS), [], "a lookup in registers that are not the code's own"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_instructions_that_are_refused(name: str) -> None:
    code, reason = PLAIN[name]
    assert verify(HOST, one("movz", 0, 1) + code + EXIT, []) == (WORD, reason)
    assert verify(HOST, charged(code, EXIT), []) == (BODY, reason)


@pytest.mark.parametrize("name", UNITS)
def test_units_that_are_refused(name: str) -> None:
    code, links, reason = UNITS[name]
    refusal = verify(HOST, code, links)
    assert refusal is not None, listing(code)
    assert refusal[1] == reason, f"{refusal}\n{listing(code[:256])}"


def test_the_blame_falls_on_the_instruction() -> None:
    assert verify(HOST, charged(go("cbz", 2, 0), EXIT), []) == (BODY, MIDDLE)
    assert verify(HOST, charge(4, 3) + EXIT, []) == (0, MIDDLE)
    assert verify(HOST, charged(LINKED), [BODY, BODY]) == (BODY, "a link twice")
    assert verify(HOST, one("movz", 0, 0) * 3, []) == (2 * WORD, OFF_END)
    assert verify(HOST, one("movz", 0, 0) + EXIT + b"\0\0", []) == (0, "code that is no whole number of instructions")


def test_what_the_escapes_are_made_of_is_accepted() -> None:
    """So each of them is refused for what is wrong with it alone."""
    for code, links in (
        (EXIT, []),
        (charged(EXIT), []),
        (charged(EXIT, amount=4096), []),
        (charged(LINKED), [BODY]),
        (charged(lookup(), MISS), []),
        (charged(lookup(target=ZR), MISS), []),
        (charged(refund(3), EXIT), [BODY]),
        (charged(ROUND, again(4, -1), EXIT), []),
        (charged(ROUND, again(1, -1), one("movz", 0, 0), EXIT), []),
        (charged(go("cbz", 3, 0), EXIT), []),
        (go("cbz", 2, 0) + one("movz", 0, 0) + EXIT, []),
    ):
        assert verify(HOST, code, links) is None, listing(code)
