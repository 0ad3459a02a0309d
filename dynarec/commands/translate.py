"""Shows how the block at an address is translated: guest code, IR as lifted and after each pass, host code."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dynarec.commands import arguments
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.commands.code import ProgramCode
    from dynarec.host.base import Hardening, Host
    from dynarec.translate import Translator


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("rom", type=arguments.path, metavar="ROM", help="an ELF file")
    parser.add_argument(
        "--at", type=arguments.place, required=True, metavar="ADDR|SYMBOL", help="where the block begins"
    )
    parser.add_argument("--host", metavar="H", help="x86_64 or arm64 (default: this computer's)")
    parser.add_argument("--harden", type=arguments.names, default=(), metavar="H", help="arm64: bti, pac")
    arguments.add_without(parser)


def main(args: argparse.Namespace) -> int:
    """Show it; the exit status."""
    from dynarec.commands.code import ProgramCode
    from dynarec.features import check_names
    from dynarec.loading import hardening, read_program
    from dynarec.translate import Translator

    code = ProgramCode(*read_program(args.rom, None))
    key = code.address(args.at)
    if not code.fetch(key, 1):
        raise DynarecError(f"{code.program.name}: there is no code at {key:#010x}")
    check_names(args.without)
    host = _host(args.host, code, hardening(args.harden))
    _show(Translator(code.guest, host, code.fetch, without=args.without), key)
    return 0


def _host(name: str | None, code: ProgramCode, harden: frozenset[Hardening]) -> Host:
    from dynarec.host import make_host, make_native_host

    return make_native_host(code.guest, harden) if name is None else make_host(name, code.guest, harden=harden)


def _show(translator: Translator, key: int) -> None:
    from dynarec.stages import sections

    for number, section in enumerate(sections(translator, key)):
        print(f"\n{section.title}" if number else section.title)
        for line in section.lines:
            print(f"  {line}")
