"""Sessions of the real GDB."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.debug.build import ELF
from tests.debug.gdb.sessions import GDB, debugging, gdb, in_order, interrupted_gdb
from tests.debug.stopped import MARKED
from tests.test_machine import CODE, ROMS, jump, program

pytestmark = pytest.mark.skipif(GDB is None, reason="needs gdb-multiarch")
STATUS_OF_PROGRAM = 14


@pytest.mark.parametrize("tier", ["jit", "interp"])
def test_breakpoints_steps_and_variables(tier: str) -> None:
    with debugging(ELF, "--tier", tier) as process:
        commands = [
            *("break walk", "continue", "backtrace", "info args", "next", "info locals", "step", "step"),
            *("backtrace", "finish", "print first", "print *first.next", "print/x $sp == $x2", "up", "info locals"),
            *("delete", "continue"),
        ]
        text = gdb(process.port, commands, ELF)
        assert process.end() == (0, "")
    in_order(
        text,
        r"Breakpoint 1, walk \(list=0x\w+ <first>, c=GREEN, f=0x\w+ <add>\) at .*program\.c",
        r"#0  walk .*\n#1  0x\w+ in main \(\)",
        r"list = 0x\w+ <first>\nc = GREEN\nf = 0x\w+ <add>",
        r"count = 0",
        r"add \(a=1, b=2\) at .*program\.c:\d+\n\d+\s+int sum = a \+ b;",
        r"#0  add \(a=1, b=2\).*\n#1  0x\w+ in walk .*\n#2  0x\w+ in main",
        r"Value returned is \$1 = 3",
        r'\$2 = \{value = 1, next = 0x\w+ <second>, label = 0x\w+ "first"\}',
        r'\$3 = \{value = 2, next = 0x0, label = 0x\w+ "second"\}',
        r"\$4 = 0x1",
        r"#1 .* in main",
        r"w = .*\nf = \{low = 5, middle = -3, high = 100, set = ",
        rf"exited with code {STATUS_OF_PROGRAM:03o}\]",
    )


def test_a_breakpoint_with_a_condition_and_a_temporary_one() -> None:
    with debugging(ELF) as process:
        text = gdb(process.port, ["break factorial if n == 2", "tbreak add", "c", "c", "backtrace", "kill"], ELF)
        assert process.end() == (0, "")
    in_order(text, r"Temporary breakpoint 2, add \(a=1", r"Breakpoint 1, factorial \(n=2\)", r"#2 .*factorial \(n=4\)")


def test_watchpoints() -> None:
    line = MARKED["in add"]
    with debugging(ELF) as process:
        commands = [
            *("watch total", "c", "c", "delete", "awatch sink", "c", "c", "delete"),
            *("rwatch matrix[1][2]", "c", "kill"),
        ]
        text = gdb(process.port, commands, ELF)
        assert process.end() == (0, "")
    in_order(
        text,
        r"Hardware watchpoint 1: total",
        rf"Old value = 3\nNew value = 6\nadd \(a=1, b=2\) at .*:{line + 1}",
        rf"Old value = 6\nNew value = 10\nadd \(a=2, b=2\) at .*:{line + 1}",
        r"Hardware access \(read/write\) watchpoint 2: sink",
        r"Old value = 3\nNew value = 4\nadd \(a=2, b=2\)",
        r"Old value = 4\nNew value = 7\nwalk ",
        r"Hardware read watchpoint 3: matrix\[1\]\[2\]",
        r"Value = 6\nmain ",
    )


def test_memory_and_registers_are_written() -> None:
    with debugging(ELF) as process:
        commands = [
            *("break add", "c", "set var total = 100", "print total", "set var $a0 = 0x1234", "print/x $a0"),
            *("set var a = 40", "print a", "finish", "print total", "set var $zero = 5", "print $zero", "p $mstatus"),
            *(
                "set var first.label = second.label",
                "print first.label",
                "print $pc = main",
                "stepi",
                "x/i $pc",
                "kill",
            ),
        ]
        text = gdb(process.port, commands, ELF)
        assert process.end() == (0, "")
    in_order(text, r"\$1 = 100", r"\$2 = 0x1234", r"\$3 = 40", r"Value returned is \$4 = 42", r"\$5 = 142", r"\$6 = 0")
    in_order(text, r"\$7 = 0", r'\$8 = 0x\w+ "second"', r"<main>", r"=> 0x\w+ <main\+\d+>")


def test_a_function_is_called_by_the_user() -> None:
    with debugging(ELF) as process:
        text = gdb(process.port, ["break walk", "c", "print add(20, 22)", "print total", "backtrace 1", "kill"], ELF)
        assert process.end() == (0, "")
    in_order(text, r"\$1 = 42", r"\$2 = 45", r"#0  walk ")


def test_backwards() -> None:
    with debugging(ELF, "--history", "64M") as process:
        commands = [
            *("break add", "c", "watch total", "c", "c", "reverse-continue", "reverse-continue", "reverse-continue"),
            *("delete", "break factorial", "c", "reverse-next", "reverse-step", "reverse-stepi", "stepi"),
            *("tbreak add if a == 18", "c", "reverse-finish", "delete", "reverse-continue", "kill"),
        ]
        text = gdb(process.port, commands, ELF)
        assert process.end() == (0, "")
    in_order(
        text,
        r"Breakpoint 1, add \(a=1, b=2\)",
        r"Old value = 3\nNew value = 6",
        r"Breakpoint 1, add \(a=2, b=2\)",
        r"Old value = 6\nNew value = 3",
        r"Breakpoint 1, add \(a=1, b=2\)",
        r"No more reverse-execution history",
        r"Breakpoint 3, factorial \(n=4\)",
        r"main \(\) at ",
        r"Breakpoint 3, factorial \(n=4\)",
        rf"in main \(\) at .*:{MARKED['main recurses']}",
        r"No more reverse-execution history",
    )


def test_detach_and_reconnect() -> None:
    """GDB's `disconnect` leaves the program stopped; `detach` lets it run, here to its end."""
    with debugging(ELF) as process:
        gdb(process.port, ["break factorial", "c", "set var n = 3", "disconnect"], ELF)
        text = gdb(process.port, ["backtrace", "print n", "detach"], ELF)
        assert process.end() == (0, "")
    in_order(text, r"#0  factorial \(n=3\).*\n#1  0x\w+ in main", r"\$1 = 3")


def test_a_program_that_never_ends(tmp_path: Path) -> None:
    """It runs on behind `detach`, and the next client stops it; `stepi` on a jump to itself comes back."""
    elf = tmp_path / "loop.elf"
    elf.write_bytes(program(jump(0)))
    with debugging(elf) as process:
        assert "detached" in gdb(process.port, ["detach"], elf)
        text = gdb(process.port, ["stepi", "stepi 3", "print/x $pc", "kill"], elf)
        assert process.end() == (0, "")
    in_order(text, rf"\$1 = {CODE:#x}", "killed")


def test_run_and_kill_with_extended_remote() -> None:
    with debugging(ROMS / "hello.elf", "--", "one") as process:
        commands = ["break main", "c", "kill", "run", "info symbol $pc", "c", "run", "delete", "c"]
        text = gdb(process.port, commands, ROMS / "hello.elf", target="extended-remote")
        assert process.end() == (0, "Hello from a RISC-V program of 32 bits\nargument 1: one\n" * 2)
    in_order(text, "Breakpoint 1, .*main", "killed", "Breakpoint 1", r"main(?: \+ \d+)? in section", "exited normally")
    in_order(text, "exited normally", "Breakpoint 1", "exited normally")


def test_machine_mode() -> None:
    """A kernel: its control and status registers, and the timer's interrupt in its handler."""
    with debugging(ROMS / "kernel.elf") as process:
        commands = [
            *("print $priv", "break machine_handle", "c", "print/x $mcause", "print $mepc != 0", "backtrace 1"),
            *("delete", "monitor catch interrupt", "c", "info symbol $pc", "compare-sections .text", "kill"),
        ]
        text = gdb(process.port, commands, ROMS / "kernel.elf")
        assert process.end()[0] == 0
    in_order(
        text,
        *(r"\$1 = 3", r"Breakpoint 1, .*machine_handle", r"\$2 = 0x80000007", r"\$3 = 1", "#0 .*machine_handle"),
        *("catchpoint interrupt", r"interrupt 7 before 0x8\w+", "SIGTRAP", "machine_trap in section", "matched"),
    )


def test_ctrl_c(tmp_path: Path) -> None:
    elf = tmp_path / "loop.elf"
    elf.write_bytes(program(jump(0)))
    with debugging(elf) as process:
        text = interrupted_gdb(process.port, elf)
        assert process.end() == (0, "")
    in_order(text, "SIGINT", r"\$1 = 0x10000", "killed")


def test_monitor_and_its_help() -> None:
    with debugging(ELF) as process:
        text = gdb(process.port, ["monitor help", "monitor trace on", "break add", "c", "monitor trace 1", "kill"], ELF)
        process.end()
    in_order(text, r"snapshot save FILE", r"0x\w+ add, program\.c:\d+")


def test_gdb_knows_it_is_hardware_that_steps() -> None:
    """With an ABI of an operating system, GDB would write breakpoints into the program for each step."""
    with debugging(ELF) as process:
        text = gdb(process.port, ["set debug remote 1", "stepi", "set debug remote 0", "kill"], ELF)
        process.end()
    assert re.search(r"\$vCont;[sr]", text)
    assert "$Z0" not in text
