"""Runs whose code cache is recorded: to be looked into later, or by another process meanwhile."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dynarec.commands import arguments

if TYPE_CHECKING:
    from dynarec.engine import Machine


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument_group("for dynarec inspect").add_argument
    add("--dump", type=arguments.path, metavar="F", help="write down what the code cache was, when the run has ended")
    add("--inspect", action="store_true", help="let dynarec inspect --attach look into it meanwhile")


@contextmanager
def recording(machine: Machine, args: argparse.Namespace) -> Iterator[None]:
    """While the machine runs: what the options ask for, however the run ends. Raises DynarecError."""
    if not args.dump and not args.inspect:
        yield
        return
    from dynarec.inspect import dump
    from dynarec.inspect.live import LiveSource
    from dynarec.inspect.recorder import Recorder

    with ExitStack() as stack:
        source = LiveSource(machine, Recorder(machine))
        stack.callback(source.close)
        if args.dump:
            stack.callback(lambda: dump.write(source.record(), args.dump))
        if args.inspect:
            from dynarec.inspect.attach import serve

            stack.callback(serve(source).close)
            print(f"dynarec: look into it with: dynarec inspect --attach {os.getpid()}", file=sys.stderr)
        yield
