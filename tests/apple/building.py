"""Builds the Apple policies for the model in model.c, and runs scenarios of driver.c in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from native import build

APPLE = Path(__file__).parent
NATIVE = build.NATIVE
CROSS_COMPILER = "aarch64-linux-gnu-gcc"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-D_GNU_SOURCE")
MODEL_FLAGS = (f"-I{APPLE}", f"-I{APPLE / 'include'}", "-include", "model.h")

POLICIES = {name: f"codemem_{name.replace('-', '_')}" for name in ("apple-callback", "apple-toggle", "apple-witness")}
SHARED = ("region", "codemem", "apple/entitlements", "codemem_dualmap", "codemem_split", "policies_macos")
LIMIT = 60  # seconds; a scenario takes a fraction of one

RUN = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).driver(*map(str.encode, sys.argv[2:])))"


def host() -> str:
    """The host that this Python runs on, emulated or not."""
    return build.HOSTS[platform.machine().lower()]


def compiler() -> str:
    """A compiler for Linux on `host()`: on an emulated one, the machine's cross compiler."""
    names = (CROSS_COMPILER, "cc", "gcc") if host() == "arm64" else ("cc", "gcc")
    found = next((name for name in names if shutil.which(name)), None)
    if sys.platform != "linux":
        pytest.skip("not on this system: the model is for Linux")
    if found is None:
        pytest.skip("needs a C compiler")
    return found


def macos_problem() -> str | None:
    """Why files for macOS cannot be built and read here; None: they can."""
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        return "not under a sanitizer, which ends a process in which lief throws"
    missing = [name for name in ("lief", "ziglang") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def include_flags() -> list[str]:
    """Where the headers of the core are."""
    return [f"-I{NATIVE}", f"-I{NATIVE / host()}"]


@dataclass(frozen=True, slots=True)
class Objects:
    """The object files of everything, and of the right policies."""

    folder: Path
    shared: tuple[Path, ...]
    policies: dict[str, Path]

    def link(self, name: str, **replaced: Path) -> Path:
        """The driver, with other object files for some of the policies (by name, with _ for -)."""
        output = self.folder / f"{name}.so"
        chosen = [replaced.get(policy.replace("-", "_"), path) for policy, path in self.policies.items()]
        run_tool(
            compiler(),
            "-shared",
            "-Wl,--no-undefined",
            *map(str, (*self.shared, *chosen)),
            "-o",
            str(output),
            "-lpthread",
        )
        return output

    def compile(self, source: Path) -> Path:
        return compile_source(source, self.folder)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a scenario. status: that of driver.c, or minus the number of a signal."""

    status: int
    output: str
    errors: str


def run_tool(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stderr


def compile_source(source: Path, folder: Path) -> Path:
    """One object file; warnings are errors."""
    output = folder / f"{source.parent.name}-{source.stem}.o"
    model = () if source.suffix == ".S" else (*FLAGS, *MODEL_FLAGS)
    run_tool(compiler(), *model, *include_flags(), "-c", str(source), "-o", str(output))
    return output


def build_all(folder: Path) -> Objects:
    """Compiles what all tests share."""
    own = NATIVE / host()
    sources = [NATIVE / f"{name}.c" for name in SHARED]
    sources += [own / "enter.S", *own.glob("harden.c"), APPLE / "model.c", APPLE / "driver.c"]
    policies = {name: compile_source(NATIVE / f"{file}.c", folder) for name, file in POLICIES.items()}
    return Objects(folder, tuple(compile_source(source, folder) for source in sources), policies)


def run_scenario(library: Path, scenario: str, policy: str, process: str = "") -> Ran:
    """Runs one scenario. process: the words that describe it (model.h)."""
    command = [sys.executable, "-S", "-c", RUN, str(library), scenario, policy]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT, env=os.environ | {"MODEL": process}
    )
    return Ran(done.returncode, done.stdout, done.stderr)
