"""What profilers are told: perf's map, jitdump; and whether perf understands it."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynarec.core import native_host
from dynarec.engine import Machine
from dynarec.errors import DynarecError
from dynarec.inspect.perf import ELF_MACHINES, FOLDER_VARIABLE, JitDump, PerfMap, now
from dynarec.inspect.tool import Code, CodeWatcher, Listing
from dynarec.watcher import Watcher

ROM = "roms/mandelbrot.elf"
LIMIT = 3_000_000
HOT = "sample.part.0"
"""The function of the ROM that takes most of the time."""
INSTRUCTIONS = 300_000_000
"""Of a run that perf samples: about a second."""


class Seen(Watcher):
    """What was installed: address in this process, size, key."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.units: list[tuple[int, int, int]] = []
        machine.add_watcher(self)

    def installed(self, translation: Any, serial: int, seconds: float) -> None:
        offset = self.machine.core.find(translation.unit.key)
        assert offset is not None
        where = self.machine.core.run_address + offset
        self.units.append((where, len(translation.code.code), translation.unit.key))


def run(tool: PerfMap | JitDump) -> Seen:
    with Machine.load(ROM, tier="jit", stdout=io.BytesIO(), seed=1) as machine:
        seen, watcher = Seen(machine), CodeWatcher(machine, tool)
        machine.run(LIMIT)
        watcher.close()
        watcher.close()
        assert len(seen.units) > 20
    return seen


def code(serial: int, name: str = "f", size: int = 16) -> Code:
    return Code(serial, 0x1000, name, 0x7000_0000 + 64 * serial, bytes(size), Listing(("f:", "    nop"), ((0, 1),)))


# -- the map ----------------------------------------------------------------------------------------------------------


def test_the_map_has_each_unit(tmp_path: Path) -> None:
    tool = PerfMap(tmp_path)
    seen = run(tool)
    assert tool.path == tmp_path / f"perf-{os.getpid()}.map"
    lines = [line.split(" ") for line in tool.path.read_text().splitlines()]
    assert [(int(start, 16), int(size, 16)) for start, size, _ in lines] == [unit[:2] for unit in seen.units]
    names = [name for _, _, name in lines]
    assert {"main", HOT} <= {name.partition("+")[0] for name in names}


def test_what_is_left_of_another_process_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f"perf-{os.getpid()}.map").symlink_to(tmp_path / "precious")
    tool = PerfMap(tmp_path)
    tool.installed(code(1))
    tool.close()
    assert tool.path.read_text() == "70000040 10 f\n"
    assert (tmp_path / "precious").read_text() == "precious"


def test_it_goes_out_in_large_pieces(tmp_path: Path) -> None:
    tool = PerfMap(tmp_path)
    tool.installed(code(1))
    assert tool.path.read_text() == ""
    for serial in range(20_000):
        tool.installed(code(serial))
    assert tool.path.stat().st_size > 1 << 18
    tool.close()
    assert len(tool.path.read_text().splitlines()) == 20_001


# -- jitdump ----------------------------------------------------------------------------------------------------------


def records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(kind, time, body)"""
    at = struct.unpack_from("<I", data, 8)[0]
    while at < len(data):
        kind, size, when = struct.unpack_from("<IIQ", data, at)
        yield kind, when, data[at + 16 : at + size]
        at += size
    assert at == len(data)


def entries(body: bytes) -> tuple[int, list[tuple[int, int, str]]]:
    """The address of the code, and (address, line, file)."""
    address, count = struct.unpack_from("<QQ", body)
    found, at = [], 16
    for _ in range(count):
        place, line, discriminator = struct.unpack_from("<QII", body, at)
        end = body.index(b"\0", at + 16)
        found.append((place, line, body[at + 16 : end].decode()))
        assert discriminator == 0
        at = end + 1
    assert len(body) - at < 8
    return address, found


def test_jitdump(tmp_path: Path) -> None:
    before = now()
    tool = JitDump(tmp_path)
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(tool.path) in line]
    assert [line.split()[1] for line in mapped] == ["r-xp"], "perf finds the file by that"
    seen = run(tool)
    data = tool.path.read_bytes()
    header = struct.unpack_from("<6I2Q", data)
    assert header[:6] == (0x4A695444, 1, 40, ELF_MACHINES[native_host()], 0, os.getpid())
    assert header[7] == 0
    found = list(records(data))
    assert [kind for kind, _, _ in found] == [2, 0] * len(seen.units) + [3]
    times = [header[6], *(when for _, when, _ in found)]
    assert before <= times[0] <= times[-1] <= now()
    assert times == sorted(times)
    source = tool.source.read_text().splitlines()
    for (address, size, key), (_, _, debug), (_, _, load) in zip(seen.units, found[0::2], found[1::2], strict=False):
        check_load(load, address, size)
        check_lines(debug, address, size, key, source, str(tool.source))


def check_load(body: bytes, address: int, size: int) -> None:
    process, thread, virtual, where, length, _ = struct.unpack_from("<IIQQQQ", body)
    assert (process, virtual, where, length) == (os.getpid(), address, address, size)
    assert thread != 0
    name, code_ = body[40:].split(b"\0", 1)
    assert name
    assert len(code_) == size


def check_lines(body: bytes, address: int, size: int, key: int, source: list[str], file: str) -> None:
    where, rows = entries(body)
    assert where == address
    assert [place for place, _, _ in rows] == sorted(place for place, _, _ in rows)
    assert all(address <= place < address + size and name == file for place, _, name in rows)
    first, lines = rows[0][1], [line for _, line, _ in rows]
    assert re.fullmatch(r"\S+:", source[first - 1]), "the head"
    assert source[first].startswith(f"    {key:#010x}  "), "its first instruction"
    end = source.index("    (exits)", first) + 1
    assert first <= min(lines) <= max(lines) <= end
    assert end in lines


def test_the_folder_of_jitdump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    tool = JitDump()
    tool.close()
    tool.close()
    assert tool.path == tmp_path / f"jit-{os.getpid()}.dump"


@pytest.mark.skipif(sys.platform != "linux", reason="the clock of Linux")
def test_the_clock_is_that_of_perf() -> None:
    first = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert first <= now() <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)


# -- what goes wrong --------------------------------------------------------------------------------------------------


class Full:
    """A tool whose disk is full."""

    calls = 0

    def installed(self, code: Code) -> None:
        self.calls += 1
        raise OSError(28, "No space left on device", "here")

    def died(self, key: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def test_a_full_disk_does_not_end_the_run() -> None:
    tool = Full()
    with Machine.load("roms/hello.elf", tier="jit", stdout=io.BytesIO()) as machine:
        watcher = CodeWatcher(machine, tool)
        assert machine.run().status == 0
        with pytest.raises(DynarecError, match=r"here: not all of the generated code .* No space left"):
            watcher.close()
    assert tool.calls == 1


def test_a_machine_that_interprets_has_no_code() -> None:
    with (
        Machine.load("roms/hello.elf", tier="interp") as machine,
        pytest.raises(DynarecError, match="everything is interpreted"),
    ):
        CodeWatcher(machine, Full())


# -- perf itself ------------------------------------------------------------------------------------------------------


def perf(*arguments: object, folder: Path) -> str:
    """What a command of perf prints."""
    done = subprocess.run(
        ["perf", *map(str, arguments)], capture_output=True, text=True, check=True, cwd=folder,
        stdin=subprocess.DEVNULL, env={**os.environ, FOLDER_VARIABLE: str(folder), "HOME": str(folder)},
    )  # fmt: skip
    return done.stdout


def may_sample(folder: Path) -> bool:
    if shutil.which("perf") is None or "DYNAREC_EMULATED" in os.environ:
        return False
    try:
        perf("record", "-q", "-e", "cpu-clock", "-o", folder / "may.data", "true", folder=folder)
    except subprocess.CalledProcessError:
        return False
    return True


@pytest.fixture
def sampled(tmp_path: Path) -> Path:
    if not may_sample(tmp_path):
        pytest.skip("needs perf, and leave to sample processes of this host")
    return tmp_path


def record(folder: Path, kind: str) -> Path:
    """Samples of a run."""
    data = folder / f"{kind}.data"
    rom = Path(ROM).absolute()
    program = [sys.executable, "-m", "dynarec", "run", rom, "--headless", "--max-instructions", INSTRUCTIONS]
    command = ["record", "-q", "-e", "cpu-clock", "-k", "mono", "-o", data, *program, "--perf", kind]
    with pytest.raises(subprocess.CalledProcessError) as limit:
        perf(*command, folder=folder)
    assert limit.value.returncode == 124, limit.value.stderr
    return data


def test_perf_report_names_guest_functions(sampled: Path) -> None:
    data = record(sampled, "map")
    report = perf("report", "-i", data, "--stdio", "-s", "sym", folder=sampled)
    for process in set(perf("script", "-i", data, "-F", "pid", folder=sampled).split()):
        Path(f"/tmp/perf-{process}.map").unlink(missing_ok=True)
    assert re.search(rf"\d+\.\d+%.* \[\.\] {re.escape(HOT)}", report), report


def test_perf_annotate_shows_guest_instructions(sampled: Path) -> None:
    data = record(sampled, "jitdump")
    perf("inject", "--jit", "-i", data, "-o", "jitted.data", folder=sampled)
    report = perf("report", "-i", "jitted.data", "--stdio", "-s", "sym,srcline", folder=sampled)
    names = re.findall(rf"\[\.\] ({re.escape(HOT)}\S*) +jit-\d+\.s:\d+", report)
    assert names, report
    shown = perf("annotate", "-i", "jitted.data", "--stdio", "-s", names[0], folder=sampled)
    assert re.search(r": \d+ +0x000[0-9a-f]{5}  [a-z]", shown), "guest assembly between the lines of the host's"
