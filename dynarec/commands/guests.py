"""Lists the guest CPUs that are installed."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guest_isa.guest import Guest


def configure(parser: argparse.ArgumentParser) -> None:
    """There are no options."""


def main(args: argparse.Namespace) -> int:
    """List them; the exit status."""
    from guest_isa import load_guests

    for guest in load_guests().values():
        extensions = Counter(spec.extension for spec in guest.isa)
        print(f"{guest.name}: {guest.title}")
        print(f"  ELF machine: {'none' if guest.elf_machine is None else guest.elf_machine}")
        print(f"  machines: {', '.join(guest.machines)}")
        print(f"  extensions: {', '.join(f'{name} ({count})' for name, count in extensions.items())}")
        print(f"  instructions: {extensions.total()}")
        print(f"  {interpreter_text(guest)}")
    return 0


def interpreter_text(guest: Guest) -> str:
    """Whether an interpreter was generated for it."""
    from dynarec.core import has_interpreter

    return "interpreter built in" if has_interpreter(guest.name) else "no interpreter: runs on the translator alone"
