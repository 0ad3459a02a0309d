"""Builds `program.c`; run as a command, it writes `program.elf` anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCE, ELF = FOLDER / "program.c", FOLDER / "program.elf"
COMPILER = "riscv64-unknown-elf-gcc"
FLAGS = ("-march=rv32imac", "-mabi=ilp32", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-Ttext=0x10000")


def build(to: Path, *flags: str) -> Path:
    """Compile and link with these flags. The folder of the source is written down as /src."""
    paths = f"-ffile-prefix-map={FOLDER}=/src"
    subprocess.run([COMPILER, *FLAGS, paths, *flags, SOURCE, "-o", to], check=True, cwd=FOLDER)
    return to


if __name__ == "__main__":
    build(ELF, "-g", "-gdwarf-5", "-O0")
