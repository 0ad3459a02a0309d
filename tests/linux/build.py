"""Builds the kernel and its disk from a Debian package, with gcc-riscv64-linux-gnu, make, flex, bison and bc."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.linux.flat import write_disk

PACKAGE = "linux-source-6.12"
"""The first kernels that could be built for 32 bits without an MMU are those after 6.1, which is Debian 12's."""
HERE = Path(__file__).parent
COMPILER = "riscv64-linux-gnu-gcc"
DEFAULTS = "nommu_virt_defconfig"
MOTD = "A shell without an MMU: try help.\n"
SHELL_FLAGS = (
    "-march=rv32ima", "-mabi=ilp32", "-mcmodel=medany", "-mno-relax", "-msmall-data-limit=0", "-Os", "-ffreestanding",
    "-fno-pic", "-fno-builtin", "-nostdlib", "-static", "-Wall", "-Wextra", "-Wno-unused-parameter",
    "-Wl,--build-id=none,-q,--no-warn-rwx-segments", f"-Wl,-T,{HERE / 'shell.ld'}",
)  # fmt: skip
"""Code that finds its data relative to the pc; `-q` keeps the relocations of pointers in the data."""


def build(folder: Path, jobs: int) -> None:
    """Leave `Image` and `disk` in the folder. Raises subprocess.CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    build_disk(folder)
    source = _source(folder)
    objects = folder / "objects"
    _configure(source, objects)
    _run(["nice", "-n", "19", *_make(source, objects), f"-j{jobs}", "Image"], folder)
    shutil.copy(objects / "arch" / "riscv" / "boot" / "Image", folder / "Image")


def build_disk(folder: Path) -> None:
    """The initial RAM disk with the shell."""
    shell = folder / "shell.elf"
    _run([COMPILER, *SHELL_FLAGS, "-o", str(shell), str(HERE / "shell.c")], folder)
    write_disk(shell, folder / "disk", MOTD)


def _source(folder: Path) -> Path:
    source = folder / PACKAGE
    if not source.exists():
        _run(["apt-get", "download", PACKAGE], folder)
        package = next(folder.glob(f"{PACKAGE}_*.deb"))
        _run(["dpkg", "-x", package.name, "package"], folder)
        _run(["tar", "xf", f"package/usr/src/{PACKAGE}.tar.xz"], folder)
    return source


def _configure(source: Path, objects: Path) -> None:
    """The kernel's own configuration for boards without an MMU, with ours behind it: the last word counts."""
    objects.mkdir(exist_ok=True)
    ours = (HERE / "kernel.config").read_text()
    _run([*_make(source, objects), DEFAULTS], objects)
    config = objects / ".config"
    config.write_text(config.read_text() + ours)
    _run([*_make(source, objects), "olddefconfig"], objects)
    chosen = set(config.read_text().splitlines())
    missing = [line for line in ours.splitlines() if line.endswith("=y") and line not in chosen]
    if missing:
        raise SystemExit(f"this kernel cannot be configured so: {' '.join(missing)}")


def _make(source: Path, objects: Path) -> list[str]:
    return ["make", "-s", "-C", str(source), f"O={objects}", "ARCH=riscv", "CROSS_COMPILE=riscv64-linux-gnu-"]


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)
