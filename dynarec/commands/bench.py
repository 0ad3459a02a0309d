"""Measures how fast programs run, beside native code and QEMU, or counts the host instructions that they execute.

The exit status is 1 when a program printed something else than it must, or failed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.commands import arguments

if TYPE_CHECKING:
    from dynarec.bench.session import Plan

DEFAULT_REPEAT = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="benchmark programs (default: all)")
    add("--rounds", choices=("full", "small"), help="how long the programs run (default: full; with --counts: small)")
    add("--repeat", type=_repetitions, default=DEFAULT_REPEAT, metavar="N", help="runs of each kind (default: 5)")
    add("--counts", action="store_true", help="count executed host instructions by emulation; nothing is timed")
    add("--json", type=Path, metavar="FILE", help="write the results to a file, too")
    add("--bench-dir", type=Path, metavar="DIR", help="the programs (default: roms/bench of the checkout)")


def main(args: argparse.Namespace) -> int:
    """Measure; the exit status."""
    from dynarec.bench.session import count, measure

    return count(_plan(args)) if args.counts else measure(_plan(args))


def _plan(args: argparse.Namespace) -> Plan:
    from dynarec.bench.programs import default_folder
    from dynarec.bench.session import Plan

    return Plan(
        names=tuple(args.names),
        size=args.rounds or ("small" if args.counts else "full"),
        repeat=args.repeat,
        counts=args.counts,
        folder=args.bench_dir or default_folder(),
        given_folder=args.bench_dir is not None,
        json=args.json,
    )


def _repetitions(text: str) -> int:
    number = arguments.count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("nothing is measured in 0 runs")
    return number
