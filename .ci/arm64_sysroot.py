"""Makes an arm64 Linux with CPython and the project's dependencies in a folder, and a QEMU to run it, on any Debian.

`python .ci/arm64_sysroot.py FOLDER`, with a Python that has pip; nothing is installed on the machine. Afterwards
`FOLDER/usr/bin/arm64-python` is an arm64 Python: `sys.executable` names that launcher, so its children are emulated
too. Programs of the machine, compilers among them, can be its children and run natively. The distributions are pinned:
QEMU is that of Debian 13, because the one of Debian 12 runs stale code from pages that are mapped twice.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
QEMU_SUITE = "trixie"
PYTHON_SUITE = "bookworm"
PYTHON_VERSION = "3.11"
# The X libraries are those that the SDL of pygame's wheel loads when it opens a window.
PYTHON_PACKAGES = (
    *("libc6", "libstdc++6", f"python{PYTHON_VERSION}", f"libpython{PYTHON_VERSION}-dev"),
    *("libx11-6", "libxcursor1", "libxext6", "libxfixes3", "libxi6", "libxrandr2", "libxss1"),
)
# Large, and no test there opens a page, or plots.
UNNEEDED = ("playwright", "matplotlib")
GLIBC_VERSIONS = ("2_28", "2_27", "2_26", "2_17")
DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

LAUNCHER = "arm64-python"
# `-cpu max` has pointer authentication and branch target identification. `-0` makes sys.executable this script; Python
# looks for its library beside that name, so the script lies in usr/bin.
LAUNCHER_TEXT = """#!/bin/sh
bin=$(cd "$(dirname "$0")" && pwd)
exec "$bin/qemu-aarch64" -cpu max -L "$bin/../.." -0 "$bin/{name}" "$bin/python{version}" "$@"
"""

APT_CONFIG = """\
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::Etc::sourcelist "{state}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{state}/lib";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
"""


def mirror() -> str:
    """Where this machine's own apt gets Debian's packages."""
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = [line.split()[1] for line in lines if "-security" not in line.split()[0]]
    if not found:
        raise SystemExit("arm64_sysroot: apt has no package lists: run apt-get update first")
    return found[0]


@dataclass(frozen=True, slots=True)
class Apt:
    """An apt with a state of its own: another suite, another architecture, no package installed."""

    state: Path
    architecture: str

    @staticmethod
    def create(state: Path, architecture: str, suite: str) -> Apt:
        """Fetches the package lists of one suite."""
        for folder in ("lib/lists/partial", "cache/archives/partial"):
            (state / folder).mkdir(parents=True)
        (state / "status").touch()
        (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
        (state / "apt.conf").write_text(APT_CONFIG.format(architecture=architecture, state=state))
        apt = Apt(state, architecture)
        apt.run("update")
        return apt

    def run(self, *arguments: str) -> None:
        subprocess.run(
            ["apt-get", "-qq", "-y", "-c", str(self.state / "apt.conf"), *arguments], check=True, cwd=self.state
        )

    def unpack(self, folder: Path) -> None:
        """Unpacks everything downloaded so far; no package's scripts are run."""
        for package in sorted(self.state.rglob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)


def of_extra(project: dict[str, Any], extra: str) -> Iterator[str]:
    """What an extra asks for, with that of the project's own extras that it names in turn."""
    for text in project["optional-dependencies"][extra]:
        own = re.fullmatch(rf"{project['name']}\[(.+)\]", text)
        if own:
            for name in own[1].split(","):
                yield from of_extra(project, name)
        else:
            yield text


def requirements() -> list[str]:
    """What the project needs to be built and tested on another system, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *of_extra(project, "test")]
    return [text for text in asked if not text.startswith(UNNEEDED)]


def install_qemu(folder: Path, state: Path) -> None:
    own = platform.machine()
    apt = Apt.create(state, DEBIAN_ARCHITECTURES.get(own, own), QEMU_SUITE)
    apt.run("download", "qemu-user")
    apt.unpack(state / "unpacked")
    shutil.move(state / "unpacked" / "usr" / "bin" / "qemu-aarch64", folder / "usr" / "bin")


def install_python(folder: Path, state: Path) -> None:
    apt = Apt.create(state, "arm64", PYTHON_SUITE)
    apt.run("install", "--download-only", *PYTHON_PACKAGES)
    apt.unpack(folder)
    launcher = folder / "usr" / "bin" / LAUNCHER
    launcher.write_text(LAUNCHER_TEXT.format(name=LAUNCHER, version=PYTHON_VERSION))
    launcher.chmod(0o755)


def install_wheels(folder: Path) -> None:
    """Wheels for arm64, chosen by the pip of this Python."""
    target = folder / "usr/local/lib" / f"python{PYTHON_VERSION}" / "dist-packages"
    platforms = [f"--platform=manylinux_{version}_aarch64" for version in GLIBC_VERSIONS]
    chosen = [
        *platforms,
        "--platform=manylinux2014_aarch64",
        "--implementation=cp",
        f"--python-version={PYTHON_VERSION}",
    ]
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(target), "--only-binary=:all:", *chosen]
    subprocess.run([*command, *requirements()], check=True)


def make(folder: Path) -> None:
    """Makes the sysroot anew, unless it is there and has all that is asked for."""
    stamp = folder / "complete"
    asked = "\n".join([*requirements(), *PYTHON_PACKAGES, Path(__file__).read_text()])
    if stamp.exists() and stamp.read_text() == asked:
        return
    shutil.rmtree(folder, ignore_errors=True)
    state = folder / "apt"
    install_python(folder, state / "python")
    install_qemu(folder, state / "qemu")
    install_wheels(folder)
    shutil.rmtree(state)
    stamp.write_text(asked)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python .ci/arm64_sysroot.py FOLDER")
    make(Path(sys.argv[1]).resolve())
