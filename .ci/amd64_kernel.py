"""Runs tests under a Linux kernel of its own, in an emulated machine with protection keys.

`python .ci/amd64_kernel.py FOLDER [TEST ...]`, on Debian and x86-64, with gcc and a Python that has pip, setuptools and
cffi; nothing is installed on the machine. FOLDER is made anew when it is not up to date, and keeps what is downloaded:
kernel and QEMU of Debian 13 (Debian 12's kernel has no PR_SET_MDWE, and with its QEMU one boot of ten ends in a panic),
and Debian 12's Python with the wheels that the tests need. The exit status is that of pytest. Tests of keys and of
PR_SET_MDWE are not skipped there (DYNAREC_NEEDS_...).
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from arm64_sysroot import GLIBC_VERSIONS, PYTHON_SUITE, PYTHON_VERSION, QEMU_SUITE, ROOT, Apt
from arm64_sysroot import requirements as all_requirements

# What runs code under each policy; no compiler is there.
TESTS = tuple(f"tests/native/test_{name}.py" for name in ("core", "fork", "mdwe", "pkey"))
KERNEL_SUITE = "trixie"
QEMU_PACKAGE = "qemu-system-x86"
KERNEL = "linux-image-cloud-amd64"  # made for virtual machines, so the smallest
PYTHON_PACKAGES = ("libc6", "libstdc++6", f"python{PYTHON_VERSION}", "busybox-static")
# Large, and no test here asks for them: a window, and an emulator of other processors.
UNNEEDED = ("pygame", "unicorn")

# `-cpu max` with -accel tcg has protection keys, whatever the machine has.
QEMU_OPTIONS = ("-cpu", "max", "-accel", "tcg", "-m", "1G", "-smp", "2", "-nographic", "-no-reboot", "-nic", "none")
KERNEL_COMMAND_LINE = "console=ttyS0 quiet panic=-1"
TIME_LIMIT = 400  # seconds from power-on to power-off, of which a free machine takes 40
READ_SIZE = 1 << 16
FAILED = 1

# `ospke` is there when Linux lets programs use the protection keys of the processor.
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mkdir -p /dev/shm
/bin/busybox mount -t tmpfs none /dev/shm
export PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp TERM=dumb LC_ALL=C.UTF-8
export DYNAREC_NEEDS_PKEY=1 DYNAREC_NEEDS_MDWE=1
/bin/busybox --install -s /bin
ifconfig lo 127.0.0.1
cd /project
echo "Linux $(uname -r), protection keys: $(grep -q -w ospke /proc/cpuinfo && echo yes || echo no)"
/usr/bin/{python} -m pytest -q -n 2 -p no:cacheprovider {tests}
echo "tests: exit status $?"
poweroff -f
"""
STATUS = re.compile(rb"^tests: exit status (\d+)\r?$", re.MULTILINE)


def say(text: str) -> None:
    print(f"amd64_kernel: {text}", flush=True)


def requirements() -> list[str]:
    """What the tests that run here need, from pyproject.toml."""
    return [text for text in all_requirements() if not text.startswith(UNNEEDED)]


def fetch_kernel(folder: Path, state: Path) -> None:
    """The kernel alone, without what its package would have installed with it."""
    apt = Apt.create(state, "amd64", KERNEL_SUITE)
    apt.run("download", KERNEL)
    (meta,) = state.glob("*.deb")
    depends = subprocess.run(["dpkg-deb", "-f", meta, "Depends"], check=True, capture_output=True, text=True).stdout
    meta.unlink()
    apt.run("download", depends.split()[0])
    apt.unpack(state / "unpacked")
    (kernel,) = (state / "unpacked" / "boot").glob("vmlinuz-*")
    shutil.move(kernel, folder / "vmlinuz")


def fetch_qemu(folder: Path, state: Path) -> None:
    apt = Apt.create(state, "amd64", QEMU_SUITE)
    apt.run("install", "--download-only", QEMU_PACKAGE)
    apt.unpack(folder)


def qemu(folder: Path) -> list[str]:
    """The command of a QEMU that was unpacked there, with the libraries and modules that it was made for."""
    usr = folder / "usr"
    libraries = usr / "lib" / "x86_64-linux-gnu"
    modules = ["env", f"QEMU_MODULE_DIR={libraries}/qemu"]
    loader = [f"{libraries}/ld-linux-x86-64.so.2", "--library-path", str(libraries)]
    data = ["-L", f"{usr}/share/seabios", "-L", f"{usr}/share/qemu"]
    return [*modules, *loader, f"{usr}/bin/qemu-system-x86_64", *data]


def fetch_python(system: Path, state: Path) -> None:
    apt = Apt.create(state, "amd64", PYTHON_SUITE)
    apt.run("install", "--download-only", *PYTHON_PACKAGES)
    apt.unpack(system)
    for name in ("usr/share", "var", "etc/alternatives"):
        shutil.rmtree(system / name, ignore_errors=True)


def fetch_wheels(system: Path) -> None:
    target = system / "usr/local/lib" / f"python{PYTHON_VERSION}" / "dist-packages"
    platforms = [f"--platform=manylinux_{version}_x86_64" for version in GLIBC_VERSIONS]
    chosen = ["--platform=manylinux2014_x86_64", "--implementation=cp", f"--python-version={PYTHON_VERSION}"]
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(target), "--only-binary=:all:"]
    subprocess.run([*command, *platforms, *chosen, *requirements()], check=True)


def fetch(folder: Path) -> None:
    """Kernel and system, unless they are there and have all that is asked for."""
    stamp = folder / "complete"
    asked = "\n".join([*requirements(), *PYTHON_PACKAGES, Path(__file__).read_text()])
    if stamp.exists() and stamp.read_text() == asked:
        return
    shutil.rmtree(folder, ignore_errors=True)
    system, state = folder / "system", folder / "apt"
    system.mkdir(parents=True)
    say("fetches kernel and QEMU")
    fetch_kernel(folder, state / "kernel")
    fetch_qemu(folder / "qemu", state / "qemu")
    say("fetches Python and wheels")
    fetch_python(system, state / "python")
    fetch_wheels(system)
    shutil.rmtree(state)
    stamp.write_text(asked)


def build_project(tree: Path) -> None:
    """What git knows or would add, with the extension built in place."""
    shutil.rmtree(tree, ignore_errors=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    setup = "from setuptools import setup; setup()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", setup, "-q", "build_ext", "--inplace"], check=True, cwd=tree)
    shutil.rmtree(tree / "build", ignore_errors=True)


def write_init(system: Path, tests: Sequence[str]) -> None:
    init = system / "init"
    init.write_text(INIT.format(python=f"python{PYTHON_VERSION}", tests=shlex.join(tests)))
    init.chmod(0o755)


def pack(system: Path, initrd: Path) -> None:
    """The initrd: not compressed, since unpacking takes an emulated processor longer than reading."""
    names = subprocess.run(["find", "."], check=True, capture_output=True, cwd=system).stdout
    with initrd.open("wb") as out:
        command = [str(system / "bin/busybox"), "cpio", "-o", "-H", "newc", "-R", "0:0"]
        subprocess.run(command, check=True, input=names, stdout=out, stderr=subprocess.DEVNULL, cwd=system)


def boot(folder: Path) -> bytes:
    """Runs the machine, shows what it prints; all that it printed. QEMU is killed at the time limit."""
    images = ["-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd", "-append", KERNEL_COMMAND_LINE]
    command = ["timeout", "--kill-after=5", str(TIME_LIMIT), *qemu(folder / "qemu"), *QEMU_OPTIONS, *images]
    printed = b""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        assert machine.stdout is not None
        while piece := os.read(machine.stdout.fileno(), READ_SIZE):
            printed += piece
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    if machine.returncode:
        say(f"QEMU ended with status {machine.returncode}; it had {TIME_LIMIT} s")
    return printed


def check_machine() -> None:
    """SystemExit if what is built here cannot run there."""
    if platform.machine() != "x86_64":
        raise SystemExit(f"amd64_kernel: runs what is built here, so on x86-64 only; this is {platform.machine()}")


def main(folder: Path, tests: Sequence[str]) -> int:
    """Status of the tests; a machine that never tells it has failed."""
    check_machine()
    start = time.monotonic()
    fetch(folder)
    system = folder / "system"
    say("builds the extension")
    build_project(system / "project")
    write_init(system, tests)
    pack(system, folder / "initrd")
    size = (folder / "initrd").stat().st_size >> 20
    say(f"boots, with an initrd of {size} MB, after {time.monotonic() - start:.0f} s: {shlex.join(tests)}")
    told = STATUS.findall(boot(folder))
    say(f"{'the tests ended' if told else 'the tests did NOT end'}, after {time.monotonic() - start:.0f} s")
    return int(told[-1]) if told else FAILED


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python .ci/amd64_kernel.py FOLDER [TEST ...]")
    raise SystemExit(main(Path(sys.argv[1]).resolve(), sys.argv[2:] or TESTS))
