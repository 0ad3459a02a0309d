"""System calls on files and names, and the sandbox they stay in."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from dynarec.program import load_program
from tests.machine.calls import (
    APPEND,
    CLOSE,
    CREATE,
    DIRECTORY,
    EXCLUSIVE,
    FDCWD,
    LSEEK,
    NOFOLLOW,
    OPEN,
    OPENAT,
    TRUNCATE,
    failure,
    open_,
    read,
    write,
)
from tests.machine.elf import simple
from tests.machine.fake import MACHINE_IDS, Process


def test_files(process: Process, root: Path) -> None:
    fd = open_(process, "/a.txt", 2 | CREATE | EXCLUSIVE)
    assert fd == 3
    assert write(process, fd, b"hello world") == 11
    assert (root / "a.txt").read_bytes() == b"hello world"
    assert open_(process, "a.txt", CREATE | EXCLUSIVE) == failure("EEXIST")
    at = process.room(5)
    assert process.call(67, fd, at, 5, 6, 0) == 5
    assert process.memory.read(at, 5) == b"world"
    assert process.call(68, fd, process.put(b"W"), 1, 6, 0) == 1
    assert process.call(67, fd, at, 5, 0, 0x8000_0000) == failure("EINVAL")
    assert process.call(46, fd, 7, 0) == 0
    assert (root / "a.txt").read_bytes() == b"hello W"
    assert process.call(82, fd) == 0
    assert process.call(CLOSE, fd) == 0
    assert process.call(CLOSE, fd) == failure("EBADF")
    fd = open_(process, "a.txt", 1 | APPEND)
    assert write(process, fd, b"!") == 1
    assert (root / "a.txt").read_bytes() == b"hello W!"
    assert open_(process, "a.txt", 1 | TRUNCATE) == 4
    assert (root / "a.txt").read_bytes() == b""
    assert open_(process, "none") == failure("ENOENT")
    assert open_(process, "a.txt/x") == failure("ENOTDIR")
    assert open_(process, "/", 1) == failure("EISDIR")


def test_linux_llseek(process: Process, root: Path) -> None:
    (root / "f").write_bytes(bytes(100))
    fd = open_(process, "f")
    result = process.machine.regs["sp"] + 16
    assert process.call(LSEEK, fd, 0, 40, result, 0) == 0
    assert struct.unpack("<q", process.memory.read(result, 8)) == (40,)
    assert process.call(LSEEK, fd, 0, 2, result, 1) == 0
    assert struct.unpack("<q", process.memory.read(result, 8)) == (42,)
    assert process.call(LSEEK, fd, 0xFFFF_FFFF, 0xFFFF_FFFF, result, 2) == 0
    assert struct.unpack("<q", process.memory.read(result, 8)) == (99,)


def test_newlib_lseek(process: Process, root: Path) -> None:
    (root / "f").write_bytes(bytes(100))
    fd = open_(process, "f")
    assert process.call(LSEEK, fd, 40, 0) == 40
    assert process.call(LSEEK, fd, -1, 2) == 99
    assert process.call(LSEEK, fd, -1, 1, 0, 0) == 98
    assert process.call(LSEEK, fd, -200, 1) == failure("EINVAL")


def test_newlib_by_symbol(root: Path, process: Process) -> None:
    newlib = Process(load_program(simple({"_impure_ptr": (0x20000, 4, 1)}), MACHINE_IDS), root)
    (root / "f").write_bytes(bytes(100))
    fd = open_(newlib, "f")
    assert newlib.call(LSEEK, fd, 0, 1, newlib.machine.regs["sp"], 0) == 0
    assert newlib.call(LSEEK, fd, 7, 0, newlib.machine.regs["sp"], 0) == 7
    assert open_(newlib, "new", 0x601) > 0
    assert (root / "new").exists()


def test_newlib_open(process: Process, root: Path) -> None:
    fd = process.call(OPEN, process.put("n"), 0x601, 0o600)
    assert write(process, fd, b"x" * 10) == 10
    assert process.call(OPEN, process.put("n"), 0x601, 0o600) == 4
    assert (root / "n").stat().st_size == 0
    assert process.call(OPEN, process.put("linux"), 0o1101, 0o600) == 5
    assert (root / "linux").exists()


def test_status(process: Process, root: Path) -> None:
    (root / "f").write_bytes(b"12345")
    (root / "link").symlink_to("f")
    at, name = process.room(256), process.put("f")
    fd = open_(process, "f")
    for number, args in ((80, (fd, at)), (79, (FDCWD, name, at, 0)), (1038, (name, at)), (1039, (name, at))):
        process.memory.write(at, bytes(256))
        assert process.call(number, *args) == 0
        data = process.memory.read(at, 128)
        mode, links = struct.unpack_from("<II", data, 16)
        assert mode & 0o170000 == 0o100000
        assert links == 1
        assert struct.unpack_from("<q", data, 48) == (5,)
        assert struct.unpack_from("<q", data, 88)[0] == int((root / "f").stat().st_mtime)
    assert process.call(1039, process.put("link"), at) == 0
    assert struct.unpack_from("<I", process.memory.read(at, 128), 16)[0] & 0o170000 == 0o120000
    assert process.call(291, FDCWD, name, 0, 0x7FF, at) == 0
    data = process.memory.read(at, 256)
    assert struct.unpack_from("<H", data, 28)[0] & 0o170000 == 0o100000
    assert struct.unpack_from("<Q", data, 40) == (5,)
    assert struct.unpack_from("<q", data, 112)[0] == int((root / "f").stat().st_mtime)
    assert process.call(291, fd, process.put(""), 0x1000, 0x7FF, at) == 0
    assert process.call(80, 1, at) == 0
    assert struct.unpack_from("<I", process.memory.read(at, 128), 16)[0] & 0o170000 == 0o020000


def test_names(process: Process, root: Path) -> None:
    put, call = process.put, process.call
    assert call(34, FDCWD, put("d"), 0o755) == 0
    assert call(1030, put("/d/e/"), 0o755) == 0
    (root / "d/f").write_bytes(b"x")
    assert call(38, FDCWD, put("d/f"), FDCWD, put("d/g")) == 0
    assert call(276, FDCWD, put("d/g"), FDCWD, put("d/f"), 0) == 0
    assert call(276, FDCWD, put("d/f"), FDCWD, put("d/g"), 1) == failure("EINVAL")
    assert call(1025, put("d/f"), put("hard")) == 0
    assert (root / "hard").read_bytes() == b"x"
    assert call(48, FDCWD, put("hard"), 4) == 0
    assert call(1033, put("nope"), 0) == failure("ENOENT")
    assert call(1033, put("hard"), 64) == failure("EINVAL")
    assert call(49, put("d/e")) == 0
    at = process.room(64)
    assert call(17, at, 64) == 5
    assert process.system.string(at) == "/d/e"
    assert call(17, at, 3) == failure("ERANGE")
    assert open_(process, "../f") >= 0
    assert call(49, put("/")) == 0
    assert call(1026, put("hard")) == 0
    assert call(35, FDCWD, put("d/e"), 0x200) == 0
    assert call(35, FDCWD, put("d"), 0x200) == failure("ENOTEMPTY")
    assert not (root / "hard").exists()
    assert not (root / "d/e").exists()


def test_directory_listing(process: Process, root: Path) -> None:
    for n in range(20):
        (root / f"file{n:02}").write_bytes(b"")
    fd, at, names = open_(process, "/", DIRECTORY), process.room(128), []
    while size := process.call(61, fd, at, 128):
        data = process.memory.read(at, size)
        while data:
            (length,) = struct.unpack_from("<H", data, 16)
            names.append(data[19:].split(b"\0")[0].decode())
            data = data[length:]
    assert names == [".", "..", *(f"file{n:02}" for n in range(20))]
    assert process.call(61, fd, at, 128) == 0
    assert process.call(LSEEK, fd, 0, 0) == 0
    assert process.call(61, fd, at, 128) > 0
    assert process.call(61, fd, at, 8) == failure("EINVAL")
    assert process.call(61, open_(process, "file00"), at, 128) == failure("ENOTDIR")
    assert process.call(OPENAT, fd, process.put("file03"), 0) >= 0


def test_duplicates(process: Process, root: Path) -> None:
    (root / "f").write_bytes(b"abcdef")
    fd = open_(process, "f")
    copy = process.call(23, fd)
    assert process.call(24, fd, 9, 0o2000000) == 9
    assert process.call(25, 9, 1) == 1
    assert process.call(25, fd, 0, 20) == 20
    assert process.call(25, fd, 1030, 20) == 21
    assert process.call(CLOSE, fd) == 0
    assert read(process, copy, 3) == b"abc"
    assert read(process, 20, 3) == b"def"
    assert process.call(25, 9, 2, 0) == 0
    assert process.call(25, 9, 1) == 0
    assert process.call(25, 1, 3) in (1, 2)
    assert process.call(25, 1, 4, 0) == 0
    assert process.call(24, copy, copy) == failure("EINVAL")
    assert process.call(24, copy, 5000) == failure("EBADF")
    assert process.call(24, copy, 1) == 1
    assert process.call(25, 1, 99) == failure("EINVAL")


def test_terminal(root: Path) -> None:
    controller, terminal = os.openpty()
    with open(terminal, "r+b", buffering=0) as file:
        process = Process(load_program(simple(), MACHINE_IDS), stdout=file, stdin=file)
        at = process.room(64)
        assert process.call(29, 1, 0x5413, at) == 0
        assert process.call(29, 1, 0x5401, at) == 0
        assert process.call(29, 1, 0x1234, at) == failure("ENOTTY")
        assert process.call(29, 2, 0x5401, at) == failure("ENOTTY")
        assert write(process, 1, b"hi") == 2
        assert os.read(controller, 10) == b"hi"
        assert process.call(LSEEK, 1, 0, 1) == failure("ESPIPE")
        process.profile.close()
    os.close(controller)


OUTSIDE = [
    "../secret",
    "/../secret",
    "d/../../secret",
    "up/secret",
    "abs",
    "absdir/secret",
    "rel",
    "chain",
    "./../secret",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_sandbox(process: Process, root: Path, path: str) -> None:
    secret = root.parent / "secret"
    secret.write_bytes(b"secret")
    (root / "d").mkdir()
    for name, target in {
        "up": "..",
        "abs": str(secret),
        "absdir": str(root.parent),
        "rel": "../secret",
        "chain": "d/../up/secret",
    }.items():
        (root / name).symlink_to(target)
    assert open_(process, path) == failure("ENOENT")
    assert process.call(1038, process.put(path), process.room(128)) == failure("ENOENT")
    assert process.call(1033, process.put(path), 0) == failure("ENOENT")
    open_(process, path, 1 | CREATE | TRUNCATE)
    process.call(1026, process.put(path))
    process.call(38, FDCWD, process.put(path), FDCWD, process.put("got"))
    assert secret.read_bytes() == b"secret"
    assert sorted(p.name for p in root.parent.iterdir()) == ["root", "secret"]


def test_sandbox_links_inside_work(process: Process, root: Path) -> None:
    (root / "d").mkdir()
    (root / "d/f").write_bytes(b"x")
    (root / "to").symlink_to("/d/f")
    (root / "dir").symlink_to("d")
    (root / "loop").symlink_to("loop")
    assert read(process, open_(process, "to")) == b"x"
    assert read(process, open_(process, "dir/../to")) == b"x"
    assert open_(process, "loop") == failure("ELOOP")
    assert open_(process, "to", NOFOLLOW) == failure("ELOOP")
    at = process.room(16)
    assert process.call(78, FDCWD, process.put("to"), at, 3) == 3
    assert process.memory.read(at, 3) == b"/d/"
    assert open_(process, "x" * 300) == failure("ENAMETOOLONG")
    assert open_(process, "") == failure("ENOENT")


def test_pipes_and_devices_are_refused(process: Process, root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert open_(process, "pipe") == failure("EACCES")
    assert process.call(1033, process.put("pipe"), 0) == 0


def test_no_root() -> None:
    process = Process(load_program(simple(), MACHINE_IDS))
    assert open_(process, "/etc/passwd") == failure("ENOENT")
    assert open_(process, "new", 1 | CREATE) == failure("EACCES")
    assert process.call(1030, process.put("d"), 0o755) == failure("EACCES")


def test_many_files(process: Process, root: Path) -> None:
    (root / "f").write_bytes(b"")
    fd = open_(process, "f")
    assert [process.call(23, fd) for _ in range(1100)][-1] == failure("EMFILE")
