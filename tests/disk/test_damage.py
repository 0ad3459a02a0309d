"""Files that are not what they were, or not this user's: they are ignored with a note, and the program runs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dynarec.disk import folder as folders
from dynarec.disk import identity, units_file
from dynarec.disk import record as records
from dynarec.disk.digests import digest_of
from dynarec.disk.folder import PrivateFolder
from dynarec.disk.places import KEY_NAME, KEY_SIZE, own_key
from dynarec.disk.record import ARRAYS, NUMBERS, SIZES, Purpose, purpose_of
from dynarec.disk.units_file import BODY, HEAD, MAC_END, START, BadUnits, Units
from dynarec.host import cpu_has_bmi2
from tests.disk.runs import run

KEY = bytes(KEY_SIZE)
IDENTITY = bytes(range(32))
HOMES = bytes(range(32))
COUNTS = {**dict.fromkeys(ARRAYS, 0), "exits": 1, "ranges": 1, "code": 4, "source": 4}
RECORD = records.HEAD.pack(HOMES, 0x10000, 0, 1, 0, *COUNTS.values())
RECORD += bytes(sum(SIZES[name] * count for name, count in COUNTS.items()))
SMALL = Units(1000, {48: HOMES, 400: bytes(32)}, (8, 12), {Purpose(HOMES, 0x10000, 0): RECORD})
FIRST_COUNT = records.HEAD.size - 4 * len(ARRAYS)


@pytest.fixture
def file(folder: Path) -> Path:
    """The file that a run has left."""
    run()
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "state" / "dynarec" / KEY_NAME


def one_note(capsys: pytest.CaptureFixture[str]) -> str:
    note = capsys.readouterr().err
    assert note.startswith("dynarec: "), note
    assert note.count("\n") == 1, note
    return note


def check_ignored(capsys: pytest.CaptureFixture[str], what: str, kept_then: bool = True) -> None:
    """A run takes no notice of what there is but for a note. kept_then: what it writes is good again."""
    expected, plain = run(disk_cache=False)
    capsys.readouterr()
    result, stats = run()
    assert (result, stats.kept, stats.translated) == (expected, 0, plain.translated)
    assert what in one_note(capsys)
    result, stats = run()
    assert (result, stats.kept > 0) == (expected, kept_then)


# -- the file ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read() -> None:
    read = units_file.read(units_file.write(SMALL, IDENTITY, KEY), IDENTITY, KEY)
    assert read == SMALL


def test_every_truncation_and_every_byte() -> None:
    data = units_file.write(SMALL, IDENTITY, KEY)
    damaged = [data[:size] for size in range(len(data))] + [data + b"\0"]
    for at in range(len(data)):
        damaged += [data[:at] + bytes((data[at] ^ flip,)) + data[at + 1 :] for flip in (1, 0x80)]
    for each in damaged:
        with pytest.raises(BadUnits):
            units_file.read(each, IDENTITY, KEY)


def test_another_key_and_another_identity() -> None:
    data = units_file.write(SMALL, IDENTITY, KEY)
    with pytest.raises(BadUnits, match="this user's key"):
        units_file.read(data, IDENTITY, b"\1" * KEY_SIZE)
    with pytest.raises(BadUnits, match="another program"):
        units_file.read(data, bytes(32), KEY)


@pytest.mark.parametrize("at", range(FIRST_COUNT, records.HEAD.size, 4))
def test_sizes_that_do_not_fit(at: int) -> None:
    """The mac is right: somebody has written it so."""
    for wrong in (0xFFFF_FFFF, 1 << 20, 5):
        record = RECORD[:at] + wrong.to_bytes(4, "little") + RECORD[at + 4 :]
        with pytest.raises(BadUnits):
            units_file.read(units_file.write(Units(records={purpose_of(RECORD): record}), IDENTITY, KEY), IDENTITY, KEY)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-9] + bytes(9)])
def test_damaged(file: Path, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(damage(file.read_bytes()))
    check_ignored(capsys, str(file))


def test_of_another_version(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = file.read_bytes()
    magic, version, size = HEAD.unpack_from(data)
    file.write_bytes(HEAD.pack(magic, version + 1, size) + data[HEAD.size :])
    check_ignored(capsys, "another kind or version")


def test_of_another_key(file: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key.unlink()
    check_ignored(capsys, "this user's key")


def test_of_another_program(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody has given it the name of this one's."""
    data = file.read_bytes()
    units = units_file.read(data, data[MAC_END : MAC_END + 32], own_key())
    file.write_bytes(units_file.write(units, IDENTITY, own_key()))
    check_ignored(capsys, "another program")


def check_has_another_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, stats = run()
    assert stats.kept == 0
    assert capsys.readouterr().err == ""
    assert len(list(file.parent.iterdir())) == 2


@pytest.mark.skipif(not cpu_has_bmi2(), reason="needs an x86-64 processor with BMI2")
def test_of_another_processor(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("dynarec.host.cpu_has_bmi2", lambda: False)
    check_has_another_file(file, capsys)


def test_of_another_dynarec(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One of its files has been changed since."""
    monkeypatch.setattr(identity, "_state", lambda path: (str(path), 0, 0))
    check_has_another_file(file, capsys)


@pytest.mark.parametrize("at", range(BODY.size - 12, BODY.size, 4))
def test_more_choices_addresses_or_units_than_there_are(at: int) -> None:
    body = units_file.write(SMALL, IDENTITY, KEY)[MAC_END:]
    for wrong in (0xFFFF_FFFF, 1 << 16, 9):
        with pytest.raises(BadUnits):
            units_file.read(sealed(body[:at] + wrong.to_bytes(4, "little") + body[at + 4 :], KEY), IDENTITY, KEY)


def sealed(body: bytes, key: bytes) -> bytes:
    """The file, authenticated as the user would."""
    head = HEAD.pack(units_file.MAGIC, units_file.VERSION, len(body))
    return head + digest_of((head, body), key) + body


# -- units with a right mac --------------------------------------------------------------------------------------------


def places(record: bytes) -> dict[str, int]:
    """Where in a record its fields begin, and its arrays if there is something in them."""
    _, *numbers = records.HEAD.unpack_from(record)
    found = {name: 32 + 4 * number for number, name in enumerate(NUMBERS)}
    at = records.HEAD.size
    for name, count in zip(ARRAYS, numbers[len(NUMBERS) :], strict=True):
        if count:
            found[name] = at
        at += count * SIZES[name]
    return found


def hostile(record: bytes) -> Iterator[bytes]:
    """Units that differ from a good one in one thing each."""
    most, other = b"\xff\xff\xff\x7f", b"\1\0\0\0"
    changes = [("code", 0, b"\x0f\x05\xc3\x90"), ("code", 0, b"\xc0\x03\x5f\xd6")]  # syscall; ret, on either host
    changes += [("body", 0, most), ("body", 0, other), ("sites", 0, most)]
    changes += [("exits", field, most) for field in (0, 4, 8)]
    changes += [("ranges", 0, b"\xff\xff\xff\xff"), ("ranges", 4, most)]
    there = places(record)
    for name, field, data in changes:
        if name in there:
            at = there[name] + field
            yield record[:at] + data + record[at + len(data) :]


def test_what_is_hostile_is_not_installed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has the key: what is installed was verified."""
    data = file.read_bytes()
    owner = data[MAC_END : MAC_END + 32]
    units = units_file.read(data, owner, own_key())
    expected, _ = run(disk_cache=False)
    count = 0
    for purpose, record in units.records.items():
        for bad in hostile(bytes(record)):
            file.write_bytes(units_file.write(Units(records={purpose: bad}), owner, own_key()))
            result, stats = run()
            assert (result, stats.kept) == (expected, 0)
            assert "not used" in one_note(capsys)
            count += 1
    assert count > len(units.records)


# -- the folder, and the key -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write(file: Path, mode: int, capsys: pytest.CaptureFixture[str]) -> None:
    file.chmod(mode)
    check_ignored(capsys, "others have access to it")


def test_a_folder_that_others_can_write(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.parent.chmod(0o777)
    check_ignored(capsys, "others have access to the folder", kept_then=False)


def test_somebody_elses(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(folders.os, "geteuid", lambda: owner + 1)
    check_ignored(capsys, "belongs to somebody else", kept_then=False)


def test_a_symbolic_link(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.rename(tmp_path / "real")
    file.symlink_to(tmp_path / "real")
    check_ignored(capsys, str(file))
    assert not file.is_symlink()
    assert (tmp_path / "real").exists()


def test_a_folder_that_is_a_symbolic_link(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.parent.rename(tmp_path / "real")
    file.parent.symlink_to(tmp_path / "real")
    check_ignored(capsys, str(file.parent), kept_then=False)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_no_file(file: Path, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    file.unlink()
    make(file)
    check_ignored(capsys, str(file), kept_then=make is os.mkfifo)


@pytest.mark.parametrize("damage", [lambda key: key.chmod(0o644), lambda key: key.write_bytes(b"short")])
def test_a_key_that_is_none(
    file: Path, key: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(key)
    check_ignored(capsys, "key", kept_then=False)


def test_everything_is_private(file: Path, key: Path) -> None:
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (file, key, file.parent, key.parent)]
    assert modes == [0o600, 0o600, 0o700, 0o700]
    assert len(key.read_bytes()) == KEY_SIZE


# -- when nothing can be kept ------------------------------------------------------------------------------------------


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(folders.os, "replace", full)
        check_ignored(capsys, f"{folder}: translations are not kept: No space left on device", kept_then=False)
    assert list(folder.iterdir()) == []


def test_no_place_for_the_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.parent.write_bytes(b"a file")
    check_ignored(capsys, str(folder), kept_then=False)


def test_no_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    for name in ("DYNAREC_CACHE_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    check_ignored(capsys, "no home directory", kept_then=False)


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with PrivateFolder(tmp_path / "made" / "here") as opened:
        opened.write("file", b"old")
        with monkeypatch.context() as patch:
            patch.setattr(folders.os, "replace", interrupted)
            with pytest.raises(KeyboardInterrupt):
                opened.write("file", b"new")
        assert [path.name for path in opened.path.iterdir()] == ["file"]
        assert opened.read("file", 3) == b"old"
        with pytest.raises(OSError, match="3 bytes"):
            opened.read("file", 2)
        with pytest.raises(FileExistsError):
            opened.write("file", b"new", replace=False)


def test_start_is_where_units_begin() -> None:
    assert len(units_file.write(Units(), IDENTITY, KEY)) == START
