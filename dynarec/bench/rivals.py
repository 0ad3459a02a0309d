"""What dynarec is compared with: native code from the same C, and QEMU's user mode emulator for the same ELF file."""

from __future__ import annotations

import shutil
from pathlib import Path

from dynarec.bench.processes import last_line, run
from dynarec.bench.programs import BenchProgram
from dynarec.errors import DynarecError

COMPILER = "cc"
COMPILER_FLAGS = ("-std=gnu11", "-O2")


def find_compiler() -> str:
    """The path of the host's C compiler. Raises DynarecError when there is none."""
    found = shutil.which(COMPILER)
    if found is None:
        raise DynarecError(f"there is no C compiler {COMPILER!r} in PATH, which the native runs need: install one")
    return found


def compile_native(compiler: str, program: BenchProgram, folder: Path) -> Path:
    """The program as this host's code, in a folder. Raises DynarecError when the compiler fails."""
    target = folder / program.name
    done = run([compiler, *COMPILER_FLAGS, "-o", target, program.source])
    if done.status != 0:
        raise DynarecError(f"{COMPILER} cannot compile {program.source}: {last_line(done.errors)}")
    return target


def cpu_of(elf: Path) -> tuple[str, int]:
    """The CPU that an ELF file is for, as emulators call it, and its bits. Raises DynarecError for another file."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as stream:
            file = ELFFile(stream)
            return file.get_machine_arch().lower().replace("-", ""), file.elfclass
    except (OSError, ELFError) as error:
        raise DynarecError(f"{elf} cannot be read as ELF: {error}") from error


def qemu_names(elf: Path) -> tuple[str, ...]:
    """The commands that QEMU may be installed as for an ELF file's CPU. Raises DynarecError as `cpu_of` does."""
    cpu = "{}{}".format(*cpu_of(elf))
    return (f"qemu-{cpu}-static", f"qemu-{cpu}")


def find_qemu(names: tuple[str, ...]) -> str | None:
    """The path of the first of these commands that is installed."""
    return next((path for path in map(shutil.which, names) if path is not None), None)


def version_line(command: str) -> str:
    """The first line of what a tool says about its version."""
    lines = run([command, "--version"]).output.decode(errors="replace").splitlines()
    return lines[0].strip() if lines else "unknown version"
