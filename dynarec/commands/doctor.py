"""Says what dynarec finds on this computer: the host, the policies for code memory, the interpreters, the libraries."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("cffi", "pygame", "capstone", "pyelftools")
PROBLEM = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """There are no options."""


def main(args: argparse.Namespace) -> int:
    """0 when programs can be translated here, 1 when they can only be interpreted."""
    from dynarec.core import has_interpreter, native_host, policies, probe_policy
    from guest_isa import load_guests

    print(f"dynarec {_version('dynarec')}, Python {platform.python_version()} ({platform.python_implementation()})")
    print(f"system: {platform.system()} {platform.release()}")
    print(f"host: {native_host()} (this Python: {platform.machine()}), pages of {os.sysconf('SC_PAGESIZE')} bytes")
    print("W^X policies, in the order in which they are tried:")
    verdicts = {name: probe_policy(name) for name in policies()}
    for name, problem in verdicts.items():
        print(f"  {name}: {'works' if problem is None else f'does not work: {problem}'}")
    print("guests:")
    for guest in load_guests().values():
        print(f"  {guest.name}: interpreter {'built in' if has_interpreter(guest.name) else 'missing'}")
    print("libraries:")
    for name in LIBRARIES:
        print(f"  {name} {_version(name)}")
    if None in verdicts.values():
        return 0
    print("programs run interpreted here: no policy works", file=sys.stderr)
    return PROBLEM


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
