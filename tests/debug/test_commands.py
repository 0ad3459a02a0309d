"""The command language, on a program with source."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynarec.debug.commands import Commands, Session
from dynarec.debug.commands.table import COMMANDS, by_name, find
from dynarec.debug.launch import Launch
from dynarec.engine import Machine
from dynarec.errors import DynarecError
from tests.debug.build import ELF, FOLDER
from tests.debug.stopped import MARKED

ROMS = Path(__file__).parents[2] / "roms"


class Typist:
    """Types lines, and reads what comes."""

    def __init__(self, elf: Path, history: int = 0, tier: str = "auto") -> None:
        self.output = io.BytesIO()
        self.tier = tier
        self.session = Session(Launch(partial(self.load, elf), elf.name, [FOLDER], history))
        self.commands = Commands(self.session)

    def load(self, elf: Path) -> Machine:
        return Machine.load(elf, tier=self.tier, stdin=io.BytesIO(), stdout=self.output)

    def __call__(self, *lines: str) -> list[str]:
        """What the last line prints."""
        printed: list[str] = []
        for line in lines:
            printed = list(self.commands.execute(line))
        return printed

    def text(self, *lines: str) -> str:
        return "\n".join(self(*lines))

    @property
    def line(self) -> int:
        return self.commands.context.frame.line


@pytest.fixture
def typist() -> Iterator[Typist]:
    made = Typist(ELF)
    yield made
    made.session.close()


def refusal(typist: Typist, line: str) -> str:
    with pytest.raises(DynarecError) as caught:
        typist(line)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_are_found_by_their_beginnings() -> None:
    names = by_name(COMMANDS)
    for command in COMMANDS:
        assert find(command.name, names) is command
        assert all(find(alias, names) is command for alias in command.aliases)
    assert find("cont", names) is find("continue", names)
    assert find("disas", names) is find("disassemble", names)
    with pytest.raises(DynarecError, match="no command 'rww'"):
        find("rww", names)
    with pytest.raises(DynarecError, match="may be reverse-continue, reverse-finish"):
        find("reverse", names)


def test_breakpoints_stop_and_are_listed(typist: Typist) -> None:
    assert typist("break add") == ["Breakpoint 1 at 0x0001000e: add+0xe, program.c:17"]
    assert typist("run")[:2] == ["Breakpoint 1", "add (a=1, b=2) at program.c:17"]
    assert "1 hit" in typist.text("info breakpoints")
    typist("disable 1", "tbreak factorial")
    assert typist("c")[0] == "Breakpoint 2"
    assert typist("info b") == ["  1 breakpoint add, disabled, 1 hit"]
    typist("delete")
    assert typist("continue") == ["Exited with status 14"]
    assert "has ended" in refusal(typist, "continue")
    assert typist("start")[1].startswith("main ()")
    assert not typist.session.debugger.stoppers


def test_steps_and_empty_lines(typist: Typist) -> None:
    typist("tbreak walk", "run")
    first = typist.line
    typist("next")
    assert typist.line > first
    second = typist.line
    typist("")
    assert typist.line > second
    typist("step 2")
    assert typist.text("finish").startswith("walk (")
    before = typist.session.debugger.position.instructions
    typist("stepi 3", "")
    assert typist.session.debugger.position.instructions == before + 6


def test_until_leaves_a_loop(typist: Typist) -> None:
    typist(f"tbreak program.c:{MARKED['walk calls']}", "run", "next", "next")
    for _ in range(3):
        typist("until")
    assert typist.line > MARKED["walk calls"]
    typist(f"until {MARKED['main calls']}")
    assert typist.line == MARKED["main calls"]


def test_frames(typist: Typist) -> None:
    typist(f"tbreak program.c:{MARKED['deepest']}", "run")
    assert sum("factorial" in line for line in typist("bt")) == 4
    assert typist("bt 1") == [f"*#0  factorial (n=1) at program.c:{MARKED['deepest']}"]
    assert typist("up 3")[0] == f"#3 factorial (n=4) at program.c:{MARKED['deeper']}"
    assert typist("info args") == ["n = 4"]
    assert typist("down")[0].startswith("#2 ")
    assert typist("frame 0")[0].startswith("factorial (n=1)")
    assert "innermost" in refusal(typist, "down")
    assert "no frame 99" in refusal(typist, "frame 99")


def test_watchpoints_say_what_is_written(typist: Typist) -> None:
    typist("watch total")
    assert typist("run")[0] == "Watchpoint 1: writes 0x6 to 0x00011358 (4 bytes), was 0x3"
    typist("delete 1", "rwatch scale", "awatch 0x11358, 2")
    assert "reads 0x00011358" in typist("c")[0]


def test_catchpoints(typist: Typist) -> None:
    typist("catch syscall 93")
    assert typist("run")[0].startswith("Catchpoint 1: system call 93 (0xe")
    assert "trap, interrupt" in refusal(typist, "catch rain")


def test_commands_of_breakpoints(typist: Typist) -> None:
    typist("break add", "commands 1 silent; print total; continue")
    printed = typist("run")
    assert printed == ["3", "6", "10", "31", "Exited with status 14"]
    typist("commands 1")
    assert typist.commands.is_collecting
    typist("up", "end")
    assert not typist.commands.is_collecting
    assert typist("run")[-2].startswith("#1 walk (")


def test_ignore_and_conditions_are_kept(typist: Typist) -> None:
    typist("break add", "ignore 1 2")
    assert typist("run")[1].startswith("add (a=14,")
    typist("condition 1 b == 2 && a0 > 1", "restart")
    assert typist("run")[1].startswith("add (a=2, b=2)")
    assert "b == 2 && a0 > 1" in typist.text("info breakpoints")
    assert typist("condition 1") == ["Breakpoint 1 stops always"]
    assert "too early" in refusal(typist, "condition 1 a0 >")
    assert "no number" in refusal(typist, "ignore 1 many")
    assert "no breakpoint 7" in refusal(typist, "condition 7 a0")


def test_values(typist: Typist) -> None:
    typist("tbreak walk", "run")
    assert typist("print total") == ["3"]
    assert typist("p list")[0].startswith("0x")
    assert typist("p matrix") == ["{{1, 2, 3}, {4, 5, 6}}"]
    assert typist("p/x total") == ["0x3"]
    typist("set var total = 77", "set $a0 = 5")
    assert typist("p total") == ["77"]
    assert typist("p $a0") == ["5"]
    assert "assignment" in refusal(typist, "set total")
    refusal(typist, "print nothing_of_this_name")


def test_memory(typist: Typist) -> None:
    assert typist("x/2i add") == [
        "   0x00010000 <add>:\tc.addi16sp sp, -48",
        "   0x00010002 <add+0x2>:\tc.swsp s0, 44(sp)",
    ]
    assert typist("")[0].startswith("   0x00010004 <add+0x4>")
    matrix = f"{typist.session.debugger.places.address('matrix'):#010x}"
    assert typist("x/3dw matrix") == [f"{matrix} <matrix>:\t1\t2\t3"]
    assert typist("x/2xb matrix") == [f"{matrix} <matrix>:\t0x01\t0x00"]
    assert "no memory" in refusal(typist, "x/xw 0x4")
    assert "no format" in refusal(typist, "x/qqq 4")
    assert "1 to 10000" in refusal(typist, "x/0x 4")


def test_displays_are_shown_at_each_stop(typist: Typist) -> None:
    typist("tbreak add", "run")
    assert typist("display total") == ["1: total = 3"]
    typist("display/i $pc")
    assert next(line for line in typist("next") if line.startswith("1:")) == "1: total = 3"
    assert "1: total = 6" in typist("next")
    typist("undisplay 1")
    assert not any(line.startswith("1:") for line in typist("next"))


def test_source_and_code(typist: Typist) -> None:
    typist("tbreak add", "run")
    listed = typist("list")
    assert "17\t    int sum = a + b;" in listed
    assert typist("")[0].startswith(f"{int(listed[-1].partition(chr(9))[0]) + 1}\t")
    assert any(line.startswith("=> 0x0001000e <add+0xe>") for line in typist("disassemble"))
    assert typist("info line")[0].endswith("/src/program.c:17, 0x0001000e to 0x0001001c")
    assert typist("info symbol 0x10004") == ["0x00010004: add+0x4"]


def test_the_block(typist: Typist) -> None:
    text = typist.text("translate add")
    for part in ("guest code: ", "IR, lifted:", "IR after fold:", "host code: "):
        assert part in text
    assert "no code" in refusal(typist, "translate 4")


def test_the_block_of_the_code_cache() -> None:
    typist = Typist(ELF, tier="jit")
    typist(f"tbreak program.c:{MARKED['filled']}", "run")
    debugger = typist.session.debugger
    code = debugger.view.listing(debugger.places.address("fill"), 60)
    begin, inside = next((a.address, b.address) for a, b in pairwise(code) if debugger.machine.core.find(a.address))
    for address in (begin, inside):
        text = typist.text(f"translate {address:#x}")
        assert f"from {begin:#010x}" in text
        assert "bytes, at 0x" in text
    typist.session.close()


def test_snapshots(typist: Typist, tmp_path: Path) -> None:
    typist("tbreak add", "run", f"snapshot save {tmp_path / 'here'}")
    there = typist.session.debugger.position
    typist("c")
    assert typist.session.debugger.has_ended
    typist(f"snapshot restore {tmp_path / 'here'}")
    assert typist.session.debugger.position == there
    assert typist("next")


def test_without_history_there_is_no_way_back(typist: Typist) -> None:
    for name in ("rs", "rn", "rc", "rsi", "reverse-finish", "origin total"):
        assert "--history" in refusal(typist, name)


def test_backwards() -> None:
    typist = Typist(ELF, history=64 << 20)
    typist("break add", "run", "c")
    assert typist.text("rc").startswith("Breakpoint 1\nadd (a=1, b=2)")
    assert typist("rc")[0] == "Beginning of history"
    typist("c", "c", "delete", "finish", "origin total")
    assert typist("bt")[0].startswith("*#0  add (a=2, b=2)")
    typist("reverse-finish")
    assert typist.line == MARKED["walk calls"]
    before = typist.session.debugger.position.instructions
    typist("rsi 2", "")
    assert typist.session.debugger.position.instructions == before - 4
    typist("c")
    assert typist.session.debugger.has_ended
    typist("reverse-next")
    assert not typist.session.debugger.has_ended
    typist.session.close()


def test_registers_have_the_names_of_conventions(typist: Typist) -> None:
    names = [line.split()[0] for line in typist("info registers")]
    assert names[:4] == ["pc", "ra", "sp", "gp"]
    assert len(names) == 32
    typist("set $sp = 4096")
    assert typist("i r $sp") == ["sp      0x00001000  4096"]


def test_completion(typist: Typist) -> None:
    complete = typist.commands.complete
    assert complete("inf") == ["info"]
    assert complete("disp") == ["display"]
    assert complete("break fact") == ["break factorial"]
    assert complete("b program") == ["b program.c:"]
    assert "p total" in complete("p to")
    assert complete("p $mstat") == ["p $mstatus"]
    assert complete("info loc") == ["info locals"]
    assert complete("catch sys") == ["catch syscall"]
    assert complete("x/8xw mat") == ["x/8xw matrix"]
    assert complete("p total+mat") == ["p total+matrix"]
    assert complete("nonsense x") == []


def test_help_tells_of_every_command(typist: Typist) -> None:
    text = typist.text("help")
    assert all(command.usage in text for command in COMMANDS)
    assert "hits" in typist.text("help ignore")


def test_a_program_without_source() -> None:
    typist = Typist(ROMS / "hello.elf")
    typist("break main", "run")
    assert typist("stepi")[0].startswith("0x")
    assert "no source lines" in refusal(typist, "list")
    typist("delete")
    assert typist("c") == ["Exited with status 0"]
    assert typist.output.getvalue().startswith(b"Hello")
    typist.session.close()


def test_interrupt_stops_a_chain_of_commands(typist: Typist) -> None:
    typist("break add", "commands 1 run")
    timer = threading.Timer(0.2, typist.commands.interrupt)
    timer.start()
    printed = typist("run")
    timer.join()
    assert printed


WORDS = st.sampled_from(
    ["a0", "$pc", "$sp", "total", "add", "walk", "program.c:", "0x", "*", "/", "x", "s", "i", "8", "w", ",", "if", "=",
     "(", "1", "-1", "99999999999", "'", "\x00", "ü", "[", "&", "commands", "end", "silent", ";"]
)  # fmt: skip
LINES = st.builds(
    lambda command, words, gap: f"{command}{gap}{gap.join(words)}",
    st.sampled_from([name for name in by_name(COMMANDS) if name != "snapshot"]),
    st.lists(WORDS, max_size=4),
    st.sampled_from([" ", ""]),
)


def answers(commands: Commands, line: str) -> list[str]:
    """What is printed, or the refusal."""
    try:
        return list(commands.execute(line))
    except DynarecError as error:
        return [str(error)]


@settings(max_examples=300 if "CI" in os.environ else 75, deadline=None, derandomize=True)
@given(st.lists(LINES | st.text(max_size=20), max_size=6))
def test_whatever_is_typed_has_an_answer_or_a_refusal_of_one_line(lines: list[str]) -> None:
    typist = Typist(ELF, history=1 << 20)
    for line in lines:
        typist.commands.complete(line)
        assert not any("\n" in text for text in answers(typist.commands, line))
    typist.session.close()


def test_quit_is_for_the_front_end(typist: Typist) -> None:
    assert typist("q") == []
    assert typist.commands.ended
