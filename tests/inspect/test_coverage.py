"""Coverage: counts of each instruction, lcov's tracefiles, drcov."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec.engine import Machine, StopReason
from dynarec.errors import DynarecError
from dynarec.inspect import coverage
from dynarec.inspect.model import Recording
from dynarec.inspect.recorder import Recorder
from tests.debug.build import ELF, SOURCE
from tests.debug.stopped import MARKED
from tests.inspect.made import exit_, recording, unit

SEED = 1
ROMS = [("roms/kernel.elf", 3_000_000), ("roms/ledger.elf", None), ("roms/scene3d.elf", 2_000_000)]


def recorded(machine: Machine, limit: int | None = None) -> Recording:
    recorder = Recorder(machine, sampling=None)
    machine.run(limit)
    return recorder.record()


def stepped(path: Path) -> Counter[int]:
    """How often each instruction is executed, seen one by one."""
    counts: Counter[int] = Counter()
    with Machine.load(path, tier="interp") as machine:
        while True:
            pc = machine.pc
            stop = machine.run(1)
            counts[pc] += stop.instructions
            if stop.reason is StopReason.EXITED:
                return counts


# -- counts -----------------------------------------------------------------------------------------------------------


def test_a_round_ends_early_at_exits_and_faults() -> None:
    exits = (exit_("jump", 2, taken=10), exit_("round", 3, taken=5), exit_("indirect", 4, taken=82))
    made = replace(unit(1, 0x1000, 4, exits=(exit_("budget", 0, taken=7), *exits), rounds=100), faulted=((1, 3),))
    assert coverage.executed(recording(made)) == {0x1000: 100, 0x1002: 97, 0x1004: 87, 0x1006: 82}


def test_an_address_that_comes_more_than_once() -> None:
    loop = unit(1, 0x1000, 2, pcs=(0x1000, 0x1002, 0x1000, 0x1002), rounds=4, exits=(exit_("jump", 3, taken=1),))
    made = recording(loop, unit(2, 0x1002, rounds=10), interpreted={0x1002: 100}, answered={0x1006: 1})
    assert coverage.executed(made) == {0x1000: 8, 0x1002: 4 + 3 + 10 + 100, 0x1006: 1}


def test_an_instruction_that_is_left_to_the_interpreter() -> None:
    left = replace(unit(1, 0x1000, 2, rounds=3, exits=(exit_("interpret", 1, taken=3),)), charged=1)
    assert coverage.executed(recording(left, interpreted={0x1002: 3})) == {0x1000: 3, 0x1002: 3}


@pytest.mark.parametrize("tier", ["jit", "auto"])
def test_counts_are_those_of_a_run_that_is_stepped(tier: str) -> None:
    with Machine.load(ELF, tier=tier) as machine:
        assert coverage.executed(recorded(machine)) == dict(sorted(stepped(ELF).items()))


@pytest.mark.parametrize("tier", ["jit", "auto"])
@pytest.mark.parametrize(("rom", "limit"), ROMS)
def test_counts_sum_up_to_the_instructions(rom: str, limit: int | None, tier: str) -> None:
    with Machine.load(rom, tier=tier, stdout=io.BytesIO(), seed=SEED) as machine:
        made = recorded(machine, limit)
    counts = coverage.executed(made)
    assert sum(counts.values()) == made.instructions == made.retired > 0
    assert min(counts.values()) > 0
    ways = coverage.branches(made)
    assert ways or tier == "auto", "there, all that is hot was interpreted first"
    assert {pc: sum(each.values()) for pc, each in ways.items()} == {pc: counts[pc] for pc in ways}


# -- branches ---------------------------------------------------------------------------------------------------------


def test_a_branch_before_an_instruction_that_is_left_to_the_interpreter() -> None:
    exits = (exit_("jump", 1, taken=2, target=0x2000), exit_("interpret", 1, taken=3))
    left = replace(unit(1, 0x1000, 2, rounds=5, exits=exits), charged=1)
    assert coverage.branches(recording(left)) == {0x1000: {0x1002: 3, 0x2000: 2}}


def test_a_branch_whose_way_is_known_in_a_unit() -> None:
    known = unit(1, 0x1000, pcs=(0x1000, 0x2000), rounds=5, exits=(exit_("indirect", 2, taken=5),))
    other = unit(2, 0x1000, 2, rounds=9, exits=(exit_("jump", 1, taken=2, target=0x2000),))
    assert coverage.branches(recording(known, other)) == {0x1000: {0x1002: 7, 0x2000: 7}}


def test_branches_of_units() -> None:
    inside = unit(1, 0x1000, 3, rounds=10, exits=(exit_("jump", 2, taken=4, target=0x2000), exit_("jump", 3, taken=6)))
    loop = unit(2, 0x1002, rounds=9, exits=(exit_("jump", 1, taken=2, target=0x2000),))
    made = recording(inside, loop)
    assert coverage.branches(recording(inside)) == {0x1002: {0x1004: 6, 0x2000: 4}}
    assert coverage.branches(made) == {0x1002: {0x1002: 7, 0x1004: 6, 0x2000: 6}}
    assert coverage.branches(recording(replace(inside, rounds=0, exits=()))) == {}
    assert coverage.branches(replace(made, interpreted={0x1002: 1})) == {}, "nobody knows where it went then"


# -- lcov -------------------------------------------------------------------------------------------------------------


def parse(text: str) -> dict[str, dict[str, list[str]]]:
    """Source file -> key -> values."""
    files: dict[str, dict[str, list[str]]] = {}
    for record in text.split("end_of_record\n")[:-1]:
        keys: dict[str, list[str]] = {}
        for line in record.splitlines():
            key, _, value = line.partition(":")
            keys.setdefault(key, []).append(value)
        files[keys["SF"][0]] = keys
    return files


@pytest.fixture(scope="module")
def tracefile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the program of the debugger's tests, beside its source."""
    folder = tmp_path_factory.mktemp("lcov")
    (folder / SOURCE.name).write_text(SOURCE.read_text())
    program = folder / ELF.name
    program.write_bytes(ELF.read_bytes())
    with Machine.load(program, tier="jit") as machine:
        coverage.write(recorded(machine), machine.program, machine.guest, folder / "run.lcov")
    return folder / "run.lcov"


def test_lines_and_functions(tracefile: Path) -> None:
    files = parse(tracefile.read_text())
    (keys,) = files.values()
    assert list(files) == [str(tracefile.with_name(SOURCE.name))]
    lines = {int(line): int(count) for line, count in (value.split(",") for value in keys["DA"])}
    expected = {"in add": 4, "in twice": 1, "walk calls": 2, "deepest": 1, "deeper": 3, "filled": 1, "last": 1}
    assert {name: lines[MARKED[name]] for name in expected} == expected
    never = [number for number, text in enumerate(SOURCE.read_text().splitlines(), 1) if "((byte *)to)[i]" in text]
    assert [lines[number] for number in never] == [0], "nobody calls memcpy"
    functions = dict(reversed(value.split(",")) for value in keys["FNDA"])
    assert (functions["add"], functions["factorial"], functions["main"]) == ("4", "4", "1")
    assert f"{MARKED['in add'] - 3},add" in keys["FN"]
    totals = {key: int(keys[key][0]) for key in ("LF", "LH", "FNF", "FNH", "BRF", "BRH")}
    assert (totals["LF"], totals["LH"]) == (len(lines), sum(count > 0 for count in lines.values()))
    assert totals["FNF"] == len(functions) == len(keys["FN"])


def test_branches_of_a_line(tracefile: Path) -> None:
    (keys,) = parse(tracefile.read_text()).values()
    line = MARKED["deepest"] - 1
    ways = sorted(int(value.split(",")[3]) for value in keys["BRDA"] if value.startswith(f"{line},"))
    assert ways == [1, 3], "factorial: n < 2"


def test_lines_that_were_not_executed() -> None:
    with Machine.load(ELF, tier="jit") as machine:
        made = recorded(machine, 1)
        (keys,) = parse(coverage.lcov(made, machine.program)).values()
    assert f"{MARKED['in add']},0" in keys["DA"]
    assert keys["LH"] == ["0"]
    assert "0,add" in keys["FNDA"]


@pytest.mark.skipif(shutil.which("genhtml") is None, reason="needs genhtml (Debian package lcov)")
def test_genhtml_reads_it(tracefile: Path) -> None:
    to = tracefile.with_name("html")
    ran = subprocess.run(
        ["genhtml", "--branch-coverage", tracefile, "-o", to], check=True, capture_output=True, text=True
    )
    assert re.search(r"lines\.*: [\d.]+% \(\d+ of \d+ lines\)", ran.stdout)


# -- drcov ------------------------------------------------------------------------------------------------------------


def read_drcov(data: bytes) -> tuple[list[str], list[tuple[int, int, int]]]:
    """The lines of text, and (offset, size, module) of the blocks."""
    head, _, rest = data.partition(b" bbs\n")
    lines = head.decode().splitlines()
    count = int(lines[-1].removeprefix("BB Table: "))
    assert len(rest) == 8 * count
    return lines, list(struct.iter_unpack("<IHH", rest))


def test_drcov(tmp_path: Path) -> None:
    with Machine.load(ELF, tier="auto") as machine:
        made = recorded(machine)
        coverage.write(made, machine.program, machine.guest, tmp_path / "run.drcov")
        program = machine.program
    lines, blocks = read_drcov((tmp_path / "run.drcov").read_bytes())
    assert lines[:4] == [
        "DRCOV VERSION: 2",
        "DRCOV FLAVOR: drcov",
        "Module Table: version 2, count 1",
        "Columns: id, base, end, entry, path",
    ]
    number, base, end, entry, path = lines[4].split(", ")
    assert (int(number), int(entry, 16), path) == (0, program.entry, str(ELF))
    start = int(base, 16)
    assert start == min(segment.address for segment in program.segments) < int(end, 16) == program.end
    covered = {start + at for offset, size, _ in blocks for at in range(offset, offset + size)}
    assert set(stepped(ELF)) <= covered
    assert all(module == 0 and size for _, size, module in blocks)
    assert sum(size for _, size, _ in blocks) == len(covered), "no two blocks overlap"
    memcpy = program.symbols.lookup("memcpy")
    assert memcpy is not None
    assert memcpy not in covered, "nobody calls it"


def test_code_that_is_not_of_the_file_is_left_out() -> None:
    with Machine.load(ELF, tier="interp") as machine:
        made = recording(interpreted={0x9000_0000: 5})
        assert read_drcov(coverage.drcov(made, machine.program, machine.guest))[1] == []


# -- what cannot be written -------------------------------------------------------------------------------------------


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(DynarecError, match=r"run\.txt: coverage is written to files that end in \.lcov"):
        coverage.kind_of(Path("run.txt"))
    with Machine.load(ELF, tier="jit") as machine:
        program, guest = machine.program, machine.guest
        with pytest.raises(DynarecError, match="were not counted"):
            coverage.write(replace(recording(), counted=False), program, guest, tmp_path / "a.lcov")
        with pytest.raises(DynarecError, match="cannot be written"):
            coverage.write(recording(), program, guest, tmp_path / "no" / "a.lcov")
    with (
        Machine.load("roms/hello.elf", tier="jit", stdout=io.BytesIO()) as machine,
        pytest.raises(DynarecError, match="compile it with -g"),
    ):
        coverage.write(recording(), machine.program, machine.guest, tmp_path / "a.lcov")
