"""What the commands that run a program have in common: which program, on what machine, in which tier."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.commands import arguments
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.engine import Machine
    from dynarec.machine.base import ByteFile
    from dynarec.program import Program


def configure(parser: argparse.ArgumentParser, needs_program: bool = True) -> None:
    """Declare the options."""
    add = parser.add_argument
    program = parser.add_mutually_exclusive_group(required=needs_program).add_argument
    program("rom", type=arguments.path, metavar="ROM", nargs="?", help="an ELF file")
    program("--kernel", type=arguments.path, metavar="F", help="for machine virt: an ELF file, or what RAM starts with")
    add(
        "--machine",
        default="auto",
        metavar="M",
        help="what is around the CPU: auto, user, console, virt",
    )
    add("--wx", default="auto", metavar="POLICY", help="how code memory is protected (see dynarec doctor)")
    add(
        "--harden",
        type=arguments.names,
        default=(),
        metavar="H",
        help="arm64: bti (landing pads), pac (signed pointers)",
    )
    add("--tier", default="auto", metavar="T", help="auto, jit (translate everything) or interp (nothing)")
    add("--sync", action="store_true", help="let the guest wait for translations: every run does the same")
    add("--root", type=arguments.path, metavar="DIR", help="the directory whose files the program may use")
    add("--seed", type=arguments.count, metavar="N", help="make random numbers repeatable")
    add("--cache-size", type=arguments.size, metavar="BYTES", help="size of the code cache (K, M, G)")
    _configure_hardware(parser)


def _configure_hardware(parser: argparse.ArgumentParser) -> None:
    """Options of machine virt."""
    add = parser.add_argument_group("machine virt (Ctrl-A x leaves)").add_argument
    add("--initrd", type=arguments.path, metavar="F", help="initial RAM disk of the kernel")
    add("--append", default="", metavar="S", help="command line of the kernel")
    add("--dtb", type=arguments.path, metavar="F", help="device tree, in place of one that is made")
    add("--board", default="virt", metavar="B", help="virt (QEMU's) or mini (mini-rv32ima's)")
    add("--memory", type=arguments.size, default=128 << 20, metavar="BYTES", help="RAM (K, M, G); default 128M")
    add("--clock", default="virtual", metavar="C", help="virtual (counts instructions) or host")


def load(
    args: argparse.Namespace,
    stdin: ByteFile | None = None,
    stdout: ByteFile | None = None,
    stderr: ByteFile | None = None,
    *,
    sync: bool = False,
    disk_cache: bool = False,
) -> Machine:
    """The machine that the options describe. stdin, stdout, stderr: of the program; None: this process's.

    sync: the guest waits for translations in any case. disk_cache: begin with those of earlier runs.
    """
    from dynarec.engine import DEFAULT_CACHE_SIZE, Machine
    from dynarec.machine.base import Hardware

    return Machine.load(
        _source(args),
        args.machine if args.kernel is None else "virt",
        args.guest_arguments,
        root=args.root,
        tier=args.tier,
        sync=args.sync or sync,
        disk_cache=disk_cache,
        wx=args.wx,
        harden=args.harden,
        cache_size=DEFAULT_CACHE_SIZE if args.cache_size is None else args.cache_size,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        seed=args.seed,
        hardware=Hardware(args.board, args.memory, args.clock, args.dtb, args.initrd, args.append),
    )


def _source(args: argparse.Namespace) -> Path | Program:
    from dynarec.loading import read_kernel

    if args.kernel is not None and args.machine not in ("auto", "virt"):
        raise DynarecError(f"machine {args.machine} runs no kernels: leave --machine out")
    path: Path = args.rom
    return path if args.kernel is None else read_kernel(args.kernel)
