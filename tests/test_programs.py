"""Real C programs, built here with picolibc and the SDK, do what QEMU's user mode makes of them, in every tier."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dynarec.host import HOSTS
from dynarec.machine.base import Options

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "tests" / "programs").glob("*.c"))
COMPILER, QEMU = "riscv64-unknown-elf-gcc", "qemu-riscv32-static"
ARGUMENTS = ["one", "two words"]


def missing() -> list[str]:
    """The tools that are not installed."""
    return [tool for tool in (COMPILER, QEMU) if shutil.which(tool) is None]


pytestmark = pytest.mark.skipif(bool(missing()), reason=f"needs {COMPILER} and {QEMU}")


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rom_builder", ROOT / "roms" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=SOURCES, ids=lambda path: path.stem)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ELF file of one of the programs."""
    source: Path = request.param
    build = builder()
    made = build.build(build.Rom(source.stem, "user", source), tmp_path_factory.mktemp(source.stem))
    return Path(made)


def outcome(command: list[str | Path]) -> tuple[int, bytes]:
    done = subprocess.run([*command], capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("tier", ["auto", "jit", "interp"])
def test_same_output_and_status_as_qemu(program: Path, tier: str) -> None:
    expected = outcome([QEMU, program, *ARGUMENTS])
    assert expected[1]
    run = [sys.executable, "-m", "dynarec", "run", program, "--tier", tier, "--", *ARGUMENTS]
    assert outcome([*run]) == expected


@pytest.mark.parametrize("host", HOSTS)
def test_same_output_as_code_of_either_host(program: Path, host: str, tmp_path: Path) -> None:
    from dynarec.emulated import EmulatedMachine

    expected = outcome([QEMU, program, *ARGUMENTS])
    with (tmp_path / "out").open("w+b", buffering=0) as out:
        machine = EmulatedMachine.load(program, host, ARGUMENTS, options=Options(args=ARGUMENTS, stdout=out))
        ending = machine.run()
        out.seek(0)
        assert out.read() == expected[1]
        assert getattr(ending, "status", None) == expected[0]
