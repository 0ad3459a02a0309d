"""What a machine profile saves, and becomes again: descriptors, heap, signals, random numbers, clocks."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import pytest

from dynarec.errors import DynarecError
from dynarec.machine.semihosting import FeaturesFile
from dynarec.machine.state import State
from dynarec.machine.system import System
from dynarec.program import load_program
from tests.machine.calls import CLOSE, CREATE, DIRECTORY, open_, read, write
from tests.machine.elf import simple
from tests.machine.fake import MACHINE_IDS, Process


def test_descriptors(process: Process, root: Path) -> None:
    """Positions, duplicates, flags, directories, the current directory; what was closed since is opened again."""
    files = process.profile.system.files
    (root / "d").mkdir()
    (root / "d" / "f").write_bytes(bytes(range(100)))
    here = open_(process, "d", DIRECTORY)
    fd = open_(process, "/d/f", 2)
    copy = process.call(23, fd)
    assert read(process, fd, 10) == bytes(range(10))
    other = open_(process, "/d/f")
    room = process.room(256)
    listed = process.call(61, here, room, 48)
    following = process.call(61, here, room, 256)
    kept = process.profile.save()
    assert process.call(49, process.put(b"/d\0")) == 0
    assert write(process, copy, b"xyz") == 3
    assert process.call(CLOSE, other) == 0
    assert process.call(CLOSE, here) == 0
    new = open_(process, "/new", 1 | CREATE)
    fds = {number: slot.file.fd for number, slot in files._slots.items()}
    process.profile.restore(kept)
    assert files.cwd == ()
    assert sorted(files._slots) == [0, 1, 2, here, fd, copy, other]
    assert files[fd] is files[copy]
    assert files[fd].fd == fds[fd], "a file that is open is used again"
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fds[new])
    assert read(process, copy, 5) == b"xyz\x0d\x0e"
    assert read(process, other, 3) == bytes(range(3))
    assert listed > 0
    assert process.call(61, here, room, 256) == 0 < following
    assert process.profile.save()["semihosting"] == kept["semihosting"]


def test_a_file_that_is_gone(process: Process, root: Path) -> None:
    (root / "f").write_bytes(b"f")
    fd = open_(process, "f")
    kept = process.profile.save()
    process.call(CLOSE, fd)
    (root / "f").unlink()
    before = process.profile.save()
    with pytest.raises(DynarecError, match="file '/f' cannot be opened again: No such file"):
        process.profile.restore(kept)
    process.profile.restore(before)
    assert process.profile.save()["system"]["files"] == before["system"]["files"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize("kind", ["object", "file"])
def test_input_goes_back(kind: str, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"input\nmore")
    with (tmp_path / "input").open("rb", 0) as file:
        process = Process(load_program(simple(), MACHINE_IDS), stdin=b"input\nmore" if kind == "object" else file)
        assert read(process, 0, 3) == b"inp"
        kept = process.profile.save()
        assert read(process, 0, 4) == b"ut\nm"
        assert process.call(CLOSE, 0) == 0
        process.profile.restore(kept)
        assert read(process, 0, 4) == b"ut\nm"
        process.profile.close()


def test_output_stays(process: Process) -> None:
    assert write(process, 1, b"one") == 3
    kept = process.profile.save()
    assert write(process, 1, b"two") == 3
    assert process.call(CLOSE, 1) == 0
    process.profile.restore(kept)
    assert write(process, 1, b"three") == 5
    assert process.stdout.getvalue() == b"onetwothree"


def test_the_features_file_of_semihosting(process: Process) -> None:
    """It is none of the host's, and is made again."""
    files = process.profile.system.files
    number = files.add(FeaturesFile())
    assert files[number].read(2) == b"SH"
    kept = process.profile.save()
    files.remove(number)
    process.profile.restore(kept)
    assert files[number].read(9) == b"FB\x03"


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 4}, {"mode": -1}, {"offset": 1 << 63}, {"offset": "x"}, {"path": ["\0"]}, {"path": ["\ud800"]},
        {"path": ["..", "..", "..", "etc", "passwd"]}, {"path": "f"}, {"serial": -1}, {"stream": 3}, {"made": "x"},
        {"directory": 1},
    ],
)  # fmt: skip
def test_a_file_that_cannot_have_been_saved(process: Process, root: Path, change: State) -> None:
    (root / "f").write_bytes(b"f")
    fd = open_(process, "f")
    kept = process.profile.save()
    assert process.call(CLOSE, fd) == 0
    system = kept["system"]
    assert isinstance(system, dict)
    table = system["files"]
    assert isinstance(table, dict)
    files = table["files"]
    assert isinstance(files, list)
    (saved,) = (file for file in files if isinstance(file, dict) and "path" in file)
    saved.update(change)
    with pytest.raises(DynarecError):
        process.profile.restore(kept)
    assert sorted(process.profile.system.files._slots) == [0, 1, 2]


@pytest.mark.parametrize("name", ["..", "../outside", "a/b", "", "\0", "\ud800"])
def test_a_current_directory_that_is_none(process: Process, name: str) -> None:
    kept = process.profile.save()
    system = kept["system"]
    assert isinstance(system, dict)
    table = system["files"]
    assert isinstance(table, dict)
    table["cwd"] = [name]
    with pytest.raises(DynarecError):
        process.profile.restore(kept)


def facts(system: System) -> tuple[object, ...]:
    actions = dict(system.signal_actions)
    return system.random_bytes(8), system.heap_end, actions, system.signal_mask, system.space.spans()


def test_signals_heap_and_random_numbers(process: Process) -> None:
    system = process.profile.system
    at = process.put(struct.pack("<4I", 1, 2, 3, 4))
    assert process.call(134, 10, at, 0, 8) == 0
    mask = process.put(struct.pack("<Q", 0x10))
    assert process.call(135, 2, mask, 0, 8) == 0
    start = process.call(214, 0)
    kept = process.profile.save()
    wanted = facts(system)
    assert process.call(214, start + 0x3000) == start + 0x3000
    assert process.call(134, 11, at, 0, 8) == 0
    process.call(222, 0, 0x2000, 3, 0x22, -1, 0)
    process.profile.restore(kept)
    assert facts(system) == wanted


def test_clocks_stand_still_in_a_snapshot(process: Process) -> None:
    system = process.profile.system
    then, age, kept = system.monotonic.now(), system.age, process.profile.save()
    time.sleep(0.2)
    process.profile.restore(kept)
    assert 0 <= system.monotonic.now() - then < 0.2 * 10**9
    assert 0 <= system.age - age < 0.2 * 10**9
