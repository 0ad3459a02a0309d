"""Programs in the form of riscv-tests pass, in every tier and in QEMU; one that fails says which test it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "programs" / "riscv"
SOURCES = sorted(FOLDER.glob("*.S"))
STRICT = "strict"
"""What QEMU does otherwise."""
COMPILER, QEMU = "riscv64-unknown-elf-gcc", "qemu-system-riscv32"
FLAGS = (
    "-march=rv32imac_zicsr_zifencei", "-mabi=ilp32", "-nostdlib", "-nostartfiles", "-static",
    f"-I{FOLDER}", f"-Wl,-T,{FOLDER / 'link.ld'},--no-warn-rwx-segments,--no-relax",
)  # fmt: skip
NO_MORE_THAN_OURS = "rv32,f=false,d=false,mmu=false,h=false,s=false"
SECONDS = 120
FAILING = """
#include "test.h"
    begin
    test
    test
    li a0, 1
    expect a0, 2
    j pass
"""

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"needs {COMPILER}")


def build(source: Path, folder: Path, *flags: str) -> Path:
    made = folder / f"{source.stem}.elf"
    subprocess.run([COMPILER, *FLAGS, *flags, source, "-o", made], check=True)
    return made


def run(command: list[str | Path]) -> tuple[int, str, str]:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module", params=SOURCES, ids=lambda path: path.stem)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source: Path = request.param
    return build(source, tmp_path_factory.mktemp(source.stem))


@pytest.mark.parametrize("tier", ["jit", "interp", "auto"])
@pytest.mark.parametrize("clock", ["virtual", "host"])
def test_all_pass(program: Path, tier: str, clock: str) -> None:
    command = [sys.executable, "-m", "dynarec", "run", program, "--tier", tier, "--clock", clock]
    assert run(command) == (0, "", "")


@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"needs {QEMU}")
@pytest.mark.parametrize("source", [path for path in SOURCES if path.stem != STRICT], ids=lambda path: path.stem)
def test_qemu_is_of_the_same_opinion(source: Path, tmp_path: Path) -> None:
    made = build(source, tmp_path, "-DFINISHER")
    machine = [QEMU, "-M", "virt", "-cpu", NO_MORE_THAN_OURS, "-bios", "none", "-display", "none"]
    assert run([*machine, "-monitor", "none", "-kernel", made])[0] == 0


@pytest.mark.parametrize(
    ("flags", "line"), [((), "dynarec: bad.elf: test 2 failed (it ended with tohost)\n"), (("-DFINISHER",), "")]
)
def test_a_failure_has_a_number(tmp_path: Path, flags: tuple[str, ...], line: str) -> None:
    source = tmp_path / "bad.S"
    source.write_text(FAILING)
    assert run([sys.executable, "-m", "dynarec", "run", build(source, tmp_path, *flags)]) == (2, "", line)
