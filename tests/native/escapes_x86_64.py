"""Code that must be refused on x86-64: by name, with its links, the offset of what is to blame, and the reason."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host import layout
from dynarec.host.x86_64.encode import Alu, Assembler, Mem, Reg

EXIT = bytes.fromhex("488d0503000000ff65f0")
LEFT = len(EXIT)
"""Where what comes behind an exit call starts."""
BUDGET = layout.BUDGET
CHARGED = 3
STATE = Reg.RBP

UNKNOWN = "an instruction that units have no use for"
RESERVED = "a use of a register that is not the code's own"
ELSEWHERE = "an access to memory that is neither the guest's window nor the CPU state"
HALF_WINDOW = "an access with one of the two prefixes of guest memory"
STORE = "a store to the CPU state outside of the guest's registers"
LOAD = "a load from the CPU state outside of the guest's registers"
INDIRECT = "an indirect call or jump that is neither exit call nor lookup"
MIDDLE = "a branch into the middle of an instruction or a sequence"
OUTSIDE = "a branch out of the unit"
BACK = "a branch back that does not charge"
PLAIN_JUMP = "a long jump that is no link"
NOT_A_LINK = "a link that is not as links are before they are linked"
INSIDE = "a link inside of an instruction"
LATE = "code that is out of budget and does not leave at once"
OFF_THE_END = "code that runs off its end"
CUT_OFF = "an instruction that is cut off"
RELATIVE = "an address relative to the instruction"
BAD_REFUND = "a refund of nothing, of too much, or of no less than was charged"
NO_LINK = "a refund that is neither a link's nor a lookup's"
BAD_CHARGE = "a charge of nothing or of too much"
UNCHECKED = "a charge that does not branch when it is out of budget"
BAD_LINK = "a link that does not go to an exit call"
NOT_AT_START = "a charge that is not at the start"
BAD_ROUND = "a round that takes nothing, or more than a whole one"
UNCHECKED_ROUND = "a round that begins whatever the budget has"
OTHER_START = "a round that does not begin behind the charge"
NO_GUEST = "an instruction that does not access guest memory"
UNCOUNTED = "a count outside of the counters"
BEHIND_COUNTERS = layout.COUNTERS + layout.COUNTER_COUNT * layout.COUNTER_SIZE


def asm(emit: Callable[[Assembler], object]) -> bytes:
    assembler = Assembler()
    emit(assembler)
    return assembler.finish()


CHARGE = asm(lambda a: a.alu_mi(Alu.SUB, Mem(STATE, BUDGET), CHARGED))
JS_SIZE = 6
BODY = len(CHARGE) + JS_SIZE
"""Where the body of a charged unit starts."""


def charged(body: bytes, amount: int = CHARGED) -> bytes:
    """A unit that charges, does this, and leaves."""
    distance = len(body) + len(EXIT)
    return take(amount) + b"\x0f\x88" + distance.to_bytes(4, "little") + body + EXIT + EXIT


def take(amount: int) -> bytes:
    return asm(lambda a: a.alu_mi(Alu.SUB, Mem(STATE, BUDGET), amount))


def refund(amount: int) -> bytes:
    return asm(lambda a: a.alu_mi(Alu.ADD, Mem(STATE, BUDGET), amount))


def link(amount: int = 0) -> bytes:
    """What stands in front of an exit call until it is linked."""
    return refund(amount) + b"\x40" + jump("e9", 0) if amount else jump("e9", 5) + bytes.fromhex("0f1f440000")


def again(amount: int, distance: int = -2) -> bytes:
    """A round; the distance is that of the short jump."""
    return take(amount) + jump("79", distance)


def jump(opcode: str, distance: int) -> bytes:
    size = 1 if opcode in ("eb", "74", "79") else 4
    return bytes.fromhex(opcode) + distance.to_bytes(size, "little", signed=True)


def lookup(compared: Reg = Reg.RSI, skip: int = 7, scale: int = 8, entry: int = layout.JUMP_ENTRY) -> bytes:
    """The lookup of esi by way of ecx."""

    def emit(a: Assembler) -> None:
        a.movzx16_rr(Reg.RCX, Reg.RSI)
        a.alu_rm(Alu.CMP, compared, Mem(STATE, layout.JUMPS, Reg.RCX, scale))
        a.code += bytes((0x75, skip))
        a.jmp_m(Mem(STATE, layout.JUMPS + entry, Reg.RCX, scale))

    return asm(emit)


def after_out_of_budget(body: bytes) -> bytes:
    """A unit that does this when it is out of budget."""
    return CHARGE + jump("0f88", len(EXIT)) + EXIT + body + EXIT


def count(offset: int) -> str:
    return asm(lambda a: a.inc64_m(Mem(STATE, offset))).hex()


HALVED = 3
"""Bytes of a lookup in front of its compare."""
TO_BODY = -(len(CHARGE) + 2)
"""Of a round right behind the head."""

# (name, code, links, offset to blame, reason); those of `PLAIN` are one instruction in front of an exit call.
Escape = tuple[str, bytes, list[int], int, str]
PLAIN: list[tuple[str, str, str]] = [
    ("syscall", "0f05", UNKNOWN),
    ("count in front of the counters", count(layout.COUNTERS - layout.COUNTER_SIZE), UNCOUNTED),
    ("count behind the counters", count(BEHIND_COUNTERS), UNCOUNTED),
    ("count across two counters", count(layout.COUNTERS + 4), UNCOUNTED),
    ("count of the exit stub", count(layout.EXIT), UNKNOWN),
    ("dec of a counter", count(layout.COUNTERS).replace("48ff85", "48ff8d"), UNKNOWN),
    ("counter set", asm(lambda a: a.mov64_mr(Mem(STATE, layout.COUNTERS), Reg.RAX)).hex(), UNKNOWN),
    ("counter read", asm(lambda a: a.mov_rm(Reg.RAX, Mem(STATE, layout.COUNTERS))).hex(), LOAD),
    ("sysenter", "0f34", UNKNOWN),
    ("int 0x80", "cd80", UNKNOWN),
    ("int3", "cc", UNKNOWN),
    ("ud2", "0f0b", UNKNOWN),
    ("hlt", "f4", UNKNOWN),
    ("in al, dx", "ec", UNKNOWN),
    ("out dx, al", "ee", UNKNOWN),
    ("cli", "fa", UNKNOWN),
    ("std", "fd", UNKNOWN),
    ("popfq", "9d", UNKNOWN),
    ("rdmsr", "0f32", UNKNOWN),
    ("wrmsr", "0f30", UNKNOWN),
    ("cpuid", "0fa2", UNKNOWN),
    ("rdtsc", "0f31", UNKNOWN),
    ("xgetbv", "0f01d0", UNKNOWN),
    ("wrpkru", "0f01ef", UNKNOWN),
    ("wrgsbase rax", "f3480faed8", UNKNOWN),
    ("swapgs", "0f01f8", UNKNOWN),
    ("mov gs, eax", "8ee8", UNKNOWN),
    ("mov cr0, rax", "0f22c0", UNKNOWN),
    ("clflush [rbp]", "0fae7d00", UNKNOWN),
    ("ret", "c3", UNKNOWN),
    ("ret far", "cb", UNKNOWN),
    ("iretq", "48cf", UNKNOWN),
    ("push rbx", "53", UNKNOWN),
    ("pop rbp", "5d", UNKNOWN),
    ("leave", "c9", UNKNOWN),
    ("enter", "c8000000", UNKNOWN),
    ("call rel32", "e800000000", UNKNOWN),
    ("call rax", "ffd0", INDIRECT),
    ("jmp rax", "ffe0", INDIRECT),
    ("push [rbp]", "ff7500", INDIRECT),
    ("inc eax", "ffc0", INDIRECT),
    ("call [rbp - 8]", "ff55f8", INDIRECT),
    ("call [rbp - 16]", "ff55f0", INDIRECT),
    ("jmp [rbp - 16]", "ff65f0", INDIRECT),
    ("jmp [rbp - 16] by REX", "40ff65f0", UNKNOWN),
    ("an exit call from elsewhere", "488d0504000000ff65f0", UNKNOWN),
    ("an exit call that tells in rcx", "488d0d03000000ff65f0", UNKNOWN),
    ("lea rax, [rip]", "488d0500000000", UNKNOWN),
    ("jmp [rbp + 264]", "ffa508010000", INDIRECT),
    ("loop", "e2fe", UNKNOWN),
    ("jrcxz", "e300", UNKNOWN),
    ("rep movsb", "f3a4", UNKNOWN),
    ("movsb", "a4", UNKNOWN),
    ("stosd", "ab", UNKNOWN),
    ("lodsd", "ad", UNKNOWN),
    ("mov eax, moffs", "a10000000000000000", UNKNOWN),
    ("xlat", "d7", UNKNOWN),
    ("fld", "d94500", UNKNOWN),
    ("movaps", "0f28c1", UNKNOWN),
    ("xchg eax, esp", "94", UNKNOWN),
    ("cmpxchg", "0fb10b", UNKNOWN),
    ("lock add [rbp], eax", "f0014500", UNKNOWN),
    ("rep in front of mov", "f389c8", UNKNOWN),
    ("fs", "64678b03", UNKNOWN),
    ("cs", "2e8b4500", UNKNOWN),
    ("EVEX", "62f17c4828c1", UNKNOWN),
    ("VEX of two bytes", "c5f828c1", UNKNOWN),
    ("andn of 64 bits", "c4e2e8f2c1", UNKNOWN),
    ("andn from memory", "c4e268f24500", UNKNOWN),
    ("andn of xmm", "c4e26cf2c1", UNKNOWN),
    ("blsr", "c4e278f3c9", UNKNOWN),
    ("pdep", "c4e26bf5c1", UNKNOWN),
    ("andn esp, edx, ecx", "c4e268f2e1", RESERVED),
    ("andn eax, ebp, ecx", "c4e250f2c1", RESERVED),
    ("andn eax, edx, ebp", "c4e268f2c5", RESERVED),
    ("popcnt without its prefix", "0fb8c1", UNKNOWN),
    ("popcnt from memory", "f30fb84500", ELSEWHERE),
    ("popcnt of guest memory", "f365670fb803", NO_GUEST),
    ("popcnt of 64 bits", "f3480fb8c1", UNKNOWN),
    ("popcnt of 16 bits", "f3660fb8c1", "an operand size that units have no use for"),
    ("lzcnt ebp, eax", "f30fbde8", RESERVED),
    ("tzcnt eax, esp", "f30fbcc4", RESERVED),
    ("bsr from memory", "0fbd4500", ELSEWHERE),
    ("bsf ebp, eax", "0fbce8", RESERVED),
    ("bswap esp", "0fcc", RESERVED),
    ("bswap rax", "480fc8", UNKNOWN),
    ("rdpid", "f30fc7f8", UNKNOWN),
    ("bmi2 shift of 64 bits", "c4e2f1f7c0", UNKNOWN),
    ("bmi2 shift from memory", "c4e271f74500", UNKNOWN),
    ("bmi2 shift of xmm", "c4e275f7c0", UNKNOWN),
    ("shlx esp, eax, ecx", "c4e271f7e0", RESERVED),
    ("shlx eax, eax, ebp", "c4e251f7c0", RESERVED),
    ("rorx ebp, eax, 1", "c4e37bf0e801", RESERVED),
    ("rorx with vvvv", "c4e373f0c001", UNKNOWN),
    ("mov rbp, rax", "4889c5", UNKNOWN),
    ("mov ebp, eax", "89c5", RESERVED),
    ("mov esp, eax", "89c4", RESERVED),
    ("mov eax, esp", "89e0", RESERVED),
    ("mov ebp, 0", "bd00000000", RESERVED),
    ("mov esp, [rbp]", "8b6500", RESERVED),
    ("mov ebp, gs:[ebx]", "65678b2b", RESERVED),
    ("movzx ebp, al", "0fb6e8", RESERVED),
    ("add esp, 8", "83c408", RESERVED),
    ("neg ebp", "f7dd", RESERVED),
    ("shl ebp, 1", "d1e5", RESERVED),
    ("setc bpl", "400f92c5", RESERVED),
    ("cmove ebp, eax", "0f44e8", RESERVED),
    ("imul ebp, eax, 3", "6be803", RESERVED),
    ("lea ebp, [rbx]", "8d2b", RESERVED),
    ("lea eax, [rbp + 8]", "8d4508", RESERVED),
    ("lea eax, [rip]", "8d0500000000", RELATIVE),
    ("lea eax, gs:[ebx]", "65678d03", NO_GUEST),
    ("mov eax, [rip]", "8b0500000000", RELATIVE),
    ("mov eax, gs:[eip]", "65678b0500000000", RELATIVE),
    ("mov eax, [rbx]", "8b03", ELSEWHERE),
    ("mov [rbx], eax", "8903", ELSEWHERE),
    ("mov [0], eax", "89042500000000", ELSEWHERE),
    ("mov [rbp + rax * 4], eax", "89448500", ELSEWHERE),
    ("mov [r13], eax", "41894500", ELSEWHERE),
    ("mov eax, [rsp]", "8b0424", ELSEWHERE),
    ("mov byte [rbp], al", "884500", ELSEWHERE),
    ("mov byte [rbp], 1", "c6450001", ELSEWHERE),
    ("mov eax, gs:[rbx]", "658b03", HALF_WINDOW),
    ("mov eax, [ebx]", "678b03", HALF_WINDOW),
    ("67 in front of gs", "67658b03", HALF_WINDOW),
    ("add eax, gs:[ebx]", "65670303", NO_GUEST),
    ("mov eax, gs:[esp]", "65678b0424", RESERVED),
    ("mov eax, gs:[ebp]", "65678b4500", RESERVED),
    ("mov eax, ebx with gs", "656789d8", UNKNOWN),
    ("gs twice", "6565678b03", HALF_WINDOW),
    ("67 twice", "6567678b03", UNKNOWN),
    ("REX twice", "404089c8", UNKNOWN),
    ("REX without effect", "4089c8", "a prefix without effect"),
    ("REX.W load", "488b4500", UNKNOWN),
    ("66 behind gs", "6567668903", UNKNOWN),
    ("66 twice", "666665678903", UNKNOWN),
    ("66 of a register", "6689c8", "an operand size that units have no use for"),
    ("66 of a jump", "66e900000000", UNKNOWN),
    ("66 of a load", "6665678b03", "an operand size that units have no use for"),
    ("mov [exit], eax", "8945f0", STORE),
    ("mov [exit + 4], 1", "c745f401000000", STORE),
    ("mov [window], eax", "8945e0", STORE),
    ("mov [homes], eax", "894580", STORE),
    ("mov [budget], eax", "8945fc", STORE),
    ("mov [budget], 1", "c745fc01000000", STORE),
    ("mov [pc + 2], eax", "8945fa", STORE),
    ("mov [jumps], eax", "898500010000", STORE),
    ("a store half in the jumps", "8985fe000000", STORE),
    ("mov eax, [exit]", "8b45f0", LOAD),
    ("mov eax, [jumps]", "8b8500010000", LOAD),
    ("cmp [budget], 1", "837dfc01", LOAD),
    ("or [budget], 1", "834dfc01", UNKNOWN),
    ("add [rbp], 1", "83450001", UNKNOWN),
    ("add [rbp], eax", "014500", ELSEWHERE),
    ("sub [budget], 1 in a longer form", "83adfcffffff01", UNKNOWN),
    ("neg [budget]", "f75dfc", UNKNOWN),
    ("div [rbp]", "f77500", UNKNOWN),
    ("not eax", "f7d0", UNKNOWN),
    ("adc eax, ebx", "11d8", UNKNOWN),
    ("rcl eax, 1", "d1d0", UNKNOWN),
    ("setc [rbp]", "0f924500", UNKNOWN),
    ("nop", "90", UNKNOWN),
    ("long nop", "0f1f4000", UNKNOWN),
]  # fmt: skip
ESCAPES: list[Escape] = [
    *((name, bytes.fromhex(code) + EXIT, [], 0, reason) for name, code, reason in PLAIN),
    ("nothing", b"", [], 0, "a unit without code"),
    ("no leave", asm(lambda a: a.cdq()), [], 0, OFF_THE_END),
    ("a conditional leave", EXIT + jump("74", -LEFT - 2), [], LEFT, BACK),
    ("an exit call that is cut off", b"\x99" + EXIT[:-1], [], 1, UNKNOWN),
    ("cut off", b"\x99\xb8\x01", [], 1, CUT_OFF),
    ("a prefix at the end", EXIT + b"\x41", [], LEFT, UNKNOWN),
    ("a shift cut off", EXIT + bytes.fromhex("c4e271f7"), [], LEFT, UNKNOWN),
    ("a rotation cut off", EXIT + bytes.fromhex("c4e37bf0c0"), [], LEFT, CUT_OFF),
    ("a charge cut off", CHARGE + b"\x0f\x88\0", [], 0, CUT_OFF),
    ("a round cut off", charged(b"") + again(1, 0)[:-1], [], BODY + 2 * LEFT, CUT_OFF),
    ("off the end behind a lookup", charged(b"") + lookup(), [], BODY + 2 * LEFT, OFF_THE_END),
    # branches
    ("into an instruction", charged(jump("74", 1) + b"\xb8\x01\0\0\0"), [], BODY, MIDDLE),
    ("into itself", charged(jump("0f84", -1)), [], BODY, MIDDLE),
    ("into what it jumps over", charged(jump("eb", 4) + b"\xb8\x0f\x05\xc3\0"), [], BODY, MIDDLE),
    ("into a lookup", charged(jump("74", 2) + lookup()), [], BODY, MIDDLE),
    ("to a lookup's jump", charged(jump("74", HALVED + 9) + lookup()), [], BODY, MIDDLE),
    ("behind the unit", charged(jump("74", 2 * LEFT)), [], BODY, OUTSIDE),
    ("in front of the unit", charged(jump("0f84", -100)), [], BODY, OUTSIDE),
    ("far out", charged(jump("0f84", 0x7FFF_FFFF)), [], BODY, OUTSIDE),
    ("a long jump over code", charged(jump("e9", 1) + b"\x99"), [], BODY, PLAIN_JUMP),
    ("back to the charge", charged(jump("0f84", -BODY - 6)), [], BODY, BACK),
    ("a loop behind the charge", charged(b"\x99" + jump("74", -3)), [], BODY + 1, BACK),
    ("back behind the charge", charged(jump("74", -2)), [], BODY, BACK),
    ("a loop without a charge", b"\x99" + jump("eb", -3), [], 1, BACK),
    ("a jump to itself without a charge", jump("eb", -2), [], 0, BACK),
    ("a long jump without a charge", jump("e9", 0) + EXIT, [], 0, PLAIN_JUMP),
    # links
    ("a link without a charge", link() + EXIT, [0], 0, "a link where the budget was not charged"),
    ("a link on a call", charged(b""), [BODY], BODY, NOT_A_LINK),
    ("a link on a short jump", charged(jump("eb", 0)), [BODY], BODY, NOT_A_LINK),
    ("a link on a long jump", charged(jump("e9", 0)), [BODY], BODY, NOT_A_LINK),
    ("a link that goes elsewhere", charged(link().replace(b"\x05", b"\x0f")), [BODY], BODY, NOT_A_LINK),
    ("a link that is linked", charged(take(1) + jump("0f89", 0)), [BODY], BODY, NOT_A_LINK),
    ("a link that goes back", charged(refund(1) + b"\x40" + jump("e9", -10)), [BODY], BODY, NOT_A_LINK),
    ("a link that gives back in memory", charged(link(1).replace(b"\xfc", b"\xf8")), [BODY], BODY, NOT_A_LINK),
    ("a link inside a link", charged(link()), [BODY, BODY + 1], BODY + 1, INSIDE),
    ("a link on the charge's branch", charged(b""), [len(CHARGE)], len(CHARGE), INSIDE),
    ("a link on a constant", charged(b"\xb8\0\0\0\0"), [BODY + 1], BODY + 1, INSIDE),
    ("a link twice", charged(link()), [BODY] * 2, BODY, "a link twice"),
    ("a link outside", charged(b""), [1000], 1000, "a link that lies outside the unit"),
    ("a link cut off", charged(b"") + link()[:-1], [BODY + 2 * LEFT], BODY + 2 * LEFT, NOT_A_LINK),
    ("a link at the end", charged(b"") + link(), [BODY + 2 * LEFT], BODY + 2 * LEFT, BAD_LINK),
    ("a link to other code", charged(link() + b"\x99"), [BODY], BODY, BAD_LINK),
    ("a link that is not told", charged(link()), [], BODY, PLAIN_JUMP),
    ("a refund that is not told", charged(link(1)), [], BODY, NO_LINK),
    ("into a link", charged(jump("74", 5) + link()), [BODY + 2], BODY, MIDDLE),
    # lookups
    ("the whole target", charged(b"\x89\xf1" + lookup()[HALVED:]), [], BODY + 2, ELSEWHERE),
    ("a half with its sign", charged(lookup().replace(b"\x0f\xb7", b"\x0f\xbf")), [], BODY + HALVED, ELSEWHERE),
    ("smaller slots", charged(lookup(scale=4)), [], BODY + HALVED, ELSEWHERE),
    ("the entry of the next slot", charged(lookup(entry=layout.JUMP_ENTRY + 16)), [], BODY + HALVED, ELSEWHERE),
    ("another register compared", charged(lookup(compared=Reg.RDI)), [], BODY + HALVED, ELSEWHERE),
    ("the index compared", charged(lookup(compared=Reg.RCX)), [], BODY + HALVED, ELSEWHERE),
    ("a longer skip", charged(lookup(skip=10)), [], BODY + HALVED, ELSEWHERE),
    ("a lookup without its index", charged(lookup()[HALVED:]), [], BODY, ELSEWHERE),
    ("a lookup without a charge", lookup() + EXIT, [], 0, "a lookup where the budget was not charged"),
    ("a lookup out of budget", after_out_of_budget(lookup()), [], BODY + LEFT, LATE),
    # the budget
    ("two charges", charged(charged(b"")), [], BODY, UNCHECKED_ROUND),
    ("a charge of nothing", charged(b"").replace(CHARGE, CHARGE[:3] + b"\0"), [], 0, BAD_CHARGE),
    ("a negative charge", charged(b"").replace(CHARGE, CHARGE[:3] + b"\xff"), [], 0, BAD_CHARGE),
    ("a large charge", charged(b"", 4097), [], 0, BAD_CHARGE),
    ("an unchecked charge", CHARGE + EXIT, [], 0, UNCHECKED),
    ("a charge at the end", CHARGE, [], 0, UNCHECKED),
    ("a charge with another condition", CHARGE + jump("0f89", LEFT) + EXIT * 2, [], 0, UNCHECKED),
    ("a charge that goes on at itself", CHARGE + jump("0f88", -BODY) + EXIT, [], 0, "a charge that branches back"),
    ("a charge that branches out", CHARGE + jump("0f88", LEFT) + EXIT, [], 0, OUTSIDE),
    ("a charge that branches into code", CHARGE + jump("0f88", 1) + EXIT, [], 0, MIDDLE),
    ("a charge behind a branch", jump("74", 0) + charged(b""), [], 2, NOT_AT_START),
    ("a charge behind an exit", EXIT + charged(b""), [], LEFT, NOT_AT_START),
    ("a round without a charge", b"\x99" + again(1) + EXIT, [], 1, NOT_AT_START),
    ("a round of nothing", charged(again(0, TO_BODY)), [], BODY, BAD_ROUND),
    ("a round of more than the charge", charged(again(CHARGED + 1, TO_BODY)), [], BODY, BAD_ROUND),
    ("a round that gives back", charged(again(-1, TO_BODY)), [], BODY, BAD_ROUND),
    ("a round that does not look", charged(b"\x99" + take(1) + jump("eb", -7)), [], BODY + 1, UNCHECKED_ROUND),
    ("a round for those without budget", charged(b"\x99" + take(1) + jump("74", -7)), [], BODY + 1, UNCHECKED_ROUND),
    ("a round at the end", charged(b"") + take(1), [], BODY + 2 * LEFT, UNCHECKED_ROUND),
    ("a round from the charge on", charged(again(1, TO_BODY - BODY)), [], BODY, OTHER_START),
    ("a round from the charge's branch on", charged(again(1, TO_BODY - JS_SIZE)), [], BODY, OTHER_START),
    ("a round forward", charged(again(1, 0)), [], BODY, OTHER_START),
    ("a round into an instruction", charged(b"\xb8\0\0\0\0" + again(1, TO_BODY - 4)), [], BODY + 5, MIDDLE),
    ("on, out of budget", charged(b"\x99" + again(1, TO_BODY - 1) + jump("74", 0)), [], BODY + 7, LATE),
    ("a link out of budget", charged(b"\x99" + again(1, TO_BODY - 1) + link()), [BODY + 7], BODY + 7, LATE),
    ("a round out of budget", after_out_of_budget(again(1)), [], BODY + LEFT, LATE),
    ("a jump out of budget", after_out_of_budget(jump("eb", 0)), [], BODY + LEFT, LATE),
    ("a linked jump out of budget", after_out_of_budget(link()), [BODY + LEFT], BODY + LEFT, LATE),
    ("a branch out of budget", after_out_of_budget(jump("74", 0)), [], BODY + LEFT, LATE),
    ("a refund out of budget", after_out_of_budget(refund(1)), [], BODY + LEFT, LATE),
    ("a refund without a charge", link(1) + EXIT, [0], 0, "a link where the budget was not charged"),
    ("a refund alone", charged(refund(1)), [], BODY, NO_LINK),
    ("a refund and no lookup", charged(refund(1) + lookup(scale=4)), [], BODY, NO_LINK),
    ("a refund of all before a lookup", charged(refund(CHARGED) + lookup()), [], BODY, BAD_REFUND),
    ("a negative refund before a lookup", charged(refund(-1) + lookup()), [], BODY, BAD_REFUND),
    (
        "a link behind a refund before a lookup",
        charged(refund(1) + lookup() + link(1)),
        [BODY + 4 + len(lookup())],
        BODY + 4 + len(lookup()),
        LATE,
    ),
    ("two refunds before a lookup", charged(refund(1) * 2 + lookup()), [], BODY, NO_LINK),
    ("a refund of all", charged(link(CHARGED)), [BODY], BODY, BAD_REFUND),
    ("a refund of nothing", charged(link(1).replace(b"\xfc\1", b"\xfc\0")), [BODY], BODY, BAD_REFUND),
    ("a refund of too much", charged(link(1).replace(b"\xfc\1", b"\xfc\x80"), 1000), [BODY + 3], BODY + 3, BAD_REFUND),
    ("too long", b"\x99" * (1 << 16) + EXIT, [], 0, "a unit that is too long"),
]  # fmt: skip
