"""Lists the guest CPUs that are installed."""

from __future__ import annotations

import argparse
from collections import Counter


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
    return 0
