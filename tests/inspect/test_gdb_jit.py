"""What gdb is told about generated code: the objects, which of them are registered, and whether gdb understands it."""

from __future__ import annotations

import ctypes
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from elftools.dwarf.callframe import CIE, FDE
from elftools.elf.elffile import ELFFile

import dynarec._native
from dynarec.debug.line_program import SEQUENCE_END, Columns, read_header, read_rows
from dynarec.engine import Machine
from dynarec.inspect import elf_object
from dynarec.inspect.elf_object import Function
from dynarec.inspect.gdb_jit import PATIENCE, TOGETHER, GdbJit
from dynarec.inspect.recorder import Recorder
from dynarec.inspect.tool import Code, CodeWatcher, Listing

ENTRY = 0x1234_5678_9ABC
SOURCE = PurePosixPath("/folder/units.s")
FUNCTIONS = [
    Function("main", 0x4000_0000, 40, ((0x4000_0000, 1), (0x4000_0008, 3), (0x4000_0009, 2), (0x4000_0020, 500))),
    Function("f+0x10", 0x4000_0030, 0x1000, ((0x4000_0030, 7), (0x4000_0830, 8), (0x4000_0FF0, 1))),
]
HOT = "sample.part.0"
"""The function of the ROM that takes most of the time."""


# -- objects ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["x86_64", "arm64"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def parsed(data: bytes) -> ELFFile:
    return ELFFile(io.BytesIO(data))


def made(host: str) -> ELFFile:
    return parsed(elf_object.make(host, SOURCE, FUNCTIONS, ENTRY))


def test_symbols(host: str) -> None:
    elf = made(host)
    assert elf.header["e_machine"] == {"x86_64": "EM_X86_64", "arm64": "EM_AARCH64"}[host]
    text = elf.get_section_by_name(".text")
    assert (text["sh_addr"], text["sh_size"], text["sh_type"]) == (0x4000_0000, 0x1030, "SHT_NOBITS")
    symbols = list(elf.get_section_by_name(".symtab").iter_symbols())[1:]
    found = [(each.name, each["st_value"], each["st_size"], each["st_info"]["type"]) for each in symbols]
    assert found == [(each.name, each.address, each.size, "STT_FUNC") for each in FUNCTIONS]


def test_functions(host: str) -> None:
    (unit,) = made(host).get_dwarf_info().iter_CUs()
    top = unit.get_top_DIE()
    assert Path(top.get_full_path()) == SOURCE
    assert (top.attributes["DW_AT_low_pc"].value, top.attributes["DW_AT_high_pc"].value) == (0x4000_0000, 0x1030)
    found = [
        (
            die.attributes["DW_AT_name"].value.decode(),
            *(die.attributes[f"DW_AT_{end}_pc"].value for end in ("low", "high")),
        )
        for die in top.iter_children()
    ]
    assert found == [(each.name, each.address, each.size) for each in FUNCTIONS]


def test_the_debuggers_own_reader_reads_the_lines(host: str) -> None:
    data = made(host).get_section_by_name(".debug_line").data()
    header, rows = read_header(data, 0), Columns()
    sequences = list(read_rows(data, header, rows))
    read = list(zip(rows.address, rows.line, rows.flags, strict=True))
    for (start, end), function in zip(sequences, FUNCTIONS, strict=True):
        assert tuple(row[:2] for row in read[start : end - 1]) == function.rows
        assert (read[end - 1][0], read[end - 1][2] & SEQUENCE_END) == (function.end, SEQUENCE_END)


def test_all_steps_of_addresses_and_lines() -> None:
    steps = [(advance, lines) for advance in (0, 1, 17, 18, 300) for lines in (-300, -6, -5, 0, 8, 9, 300)]
    rows, address, line = [(0x1000, 1000)], 0x1000, 1000
    for advance, lines in steps:
        address, line = address + advance, line + lines
        rows.append((address, line))
    elf = parsed(elf_object.make("x86_64", SOURCE, [Function("f", 0x1000, 0x8000, tuple(rows))], ENTRY))
    columns, data = Columns(), elf.get_section_by_name(".debug_line").data()
    ((start, end),) = read_rows(data, read_header(data, 0), columns)
    assert list(zip(columns.address, columns.line, strict=True))[start : end - 1] == rows


def test_frames(host: str) -> None:
    common, frame = made(host).get_dwarf_info().CFI_entries()
    assert isinstance(common, CIE)
    assert isinstance(frame, FDE)
    column, stack = {"x86_64": (16, 7), "arm64": (30, 31)}[host]
    assert common["return_address_register"] == column
    (rules,) = frame.get_decoded().table
    assert (rules["pc"], rules["cfa"].reg, rules["cfa"].offset) == (0x4000_0000, stack, 0), "nothing is pushed"
    assert rules[column].type == "VAL_EXPRESSION"
    assert bytes(rules[column].arg) == b"\x03" + ENTRY.to_bytes(8, "little")
    assert (frame["initial_location"], frame["address_range"]) == (0x4000_0000, 0x1030)


# -- what is registered -----------------------------------------------------------------------------------------------


class Entry(ctypes.Structure):
    """struct jit_code_entry"""


Entry._fields_ = [
    ("next", ctypes.POINTER(Entry)), ("previous", ctypes.POINTER(Entry)), ("file", ctypes.c_void_p),
    ("size", ctypes.c_uint64),
]  # fmt: skip


class Descriptor(ctypes.Structure):
    """struct jit_descriptor"""

    _fields_ = (
        ("version", ctypes.c_uint32), ("action", ctypes.c_uint32), ("relevant", ctypes.POINTER(Entry)),
        ("first", ctypes.POINTER(Entry)),
    )  # fmt: skip


def registered() -> Iterator[bytes]:
    """The objects of this process, the last first."""
    descriptor = Descriptor.in_dll(ctypes.CDLL(dynarec._native.__file__), "__jit_debug_descriptor")
    assert descriptor.version == 1
    entry, before = descriptor.first, None
    while entry:
        assert (ctypes.addressof(entry.contents.previous.contents) if entry.contents.previous else None) == before
        yield ctypes.string_at(entry.contents.file, entry.contents.size)
        entry, before = entry.contents.next, ctypes.addressof(entry.contents)


def symbols() -> dict[str, tuple[int, int]]:
    """Name -> address and size, of all objects."""
    tables = [parsed(data).get_section_by_name(".symtab") for data in registered()]
    return {
        each.name: (each["st_value"], each["st_size"]) for table in tables for each in table.iter_symbols() if each.name
    }


def code(serial: int, address: int | None = None) -> Code:
    place = 0x7000_0000 + 64 * serial if address is None else address
    return Code(serial, serial, f"f{serial}", place, bytes(32), Listing((f"f{serial}:", "    nop"), ((0, 0), (8, 1))))


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Iterator[GdbJit]:
    """One that waits until it is told not to, or has enough."""
    monkeypatch.setattr("dynarec.inspect.gdb_jit.PATIENCE", 1e9)
    made = GdbJit()
    yield made
    made.close()
    assert not list(registered())
    assert not made.folder.exists()


def test_units_are_registered_together(tool: GdbJit) -> None:
    for serial in range(TOGETHER):
        assert not list(registered())
        tool.installed(code(serial))
    assert len(list(registered())) == 1
    assert symbols()["f5"] == (0x7000_0000 + 320, 32)
    tool.installed(code(TOGETHER))
    tool.flush()
    tool.flush()
    assert len(list(registered())) == 2
    assert len(symbols()) == TOGETHER + 1


def test_the_source_lists_them(tool: GdbJit) -> None:
    tool.installed(code(1))
    tool.installed(code(2))
    tool.flush()
    (data,) = registered()
    (unit,) = parsed(data).get_dwarf_info().iter_CUs()
    source = Path(unit.get_top_DIE().get_full_path())
    assert source.parent == tool.folder
    assert tool.folder.stat().st_mode & 0o077 == 0, "nobody else may change it"
    assert source.read_text().splitlines() == ["f1:", "    nop", "", "f2:", "    nop"]


def test_an_object_goes_with_the_last_of_its_units(tool: GdbJit) -> None:
    for serial in (1, 2, 3):
        tool.installed(code(serial))
    tool.died(3)
    tool.flush()
    assert symbols().keys() == {"f1", "f2"}
    tool.died(1)
    assert symbols().keys() == {"f1", "f2"}
    tool.died(2)
    assert symbols() == {}
    assert not list(tool.folder.iterdir())


def test_what_was_at_the_same_place_goes(tool: GdbJit) -> None:
    for serial in (1, 2, 3):
        tool.installed(code(serial))
    tool.flush()
    tool.installed(code(10, code(2).address + 16))
    assert symbols() == {}
    tool.installed(code(1))
    tool.flush()
    assert symbols().keys() == {"f10", "f1"}
    assert len(list(registered())) == 2, "an object has units in ascending order"


def test_lonely_units_do_not_wait() -> None:
    tool = GdbJit()
    tool.installed(code(1))
    assert symbols().keys() == {"f1"}
    tool.close()
    tool.close()
    assert 0 < PATIENCE < 1


def test_the_units_of_a_run(tool: GdbJit) -> None:
    with Machine.load("roms/kernel.elf", tier="jit", stdout=io.BytesIO(), seed=1, cache_size=1 << 16) as machine:
        watcher = CodeWatcher(machine, tool)
        machine.run(2_000_000)
        tool.flush()
        assert machine.stats().discarded > 0
        core, found = machine.core, symbols()
        places = sorted(found.values())
        assert all(low + size <= high for (low, size), (high, _) in pairwise(places)), "none overlap"
        (address,) = {machine.symbols.lookup("machine_trap")}
        assert address is not None
        offset = core.find(address)
        assert offset is not None
        assert found["machine_trap"][0] == core.run_address + offset
        watcher.close()
        assert not list(registered())


# -- gdb itself -------------------------------------------------------------------------------------------------------


def gdb(*commands: str, program: list[Any]) -> str:
    """What gdb prints."""
    options = ["set pagination off", "set confirm off", "set breakpoint pending on", "set print thread-events off"]
    options.append("handle SIGUSR1 SIGSEGV SIGURG nostop noprint pass")
    given = [part for each in (*options, *commands) for part in ("-ex", each)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", *given, "--args", *map(str, program)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture
def may_debug() -> None:
    plain = [sys.executable, "-c", "pass"]
    if shutil.which("gdb") is None or "exited normally" not in gdb("run", program=plain):
        pytest.skip("needs gdb, and leave to debug processes of this host")


def name_of_a_hot_unit() -> str:
    """Of one that a run without a thread for translations has; not that of a function, which might be called once."""
    with Machine.load("roms/mandelbrot.elf", stdout=io.BytesIO(), sync=True) as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run(3_000_000)
        recording = recorder.record()
    units = [unit for unit in recording.live if recording.name(unit.key).startswith(f"{HOT}+")]
    return recording.name(max(units, key=lambda unit: unit.instructions or 0).key)


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="not under a sanitizer, which traces the process at its end")
@pytest.mark.usefixtures("may_debug")
def test_gdb_shows_guest_functions_and_instructions(tmp_path: Path) -> None:
    """The process is killed, and leaves its source behind."""
    run = [sys.executable, "-m", "dynarec", "run", "roms/mandelbrot.elf", "--headless", "--max-instructions", 10**10]
    hot = name_of_a_hot_unit()
    output = gdb(
        f"set environment TMPDIR {tmp_path}", f"break {hot}", "run", "bt 7", "info symbol $pc", "list", "stepi",
        "bt 3", "kill",
        program=[*run, "--gdb-jit", "--wx", "mprotect", "--sync"],
    )  # fmt: skip
    assert re.search(rf"hit Breakpoint 1, {re.escape(hot)} \(\) at \S*units-\d+\.s:\d+", output), output
    frames = re.findall(r"^#(\d+) +(?:0x[0-9a-f]+ in )?(\S+) \(", output, re.MULTILINE)
    first, again = frames[:7], frames[7:]
    assert [frame for _, frame in first[:3]] == [hot, "dr_enter", "dr_run_code"], output
    assert "dr_run" in [frame for _, frame in first]
    assert [frame for _, frame in again] == [hot, "dr_enter", "dr_run_code"], "behind the first instruction"
    assert re.search(r"^\d+\t    0x000[0-9a-f]{5}  [a-z]", output, re.MULTILINE), "guest assembly"
