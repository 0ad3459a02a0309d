"""Shows how the block at an address is translated: guest code, IR as lifted and after each pass, host code."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dynarec.commands import arguments
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.commands.code import ProgramCode
    from dynarec.host.base import Hardening, Host, HostCode
    from dynarec.translate import Translator


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("rom", type=arguments.path, metavar="ROM", help="an ELF file")
    parser.add_argument(
        "--at", type=arguments.place, required=True, metavar="ADDR|SYMBOL", help="where the block begins"
    )
    parser.add_argument("--host", metavar="H", help="x86_64 or arm64 (default: this computer's)")
    parser.add_argument("--harden", type=arguments.names, default=(), metavar="H", help="arm64: bti, pac")
    parser.add_argument(
        "--without", action="extend", nargs="+", default=[], metavar="PASS", help="leave out optimisation passes"
    )


def main(args: argparse.Namespace) -> int:
    """Show it; the exit status."""
    from dynarec.commands.code import ProgramCode
    from dynarec.loading import hardening, read_program
    from dynarec.translate import Translator

    code = ProgramCode(*read_program(args.rom, None))
    key = code.address(args.at)
    if not code.fetch(key, 1):
        raise DynarecError(f"{code.program.name}: there is no code at {key:#010x}")
    _check_passes(args.without)
    host = _host(args.host, code, hardening(args.harden))
    _show(Translator(code.guest, host, code.fetch, without=args.without), host, key)
    return 0


def _host(name: str | None, code: ProgramCode, harden: frozenset[Hardening]) -> Host:
    from dynarec.host import make_host, make_native_host

    return make_native_host(code.guest, harden) if name is None else make_host(name, code.guest, harden=harden)


def _check_passes(names: list[str]) -> None:
    from dynarec.opt import PASS_NAMES

    for name in names:
        if name not in PASS_NAMES:
            raise DynarecError(f"unknown pass {name!r}: choose from {', '.join(PASS_NAMES)}")


def _show(translator: Translator, host: Host, key: int) -> None:
    from dynarec.ir.text import format_ops

    stages = translator.stages(key)
    _, lifted = stages[0]
    print(f"guest code: {len(lifted.insns)} instructions from {key:#010x}")
    for insn in lifted.insns:
        print(f"  {insn.pc:08x}  {insn.text}")
    for name, unit in stages:
        print(f"\nIR, {name}:" if name == "lifted" else f"\nIR after {name}:")
        for line in format_ops(unit):
            print(f"  {line}")
    _show_host_code(host, translator.translate(key).code)


def _show_host_code(host: Host, code: HostCode) -> None:
    print(f"\nhost code: {host.name}, {len(code.code)} bytes")
    for offset, data, text in host.disassemble(code.code):
        print(f"  {offset:4x}  {data.hex():<24}{text}")
    print("\nexits:")
    for exit_ in code.exits:
        print(f"  {exit_.ret:4x}  {exit_.kind.name.lower()} to {exit_.target:#010x}, gives back {exit_.refund}")
