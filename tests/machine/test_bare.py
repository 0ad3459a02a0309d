"""Semihosting and HTIF, with calls made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from dynarec.machine.base import Continue, Died, Exited, Outcome, Trap, TrapKind
from dynarec.machine.semihosting import Operation
from dynarec.program import load_program
from tests.machine.elf import simple
from tests.machine.fake import MACHINE_IDS, MARKER, Process

CALL = MARKER.before + MARKER.trap + MARKER.after
PC = 0x10004
FAILED = 0xFFFF_FFFF
TOHOST, FROMHOST = 0x20100, 0x20140
CONSOLE = 1 << 56


def bare(root: Path | None = None, **options: object) -> Process:
    return Process(load_program(simple(code=CALL), MACHINE_IDS), root, **options)  # type: ignore[arg-type]


def outcome(process: Process, operation: int, parameter: int) -> Outcome:
    process.machine.regs |= {"r0": operation, "r1": parameter}
    return process.profile.trap(Trap(TrapKind.BREAKPOINT, 3, "breakpoint", PC, 0, 4))


def call(process: Process, operation: Operation, *words: int) -> int:
    """A call with a block of words; the unsigned result."""
    block = process.put(struct.pack(f"<{len(words)}I", *words)) if words else 0
    assert outcome(process, operation, block) == Continue()
    assert process.machine.pc == PC + 4
    return process.machine.regs["r0"]


def open_(process: Process, name: str, mode: int) -> int:
    return call(process, Operation.OPEN, process.put(name), mode, len(name))


def test_exit_codes() -> None:
    process = bare()
    assert outcome(process, Operation.EXIT, 0x20026) == Exited(0)
    assert outcome(process, Operation.EXIT, 0x20023) == Exited(1)
    extended = process.put(struct.pack("<II", 0x20026, 42))
    assert outcome(process, Operation.EXIT_EXTENDED, extended) == Exited(42)
    assert outcome(process, Operation.EXIT_EXTENDED, process.put(struct.pack("<II", 1, 42))) == Exited(1)


def test_a_breakpoint_without_the_marker_is_one() -> None:
    process = bare()
    process.memory.write(PC + 4, bytes(4))
    died = outcome(process, Operation.EXIT, 0x20026)
    assert isinstance(died, Died)
    assert died.status == 133
    assert isinstance(process.profile.trap(Trap(TrapKind.BREAKPOINT, 3, "breakpoint", 0, 0, 4)), Died)


def test_console() -> None:
    process = bare(stdin=b"ab")
    assert outcome(process, Operation.WRITE0, process.put("text")) == Continue()
    assert outcome(process, Operation.WRITEC, process.put("!")) == Continue()
    out, err, in_ = (open_(process, ":tt", mode) for mode in (4, 8, 0))
    assert 0 not in (out, err, in_)
    assert call(process, Operation.WRITE, out, process.put("out"), 3) == 0
    assert call(process, Operation.WRITE, err, process.put("err"), 3) == 0
    assert (process.stdout.getvalue(), process.stderr.getvalue()) == (b"text!out", b"err")
    at = process.room(8)
    assert outcome(process, Operation.READC, 0) == Continue()
    assert process.machine.regs["r0"] == ord("a")
    assert call(process, Operation.READ, in_, at, 8) == 7
    assert process.memory.read(at, 1) == b"b"
    assert call(process, Operation.READ, in_, at, 8) == 8
    assert call(process, Operation.ISTTY, out) == 0
    assert call(process, Operation.CLOSE, out) == 0
    outcome(process, Operation.WRITE0, process.put("."))
    assert process.stdout.getvalue() == b"text!out."


def test_files(tmp_path: Path) -> None:
    process = bare(tmp_path)
    handle = open_(process, "f", 6)
    assert call(process, Operation.WRITE, handle, process.put("hello"), 5) == 0
    assert call(process, Operation.SEEK, handle, 1) == 0
    assert call(process, Operation.FLEN, handle) == 5
    at = process.room(8)
    assert call(process, Operation.READ, handle, at, 8) == 4
    assert process.memory.read(at, 4) == b"ello"
    assert call(process, Operation.CLOSE, handle) == 0
    assert call(process, Operation.CLOSE, handle) == FAILED
    assert call(process, Operation.ERRNO) == 9
    assert call(process, Operation.RENAME, process.put("f"), 1, process.put("g"), 1) == 0
    assert (tmp_path / "g").read_bytes() == b"hello"
    assert call(process, Operation.REMOVE, process.put("g"), 1) == 0
    assert not (tmp_path / "g").exists()
    assert open_(process, "g", 0) == FAILED
    assert call(process, Operation.ERRNO) == 2
    assert open_(process, "g", 12) == FAILED
    assert open_(process, "../x", 4) != FAILED
    assert not (tmp_path.parent / "x").exists()
    assert call(process, Operation.TMPNAM, at, 3, 8) == 0
    assert process.system.string(at) == "tmp03"
    assert call(process, Operation.TMPNAM, at, 3, 2) == FAILED


def test_no_root() -> None:
    assert open_(bare(), "/etc/passwd", 0) == FAILED


def test_features() -> None:
    process = bare()
    handle, at = open_(process, ":semihosting-features", 0), process.room(8)
    assert call(process, Operation.FLEN, handle) == 5
    assert call(process, Operation.READ, handle, at, 4) == 0
    assert process.memory.read(at, 4) == b"SHFB"
    assert call(process, Operation.SEEK, handle, 4) == 0
    assert call(process, Operation.READ, handle, at, 1) == 0
    assert process.memory.read(at, 1) == b"\x03"
    assert call(process, Operation.WRITE, handle, at, 1) == 1


def test_facts() -> None:
    process = bare(args=["a", "b"])
    at = process.room(64)
    block = process.put(struct.pack("<II", at, 64))
    assert outcome(process, Operation.GET_CMDLINE, block) == Continue()
    assert process.system.string(at) == "program a b"
    assert struct.unpack("<I", process.memory.read(block + 4, 4)) == (11,)
    assert call(process, Operation.GET_CMDLINE, at, 4) == FAILED
    assert call(process, Operation.HEAPINFO, at) == 0
    base, limit, stack, _ = struct.unpack("<4I", process.memory.read(at, 16))
    assert 0x23000 <= base < limit < stack
    assert process.memory.is_mapped(base, stack - base)
    assert outcome(process, Operation.ELAPSED, at) == Continue()
    assert outcome(process, Operation.TIME, 0) == Continue()
    assert process.machine.regs["r0"] > 1_600_000_000
    assert call(process, Operation.TICKFREQ) == 10**9
    assert call(process, Operation.CLOCK) < 10_000
    assert call(process, Operation.SYSTEM, at, 2) == FAILED
    assert call(process, Operation.ISERROR, FAILED) == 1
    assert call(process, Operation.ISERROR, 0) == 0


@pytest.mark.parametrize("operation", [o for o in range(0x40) if o not in (Operation.EXIT,)])
@pytest.mark.parametrize("parameter", [8, 0xFFFF_FFFF, 0x1000_0000])
def test_bad_pointers(operation: int, parameter: int) -> None:
    process = bare()
    assert outcome(process, operation, parameter) == Continue()


def test_system_calls_work_in_bare_programs() -> None:
    process = bare()
    assert process.call(64, 1, process.put("x"), 1) == 1
    assert process.stdout.getvalue() == b"x"


def htif(tohost_size: int = 8, **options: object) -> Process:
    symbols = {"tohost": (TOHOST, tohost_size, 1), "fromhost": (FROMHOST, 8, 1)}
    return Process(load_program(simple(symbols), MACHINE_IDS), **options)  # type: ignore[arg-type]


def store(process: Process, offset: int, value: int, size: int = 4) -> Outcome:
    process.memory.write(TOHOST + offset, value.to_bytes(size, "little"))
    return process.profile.stored(TOHOST + offset, size)


def test_htif_exit() -> None:
    process = htif()
    assert process.memory.watched == [(TOHOST, 8)]
    assert store(process, 0, 1) == Exited(0)
    assert process.memory.read(TOHOST, 8) == bytes(8)
    assert store(process, 0, 1337 << 1 | 1) == Exited(1337 & 0xFF)
    assert store(process, 0, 7 << 1 | 1, 8) == Exited(7)


@pytest.mark.parametrize("second", [(0, 15), (4, 0)])
def test_htif_exit_in_halves(second: tuple[int, int]) -> None:
    process = htif()
    assert store(process, 0, 15) == Continue()
    assert store(process, *second) == Exited(7)


def test_htif_half_word() -> None:
    assert store(htif(tohost_size=4), 0, 15) == Exited(7)


@pytest.mark.parametrize("order", [(0, 4), (4, 0)])
def test_htif_console(order: tuple[int, int]) -> None:
    process = htif()
    for character in b"Hi, aA!":
        value = {0: character, 4: (CONSOLE | 1 << 48) >> 32}
        for offset in order:
            assert store(process, offset, value[offset]) == Continue()
    assert process.stdout.getvalue() == b"Hi, aA!"


def test_htif_read() -> None:
    process = htif(stdin=b"k")
    assert store(process, 0, CONSOLE, 8) == Continue()
    assert struct.unpack("<Q", process.memory.read(FROMHOST, 8)) == (CONSOLE | 0x100 | ord("k"),)


def test_htif_proxy() -> None:
    process = htif()
    block = process.put(struct.pack("<8Q", 64, 1, process.put("proxy"), 5, 0, 0, 0, 0))
    assert store(process, 0, block) == Continue()
    assert process.stdout.getvalue() == b"proxy"
    assert struct.unpack("<q", process.memory.read(block, 8)) == (5,)
    assert struct.unpack("<Q", process.memory.read(FROMHOST, 8)) == (1,)
    process.memory.write(block, struct.pack("<2Q", 93, 9))
    assert store(process, 0, block, 8) == Exited(9)
    assert store(process, 0, 0x1000, 8) == Continue()
    assert store(process, 0, 0xFF << 56, 8) == Continue()


def test_htif_outside_of_the_segments() -> None:
    process = Process(load_program(simple({"tohost": (0xFFFF_FFF8, 8, 1)}), MACHINE_IDS))
    assert process.memory.is_mapped(0xFFFF_FFF8, 8)
