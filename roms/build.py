"""Builds every ROM and benchmark program below this folder into the committed ELF files.

`python roms/build.py [NAME...]` builds the named programs, or all of them. `--check` builds into a temporary folder
and compares with the committed files byte for byte instead of replacing them. The bytes depend on the compiler and
the C library, so both are pinned to the versions below: those of Debian 12's gcc-riscv64-unknown-elf and
picolibc-riscv64-unknown-elf.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROMS = Path(__file__).resolve().parent
SDK = ROMS / "sdk"
PREFIX = "riscv64-unknown-elf-"
COMPILER = PREFIX + "gcc"
STRIP = PREFIX + "strip"
PINNED_COMPILER = "12.2.0"
PINNED_LIBRARY = "1.8"

TARGET = ("-mabi=ilp32", "--specs=picolibc.specs")
# fence.i and the csr instructions have names of their own, but the C library is only found under the plain name.
COMPILE_ARCH = "-march=rv32imac_zicsr_zifencei"
LINK_ARCH = "-march=rv32imac"
COMPILE_FLAGS = (
    *("-std=gnu11", "-O2", "-g0", "-Wall", "-Wextra", "-Werror", "-fno-common"),
    *("-ffunction-sections", "-fdata-sections", "-frandom-seed=0", "-Isdk"),
)
LINK_FLAGS = ("-nostartfiles", "-static", "-Wl,--build-id=none", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments")
# Function and object names stay; the assembler's mapping symbols ($x, $d) would hide them from a nearest-symbol search.
STRIP_FLAGS = ("--strip-debug", "--wildcard", "--strip-symbol=$[xd]*")

CONSOLE_ROMS = ("mandelbrot", "blocks", "scene3d")
USER_PROGRAMS = ("hello", "words")
DEBUG_PROGRAMS = ("ledger",)
"""Programs for the user machine that keep their debugging information, and are compiled for it."""
DEBUG_FLAGS = ("-Og", "-g", "-gdwarf-5", "-fdebug-prefix-map=/usr/=toolchain/")
MACHINE_PROGRAMS = ("devices", "kernel")


class BuildError(Exception):
    """What could not be built, and why, in one line."""


@dataclass(frozen=True, slots=True)
class Rom:
    """One program: where its source is, which part of the SDK it is linked with, where its ELF goes."""

    name: str
    machine: str
    source: Path
    for_debugger: bool = False

    @property
    def elf(self) -> Path:
        """The committed ELF file, relative to this folder."""
        folder = self.source.parent
        return (folder if folder.name == "bench" else Path()) / f"{self.name}.elf"

    @property
    def sources(self) -> tuple[Path, ...]:
        """Everything that is compiled and linked, in link order, relative to this folder."""
        sdk = Path("sdk")
        rest = {"console": ("console.c", "draw.c"), "user": ("user.c",)}.get(self.machine, ())
        return (sdk / f"{self.machine}_start.S", *(sdk / name for name in rest), self.source)


def all_roms() -> list[Rom]:
    """Every program there is: the ROMs by table, the benchmark programs by what lies in bench/."""
    source = Path("src")
    console = [Rom(name, "console", source / f"{name}.c") for name in CONSOLE_ROMS]
    user = [Rom(name, "user", source / f"{name}.c") for name in USER_PROGRAMS]
    machine = [Rom(name, "machine", source / f"{name}.c") for name in MACHINE_PROGRAMS]
    bench = [Rom(path.stem, "user", Path("bench") / path.name) for path in sorted((ROMS / "bench").glob("*.c"))]
    debug = [Rom(name, "user", source / f"{name}.c", for_debugger=True) for name in DEBUG_PROGRAMS]
    return console + user + machine + bench + debug


def run(command: Sequence[str | Path]) -> str:
    """Runs a tool in this folder, so that no path of the machine reaches its output; returns what it printed."""
    result = subprocess.run(command, cwd=ROMS, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(f"{command[0]} failed:\n{result.stderr.strip()}")
    return result.stdout


def toolchain_problem() -> str | None:
    """Why committed bytes cannot be reproduced with the installed tools, or None when they can."""
    if shutil.which(COMPILER) is None:
        return f"{COMPILER} is not installed"
    compiler = run([COMPILER, "-dumpfullversion"]).strip()
    if compiler != PINNED_COMPILER:
        return f"{COMPILER} is version {compiler}, the committed files need {PINNED_COMPILER}"
    try:
        library = library_version()
    except BuildError:
        return "picolibc is not installed for this compiler"
    return None if library == PINNED_LIBRARY else f"picolibc is version {library}, not {PINNED_LIBRARY}"


def library_version() -> str:
    """The version of picolibc that the compiler finds."""
    macros = run([COMPILER, *TARGET, LINK_ARCH, "-dM", "-E", "-include", "picolibc.h", "-x", "c", "/dev/null"])
    found = re.search(r'#define __PICOLIBC_VERSION__ "([^"]+)"', macros)
    return found[1] if found else "unknown"


def compile_source(source: Path, folder: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles one file to an object in folder, named after the source so that the symbol table is repeatable."""
    target = folder / f"{source.stem}.o"
    prefix_map = f"-ffile-prefix-map={ROMS}=."
    run([COMPILER, *TARGET, COMPILE_ARCH, *COMPILE_FLAGS, *flags, prefix_map, "-c", source, "-o", target])
    return target


def build(rom: Rom, output: Path) -> Path:
    """Builds one program below output; returns the path of its ELF."""
    elf = output / rom.elf
    elf.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        flags = {rom.source: DEBUG_FLAGS} if rom.for_debugger else {}
        objects = [compile_source(source, Path(name), flags.get(source, ())) for source in rom.sources]
        script = Path("sdk") / f"{rom.machine}.ld"
        run([COMPILER, *TARGET, LINK_ARCH, *LINK_FLAGS, "-T", script, *objects, "-o", elf])
    if not rom.for_debugger:
        run([STRIP, *STRIP_FLAGS, elf])
    elf.chmod(0o755)
    return elf


def differs(rom: Rom) -> str | None:
    """Builds a program aside; says how it differs from the committed file, or None."""
    committed = ROMS / rom.elf
    if not committed.is_file():
        return f"{rom.elf}: not there"
    with tempfile.TemporaryDirectory() as name:
        rebuilt = build(rom, Path(name)).read_bytes()
    return None if rebuilt == committed.read_bytes() else f"{rom.elf}: not what the source builds to"


def select(names: Sequence[str]) -> list[Rom]:
    """The programs with the given names, or all."""
    roms = all_roms()
    unknown = set(names) - {rom.name for rom in roms}
    if unknown:
        known = " ".join(rom.name for rom in roms)
        raise BuildError(f"no program is called {' or '.join(sorted(unknown))}; there are: {known}")
    return [rom for rom in roms if not names or rom.name in names]


def check(roms: Sequence[Rom]) -> int:
    """Compares the committed files with what the sources build to; returns the exit status."""
    problem = toolchain_problem()
    if problem is not None:
        raise BuildError(f"cannot compare: {problem}")
    faults = [fault for fault in map(differs, roms) if fault is not None]
    print("\n".join(faults) if faults else f"{len(roms)} files are what their sources build to")
    return 1 if faults else 0


def build_all(roms: Sequence[Rom]) -> int:
    """Replaces the committed files; returns the exit status."""
    for rom in roms:
        elf = build(rom, ROMS)
        print(f"{elf.relative_to(ROMS)}: {elf.stat().st_size} bytes")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="roms/build.py", description="Builds the ROMs and benchmark programs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs to build (default: all)")
    parser.add_argument("--check", action="store_true", help="rebuild aside and compare with the committed files")
    options = parser.parse_args(arguments)
    try:
        roms = select(options.names)
        return check(roms) if options.check else build_all(roms)
    except BuildError as error:
        print(f"roms/build.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
