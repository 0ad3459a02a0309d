"""Sessions of the real LLDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.debug.build import ELF
from tests.debug.gdb.sessions import LLDB, debugging, in_order, lldb
from tests.debug.stopped import MARKED
from tests.test_machine import CODE, jump, program

pytestmark = pytest.mark.skipif(LLDB is None, reason="needs lldb")


@pytest.mark.parametrize("tier", ["jit", "interp"])
def test_breakpoints_steps_and_variables(tier: str) -> None:
    with debugging(ELF, "--tier", tier) as process:
        commands = [
            *("breakpoint set -n add", "continue", "bt", "frame variable", "thread step-out", "next", "up"),
            *("frame variable w.whole result", "step", "breakpoint delete -f 1", "continue"),
        ]
        text = lldb(process.port, commands, ELF)
        assert process.end() == (0, "")
    in_order(
        text,
        r"stop reason = breakpoint 1\.1\n.*add\(a=1, b=2\) at program\.c",
        r"\* frame #0: .*`add\(a=1, b=2\).*\n +frame #1: .*`walk\(.*\n +frame #2: .*`main at .*\n +frame #3: .*`_start",
        r"\(int\) a = 1\n\(int\) b = 2\n\(int\) sum = ",
        rf"stop reason = step out\n.*`walk\(.*program\.c:{MARKED['walk calls']}",
        r"stop reason = step over\n.*`walk\(",
        r"frame #1: .*`main",
        r"\(unsigned int\) w\.whole = 1078530011",
        r"stop reason = step in",
        r"exited with status = 14",
    )


def test_watchpoint() -> None:
    """Each store is told of once."""
    with debugging(ELF) as process:
        commands = ["watchpoint set variable total", "continue", "continue", "watchpoint delete -f", "continue"]
        text = lldb(process.port, commands, ELF)
        assert process.end() == (0, "")
    in_order(text, r"old value: 3\nnew value: 6", r"stop reason = watchpoint 1", r"old value: 6\nnew value: 10")
    in_order(text, r"old value: 6", r"add\(a=2, b=2\)", r"exited with status = 14")


def test_memory_and_registers_are_written() -> None:
    with debugging(ELF) as process:
        commands = [
            *("breakpoint set -n add", "continue", "expression total = 100", "memory read -f d -c 1 -s 4 `&total`"),
            *("register write a0 7", "register read a0 pc", "si", "register read x10 mstatus priv", "process kill"),
        ]
        text = lldb(process.port, commands, ELF)
        assert process.end() == (0, "")
    in_order(text, r"\(int\) \$0 = 100", r": 100", r"a0 = 0x00000007", r"pc = 0x\w+ +program\.elf`add \+ 14")
    in_order(
        text, r"a0 = 0x00000007", r"stop reason = instruction step", r"= 0x00000007", r"mstatus = 0x", r"priv = 0x"
    )


def test_detach_and_reconnect(tmp_path: Path) -> None:
    elf = tmp_path / "loop.elf"
    elf.write_bytes(program(jump(0)))
    with debugging(elf) as process:
        assert "detached" in lldb(process.port, ["detach"], elf)
        text = lldb(process.port, ["register read pc", "detach --keep-stopped true"], elf)
        assert "detached" in text
        in_order(text, r"stop reason = signal SIGINT", f"pc = {CODE:#010x}")
        assert "exited" in lldb(process.port, ["process kill"], elf)
        assert process.end() == (0, "")


def test_monitor() -> None:
    with debugging(ELF) as process:
        text = lldb(process.port, ["process plugin packet monitor info", "process kill"], ELF)
        process.end()
    in_order(text, r"program\.elf: guest rv32, machine user")
