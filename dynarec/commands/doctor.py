"""Says what dynarec finds on this computer: the host, the policies for code memory, the interpreters, the libraries."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dynarec.commands.sign_python import running_python
from dynarec.signature import advice, read_signature

CACHE_LINE_FILE = Path("/sys/devices/system/cpu/cpu0/cache/index0/coherency_line_size")
LIBRARIES = ("cffi", "pygame", "capstone", "pyelftools")
PROBLEM = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--clear-cache", action="store_true", help="remove the translations on disk")


def main(args: argparse.Namespace) -> int:
    """0 when programs can be translated here, 1 when they can only be interpreted."""
    from dynarec.commands.guests import interpreter_text
    from dynarec.core import ELSEWHERE, is_automatic, native_host, policies, probe_policy
    from guest_isa import load_guests

    print(f"dynarec {_version('dynarec')}, Python {platform.python_version()} ({platform.python_implementation()})")
    print(f"system: {platform.system()} {platform.release()}")
    print(f"host: {native_host()} (this Python: {platform.machine()}), {_sizes()}")
    if platform.system() == "Darwin":
        _print_signature()
    print("W^X policies, in the order in which they are tried:")
    verdicts = {name: probe_policy(name) for name in policies()}
    for name, problem in verdicts.items():
        use = "" if is_automatic(name) else " (by name only: --wx)"
        print(f"  {name}: {'works' if problem is None else f'does not work: {problem}'}{use}")
    for name in sorted(ELSEWHERE.keys() - verdicts.keys()):
        print(f"  {name}: is for {ELSEWHERE[name]}")
    print("guests:")
    for guest in load_guests().values():
        print(f"  {guest.name}: {interpreter_text(guest)}")
    _print_cache(args.clear_cache)
    print("libraries:")
    for name in LIBRARIES:
        print(f"  {name} {_version(name)}")
    if None in verdicts.values():
        return 0
    print("programs run interpreted here: no policy works", file=sys.stderr)
    return PROBLEM


def _print_cache(clear: bool) -> None:
    """Where translations are kept, and of how much. clear: remove them first."""
    from dynarec.disk.folder import PrivateFolder
    from dynarec.disk.places import VARIABLE, cache_folder
    from dynarec.disk.store import SUFFIX, make_room

    try:
        path = cache_folder()
        if path is None:
            print(f"translations on disk: none ({VARIABLE} is empty)")
            return
        with PrivateFolder(path, create=False) as folder:
            if clear:
                make_room(folder, 0)
            entries = folder.entries(SUFFIX)
        size = sum(entry.size for entry in entries)
        print(f"translations on disk: {path}: {size:,} bytes; files: {len(entries)}")
    except FileNotFoundError:
        print(f"translations on disk: {path}: nothing yet")
    except OSError as error:
        print(f"translations on disk: none: {error}")


def _sizes() -> str:
    line = cache_line()
    lines = "of unknown size" if line is None else f"of {line} bytes"
    return f"pages of {os.sysconf('SC_PAGESIZE')} bytes, cache lines {lines}"


def cache_line() -> int | None:
    """Bytes in a line of the first data cache, as the system tells; None: it does not."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "hw.cachelinesize"]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    elif CACHE_LINE_FILE.exists():
        text = CACHE_LINE_FILE.read_text()
    else:
        text = str(os.sysconf("SC_LEVEL1_DCACHE_LINESIZE"))
    return int(text) if text.strip().isdecimal() and int(text) > 0 else None


def _print_signature() -> None:
    """What macOS lets this Python do, and what to do if that is too little."""
    signature = read_signature(str(running_python()))
    if signature.problem is not None:
        print(f"signature of this Python: {signature.problem}")
        return
    runtime = "with" if signature.hardened else "without"
    print(f"signature of this Python: {', '.join(signature.flags) or 'no flags'}; {runtime} the Hardened Runtime")
    print(f"entitlements of this Python: {', '.join(signature.entitlements) or 'none'}")
    print(f"what to do: {advice(signature)}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
