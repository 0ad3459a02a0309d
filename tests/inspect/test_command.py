"""`dynarec inspect`, and the options of `run` that go with it."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec.inspect import dump, tables
from tests.inspect.recordings import full, recorded
from tests.pseudo_terminal import on_terminal
from tests.test_cli import dynarec, one_line
from tests.test_machine import A0, A7, CODE, ECALL, LOOP, ROMS, addi, exit_with, lui, lw, program

HELLO, LEDGER = ROMS / "hello.elf", ROMS / "ledger.elf"
A1, A2 = 11, 12
GREETING = "Hello from a RISC-V program of 32 bits\n"


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dumps") / "dump"
    dump.write(full(), path)
    return path


def shown(*arguments: str | Path) -> str:
    """What is written to stdout, by a command that succeeds."""
    done = dynarec("inspect", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_table_of_a_dump(dumped: Path) -> None:
    text = shown(dumped)
    recording = full()
    assert text.startswith(tables.as_text(recording, tables.top(recording, 20)) + "\n")
    ran = sum(unit.rounds != 0 for unit in recording.units)
    assert f"and {ran - 20} more: --top {ran}\n" in text
    assert tables.summary(recording) in text


def test_a_program_is_run_for_it() -> None:
    done = dynarec("inspect", HELLO, "--tier", "jit", "--json")
    assert (done.returncode, done.stderr) == (0, GREETING)
    content = json.loads(done.stdout)
    assert content["counted"]
    retired = sum(unit["instructions"] for unit in content["units"])
    for kind in ("interpreted", "answered"):
        retired += sum(count for _, count in content[kind])
    assert retired == content["retired"] > 3000


def test_hints_follow_the_table() -> None:
    done = dynarec("inspect", LEDGER, "--tier", "jit", "--top", "3")
    assert done.stdout.count("main+") >= 1
    assert "\nhints:\n  " in done.stdout


def test_arguments_of_the_program() -> None:
    done = dynarec("inspect", ROMS / "words.elf", "--csv", "--max-instructions", "2000", "--tier", "jit", "--", "x")
    assert done.returncode == 0
    assert sum(int(row["instructions"]) for row in csv.DictReader(io.StringIO(done.stdout))) <= 2000


@pytest.mark.parametrize("limit", [("--max-instructions", "5000"), ("--timeout", "0.2")])
def test_a_program_that_does_not_end(tmp_path: Path, limit: tuple[str, str]) -> None:
    rom = tmp_path / "loop.elf"
    rom.write_bytes(program(LOOP))
    assert "1 alive" in shown(rom, *limit, "--tier", "jit")


def test_a_program_that_is_interrupted(tmp_path: Path) -> None:
    """What it has written says that it runs; it is on the standard error."""
    rom = tmp_path / "loop.elf"
    rom.write_bytes(program(addi(A0, 0, 1), lui(A1, CODE >> 12), addi(A2, 0, 1), addi(A7, 0, 64), ECALL, LOOP))
    command = [sys.executable, "-m", "dynarec", "inspect", rom, "--tier", "jit", "--top", "1", "--dump", tmp_path / "d"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        assert run.stderr.read(1) == addi(A0, 0, 1).to_bytes(4, "little")[:1]
        run.send_signal(signal.SIGINT)
        out, err = run.communicate()
    assert (run.returncode, err) == (0, b"")
    assert b" alive" in out
    assert dump.read(tmp_path / "d").units


def test_a_program_that_dies(tmp_path: Path) -> None:
    rom = tmp_path / "dies.elf"
    rom.write_bytes(program(lw(5, 0, 16)))
    done = dynarec("inspect", rom, "--tier", "jit")
    assert done.returncode == 0
    assert done.stderr == "dynarec: dies.elf: load access fault\n"
    assert "1 alive" in done.stdout


def test_one_unit(dumped: Path) -> None:
    unit = full().live[0]
    text = shown(dumped, "--unit", hex(unit.key), "--stages")
    assert text.startswith(f"unit {unit.serial}: {full().name(unit.key)} at {unit.key:#010x}\n")
    for word in ("exits:", "IR, lifted:", "IR after fold:", f"{unit.pcs[0]:08x}"):
        assert word in text
    assert text.count("\n") > len(unit.pcs) + unit.host_insns
    assert "IR, lifted" not in shown(dumped, "--unit", "_start")


def test_every_unit_can_be_shown(dumped: Path) -> None:
    from dynarec.inspect.unit_text import describe

    for recording in (full(), recorded("ledger")):
        for unit in recording.units:
            lines = list(describe(recording, unit, stages=True))
            host = [line for line in lines if line.startswith(" " * 22)]
            assert len(host) == unit.host_insns
            assert sum(f"  {pc:08x}  " in line for pc in set(unit.pcs) for line in lines) == len(unit.pcs)
            assert not any("cannot be shown" in line for line in lines)


def test_other_forms(dumped: Path) -> None:
    recording = full()
    rows = list(csv.DictReader(io.StringIO(shown(dumped, "--csv", "--filter", "dead", "--sort", "serial"))))
    assert [int(row["serial"]) for row in rows] == [unit.serial for unit in recording.dead]
    back = list(csv.DictReader(io.StringIO(shown(dumped, "--csv", "--filter", "dead", "--sort=-serial"))))
    assert rows == back[::-1]
    content = json.loads(shown(dumped, "--json", "--top", "2"))
    assert [unit["serial"] for unit in content["units"]] == [unit.serial for unit in tables.top(recording, 2)]
    assert [unit["serial"] for unit in json.loads(shown(dumped, "--json"))["units"]] == [
        u.serial for u in recording.units
    ]
    assert shown(dumped, "--dot").count('fillcolor="#') == len(recording.live)
    assert shown(dumped, "--filter", "nowhere").startswith("no units\n")
    assert shown(dumped, "--unit", "#1", "--top", "0") == "no units\n"


def test_files(dumped: Path, tmp_path: Path) -> None:
    assert shown(dumped, "--dump", tmp_path / "again") == ""
    assert (tmp_path / "again").read_bytes() == dumped.read_bytes()


def test_a_page(dumped: Path, tmp_path: Path) -> None:
    assert shown(dumped, "--html", tmp_path / "page.html") == ""
    assert (tmp_path / "page.html").read_text().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "name one thing: dynarec inspect ROM, DUMP, --kernel FILE or --attach PID"),
        (("DUMP", "--attach", "1"), "name one thing"),
        (("DUMP", "DUMP"), "is one thing too many: name one program, or compare: inspect diff A B"),
        (("diff", "DUMP"), "two dumps are compared: dynarec inspect diff A B"),
        (("diff", "DUMP", "DUMP", "--fail-on", "x"), "unknown change 'x'"),
        (("diff", "DUMP", HELLO), "is no dump"),
        (("diff", "DUMP", "DUMP", "--html", "page"), "--html is not for comparing"),
        (("DUMP", "--fail-on", "died"), "--fail-on is for inspect diff A B"),
        (("DUMP", "--stages"), "--stages is for one unit: name it with --unit"),
        (("--attach", "4194304"), "there is no process 4194304"),
        (("nothing",), "nothing: there is no such file"),
        (("DUMP", "--sort", "x"), "unknown column 'x': choose one of serial"),
        (("DUMP", "--unit", "nowhere"), "nothing is known of 'nowhere'"),
        (("DUMP", "--filter", "reason:x"), "units do not die of 'x'"),
        (("DUMP", "--json", "--csv"), "not allowed with argument"),
        (("DUMP", "--dump", "/nowhere/x"), "/nowhere/x: the dump cannot be written"),
        ((HELLO, "--tier", "interp"), "everything is interpreted: there is no code cache to inspect"),
    ],
)
def test_mistakes(dumped: Path, arguments: tuple[str | Path, ...], text: str) -> None:
    words = [dumped if word == "DUMP" else word for word in arguments]
    assert text in one_line(dynarec("inspect", *words))


def test_a_damaged_dump(dumped: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(dumped.read_bytes()[:-10])
    assert "cut: the dump is truncated" in one_line(dynarec("inspect", tmp_path / "cut"))


# -- comparing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path) -> Path:
    units = tuple(replace(unit, code=unit.code + bytes(100)) if unit.serial == 7 else unit for unit in full().units)
    dump.write(replace(full(), units=units), tmp_path / "other")
    return tmp_path / "other"


def test_comparing(dumped: Path, other: Path) -> None:
    done = dynarec("inspect", "diff", dumped, other)
    assert (done.returncode, done.stderr) == (0, "")
    assert "larger (more host code): 1\n" in done.stdout
    content = json.loads(dynarec("inspect", "diff", dumped, other, "--json").stdout)
    assert [(change["kind"], change["after"]["serial"]) for change in content["changes"]] == [("larger", 7)]


@pytest.mark.parametrize(("condition", "status"), [("larger", 1), ("larger:10000%", 0), ("hotter:1%", 0)])
def test_conditions(dumped: Path, other: Path, condition: str, status: int) -> None:
    done = dynarec("inspect", "diff", dumped, other, "--fail-on", condition)
    assert done.returncode == status
    assert bool(done.stderr) == bool(status)


# -- in a terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["dump", "program"])
def test_in_a_terminal_one_walks_around(dumped: Path, what: str) -> None:
    pytest.importorskip("textual", reason="needs textual")
    with on_terminal([sys.executable, "-m", "dynarec", "inspect", dumped if what == "dump" else HELLO]) as terminal:
        terminal.expect(b"hello.elf" if what == "program" else b"dump")
        terminal.type(b"q")
        assert terminal.ended() == 0


# -- run --------------------------------------------------------------------------------------------------------------


def test_a_run_is_dumped(tmp_path: Path) -> None:
    done = dynarec("run", HELLO, "--tier", "jit", "--dump", tmp_path / "d", "--stats")
    assert (done.returncode, done.stdout) == (0, GREETING)
    recording = dump.read(tmp_path / "d")
    assert recording.instructions == recording.retired > 3000
    assert f"{len(recording.live)} blocks" in done.stderr
    assert tables.as_csv(recording, recording.units) == shown(tmp_path / "d", "--csv", "--sort", "serial")


@pytest.mark.parametrize(
    ("words", "options", "status"),
    [
        ([lw(5, 0, 16)], (), 139),
        (exit_with(3), (), 3),
        ([LOOP], ("--max-instructions", "1000"), 124),
    ],
    ids=["died", "exited", "limit"],
)
def test_however_a_run_ends(tmp_path: Path, words: list[int], options: tuple[str, ...], status: int) -> None:
    rom = tmp_path / "prog.elf"
    rom.write_bytes(program(*words))
    done = dynarec("run", rom, "--tier", "jit", "--dump", tmp_path / "d", *options)
    assert done.returncode == status
    assert dump.read(tmp_path / "d").units


def test_a_dump_that_cannot_be_written() -> None:
    done = dynarec("run", HELLO, "--dump", "/nowhere/d")
    assert done.stdout == GREETING
    assert "/nowhere/d: the dump cannot be written: No such file" in one_line(done)
