"""Programs: what is accepted, and one clear line for everything else."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynarec.errors import BadProgram
from dynarec.program import Program, load_program
from dynarec.symbols import SHARING, Symbols
from tests.machine.elf import INTERP, NOTE, Part, R, W, X, build, simple
from tests.machine.fake import MACHINE_IDS

CODE = b"\x13\0\0\0"
GOOD = simple({"main": (0x10000, 8, 2), "loop": (0x10010, 0, 2), "table": (0x20000, 4, 1)})


def patched(offset: int, data: bytes, elf: bytes = GOOD) -> bytes:
    return elf[:offset] + data + elf[offset + len(data) :]


def test_a_good_program() -> None:
    program = load_program(GOOD, MACHINE_IDS)
    code, data = program.segments
    assert (program.entry, program.machine_id, program.name) == (0x10000, 243, "program")
    assert (code.readable, code.writable, code.executable) == (True, False, True)
    assert (data.address, data.data, data.size, data.end) == (0x20000, b"data", 0x3000, 0x23000)


def test_symbols() -> None:
    symbols = load_program(GOOD, MACHINE_IDS).symbols
    assert symbols.lookup("main") == 0x10000
    assert symbols.lookup("nothing") is None
    assert symbols.lookup("mai") is None
    assert symbols.nearest(0x10004) == ("main", 4)
    assert symbols.nearest(0x10008) is None
    assert symbols.nearest(0x10014) == ("loop", 4)
    assert symbols.nearest(0xFFF) is None
    assert [f.name for f in symbols.functions] == ["main", "loop"]
    assert len(symbols) == 3
    assert "table" in symbols


def test_notes() -> None:
    note = struct.pack("<III", 4, 3, 7) + b"GNU\0" + b"abc\0"
    program = load_program(build([Part(0x10000, CODE), Part(0, note, kind=NOTE)]), MACHINE_IDS)
    assert program.notes == {("GNU", 7): b"abc"}


BAD = {
    "is empty": b"",
    "not an ELF": b"#!/bin/sh\n",
    "truncated: no ELF": b"\x7fE",
    "64-bit": patched(4, b"\x02"),
    "big-endian": patched(5, b"\x02"),
    "no known class": patched(4, b"\x09"),
    "ELF header needs": GOOD[:40],
    "program headers lie beyond": GOOD[:60],
    "data of the segment at 0x00010000 lies beyond": GOOD[:130],
    "program headers, the limit": patched(44, b"\xfe\xff"),
    "program headers of 31": patched(42, b"\x1f"),
    "dynamically linked: link with -static": patched(16, b"\x03"),
    "is an object file": patched(16, b"\x01"),
    "not an executable program": patched(16, b"\x04"),
    "another machine: ARM": patched(18, b"\x28"),
    "another machine: machine 61455": patched(18, b"\x0f\xf0"),
    "nothing to load": build([]),
    "overlap, at 0x00010000 and 0x00010002": build([Part(0x10000, CODE), Part(0x10002, CODE)]),
    "beyond 4 GiB": build([Part(0x10000, CODE), Part(0xFFFFF000, b"", 0x1001)]),
    "entry 0x00000004 outside": build([Part(0x10000, CODE)], entry=4),
    "entry 0x00020000 outside": build([Part(0x10000, CODE), Part(0x20000, CODE, flags=R | W)], entry=0x20000),
    "more data than memory": build([Part(0x10000, CODE, size=2)]),
    "a note lies beyond": build([Part(0x10000, CODE), Part(0, struct.pack("<III", 4, 99, 7), kind=NOTE)]),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_programs(reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.elf"
    path.write_bytes(BAD[reason])
    with pytest.raises(BadProgram) as caught:
        load_program(path, MACHINE_IDS)
    message = str(caught.value)
    assert reason in message
    assert str(path) in message
    assert "\n" not in message


def test_headers_that_name_the_same_bytes() -> None:
    """Each would be copied: a small file must not fill the memory."""
    shared = [Part(0x10000 * n, b"", 0x10000, offset=0, file_size=2000) for n in range(1, 100)]
    notes = [Part(0, b"", kind=NOTE, offset=0, file_size=2000)] * 99
    for parts, reason in (([Part(0x10000, CODE), *notes], "its notes"), (shared, "its segments")):
        with pytest.raises(BadProgram, match=f"{reason} have more data than the file"):
            load_program(build(parts), MACHINE_IDS)


def test_headers_in_a_segment_without_memory() -> None:
    """It is not loaded, so they are nowhere in guest memory, whatever its address."""
    nowhere = Part(0xFFFF_FFF0, b"", 0, offset=0, file_size=200)
    program = load_program(build([nowhere, Part(0x10000, CODE)]), MACHINE_IDS)
    assert program.headers_address == 0


def test_names_that_cannot_be_shown() -> None:
    symbols = load_program(simple({"\x1b[2J": (0x10000, 4, 2), "été": (0x10004, 4, 2)}), MACHINE_IDS).symbols
    assert [each.name for each in symbols] == ["été"]
    assert "\udcff" not in load_program(GOOD, MACHINE_IDS).symbols


def test_names_that_share_their_bytes() -> None:
    """Each symbol has a name of its own, the rest of one long one: a small file must not fill the memory."""
    names = b"\0" + b"a" * 100_000 + b"\0"
    table = b"".join(struct.pack("<IIIBBH", start, 0x10000, 0, 2, 0, 1) for start in range(1, 10_000))
    found = list(Symbols(lambda: (table, names)))
    assert 0 < sum(len(each.name) for each in found) <= SHARING * len(names)


def test_interpreter_means_dynamic() -> None:
    with pytest.raises(BadProgram, match="link with -static"):
        load_program(build([Part(0x10000, CODE), Part(0x30000, b"ld.so\0", kind=INTERP)]), MACHINE_IDS)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no", "no such file"), (tmp_path, "is a directory"), (Path("a\0b"), "cannot be")):
        with pytest.raises(BadProgram, match=reason):
            load_program(path, MACHINE_IDS)


def test_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BadProgram, match="permission denied"):
        load_program(tmp_path / "x", MACHINE_IDS)


def test_a_huge_segment_costs_nothing() -> None:
    program = load_program(build([Part(0x10000, CODE), Part(0x20000, b"", 0xFFFE0000, R | W)]), MACHINE_IDS)
    assert program.end == 1 << 32
    assert program.segments[1].data == b""


def test_headers_in_memory() -> None:
    data = build([Part(0x10000, b"x" * 200, offset=0, flags=R | X)], entry=0x10054)
    program = load_program(data, MACHINE_IDS)
    assert (program.headers_address, program.headers_count) == (0x10034, 1)


def outcome_of(data: bytes) -> Program | str:
    """The program, or the message of its refusal; any other exception is a failure."""
    try:
        return load_program(data, MACHINE_IDS)
    except BadProgram as error:
        return str(error)


def accepted_or_refused(data: bytes) -> None:
    found = outcome_of(data)
    if isinstance(found, str):
        assert "\n" not in found
        return
    list(found.symbols)
    found.symbols.nearest(found.entry)
    assert sum(len(s.data) for s in found.segments) <= len(data)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_flipped_bytes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    accepted_or_refused(bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(GOOD)), st.binary(max_size=16))
def test_truncated(size: int, tail: bytes) -> None:
    accepted_or_refused(GOOD[:size] + tail)


def test_every_header_byte() -> None:
    for at in range(148):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            accepted_or_refused(patched(at, bytes([value])))
