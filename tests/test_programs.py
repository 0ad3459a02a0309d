"""Real C programs, built here with picolibc and the SDK, do what QEMU's user mode makes of them, in every tier."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from dynarec.host import HOSTS
from dynarec.machine.base import Options
from dynarec.program import load_program
from guest_isa.isa import InsnSpec
from guest_isa.rv32 import ELF_MACHINE, GUEST

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "tests" / "programs").glob("*.c"))
COMPILER, QEMU = "riscv64-unknown-elf-gcc", "qemu-riscv32-static"
ARGUMENTS = ["one", "two words"]
WITH_BITS = "-march=rv32imac_zba_zbb_zbs_zicsr_zifencei"
BITS = ROOT / "tests" / "programs" / "bits.c"
BIT_MANIPULATION = {"Zba": 1, "Zbb": 8, "Zbs": 2}
"""How many different instructions of each the compiler uses in that one, at least."""


def missing() -> list[str]:
    """The tools that are not installed."""
    return [tool for tool in (COMPILER, QEMU) if shutil.which(tool) is None]


pytestmark = pytest.mark.skipif(bool(missing()), reason=f"needs {COMPILER} and {QEMU}")


def builder(arch: str | None = None) -> ModuleType:
    """roms/build.py; arch: other instructions for the compiler."""
    spec = importlib.util.spec_from_file_location("rom_builder", ROOT / "roms" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if arch is not None:
        module.COMPILE_ARCH = arch  # type: ignore[attr-defined]
    return module


def built(source: Path, folder: Path, arch: str | None = None) -> Path:
    build = builder(arch)
    return Path(build.build(build.Rom(source.stem, "user", source), folder))


@pytest.fixture(scope="module", params=[*SOURCES, WITH_BITS], ids=lambda param: getattr(param, "stem", "bits, with B"))
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ELF file of one of the programs."""
    source, arch = (BITS, WITH_BITS) if request.param == WITH_BITS else (request.param, None)
    return built(source, tmp_path_factory.mktemp(source.stem), arch)


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


def instructions(program: Path) -> Iterator[InsnSpec]:
    """What is in a program, in its order; bytes that are none are skipped."""
    for segment in load_program(program, {ELF_MACHINE: GUEST.name}).segments:
        at = 0
        while segment.executable and at < len(segment.data):
            insn = GUEST.isa.decode(int.from_bytes(segment.data[at : at + 4], "little"))
            at += GUEST.isa.parcel if insn is None else insn.length
            if insn is not None:
                yield insn.spec


def test_the_compiler_uses_bit_manipulation(tmp_path: Path) -> None:
    plain, with_bits = built(BITS, tmp_path), built(BITS, tmp_path / "B", WITH_BITS)
    used = {(spec.extension, spec.name) for spec in instructions(with_bits)}
    counts = Counter(extension for extension, _ in used)
    assert all(counts[name] >= least for name, least in BIT_MANIPULATION.items()), sorted(used)
    assert outcome([sys.executable, "-m", "dynarec", "run", plain]) == outcome(
        [sys.executable, "-m", "dynarec", "run", with_bits]
    )
