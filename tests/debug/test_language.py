"""Expressions of the debugger: what C would say, what the source says, what is told to who mistypes."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynarec import DynarecError, MemoryAccess
from dynarec.debug.language import Expression, parse
from dynarec.debug.scope import HookSite, Scope
from dynarec.debug.syntax import MAX_LENGTH, MAX_TOKENS, PRECEDENCE
from tests.debug.build import ELF
from tests.debug.stopped import MARKED, Stopped
from tests.fuzz.oracle import may_refuse
from tests.native.guests import CODE, DATA, EXIT, load

WORD_MASK = 0xFFFF_FFFF
COMPILER = shutil.which("cc")
REGISTERS = tuple(f"a{number}" for number in range(6))
MEMORY = 64


@pytest.fixture
def stopped() -> Iterator[Stopped]:
    """In `walk`, before it calls `add` for the first time."""
    made = Stopped(ELF)
    made.run_to_line("walk calls")
    yield made
    made.machine.close()


def scope(stopped: Stopped, level: int = 0) -> Scope:
    return Scope(stopped.machine, stopped.source, stopped.frames()[level])


def texts(stopped: Stopped, *expressions: str, level: int = 0) -> list[str]:
    return [parse(each).evaluate(scope(stopped, level)).text for each in expressions]


# -- against a C compiler ---------------------------------------------------------------------------------------------


class Writer:
    """Writes random expressions twice: as the debugger reads them, and as C for a host, where they are defined."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def expression(self, depth: int) -> tuple[str, str]:
        if depth == 0 or self.random.random() < 0.1:
            return self.leaf()
        kind = self.random.choice(("unary", "cast", *["binary"] * 5, "choice", "memory"))
        return getattr(self, kind)(depth - 1)  # type: ignore[no-any-return]

    def leaf(self) -> tuple[str, str]:
        value = self.random.choice((0, 1, 2, 7, 31, 255, 0x7FFF_FFFF, self.random.getrandbits(31)))
        text = self.random.choice(
            (
                str(value), f"{value}u", hex(value | 0x8000_0000), f"0{value:o}", f"{value}ll", f"{value << 20}ull",
                "'a'", "'\\n'", "'\\x7f'", "'\\''",
            )
        )  # fmt: skip
        register = self.random.choice(REGISTERS)
        return self.random.choice(((text, text), (register, register), (f"${register}", register)))

    def unary(self, depth: int) -> tuple[str, str]:
        op = self.random.choice("-~!+")
        return self.both(f"({op} ", self.expression(depth), ")")

    def cast(self, depth: int) -> tuple[str, str]:
        types = ("char", "signed char", "short", "unsigned short", "int", "unsigned", "long long", "unsigned long long")
        return self.both(
            f"(({self.random.choice((*types, '_Bool', 'uint8_t', 'int16_t'))})", self.expression(depth), ")"
        )

    def binary(self, depth: int) -> tuple[str, str]:
        """Without brackets around operands now and then: those of C know where they belong."""
        op = self.random.choice(list(PRECEDENCE))
        left, right = self.expression(depth), self.expression(depth)
        if op in ("<<", ">>"):
            right = self.both("(", right, " & 31)")
        elif op in ("/", "%"):
            right = self.both("((", right, " & 255) | 1)")
        elif self.random.random() < 0.5:
            return self.both("(", (f"{left[0]} {op} {right[0]}", f"{left[1]} {op} {right[1]}"), ")")
        return self.both("(", (f"({left[0]}) {op} ({right[0]})", f"({left[1]}) {op} ({right[1]})"), ")")

    def choice(self, depth: int) -> tuple[str, str]:
        a, b, c = (self.expression(depth) for _ in range(3))
        return f"({a[0]} ? {b[0]} : {c[0]})", f"({a[1]} ? {b[1]} : {c[1]})"

    def memory(self, depth: int) -> tuple[str, str]:
        size = self.random.choice((1, 2, 4))
        sign = self.random.choice(("u", "i"))
        name, type_ = f"{sign}{8 * size}", f"{'u' if sign == 'u' else ''}int{8 * size}_t"
        index = self.both("((", self.expression(depth), f") & {MEMORY // size - 1})")
        mine = f"{name}[s0 + {size} * {index[0]}]" if self.random.random() < 0.5 else f"(({type_} *)s0)[{index[0]}]"
        return mine, f"(({type_} *)memory)[{index[1]}]"

    @staticmethod
    def both(before: str, texts: tuple[str, str], after: str) -> tuple[str, str]:
        return f"{before}{texts[0]}{after}", f"{before}{texts[1]}{after}"


@dataclass(frozen=True)
class Known:
    """What C says of an expression: the value, modulo 2^64, and the type."""

    value: int
    size: int
    signed: bool


def ask_c(folder: Path, expressions: list[str], registers: dict[str, int], memory: bytes) -> list[Known]:
    """Every expression is a function of its own."""
    lines = ["#include <stdint.h>", "#include <stdio.h>"]
    lines += [f"static int {name} = (int){value}u;" for name, value in registers.items()]
    lines += [f"static _Alignas(8) unsigned char memory[] = {{{', '.join(map(str, memory))}}};"]
    lines += ['#define SAY(e) printf("%llu %zu %d\\n", (unsigned long long)(e), sizeof(e), (__typeof__(e))-1 < 1)']
    lines += [f"static void f{number}(void) {{ SAY({text}); }}" for number, text in enumerate(expressions)]
    calls = " ".join(f"f{number}();" for number in range(len(expressions)))
    lines += [f"int main(void) {{ {calls} return 0; }}"]
    (folder / "said.c").write_text("\n".join(lines))
    assert COMPILER is not None
    flags = ["-w", "-O0", "-std=gnu11", "-fwrapv", "-funsigned-char", "-fno-strict-aliasing"]
    subprocess.run([COMPILER, *flags, "-o", folder / "said", folder / "said.c"], check=True)
    said = subprocess.run([folder / "said"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [Known(int(value), int(size), sign == "1") for value, size, sign in map(str.split, said)]


TYPE_NAMES = {
    "signed char": (1, True), "unsigned char": (1, False), "short": (2, True), "unsigned short": (2, False),
    "int": (4, True), "unsigned int": (4, False), "long long": (8, True), "unsigned long long": (8, False),
}  # fmt: skip


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
@pytest.mark.parametrize("seed", range(6))
def test_what_c_says(tmp_path: Path, seed: int) -> None:
    """Computed, and as a condition of the core, which has no numbers of 64 bits."""
    rng = random.Random(seed)
    writer = Writer(seed)
    pairs = [writer.expression(rng.randint(1, 4)) for _ in range(400)]
    pairs = [pair for pair in pairs if len(pair[0]) < 400]
    registers = {name: rng.choice((rng.getrandbits(32), rng.randrange(4), WORD_MASK)) for name in REGISTERS}
    memory = rng.randbytes(MEMORY + 8)
    known = ask_c(tmp_path, [theirs for _, theirs in pairs], registers, memory)
    compiled = 0
    with load(EXIT) as machine:
        machine.memory[DATA : DATA + len(memory)] = memory
        for name, value in {**registers, "s0": DATA}.items():
            machine.regs[name] = value
        for (text, theirs), expected in zip(pairs, known, strict=True):
            story = f"seed {seed}: {text}  (C: {theirs})"
            found = parse(text).evaluate(Scope(machine))
            assert found.number is not None
            assert found.number % 2**64 == expected.value, story
            if found.type != "_Bool":
                assert TYPE_NAMES[found.type] == (expected.size, expected.signed), story
            for op, holds in (("==", True), ("!=", False)):
                condition = parse(f"({text}) {op} ({found.number})").condition(HookSite(machine))
                if condition is not None:
                    assert machine._core.holds(CODE, CODE + 1, condition) == holds, story
                    compiled += 1
    assert compiled > len(pairs) // 2, seed


# -- what the source says ---------------------------------------------------------------------------------------------


def test_variables(stopped: Stopped) -> None:
    assert texts(stopped, "list->value", "list->next->value", "(*list).value", "each == list", "count") == list("12110")
    assert texts(stopped, "matrix[1][2]", "*(matrix[1] + 2)", "**matrix", "(&matrix)[0][1][0]") == ["6", "6", "1", "4"]
    assert texts(stopped, "list->label", "list->label[1]", "c", "first.next->next") == [
        '0x10320 "first"', "105 'i'", "GREEN", "0x0",
    ]  # fmt: skip
    assert texts(stopped, "&second == first.next", "&list->next - &first.next", "list + 1 - list") == ["1", "0", "1"]
    assert texts(stopped, "f.middle", "f.low + f.set", "w.bytes[3]", "w.whole >> 24", level=1) == [
        "-3", "6", "64 '@'", "64",
    ]  # fmt: skip


def test_what_is_no_number_is_shown_as_it_is(stopped: Stopped) -> None:
    for text, type_ in (("*list", "struct node"), ("matrix", "int [2][3]"), ("scale", "double")):
        found = parse(text).evaluate(scope(stopped))
        assert (found.number, found.type) == (None, type_)
        assert found.variable is not None
        assert found.text == found.variable.text
        assert bool(found)


def test_types(stopped: Stopped) -> None:
    for text, type_ in {
        "&matrix": "int (*)[2][3]", "matrix[0] + 1": "int *", "list": "struct node *", "&list->value": "int *",
        "a0": "int", "main": "unsigned int", "(char **)a0": "unsigned char **", "1 ? 2 : 3u": "unsigned int",
    }.items():  # fmt: skip
        assert parse(text).evaluate(scope(stopped)).type == type_, text


def test_a_variable_hides_a_register_of_its_name(stopped: Stopped) -> None:
    """`f` and `c` are variables here; `s0` and `$a0` are registers."""
    (add,) = stopped.source.functions.find("add")
    stopped.run_to_function("add")
    assert texts(stopped, "a", "b") == ["1", "2"]
    assert texts(stopped, "$pc == pc", "$s0 == s0", "add", "&a == s0 - 36") == ["1", "1", str(add.low), "1"]


def test_registers_are_those_of_the_frame(stopped: Stopped) -> None:
    stopped.run_to_function("add")
    outer = stopped.frames()[1]
    found = parse("$sp").evaluate(scope(stopped, 1))
    assert found.number == outer.activation.registers[2]
    assert found.number != stopped.machine.regs.sp
    assert parse("pc").evaluate(scope(stopped, 1)).number == outer.pc


def test_without_a_source() -> None:
    with load(EXIT) as machine:
        machine.regs.a0 = WORD_MASK
        assert parse("a0 < 0 && x10 == $a0").evaluate(Scope(machine)).number == 1


def test_assignments(stopped: Stopped) -> None:
    for text, shown in {
        "total = 7": "7", "list->value = total * 2": "14", "a0 = -1": "-1", "*(short *)sp = 0x12345": "9029",
        "u8[sp] = 300": "44 ','", "each = each->next": "0x", "c = 4": "BLUE", "scale = 2": "2", "count = 'a'": "97",
        "first.next = 0": "0x0", "matrix[0][1] = matrix[1][1]": "5",
    }.items():  # fmt: skip
        assert parse(text).is_assignment
        assert parse(text).evaluate(scope(stopped)).text.startswith(shown), text
        target = text.partition(" = ")[0]
        assert parse(target).evaluate(scope(stopped)).text.startswith(shown), text
    assert stopped.machine.regs.a0 == WORD_MASK
    parse("f.middle = 30").evaluate(scope(stopped, 1))
    assert texts(stopped, "f.middle", "f.low", "f.high", level=1) == ["-2", "5", "100"]


def test_assignments_in_an_outer_frame(stopped: Stopped) -> None:
    """A register that a called function has saved is changed where it is saved."""
    stopped.run_to_function("add")
    before = stopped.machine.regs.s0
    parse("$s0 = $s0 + 16").evaluate(scope(stopped, 1))
    assert stopped.machine.regs.s0 == before
    assert parse("$s0 == 0").evaluate(scope(stopped, 1)).number == 0


def test_where_something_is(stopped: Stopped) -> None:
    here = scope(stopped)
    for text, size in {
        "total": 4,
        "*list": 12,
        "matrix": 24,
        "matrix[1]": 12,
        "u16[sp + 2]": 2,
        "*(char *)sp": 1,
    }.items():
        assert parse(text).address(here) == (parse(f"&{text}").evaluate(here).number, size), text
    for text in ("a0", "1 + 1", "count + 1", "a0 = 1"):
        with pytest.raises(DynarecError):
            parse(text).address(here)


def test_the_access(stopped: Stopped) -> None:
    for access, text in (
        (MemoryAccess(CODE, 16, 2, 0xFFFF, "write"), "$value == 0xffff && $address == 16 && $size == 2"),
        (MemoryAccess(CODE, stopped.machine.address("total"), 4, None, "read"), "$value == 3"),
    ):
        assert parse(text).evaluate(Scope(stopped.machine, access=access)).number == 1


def test_what_is_not_chosen_is_not_computed() -> None:
    with load(EXIT) as machine:
        for text in ("0 && 1 / 0", "!(1 || *(int *)0)", "1 ? 0 : *(int *)0", "0 ? 1 / 0 : 0", "0 && (1 ? 1 % 0 : 2)"):
            assert parse(text).evaluate(Scope(machine)).number == 0, text
            condition = parse(text).condition(HookSite(machine))
            assert condition is not None
            assert not machine._core.holds(CODE, CODE + 1, condition), text


# -- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("walk calls", "list == &first"), ("walk calls", "each->value == 2"), ("walk calls", "count < 3 && c == 2"),
        ("in add", "a == 2"), ("in add", "sum * 2 == total"), ("in add", "matrix[1][b % 3] > 4"),
        ("deeper", "n == 3"), ("in add", "*(int *)(s0 - 36) == 1"), ("in add", "first.next->label[0] == 's'"),
        ("last", "w.bytes[0] == 0xdb"),
    ],
)  # fmt: skip
def test_the_core_says_what_the_debugger_says(line: str, text: str) -> None:
    """Conditions on variables, at each time that the guest comes there."""
    stopped = Stopped(ELF)
    (place, *_) = stopped.source.breakpoints("program.c", MARKED[line])
    condition = parse(text).condition(HookSite(stopped.machine, stopped.source, place))
    assert condition is not None
    said: list[int] = []
    called: list[int] = []

    def ask(machine: object, pc: int) -> None:
        if parse(text).evaluate(scope(stopped)):
            said.append(stopped.machine.instructions)

    stopped.machine.hook_code(ask, place)
    stopped.machine.hook_code(lambda machine, pc: called.append(machine.instructions), place, when=condition)
    stopped.machine.run()
    assert called == said
    assert said or text == "sum * 2 == total"


@pytest.mark.parametrize("text", ["f.middle == 1", "5ll == a0", "(long long)a0 > 1", "1" + " + a0" * 80])
def test_what_is_left_to_python(stopped: Stopped, text: str) -> None:
    """Bit fields, numbers of 64 bits, and what is too long for the core."""
    stopped.run_to_line("last")
    site = HookSite(stopped.machine, stopped.source, stopped.machine.pc)
    assert parse(text).condition(site) is None
    assert parse(text).evaluate(scope(stopped)).number is not None


# -- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = {
    "": "character 1: it ends too early",
    "a0 +": "character 5: it ends too early",
    "a0 a1": "character 4: 'a1' is not expected",
    "(a0": "character 4: ')' is expected",
    "a0 ? 1": "character 7: ':' is expected",
    "2 + nothing": "character 5: there is no variable, register or symbol 'nothing'",
    "$nothing": "no register 'nothing'",
    "1 + $value": "character 5: $value is known only where the guest accesses memory",
    "a0 / (1 - 1)": "character 4: a division by zero",
    "1 + *(int *)0": "character 5: guest memory cannot be accessed",
    "08": "'08' is no number",
    "0x": "'0x' is no number",
    "12345678901234567890123": "more than 64 bits",
    "a0 @ 1": "character 4: '@' means nothing",
    "'ab'": "character 1",
    "a0\n\x1b": "means nothing",
    "(unsigned char short)1": "'unsigned char short' is no type",
    "(void)1": "cannot be void",
    "list->nothing": "character 5: struct node has no member 'nothing'",
    "a0.x": "character 3: int has no members",
    "list.": "name of a member",
    "*(void *)list": "void is no whole number",
    "scale + 1": "double is no whole number",
    "&a0": "no address",
    "&1": "no address",
    "1 = 2": "it is a value",
    "main = 2": "it is a value",
    "a0 = a1 = 2": "'=' is not expected",
    "list + list": "two pointers",
    "1 - list": "two pointers",
    "matrix = 1": "cannot be changed",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes(stopped: Stopped, text: str, message: str) -> None:
    with pytest.raises(DynarecError) as caught:
        parse(text).evaluate(scope(stopped))
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["2 + nothing", "$nothing", "$value", "a0 = 1", "scale", "list->nothing", "*list"])
def test_mistakes_in_conditions(stopped: Stopped, text: str) -> None:
    """They are told when the condition is set."""
    with pytest.raises(DynarecError, match="character"):
        parse(text).condition(HookSite(stopped.machine, stopped.source, stopped.machine.pc))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 400 + ")" * 400, "-" * 900, "1" + "+1" * 499, "*" * 900 + "sp", "1?" * 300, "a0[" * 200, "(int)" * 190,
        "1||" * 300 + "1", "x" * (MAX_LENGTH + 1), "1 " * MAX_TOKENS, "1?1:" * 60 + "1", "(int" + "*" * 200 + ")1",
        "-" * 99 + "1", "(" * 48 + "1" + ")" * 48, "1" + "&&1" * 120, "a0" + "->x" * 100, "0" * 900,
    ],
)  # fmt: skip
def test_what_is_made_to_be_deep(stopped: Stopped, text: str) -> None:
    with may_refuse():
        Expression(text).evaluate(scope(stopped))
    with may_refuse():
        Expression(text).condition(HookSite(stopped.machine, stopped.source, stopped.machine.pc))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*"0123456789abx$sup'\\()[]+-*/%&|^~!<>=?:. ", "a0", "int", "u8[", "->"]), max_size=40))
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    with load(EXIT) as machine, may_refuse():
        parse("".join(words)).evaluate(Scope(machine))
