"""Lists a program's code from an address or symbol on."""

from __future__ import annotations

import argparse

from dynarec.commands import arguments
from dynarec.errors import DynarecError

DEFAULT_COUNT = 32


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("rom", type=arguments.path, metavar="ROM", help="an ELF file")
    parser.add_argument("--at", type=arguments.place, metavar="ADDR|SYMBOL", help="where to begin (default: the entry)")
    parser.add_argument("--count", type=arguments.count, default=DEFAULT_COUNT, metavar="N", help="how many")


def main(args: argparse.Namespace) -> int:
    """List it; the exit status."""
    from dynarec.commands.code import ProgramCode
    from dynarec.loading import read_program

    code = ProgramCode(*read_program(args.rom, None))
    start = code.address(args.at)
    if not code.fetch(start, 1):
        raise DynarecError(f"{code.program.name}: there is no code at {start:#010x}")
    for line in code.listing(start, args.count):
        print(line)
    return 0
