"""The committed ROMs are what their sources build to, and the benchmark programs compute what they say."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from elftools.elf import elffile

ROMS = Path(__file__).resolve().parents[2] / "roms"
PROGRAMS = ROMS / "bench" / "programs.json"
QEMU = shutil.which("qemu-riscv32-static") or shutil.which("qemu-riscv32")
HOST_COMPILER = shutil.which("gcc") or shutil.which("cc")
ELF_MACHINE_RISCV = "EM_RISCV"
RUN_SECONDS = 60
CHECKSUMS = [("small", "small_checksum"), *([("rounds", "checksum")] if "CI" in os.environ else [])]
"""Fields of a program's entry: an argument, and what it prints then."""


def load_build_script() -> ModuleType:
    """roms/ is no package: the script is loaded by its path."""
    spec = importlib.util.spec_from_file_location("roms_build", ROMS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = load_build_script()
ALL_ROMS = build.all_roms()
BENCH: list[dict[str, Any]] = json.loads(PROGRAMS.read_text())


def need(problem: str | None) -> None:
    """Skips the test for the given reason."""
    if problem is not None:
        pytest.skip(f"needs the toolchain: {problem}")


def rom_id(rom: Any) -> str:
    return str(rom.elf)


def program_id(program: dict[str, Any]) -> str:
    return str(program["name"])


@pytest.mark.parametrize("rom", ALL_ROMS, ids=rom_id)
def test_source_builds_to_the_committed_bytes(rom: Any) -> None:
    need(build.toolchain_problem())
    assert build.differs(rom) is None


@pytest.mark.parametrize("rom", ALL_ROMS, ids=rom_id)
def test_elf_is_static_32_bit_riscv_with_symbols(rom: Any) -> None:
    with (ROMS / rom.elf).open("rb") as stream:
        elf = elffile.ELFFile(stream)
        assert (elf.elfclass, elf.little_endian, elf["e_machine"]) == (32, True, ELF_MACHINE_RISCV)
        assert elf["e_type"] == "ET_EXEC"
        symbols = elf.get_section_by_name(".symtab")
        assert symbols is not None
        assert symbols.get_symbol_by_name("main")
        names = {bytes(note["n_descdata"]) for part in elf.iter_segments("PT_NOTE") for note in part.iter_notes()}
        assert names == ({b"console\0"} if rom.machine == "console" else set())


@pytest.mark.parametrize("rom", ALL_ROMS, ids=rom_id)
def test_elf_names_no_path_of_the_build(rom: Any) -> None:
    content = (ROMS / rom.elf).read_bytes()
    paths = [b"/tmp/", b"/home/", str(ROMS).encode()]
    if not rom.for_debugger:  # the C library's own debugging information names the compiler that Debian built it with
        paths.append(b"/usr/")
    assert not any(path in content for path in paths)


def test_every_benchmark_program_is_listed() -> None:
    assert [program["name"] for program in BENCH] == sorted(path.stem for path in (ROMS / "bench").glob("*.c"))


@pytest.mark.parametrize("program", BENCH, ids=program_id)
def test_small_checksum_on_an_independent_emulator(program: dict[str, Any]) -> None:
    need(None if QEMU else "qemu-riscv32 is not installed")
    command = [str(QEMU), str(ROMS / "bench" / f"{program['name']}.elf"), str(program["small"])]
    assert output_of(command) == f"{program['name']} {program['small_checksum']}\n"


@pytest.mark.parametrize("program", BENCH, ids=program_id)
def test_checksums_on_the_host(program: dict[str, Any], tmp_path: Path) -> None:
    need(None if HOST_COMPILER else "no C compiler for this machine is installed")
    native = tmp_path / "native"
    source = ROMS / "bench" / f"{program['name']}.c"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([str(HOST_COMPILER), *flags, str(source), "-o", str(native)], check=True)
    for rounds, checksum in CHECKSUMS:
        assert output_of([str(native), str(program[rounds])]) == f"{program['name']} {program[checksum]}\n"


def output_of(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=True)
    return result.stdout


def test_an_unknown_name_is_one_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["no-such-program"]) == 1
    assert capsys.readouterr().err.startswith("roms/build.py: no program is called no-such-program; there are: ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Hello from a RISC-V program of 32 bits\n"),
        (["x y"], "Hello from a RISC-V program of 32 bits\nargument 1: x y\n"),
    ],
)
def test_hello(arguments: list[str], expected: str) -> None:
    need(None if QEMU else "qemu-riscv32 is not installed")
    assert output_of([str(QEMU), str(ROMS / "hello.elf"), *arguments]) == expected


def test_words(tmp_path: Path) -> None:
    need(None if QEMU else "qemu-riscv32 is not installed")
    text = tmp_path / "text"
    text.write_text("The cat, the dog; the Cat's dog.\n")
    expected = "7 words, 4 different\n       3  the\n       2  dog\n"
    assert output_of([str(QEMU), str(ROMS / "words.elf"), "-n", "2", str(text)]) == expected
