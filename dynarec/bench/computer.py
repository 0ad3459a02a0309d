"""The computer that measurements are made on, in words."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "unknown"
MACOS_CPU = ("sysctl", "-n", "machdep.cpu.brand_string")
LINUX_CPU = ("lscpu",)
LSCPU_KEY = "Model name:"


def describe() -> dict[str, str]:
    """CPU, system, Python, dynarec and date, by what they are called in reports."""
    return {
        "cpu": f"{cpu_model()}, {platform.machine()}, {os.cpu_count()} cores",
        "system": system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "dynarec": _own_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def cpu_model() -> str:
    """The CPU's name for people; "unknown" where nothing tells."""
    if platform.system() == "Darwin":
        return _ask(MACOS_CPU).strip() or UNKNOWN
    lines = (line.strip() for line in _ask(LINUX_CPU).splitlines())
    return next((line.removeprefix(LSCPU_KEY).strip() for line in lines if line.startswith(LSCPU_KEY)), UNKNOWN)


def system() -> str:
    """The operating system and its kernel, without what a distributor adds to its version."""
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}, {kernel}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _ask(query: tuple[str, ...]) -> str:
    if shutil.which(query[0]) is None:
        return ""
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(query, capture_output=True, text=True, check=False, env=environment).stdout


def _own_version() -> str:
    try:
        return version("dynarec")
    except PackageNotFoundError:
        return UNKNOWN
