"""Measures how fast programs run, beside native code and emulators, or counts the host instructions that they execute.

The exit status is 1 when a program printed something else than it must, failed, or lost more than --fail-over says."""

from __future__ import annotations

import argparse
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
    arguments.add_without(parser, "; with --counts: all for a table with each of them left out in turn")
    add("--brief", action="store_true", help="time the programs, and nothing beside them")
    add("--tiers", type=arguments.names, default=("auto",), metavar="T,...", help="auto, jit, interp (default: auto)")
    add("--peers", type=arguments.names, metavar="P,...", help="qemu, unicorn (default: those that are installed)")
    add("--bench-dir", type=arguments.path, metavar="DIR", help="the programs (default: roms/bench of the checkout)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--json", type=arguments.path, metavar="FILE", help="write the results to a file, too")
    source.add_argument("--from", type=arguments.path, dest="saved", metavar="FILE", help="show a saved run")
    add("--compare", type=arguments.path, metavar="FILE", help="compare with a saved run")
    add("--fail-over", type=_percent, metavar="PERCENT", help="the exit status is 1 when a program lost more than this")
    add("--plot", type=arguments.path, metavar="FILE", help="draw the results (.svg, .png, .pdf)")


def main(args: argparse.Namespace) -> int:
    """Measure; the exit status."""
    from dynarec.bench import report, results_file, session

    reporter = report.Reporter(report.Wishes(args.compare, args.fail_over, args.plot))
    if args.saved is not None:
        results = results_file.read(args.saved)
        report.show(results)
    else:
        results = (session.count if args.counts else session.measure)(_plan(args))
    return reporter.report(results)


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
        brief=args.brief,
        tiers=args.tiers,
        peers=args.peers,
        without=_without(args),
    )


def _without(args: argparse.Namespace) -> tuple[str, ...]:
    """What to leave out. Raises DynarecError."""
    from dynarec.bench.savings import EVERY
    from dynarec.errors import DynarecError
    from dynarec.features import check_names

    if args.without and not args.counts:
        raise DynarecError("--without is for counts: add --counts")
    if args.without != [EVERY]:
        check_names(args.without)
    return tuple(args.without)


def _repetitions(text: str) -> int:
    number = arguments.count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("nothing is measured in 0 runs")
    return number


def _percent(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no percentage that can be lost")
    return number
