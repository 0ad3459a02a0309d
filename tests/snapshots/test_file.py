"""Files of snapshots: complete or not there, and read with care."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dynarec import Snapshot, snapshot_file
from dynarec.errors import DynarecError
from dynarec.machine.state import MOST_DEPTH, BadState, Fields, State, Value, decode, encode
from dynarec.sections import HEADER, SECTION, Format
from dynarec.snapshot_file import MAGIC, META, VERSION
from tests.fuzz import snapshot as fuzz
from tests.fuzz.oracle import bounded_memory, check_line
from tests.fuzz.targets import find_target
from tests.native.guests import DATA, EXIT, load

PAGE = 4096


@pytest.fixture
def kept() -> Snapshot:
    with load(EXIT) as machine:
        machine.memory[DATA : DATA + 8] = b"snapshot"
        return machine.snapshot()


def refusal(data: bytes) -> str:
    """What is said of a file that is no snapshot."""
    with bounded_memory(len(data)), pytest.raises(DynarecError) as raised:
        snapshot_file.read(io.BytesIO(data), len(data), "it")
    check_line(str(raised.value))
    return str(raised.value)


def test_what_is_read_is_what_was_written(kept: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    kept.save(str(path))
    loaded = Snapshot.load(path)
    assert (loaded.origin, loaded.moment, loaded.profile) == (kept.origin, kept.moment, kept.profile)
    assert (loaded.answered, loaded.exited, loaded.devices) == (kept.answered, kept.exited, kept.devices)
    assert loaded.pages.runs == kept.pages.runs
    assert list(loaded.pages) == list(kept.pages)
    assert any(page.startswith(b"snapshot") for _, page in loaded.pages)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_zeros_take_no_room(kept: Snapshot, tmp_path: Path) -> None:
    kept.save(tmp_path / "kept")
    assert len(kept.pages.numbers) < sum(count for _, count, _ in kept.pages.runs)
    assert (tmp_path / "kept").stat().st_size < 2 * PAGE


def test_every_byte_counts(kept: Snapshot, tmp_path: Path) -> None:
    """A file that is cut off anywhere, goes on behind its end, or has another byte anywhere, is refused."""
    kept.save(tmp_path / "kept")
    data = (tmp_path / "kept").read_bytes()
    for size in range(0, len(data), 7):
        refusal(data[:size])
    for place in range(0, len(data), 5):
        refusal(data[:place] + bytes((data[place] ^ 0x55,)) + data[place + 1 :])
    refusal(data + b"\0")


def section(kind: bytes, content: bytes, size: int | None = None, full: int | None = None) -> bytes:
    stored = zlib.compress(content)
    sizes = len(stored) if size is None else size, len(content) if full is None else full
    return SECTION.pack(kind, *sizes, zlib.crc32(stored)) + stored


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no snapshot"),
        (b"\x7fELF" + bytes(100), "is no snapshot"),
        (HEADER.pack(MAGIC, VERSION + 1), f"format {VERSION + 1}, this dynarec reads {VERSION}"),
        (HEADER.pack(MAGIC, VERSION), "truncated"),
        (HEADER.pack(MAGIC, VERSION) + section(b"NONE", b""), "a section is none"),
        (HEADER.pack(MAGIC, VERSION) + section(META, b"", size=1 << 31), "truncated"),
        (HEADER.pack(MAGIC, VERSION) + section(META, b"", full=(1 << 32) - 1), "too large"),
        (HEADER.pack(MAGIC, VERSION) + section(META, bytes(1 << 20), full=10), "another size"),
        (HEADER.pack(MAGIC, VERSION) + section(META, encode({})), r"meta.runs is missing"),
        (HEADER.pack(MAGIC, VERSION) + section(META, encode([])), r"is no table"),
        (HEADER.pack(MAGIC, VERSION) + section(META, encode({"runs": [1]})), r"not made of runs"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_no_more_is_uncompressed_than_was_said() -> None:
    """A section that would become a gigabyte says that it becomes a page."""
    packer = zlib.compressobj()
    stored = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 10)) + packer.flush()
    head = HEADER.pack(MAGIC, VERSION) + SECTION.pack(META, len(stored), PAGE, zlib.crc32(stored))
    assert "another size" in refusal(head + stored)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_only_files(make: Callable[[Path], None], kept: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "other"
    make(path)
    for action in (lambda: Snapshot.load(path), lambda: kept.save(path)):
        with pytest.raises(DynarecError, match="is no file") as raised:
            action()
        assert str(path) in str(raised.value)


def test_a_file_that_cannot_be_written(kept: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(DynarecError, match="cannot be written: No such file"):
        kept.save(tmp_path / "none" / "kept")


def test_what_was_there_stays_when_writing_fails(
    kept: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").write_bytes(b"the old one")

    def full(format_: Format, file: object, kind: bytes, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Format, "write_section", full)
    with pytest.raises(DynarecError, match="No space left"):
        kept.save(tmp_path / "kept")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("kept", b"the old one")]


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        -1,
        127,
        128,
        -129,
        1 << 64,
        b"",
        b"\0\xff",
        "",
        "x\u00e9\U0001f600\udc80",
        [],
        [1, [b"2", {}]],
        {"a": {"": -1}},
    ],
)
def test_values(value: Value) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"", b"i", struct.pack("<cI", b"i", 1), struct.pack("<cI", b"x", 0), struct.pack("<cI", b"l", 0xFFFF_FFFF),
        struct.pack("<cI", b"i", 256) + bytes(256), struct.pack("<cI", b"s", 1) + b"\xff",
        struct.pack("<cI", b"d", 1) + encode(1) + encode(1), encode(1) + b"\0",
        struct.pack("<cI", b"l", 1) * (MOST_DEPTH + 2) + bytes(50), struct.pack("<cI", b"l", 1) * 100_000,
    ],
)  # fmt: skip
def test_bytes_that_are_no_value(data: bytes) -> None:
    with bounded_memory(len(data)), pytest.raises(BadState) as raised:
        decode(data)
    check_line(str(raised.value))


STATE: State = {"n": 5, "b": b"12", "t": "x", "l": [1, 2], "d": {}}
WRONG: list[Callable[[Fields], object]] = [
    lambda f: f.number("n", 5), lambda f: f.number("n", 9, 6), lambda f: f.number("b"), lambda f: f.number("none"),
    lambda f: f.flag("n"), lambda f: f.data("b", 1), lambda f: f.data("b", most=1), lambda f: f.data("t"),
    lambda f: f.text("b"), lambda f: f.items("l", 1), lambda f: f.numbers("l", 2), lambda f: f.texts("l"),
    lambda f: f.fields("l"), lambda f: f.state("n"), lambda f: f.parts("l"),
]  # fmt: skip


@pytest.mark.parametrize("ask", WRONG)
def test_fields_that_are_not_as_asked_for(ask: Callable[[Fields], object]) -> None:
    with pytest.raises(BadState, match=r"the snapshot is damaged: it"):
        ask(Fields(STATE, "it"))


def test_fields() -> None:
    fields = Fields(STATE, "it")
    assert (fields.number("n", 6, 5), fields.data("b", 2, 2), fields.text("t")) == (5, b"12", "x")
    assert (fields.numbers("l", 3, 2), fields.state("d"), "n" in fields, "none" in fields) == ([1, 2], {}, True, False)


# -- the fuzz target --------------------------------------------------------------------------------------------------


def test_the_corpus_is_of_the_present_format() -> None:
    """Its inputs can be gone on from, so changes of them come far. `python -m tests.fuzz.snapshot` makes them anew."""
    inputs = list(find_target("snapshot").inputs())
    assert len(inputs) == 2 * len(fuzz.MACHINES)
    for path in inputs:
        fuzz.use(Snapshot.load(path))


def is_refused(data: bytes) -> bool:
    try:
        snapshot_file.read(io.BytesIO(data), len(data), "it")
    except DynarecError:
        return True
    return False


def test_changed_sections_still_fit() -> None:
    """Most changes are refused because of what they say, not because of a checksum."""
    for path in find_target("snapshot").inputs():
        data = path.read_bytes()
        for seed in range(60):
            changed = fuzz.mutate(data, fuzz.MAX_SIZE, seed)
            fuzz.check(changed)
            assert "checksum" not in (refusal(changed) if is_refused(changed) else "")
