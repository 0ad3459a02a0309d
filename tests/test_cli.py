"""The command line: exit statuses, one-line errors, reports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import asm, li
from tests.test_machine import CODE, DATA, EBREAK, HELLO, LOOP, ROMS, exit_with, lw, program

BLOCKS = ROMS / "blocks.elf"
TIERS = ("interp", "jit")


def dynarec(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    surroundings = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-m", "dynarec", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False, env=surroundings | (env or {}),
    )  # fmt: skip


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    return tmp_path / "prog.elf"


def one_line(done: subprocess.CompletedProcess[str], status: int = 125) -> str:
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("tier", TIERS)
def test_hello(tier: str) -> None:
    done = dynarec("run", HELLO, "--tier", tier)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello from a RISC-V program of 32 bits\n", "")


NOT_FOR_A_TEXT_PROGRAM = {
    *("capstone", "elftools", "email", "hashlib", "importlib.metadata", "json", "platform", "pygame", "subprocess"),
    *("dynarec.commands.debug", "dynarec.commands.doctor", "dynarec.commands.inspect", "dynarec.debug"),
    *("dynarec.disk.cache", "dynarec.evaluated", "dynarec.ir.evaluate", "dynarec.ir.verify"),
    *("dynarec.inspect", "dynarec.machine.board", "dynarec.machine.console", "dynarec.machine.devicetree"),
    *("dynarec.machine.framebuffer", "dynarec.machine.virt", "dynarec.signature", "guest_isa.interpreter"),
}
"""Modules that take time to import."""
NOT_FOR_AN_INTERPRETED_ONE = {"dynarec.host.allocate", "dynarec.host.emit", "dynarec.opt", "dynarec.trace"}


@pytest.mark.parametrize(("tier", "unwanted"), [("jit", set()), ("interp", NOT_FOR_AN_INTERPRETED_ONE)])
def test_what_a_text_program_imports(tier: str, unwanted: set[str]) -> None:
    """It starts at once; what this lists, other programs and other commands need."""
    code = "import sys; from dynarec.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    words = [sys.executable, "-c", code, "run", str(HELLO), "--tier", tier]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines()[1].split())
    assert "dynarec.engine" in imported
    assert ("dynarec.host.emit" in imported) == (tier == "jit")
    assert not imported & (NOT_FOR_A_TEXT_PROGRAM | unwanted)


def test_status_of_the_program(rom: Path) -> None:
    rom.write_bytes(program(*exit_with(42)))
    assert dynarec("run", rom).returncode == 42


@pytest.mark.parametrize("limit", [("--max-instructions", "1000"), ("--timeout", "0.1")])
def test_limits(rom: Path, limit: tuple[str, str]) -> None:
    rom.write_bytes(program(LOOP))
    assert dynarec("run", rom, *limit).returncode == 124


@pytest.mark.parametrize(
    ("word", "status", "text"),
    [
        (0xFFFF_FFFF, 132, "illegal instruction at 0x00010000 (main+0x0), instruction 0xffffffff"),
        (EBREAK, 133, "breakpoint at 0x00010000 (main+0x0)"),
        (lw(5, 0, 16), 139, "load access fault at 0x00010000 (main+0x0), address 0x00000010"),
    ],
)
def test_traps(rom: Path, word: int, status: int, text: str) -> None:
    rom.write_bytes(program(word, symbols={"main": CODE}))
    assert one_line(dynarec("run", rom), status) == f"dynarec: prog.elf: {text}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run", "/nonexistent"), "there is no such file"),
        (("run", HELLO, "--machine", "toaster"), "unknown machine 'toaster': choose one of auto, console, virt, user"),
        (("run", HELLO, "--wx", "none"), "unknown W^X policy 'none': choose one of auto, "),
        (("run", HELLO, "--tier", "x"), "unknown tier 'x'"),
        (("run", HELLO, "--screenshot", "x.png"), "machine user has no picture"),
        (("run", HELLO, "--stats-json", "/nonexistent/x"), "cannot write the statistics"),
        (("disasm", HELLO, "--at", "nowhere"), "no symbol 'nowhere'"),
        (("disasm", HELLO, "--at", "0"), "no code at 0x00000000"),
        (("translate", HELLO, "--at", "main", "--host", "z80"), "unknown host 'z80'"),
        (("translate", HELLO, "--at", "main", "--without", "magic"), "unknown pass 'magic'"),
    ],
)
def test_errors_are_one_line(arguments: tuple[str | Path, ...], text: str) -> None:
    assert text in one_line(dynarec(*arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("run",),
        ("run", ""),
        ("run", HELLO, "--max-instructions", "-1"),
        ("run", HELLO, "--timeout", "nan"),
        ("translate", HELLO, "--at", "-1"),
        ("disasm", HELLO, "--at", "0x100000000"),
    ],
)
def test_bad_usage(arguments: tuple[str | Path, ...]) -> None:
    done = dynarec(*arguments)
    assert done.returncode == 125
    assert re.fullmatch(r"dynarec( [a-z]+)?: [^\n]+; see dynarec( [a-z]+)? --help\n", done.stderr)


def test_help_and_version() -> None:
    assert "COMMAND" in dynarec("--help").stdout
    assert dynarec("--version").stdout.startswith("dynarec ")


def test_tracebacks_for_developers() -> None:
    assert "Traceback" in dynarec("run", "/nonexistent", env={"DYNAREC_DEBUG": "1"}).stderr


def test_guest_arguments() -> None:
    assert dynarec("run", ROMS / "bench" / "queens.elf", "--", "28").stdout == "queens 8f57dc88\n"


@pytest.mark.parametrize("status", [0, 124])
def test_stats(tmp_path: Path, status: int) -> None:
    limit = ("--max-instructions", "1000") if status else ()
    done = dynarec("run", HELLO, "--stats", "--stats-json", tmp_path / "s.json", *limit)
    assert done.returncode == status
    assert "guest instructions: " in done.stderr
    stats = json.loads((tmp_path / "s.json").read_text())
    assert stats["stop"]["reason"] == ("budget" if status else "exited")
    assert stats["instructions"] == 1000 if status else stats["instructions"] > 1000
    assert {"mips", "interpreted", "translation_seconds", "exits", "flushes", "policy"} <= stats.keys()


def test_verbose() -> None:
    assert "Linux system calls" in dynarec("run", HELLO, "--verbose").stderr


def test_console_without_a_display(tmp_path: Path) -> None:
    done = dynarec("run", BLOCKS, "--max-instructions", "100000", "--screenshot", tmp_path / "s.png")
    assert done.returncode == 124
    assert "running headless" in done.stderr


def test_screenshot_headless(tmp_path: Path) -> None:
    done = dynarec("run", BLOCKS, "--headless", "--screenshot", tmp_path / "s.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_console_in_a_window() -> None:
    done = dynarec("run", BLOCKS, "--timeout", "0.5", env={"SDL_VIDEODRIVER": "dummy"})
    assert (done.returncode, done.stderr) == (124, "")


GREETING = (
    asm("auipc", rd="a1", upper=0),
    li("a0", 1),
    li("a2", 1),
    li("a7", 64),
    asm("ecall"),
    asm("jal", rd=0, offset=0),
)
"""Writes one byte, then loops for ever."""


def test_ctrl_c(rom: Path) -> None:
    rom.write_bytes(program(*(int.from_bytes(insn, "little") for insn in GREETING)))
    command = [sys.executable, "-m", "dynarec", "run", rom]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b""


def test_reader_that_goes_away() -> None:
    command = [sys.executable, "-m", "dynarec", "disasm", str(HELLO), "--count", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(10) == 141


def test_disasm() -> None:
    lines = dynarec("disasm", HELLO, "--count", "3").stdout.splitlines()
    assert lines[0] == "_start:"
    assert lines[1].startswith("00010000  ")
    assert len(lines) == 4


def test_disasm_of_data_in_code(rom: Path) -> None:
    rom.write_bytes(build([Part(CODE, b"\xff\xff\xff\xff\x13", 5, R | X), Part(DATA, b"x", 1, R | W)]))
    assert "(no instruction)" in dynarec("disasm", rom).stdout


def test_translate_is_repeatable() -> None:
    first = dynarec("translate", HELLO, "--at", "main", "--host", "x86_64")
    assert first.returncode == 0, first.stderr
    assert first.stdout == dynarec("translate", HELLO, "--at", "main", "--host", "x86_64").stdout
    for text in ("guest code: ", "IR, lifted:", "IR after fold:", "host code: x86_64"):
        assert text in first.stdout
    assert re.search(r"mov dword ptr gs:\[.*  ; .*x2 = r11d - 0x20", first.stdout), "what a fault there writes"
    assert "IR after fold:" not in dynarec("translate", HELLO, "--at", "main", "--without", "fold").stdout


def test_doctor() -> None:
    done = dynarec("doctor")
    assert "W^X policies" in done.stdout
    assert "rv32: interpreter built in" in done.stdout


def test_guests() -> None:
    assert "rv32: RISC-V" in dynarec("guests").stdout
