"""Lines, functions, frames and variables of a small program whose ELF file is kept with the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.debug.paths import ends_with, parts
from dynarec.debug.source import Source
from dynarec.debug.text import MAX_LINE, SourceText
from dynarec.errors import DynarecError, GuestMemoryError
from dynarec.program import load_program
from guest_isa.rv32 import ELF_MACHINE, GUEST
from tests.debug.build import ELF, SOURCE
from tests.debug.stopped import MARKED, NUMBERS, Stopped
from tests.machine.elf import Part, R, W, X, build

FILE = "/src/program.c"


@pytest.fixture
def stopped() -> Iterator[Stopped]:
    made = Stopped(ELF)
    yield made
    made.machine.close()


def source_of(elf: bytes) -> Source:
    return Source(load_program(elf, {ELF_MACHINE: GUEST.name}), NUMBERS)


@pytest.fixture
def source() -> Source:
    """Of a program given as bytes, which nothing runs."""
    return source_of(ELF.read_bytes())


def test_a_line_of_an_address(source: Source) -> None:
    (address,) = source.breakpoints("program.c", MARKED["in add"])
    row = source.lines.at(address)
    assert row is not None
    assert (row.file, row.line, row.is_stmt) == (FILE, MARKED["in add"], True)
    assert row.low == address < row.high
    behind = source.lines.at(row.high)
    assert behind is not None
    assert behind.low == row.high
    assert source.lines.at(0) is None
    assert source.lines.at(0xFFFF_FFFF) is None


def test_files_by_the_end_of_their_names(source: Source) -> None:
    assert source.lines.files == [FILE]
    for name in ("program.c", "src/program.c", FILE, "./program.c"):
        assert source.lines.find_files(name) == [FILE], name
    for name in ("gram.c", "other/program.c", "", "program"):
        assert source.lines.find_files(name) == [], name
        assert source.breakpoints(name, 1) == []


def test_a_line_without_code_stands_for_the_next_one(source: Source) -> None:
    inside = MARKED["in add"]
    assert source.lines.nearest("program.c", 1) == source.lines.lines_with_code("program.c")[0]
    assert source.lines.nearest("program.c", inside) == inside
    assert source.lines.nearest("program.c", 10_000) is None
    assert source.breakpoints("program.c", 1) != []
    assert source.breakpoints("program.c", 10_000) == []


def test_functions(source: Source) -> None:
    (add,) = source.functions.find("add")
    assert (add.name, add.file, add.parameters) == ("add", FILE, ["a", "b"])
    assert "int add(" in SOURCE.read_text().splitlines()[add.line - 1]
    assert source.functions.at(add.low) is add
    assert source.functions.at(add.high - 1) is add
    assert source.functions.at(add.high) is not add
    assert add.low < source.after_prologue(add) < add.high
    assert source.functions.find("nothing") == []
    assert {"main", "walk", "factorial"} <= set(source.functions.names())


def test_a_backtrace(stopped: Stopped) -> None:
    stopped.run_to_function("add")
    assert stopped.names() == ["add", "walk", "main", "_start"]
    assert [frame.line for frame in stopped.frames()[1:3]] == [MARKED["walk calls"], MARKED["main walks"]]
    assert len(stopped.frames(2)) == 2


def test_the_backtrace_is_the_same_at_each_instruction_of_a_function(stopped: Stopped) -> None:
    (add,) = stopped.source.functions.find("add")
    stopped.run_to(add.low)
    steps = 0
    while add.low <= stopped.machine.pc < add.high:
        assert stopped.names() == ["add", "walk", "main", "_start"], hex(stopped.machine.pc)
        stopped.machine.run(1)
        steps += 1
    assert steps > 10


def test_a_function_that_is_inlined_is_a_frame(stopped: Stopped) -> None:
    stopped.run_to_line("in twice")
    inner, outer, _ = stopped.frames()
    assert (inner.name, inner.line, inner.is_inlined) == ("twice", MARKED["in twice"], True)
    assert (outer.name, outer.line, outer.is_inlined) == ("main", MARKED["main calls"], False)
    assert inner.activation is outer.activation
    assert "doubled" in stopped.variables(0)
    assert "doubled" not in stopped.variables(1)
    assert "result" in stopped.variables(1)


def test_each_call_of_a_recursion_has_its_variables(stopped: Stopped) -> None:
    stopped.run_to_line("deepest")
    assert stopped.names() == [*["factorial"] * 4, "main", "_start"]
    assert [stopped.text("n", level) for level in range(4)] == [f"int n = {n}" for n in (1, 2, 3, 4)]


def test_variables(stopped: Stopped) -> None:
    stopped.run_to_line("in add")
    assert [str(each) for each in stopped.variables().values()] == ["int a = 1", "int b = 2", "int sum = 3"]
    assert stopped.text("c", 1) == "enum colour c = GREEN"
    add = stopped.source.functions.find("add")[0].low
    assert stopped.text("f", 1) == f"operation f = {add:#x} <add>"
    assert stopped.text("f", 2) == "struct flags f = {low = 5, middle = -3, high = 100, set = true}"
    assert stopped.text("w", 2) == (
        "union word w = {whole = 1078530011, bytes = {219, 15, 73, 64}, real = 3.14159274}".replace(
            "{219, 15, 73, 64}", '"\\333\\017I@"'
        )
    )


def test_variables_of_the_program(stopped: Stopped) -> None:
    stopped.run_to_line("in add")
    assert stopped.text("total") == "int total = 3"
    assert stopped.text("sink") == "volatile int sink = 0"
    assert stopped.text("matrix") == "int matrix[2][3] = {{1, 2, 3}, {4, 5, 6}}"
    assert stopped.text("scale") == "double scale = 0.5"
    text = stopped.text("first")
    assert text.startswith("struct node first = {value = 1, next = 0x")
    assert text.endswith('"first"}')
    assert stopped.source.variable("nothing", None, stopped.machine.memory) is None


def test_arrays_of_variable_length(stopped: Stopped) -> None:
    stopped.run_to_line("filled")
    assert stopped.text("row") == "int row[] = {0, 1, 4, 9}"
    assert stopped.text("text") == 'char text[8] = "hello"'


def test_trees(stopped: Stopped) -> None:
    stopped.run_to_line("in add")
    first = stopped.source.variable("first", None, stopped.machine.memory)
    assert first is not None
    follow = first.child("next")
    assert follow is not None
    (second,) = follow.children()
    assert second.name == "*next"
    assert [(each.name, each.type_name) for each in second.children()] == [
        ("value", "int"),
        ("next", "struct node *"),
        ("label", "const char *"),
    ]
    assert [each.text for each in second.children(0, 2)] == ["2", "0x0"]
    assert [each.has_children for each in first.children()] == [False, True, True]
    matrix = stopped.source.variable("matrix", None, stopped.machine.memory)
    assert matrix is not None
    assert [str(each) for each in matrix.children(1, 1)] == ["int [1][3] = {4, 5, 6}"]
    assert matrix.size == 24
    assert matrix.address == stopped.machine.address("matrix")


def test_changing_variables(stopped: Stopped) -> None:
    stopped.run_to_line("in add")
    stopped.variables()["sum"].assign(40)
    assert stopped.text("sum") == "int sum = 40"
    stopped.variables(1)["c"].assign("BLUE")
    assert stopped.text("c", 1) == "enum colour c = BLUE"
    flags = stopped.variables(2)["f"]
    for name, value in (("middle", -16), ("high", 0xABC), ("set", "false")):
        part = flags.child(name)
        assert part is not None
        part.assign(value)
    assert flags.text == "{low = 5, middle = -16, high = 2748, set = false}"
    scale = stopped.source.variable("scale", None, stopped.machine.memory)
    assert scale is not None
    scale.assign("0.25")
    assert scale.text == "0.25"
    stopped.run_to_line("main recurses")
    assert stopped.text("total") != "int total = 3"


def test_values_that_do_not_fit_are_refused(stopped: Stopped) -> None:
    stopped.run_to_line("in add")
    for value in (1 << 32, -(1 << 31) - 1, "many", ""):
        with pytest.raises(DynarecError, match="sum cannot be changed"):
            stopped.variables()["sum"].assign(value)
    with pytest.raises(DynarecError, match="f cannot be changed: no number"):
        stopped.variables(2)["f"].assign(1)
    assert stopped.text("sum") == "int sum = 3"


def test_memory_that_cannot_be_read(source: Source) -> None:
    class Nothing:
        def read(self, address: int, size: int) -> bytes:
            raise GuestMemoryError(address, size, "read")

        def write(self, address: int, data: bytes) -> None:
            raise GuestMemoryError(address, len(data), "write")

    total = source.variable("total", None, Nothing())
    assert total is not None
    assert total.text == f"<cannot read memory at {total.address:#x}>"
    with pytest.raises(GuestMemoryError):
        total.assign(1)
    (add,) = source.functions.find("add")
    registers = dict.fromkeys(range(32), 0)
    assert [frame.name for frame in source.frames(add.high - 2, registers, Nothing())] == ["add"]


def test_a_program_without_source() -> None:
    source = source_of(build([Part(0x10000, bytes(64), flags=R | X)], symbols={"main": (0x10000, 16, 2)}))
    registers = {number: 0x10030 if number == 1 else 0 for number in range(32)}

    class Zeros:
        def read(self, address: int, size: int) -> bytes:
            return bytes(size)

        def write(self, address: int, data: bytes) -> None:
            raise AssertionError

    frames = source.frames(0x10004, registers, Zeros())
    assert [(frame.name, frame.pc, frame.file, frame.line) for frame in frames] == [
        ("main", 0x10004, "", 0),
        ("", 0x10030, "", 0),
    ]
    assert source.variables(frames[0], Zeros()) == []
    assert source.lines.files == []
    assert source.functions.names() == []


def test_frame_pointers_without_call_frames() -> None:
    """The chain of saved frame pointers is followed to its end."""
    code, stack = 0x10000, 0x20000
    names = {name: (code + 16 * at, 16, 2) for at, name in enumerate(("inner", "middle", "outer"))}
    source = source_of(build([Part(code, bytes(64), flags=R | X), Part(stack, size=4096, flags=R | W)], symbols=names))
    words = {stack + 28: code + 20, stack + 24: stack + 64, stack + 60: code + 36, stack + 56: 0}

    class Stack:
        def read(self, address: int, size: int) -> bytes:
            return words.get(address, 0).to_bytes(size, "little")

        def write(self, address: int, data: bytes) -> None:
            raise AssertionError

    registers = dict.fromkeys(range(32), 0) | {1: code + 8, 2: stack, 8: stack + 32}
    frames = source.frames(code + 8, registers, Stack())
    assert [frame.name for frame in frames] == ["inner", "middle", "outer"]
    assert frames[1].activation.registers[2] == stack + 32


def test_text_is_found_beside_the_program_and_in_other_folders(tmp_path: Path) -> None:
    (tmp_path / "deep" / "src").mkdir(parents=True)
    (tmp_path / "deep" / "src" / "a.c").write_text("one\n\ttwo\x1b[31m\n" + "x" * 2 * MAX_LINE)
    beside = SourceText(tmp_path / "a.elf")
    assert beside.find("/elsewhere/src/a.c") is None
    text = SourceText(None, [tmp_path / "deep"])
    assert text.find("/elsewhere/src/a.c") == tmp_path / "deep" / "src" / "a.c"
    assert text.lines("/elsewhere/src/a.c", 1, 2) == ["one", "        two\ufffd[31m"]
    assert len(text.line("src/a.c", 3)) == MAX_LINE
    assert text.line("src/a.c", 4) == text.line("src/b.c", 1) == text.line("src/a.c", 0) == ""
    assert SourceText(ELF).line(FILE, MARKED["in add"]).strip().startswith("total += sum;")


def test_what_is_no_file_is_not_read() -> None:
    assert SourceText(None).find("/dev/zero") is None
    assert SourceText(None).find("a\0b") is None


def test_paths() -> None:
    assert parts("a/./b/../c") == ["a", "c"]
    assert parts("C:\\src\\a.c") == ["C:", "src", "a.c"]
    assert ends_with("/home/x/src/main.c", "src/main.c")
    assert not ends_with("/home/x/src/main.c", "n.c")


def test_running_a_program_does_not_read_its_source() -> None:
    code = f"import sys, dynarec; dynarec.Machine.load({str(ELF)!r}).run(); print('dynarec.debug' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
