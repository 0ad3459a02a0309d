"""Makes a copy of the running Python, in its virtual environment, that macOS lets run generated code under the Hardened
Runtime. Nothing but the copy, bin/python-jit, is changed."""

from __future__ import annotations

import argparse
import platform
import shlex
import subprocess
import sys
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

from dynarec.errors import DynarecError

COPY = "python-jit"
PLAIN, LISTED = "allow-jit.entitlements", "allowlist.entitlements"

FRAMEWORK_PYTHON = Path("Resources/Python.app/Contents/MacOS/Python")
"""In a framework build, bin/python only starts this program: the entitlements have to be those of this one."""

OWN_IDENTITY = "-"
"""Of codesign: signed ad hoc, by nobody in particular; such a program runs on this Mac."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allowlist", action="store_true", help="let only the listed callback write code (the scheme apple-callback)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands and run none, on any system")


def main(args: argparse.Namespace) -> int:
    """0 when the copy was made and starts."""
    with ExitStack() as stack:
        file = resources.files("dynarec") / "entitlements" / (LISTED if args.allowlist else PLAIN)
        steps = commands(running_python(), copy_path(), stack.enter_context(resources.as_file(file)))
        if args.dry_run:
            print("\n".join(shlex.join(step) for step in steps))
            return 0
        _check_place()
        _run_all(steps)
    print(f"{copy_path()} is made and starts: use it in place of {sys.executable}")
    return 0


def running_python() -> Path:
    """The program that runs this, without links and launchers."""
    program, framework = Path(sys.executable).resolve(), Path(sys.base_prefix) / FRAMEWORK_PYTHON
    return framework if framework.exists() and program.name != COPY else program


def copy_path() -> Path:
    """Where the copy goes: a Python finds its virtual environment by where it lies."""
    return Path(sys.prefix) / "bin" / COPY


def commands(source: Path, copy: Path, entitlements: Path) -> list[list[str]]:
    """What is run, in order. An old copy is removed first: macOS remembers the signature of a file that it has run."""
    sign = ["codesign", "--force", "--options", "runtime", "--entitlements", str(entitlements), "-s", OWN_IDENTITY]
    return [
        ["rm", "-f", str(copy)],
        ["cp", str(source), str(copy)],
        [*sign, str(copy)],
        [str(copy), "-c", "import dynarec.core"],
    ]


def _check_place() -> None:
    """Raises DynarecError where no copy can be made."""
    if platform.system() != "Darwin":
        raise DynarecError(
            f"sign-python is for macOS, and this is {platform.system()}: --dry-run shows what it would do there"
        )
    if sys.prefix == sys.base_prefix:
        raise DynarecError(
            "sign-python puts its copy into a virtual environment, and this Python is in none: "
            "make one with python3 -m venv, and install dynarec there"
        )
    if running_python() == copy_path().resolve():
        raise DynarecError(
            f"{sys.executable} cannot copy itself: run sign-python with the Python that it was made from"
        )


def _run_all(steps: list[list[str]]) -> None:
    """Runs the steps. Raises DynarecError at the first that fails, and leaves no copy that is not as it should be."""
    for step in steps:
        problem = _run(step)
        if problem is not None:
            copy_path().unlink(missing_ok=True)
            raise DynarecError(f"{shlex.join(step)}: {problem}")


def _run(step: list[str]) -> str | None:
    """Why a step failed, in one line; None: it did not."""
    try:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no such program (xcode-select --install brings codesign)"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"
