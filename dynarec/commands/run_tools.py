"""What other people's tools are told of a run: generated code, for profilers and for gdb."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.engine import Machine
    from dynarec.inspect.tool import Tool

NAMED_MEMORY = "dualmap"
"""The policy whose memory is a file's to the system."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument_group("for other tools").add_argument
    add("--perf", choices=("map", "jitdump"), help="tell perf (or samply) about generated code")
    add("--gdb-jit", action="store_true", help="tell a gdb that debugs this process about generated code")


@contextmanager
def telling(machine: Machine, args: argparse.Namespace) -> Iterator[None]:
    """While the machine runs: what the options ask for. Raises DynarecError."""
    with ExitStack() as stack:
        if args.perf:
            if args.perf == "map" and machine.core.policy == NAMED_MEMORY:
                _say(f"perf does not look into maps for memory of policy {NAMED_MEMORY}: choose --perf jitdump")
            stack.enter_context(_told(machine, _perf(args.perf)))
        if args.gdb_jit:
            stack.enter_context(_told(machine, _gdb()))
        yield


@contextmanager
def _told(machine: Machine, tool: Tool) -> Iterator[None]:
    from dynarec.inspect.tool import CodeWatcher

    try:
        watcher = CodeWatcher(machine, tool)
    except DynarecError:
        tool.close()
        raise
    try:
        yield
    finally:
        watcher.close()


def _perf(kind: str) -> Tool:
    from dynarec.inspect.perf import KINDS

    try:
        return KINDS[kind]()
    except OSError as error:
        raise DynarecError(f"--perf {kind}: {error.filename}: {error.strerror or error}") from error


def _gdb() -> Tool:
    from dynarec.inspect.gdb_jit import GdbJit

    return GdbJit()


def _say(text: str) -> None:
    print(f"dynarec: {text}", file=sys.stderr)
