"""Runs whose code cache is recorded: to be looked into later, or by another process meanwhile."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.commands import arguments

if TYPE_CHECKING:
    from dynarec.engine import Machine
    from dynarec.inspect.model import Recording


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument_group("for dynarec inspect").add_argument
    add("--dump", type=arguments.path, metavar="F", help="write down what the code cache was, when the run has ended")
    add("--coverage", type=arguments.path, metavar="F", help="write what was executed: F.lcov or F.drcov")
    add("--inspect", action="store_true", help="let dynarec inspect --attach look into it meanwhile")


@contextmanager
def recording(machine: Machine, args: argparse.Namespace) -> Iterator[None]:
    """While the machine runs: what the options ask for, however the run ends. Raises DynarecError."""
    if not (args.dump or args.coverage or args.inspect):
        yield
        return
    from dynarec.inspect.live import LiveSource
    from dynarec.inspect.recorder import Recorder

    if args.coverage:
        from dynarec.inspect import coverage

        coverage.check(args.coverage, machine.program)
    with ExitStack() as stack:
        source = LiveSource(machine, Recorder(machine))
        stack.callback(source.close)
        stack.callback(lambda: _write(machine, source.record(), args))
        if args.inspect:
            from dynarec.inspect.attach import serve

            stack.callback(serve(source).close)
            _say(f"look into it with: dynarec inspect --attach {os.getpid()}")
        yield


def _write(machine: Machine, recording: Recording, args: argparse.Namespace) -> None:
    """What cannot be written keeps nothing else from being it."""
    try:
        if args.dump:
            from dynarec.inspect import dump

            dump.write(recording, args.dump)
    finally:
        if args.coverage:
            _write_coverage(machine, recording, args.coverage)


def _write_coverage(machine: Machine, recording: Recording, path: Path) -> None:
    from dynarec.inspect import coverage

    if recording.forgotten.units:
        _say(f"{path}: lacks the counts of {recording.forgotten.units:,} units that died long ago")
    coverage.write(recording, machine.program, machine.guest, path)


def _say(text: str) -> None:
    print(f"dynarec: {text}", file=sys.stderr)
