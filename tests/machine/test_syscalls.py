"""System calls, made by hand on a machine without a CPU."""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path

import pytest

from dynarec.machine.base import Access, Continue, Exited, Trap, TrapKind
from dynarec.machine.syscalls import SYSCALLS, name_of
from dynarec.program import load_program
from tests.machine.calls import (
    ANONYMOUS,
    BAD,
    BRK,
    CLOSE,
    FDCWD,
    LSEEK,
    MMAP,
    MPROTECT,
    MREMAP,
    MUNMAP,
    OPENAT,
    PAGE,
    READ,
    WRITE,
    failure,
    open_,
    read,
    write,
)
from tests.machine.elf import simple
from tests.machine.fake import MACHINE_IDS, Process


def test_unknown() -> None:
    process = Process(load_program(simple(), MACHINE_IDS))
    assert process.call(9999) == failure("ENOSYS") == -38
    assert name_of(64) == "write"
    assert name_of(9999) is None


def test_exit(process: Process) -> None:
    assert process.outcome(93, 3) == Exited(3)
    assert process.outcome(94, 0x1FF) == Exited(0xFF)


def test_streams(process: Process) -> None:
    assert write(process, 1, b"out") == 3
    assert write(process, 2, b"err") == 3
    assert (process.stdout.getvalue(), process.stderr.getvalue()) == (b"out", b"err")
    assert read(process, 0, 6) == b"input\n"
    assert read(process, 0) == b"more"
    assert read(process, 0) == b""
    assert process.call(LSEEK, 1, 0, 0, process.room(8), 1) == failure("ESPIPE")


def test_vectors(process: Process) -> None:
    a, b = process.put(b"one "), process.put(b"two")
    vectors = process.put(struct.pack("<6I", a, 4, BAD, 0, b, 3))
    assert process.call(66, 1, vectors, 3) == 7
    assert process.stdout.getvalue() == b"one two"
    first, second = process.room(3), process.room(50)
    assert process.call(65, 0, process.put(struct.pack("<4I", first, 3, second, 50)), 2) == 10
    assert process.memory.read(first, 3) + process.memory.read(second, 7) == b"input\nmore"
    assert process.call(66, 1, vectors, 5000) == failure("EINVAL")


@pytest.mark.parametrize("number", sorted(SYSCALLS))
@pytest.mark.parametrize("value", [BAD, 0xFFFF_FFFF, 0x7FFF_FFFF, 0])
def test_wild_arguments_never_raise(process: Process, number: int, value: int) -> None:
    outcome = process.outcome(number, *[value] * 6)
    assert isinstance(outcome, Continue | Exited)
    process.outcome(number, 1, *[value] * 5)
    process.outcome(number, FDCWD, *[value] * 5)


@pytest.mark.parametrize(
    ("number", "args"),
    [
        (READ, (0, BAD, 4)),
        (WRITE, (1, BAD, 4)),
        (65, (0, BAD, 1)),
        (66, (1, BAD, 1)),
        (OPENAT, (FDCWD, BAD, 0)),
        (80, (0, BAD)),
        (403, (0, BAD)),
        (113, (0, BAD)),
        (169, (BAD,)),
        (101, (BAD,)),
        (160, (BAD,)),
        (179, (BAD,)),
        (278, (BAD, 4)),
        (134, (10, BAD, 0)),
        (135, (0, BAD, 0)),
        (261, (0, 3, 0, BAD)),
        (98, (BAD, 0, 0, 0)),
        (17, (BAD, 100)),
        (READ, (0, 0x10000, 4)),
        (READ, (0, 0xFFFF_FFF0, 0x20)),
    ],
)
def test_bad_pointers(process: Process, number: int, args: tuple[int, ...]) -> None:
    assert process.call(number, *args) == failure("EFAULT")


def test_bad_descriptors(process: Process) -> None:
    for number in (READ, WRITE, CLOSE, LSEEK, 80, 23, 25, 29, 46, 61, 67, 68):
        assert process.call(number, 77, process.scratch, 4) == failure("EBADF"), name_of(number)
    assert process.call(OPENAT, 77, process.put("x"), 0) == failure("EBADF")


def test_brk(process: Process) -> None:
    start = process.call(BRK, 0)
    assert start == 0x23000
    assert process.call(BRK, start + 5000) == start + 5000
    process.memory.write(start, b"x" * 8192)
    assert process.call(BRK, start + 1) == start + 1
    assert not process.memory.is_mapped(start + PAGE, 1)
    assert process.call(BRK, start + PAGE + 1) == start + PAGE + 1
    assert process.memory.read(start + PAGE, 4) == bytes(4)
    assert process.call(BRK, start - 1) == start + PAGE + 1
    assert process.call(BRK, start + (513 << 20)) == start + PAGE + 1


def test_mmap(process: Process, root: Path) -> None:
    a = process.call(MMAP, 0, 5000, 3, ANONYMOUS, -1, 0) & 0xFFFFFFFF
    assert a % PAGE == 0
    assert process.memory.access(a) == Access.READ | Access.WRITE
    b = process.call(MMAP, 0, PAGE, 1, ANONYMOUS, -1, 0) & 0xFFFFFFFF
    assert b == a - PAGE
    assert process.call(MMAP, a, PAGE, 3, ANONYMOUS | 0x100000, -1, 0) == failure("EEXIST")
    process.memory.write(a, b"old")
    assert process.call(MMAP, a, PAGE, 3, ANONYMOUS | 0x10, -1, 0) == a
    assert process.memory.read(a, 3) == bytes(3)
    assert process.call(MMAP, a + 1, PAGE, 3, ANONYMOUS | 0x10, -1, 0) == failure("EINVAL")
    assert process.call(MMAP, 0, 0, 3, ANONYMOUS, -1, 0) == failure("EINVAL")
    assert process.call(MMAP, 0, 0xFFFF_FFFF, 3, ANONYMOUS, -1, 0) == failure("ENOMEM")
    assert process.call(MPROTECT, a, 2 * PAGE, 5) == 0
    assert process.memory.access(a) == Access.READ | Access.EXECUTE
    assert process.call(MPROTECT, a + 64 * PAGE, PAGE, 3) in (0, failure("ENOMEM"))
    assert process.call(MPROTECT, a + 1, PAGE, 3) == failure("EINVAL")
    assert process.call(MUNMAP, a, 2 * PAGE) == 0
    assert not process.memory.is_mapped(a, 1)
    assert process.call(MMAP, 0, 2 * PAGE, 3, ANONYMOUS, -1, 0) & 0xFFFFFFFF == a
    (root / "f").write_bytes(b"A" * PAGE + b"tail")
    fd = open_(process, "f")
    f = process.call(MMAP, 0, PAGE, 1, 2, fd, 1) & 0xFFFFFFFF
    assert process.memory.read(f, 6) == b"tail\0\0"
    assert process.call(MMAP, 0, PAGE, 3, 1, fd, 0) == failure("ENODEV")
    assert process.call(MMAP, 0, PAGE, 3, 2, 55, 0) == failure("EBADF")


def test_mremap_and_madvise(process: Process) -> None:
    a = process.call(MMAP, 0, 2 * PAGE, 3, ANONYMOUS, -1, 0) & 0xFFFFFFFF
    process.memory.write(a, b"keep")
    assert process.call(MREMAP, a, 2 * PAGE, PAGE, 0) == a
    assert process.call(MREMAP, a, PAGE, 2 * PAGE, 0) == a
    assert process.call(MREMAP, a, 2 * PAGE, 64 * PAGE, 0) == failure("ENOMEM")
    moved = process.call(MREMAP, a, 2 * PAGE, 64 * PAGE, 1) & 0xFFFFFFFF
    assert moved != a
    assert process.memory.read(moved, 4) == b"keep"
    assert not process.memory.is_mapped(a, 1)
    assert process.call(233, moved, PAGE, 4) == 0
    assert process.memory.read(moved, 4) == bytes(4)
    assert process.call(233, a, PAGE, 4) == failure("ENOMEM")
    assert process.call(233, a, PAGE, 0) == 0


def test_time(process: Process) -> None:
    at = process.room(16)
    for number, args in ((403, (0, at)), (169, (at, 0)), (1062, (at,))):
        process.call(number, *args)
        assert abs(struct.unpack("<q", process.memory.read(at, 8))[0] - time.time()) < 5
    assert process.call(113, 1, at) == 0
    assert process.call(403, 77, at) == failure("EINVAL")
    assert process.call(114, 1, at) == 0
    assert process.call(406, 1, at) == 0
    assert process.call(153, at) >= 0
    assert process.call(101, process.put(struct.pack("<ii", 0, 1000)), 0) == 0
    assert process.call(407, 1, 0, process.put(struct.pack("<qq", 0, 1000)), 0) == 0
    assert process.call(407, 1, 1, process.put(struct.pack("<qq", 1, 0)), 0) == 0
    assert process.call(101, process.put(struct.pack("<ii", 0, -1)), 0) == failure("EINVAL")


def test_process_facts(process: Process) -> None:
    assert process.call(172) == process.call(178) == process.call(96, 0) == 1000
    assert process.call(173) == 1
    assert {process.call(n) for n in (174, 175, 176, 177)} == {1000}
    at = process.room(400)
    assert process.call(160, at) == 0
    assert process.system.string(at + 4 * 65) == "fake32"
    assert process.call(179, at) == 0
    assert process.call(261, 0, 3, 0, at) == 0
    assert struct.unpack("<Q", process.memory.read(at, 8)) == (8 << 20,)
    assert process.call(163, 7, at) == 0
    assert struct.unpack("<I", process.memory.read(at, 4)) == (1024,)
    assert process.call(278, at, 16, 0) == 16
    assert process.call(124) == process.call(99) == process.call(132) == 0
    assert process.call(2011, at, 100) == 0
    assert struct.unpack("<I", process.memory.read(at, 4)) == (1,)
    assert process.call(2011, at, 4) == failure("EINVAL")
    word = process.put(struct.pack("<I", 5))
    assert process.call(98, word, 0, 5, 0) == failure("EAGAIN")
    assert process.call(422, word, 1, 1) == 0


def test_random_from_seed() -> None:
    def draw(seed: int) -> bytes:
        process = Process(load_program(simple(), MACHINE_IDS), seed=seed)
        at = process.room(16)
        process.call(278, at, 16, 0)
        return process.memory.read(at, 16)

    assert draw(1) == draw(1) != draw(2)


def test_signals(process: Process) -> None:
    ignore, handler = (process.put(struct.pack("<II8x", h, 0)) for h in (1, 0x1000))
    assert process.outcome(131, 1000, 1000, 6) == Exited(134)
    assert process.outcome(129, 1000, 9) == Exited(137)
    assert process.call(129, 1000, 0) == 0
    assert process.call(129, 1000, 17) == 0
    assert process.call(129, 4242, 9) == failure("ESRCH")
    assert process.call(134, 6, ignore, 0, 8) == 0
    assert process.call(130, 1000, 6) == 0
    old = process.room(16)
    assert process.call(134, 6, handler, old, 8) == 0
    assert process.memory.read(old, 4) == b"\1\0\0\0"
    assert process.call(130, 1000, 6) == failure("ENOSYS")
    assert process.call(134, 9, handler, 0, 8) == failure("EINVAL")
    assert process.call(134, 0, 0, old) == failure("EINVAL")
    mask = process.put(b"\6" + bytes(7))
    assert process.call(135, 0, mask, old, 8) == 0
    assert process.call(135, 1, mask, old, 8) == 0
    assert process.memory.read(old, 8) == b"\6" + bytes(7)


def test_closed_pipe_kills_unless_ignored() -> None:
    receive, send = os.pipe()
    os.close(receive)
    with open(send, "wb", buffering=0) as file:
        process = Process(load_program(simple(), MACHINE_IDS), stdout=file)
        assert process.outcome(WRITE, 1, process.put("x"), 1) == Exited(141)
        process.call(134, 13, process.put(struct.pack("<II8x", 1, 0)), 0, 8)
        assert write(process, 1, b"x") == failure("EPIPE")
        process.profile.close()


def test_blocking_calls_can_be_interrupted() -> None:
    receive, send = os.pipe()
    with open(receive, "rb", buffering=0) as file:
        process = Process(load_program(simple(), MACHINE_IDS), stdin=file)
        at = process.room(16)
        for number, args in ((READ, (0, at, 4)), (101, (process.put(struct.pack("<ii", 60, 0)), 0))):
            timer = threading.Timer(0.05, process.profile.interrupt)
            timer.start()
            began = time.monotonic()
            assert process.outcome(number, *args) == Continue()
            assert process.machine.pc == 0x1000
            assert time.monotonic() - began < 10
            timer.join()
        os.write(send, b"data")
        assert process.call(READ, 0, at, 4) == 4
        process.profile.close()
    os.close(send)


def test_a_large_write_to_a_pipe_is_whole() -> None:
    receive, send = os.pipe()
    got = bytearray()

    def drain() -> None:
        while data := os.read(receive, 1000):
            got.extend(data)

    reader = threading.Thread(target=drain)
    reader.start()
    with open(send, "wb", buffering=0) as file:
        process = Process(load_program(simple(), MACHINE_IDS), stdout=file)
        assert write(process, 1, b"x" * 300_000) == 300_000
        process.profile.close()
    reader.join()
    os.close(receive)
    assert len(got) == 300_000


def test_pc_after_a_short_instruction(process: Process) -> None:
    process.machine.regs["r7"] = 172
    assert process.profile.trap(Trap(TrapKind.SYSCALL, 8, "call", 0xFFFF_FFFE, 0, 2)) == Continue()
    assert process.machine.pc == 0
