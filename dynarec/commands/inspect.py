"""Looks into the code cache of a program: of one that is run for that (ROM; arguments behind -- are its own), of one
that was (DUMP, a file that --dump has written), or of one that runs (--attach; start it with dynarec run --inspect). In
a terminal, unless an option asks for something else, one walks around in it. Otherwise a ROM is run without a window to
its end, to a limit or to Ctrl-C; then comes what was asked for, on stdout, while all that the program writes goes to
stderr. `dynarec inspect diff A B` compares two dumps; its exit status is 1 if something is as --fail-on says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dynarec.commands import arguments, machine_options
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.engine import Machine
    from dynarec.inspect.model import Recording, Unit
    from dynarec.inspect.source import Source

DIFF = "diff"
STATUS_DIFFERENT = 1
ROWS = 20
"""Of the table, unless another number is asked for."""
KEPT = 1 << 16
"""Bytes of what a program has written that are shown behind the inspector."""
TEXTS = ("json", "csv", "dot", "top", "unit", "filter", "sort")
"""Options that ask for something on stdout."""
FILES = ("dump", "html")
APART = ("csv", "dot", "unit", "stages", "filter", "sort", *FILES)
"""Options that mean nothing when dumps are compared."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    machine_options.configure(parser, needs_program=False)
    parser.usage = (
        "dynarec inspect [options] (ROM | DUMP | --attach PID) [-- ARGUMENTS]\n       "
        "dynarec inspect diff A B [--json] [--top N] [--fail-on CHANGE]"
    )
    add = parser.add_argument
    add("dumps", type=arguments.path, nargs="*", metavar="A B", help=argparse.SUPPRESS)
    add("--attach", type=arguments.count, metavar="PID", help="a process that was started with dynarec run --inspect")
    add("--max-instructions", type=arguments.count, metavar="N", help="end after so many guest instructions")
    add("--timeout", type=arguments.seconds, metavar="S", help="end after so many seconds")
    _configure_outputs(parser)


def _configure_outputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what is written (default, without a terminal: a table)").add_argument
    form = parser.add_mutually_exclusive_group().add_argument
    form("--json", action="store_true", help="everything, or all about the units that are asked for")
    form("--csv", action="store_true", help="all columns of the table")
    form("--dot", action="store_true", help="how units lead to each other, for Graphviz; with --top, and to neighbours")
    add("--top", type=arguments.count, metavar="N", help="the N units with the most time")
    add("--unit", metavar="ADDR|SYMBOL", help="all about one unit; also symbol+0x10, file.c:12, #NUMBER")
    add("--stages", action="store_true", help="with --unit: the IR as lifted and behind each pass")
    add(
        "--filter",
        metavar="EXPR",
        help="units that words say: hot, live, dead, reason:store, part of a symbol, and what --unit takes",
    )
    add(
        "--sort", metavar="COLUMN", help="the units by a column of --csv; -COLUMN: the other way round (--sort=-rounds)"
    )
    add("--html", type=arguments.path, metavar="F", help="write a page for a browser")
    add("--dump", type=arguments.path, metavar="F", help="write a dump")
    add(
        "--fail-on",
        action="append",
        default=[],
        metavar="CHANGE[:PERCENT]",
        help="diff: exit with 1 if there is one (hotter, colder, larger, smaller, slower, died, new, gone) or a total "
        "grew (units, instructions, interpreted, host-bytes, deaths, translation-us)",
    )


def main(args: argparse.Namespace) -> int:
    """Show it; the exit status."""
    if args.rom == Path(DIFF) and args.dumps:
        _refuse(args, APART, "is not for comparing")
        return _compare(args)
    _refuse(args, ("fail_on",), "is for inspect diff A B")
    if args.unit is None:
        _refuse(args, ("stages",), "is for one unit: name it with --unit")
    if args.dumps:
        raise DynarecError(f"{args.dumps[0]} is one thing too many: name one program, or compare: inspect diff A B")
    if sum(each is not None for each in (args.rom, args.kernel, args.attach)) != 1:
        raise DynarecError("name one thing: dynarec inspect ROM, DUMP, --kernel FILE or --attach PID")
    if args.attach is not None:
        from dynarec.inspect.attach import AttachedSource

        return _show(args, AttachedSource(args.attach))
    if args.rom is not None and _is_dump(args.rom):
        from dynarec.inspect import dump
        from dynarec.inspect.source import FixedSource

        return _show(args, FixedSource(args.rom.name, dump.read(args.rom)))
    return _run_in_terminal(args) if _has_terminal(args) else _run_headless(args)


def _is_dump(path: Path) -> bool:
    from dynarec.inspect.dump import MAGIC

    with suppress(OSError), path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
    return False


def _has_terminal(args: argparse.Namespace) -> bool:
    """Whether the user wants to walk around."""
    return not _asks(args, TEXTS + FILES) and sys.stdin.isatty() and sys.stdout.isatty()


def _asks(args: argparse.Namespace, names: tuple[str, ...]) -> bool:
    """Whether one of these options was given."""
    return any(getattr(args, name) not in (None, False, []) for name in names)


def _refuse(args: argparse.Namespace, names: tuple[str, ...], why: str) -> None:
    """Raise DynarecError if one of these options was given."""
    for name in names:
        if _asks(args, (name,)):
            raise DynarecError(f"--{name.replace('_', '-')} {why}")


def _show(args: argparse.Namespace, source: Source) -> int:
    """What there is without running anything."""
    if _has_terminal(args):
        return _walk(source)
    try:
        _report(args, source.record())
    finally:
        source.close()
    return 0


def _walk(source: Source) -> int:
    try:
        from dynarec.inspect.tui import run

        return run(source)
    except ModuleNotFoundError as error:
        source.close()
        raise DynarecError(
            f"the inspector in the terminal needs {error.name}: pip install 'dynarec[debug]'; --top does without"
        ) from error


# -- programs that are run --------------------------------------------------------------------------------------------


class _Tail:
    """A file that keeps the end of what is written to it, and has nothing to read."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def read(self, size: int = -1, /) -> bytes:
        return b""

    def write(self, data: bytes, /) -> int:
        self.kept += data
        del self.kept[:-KEPT]
        return len(data)

    def fileno(self) -> int:
        raise OSError("it has no descriptor")


def _run_in_terminal(args: argparse.Namespace) -> int:
    """Walk around while it runs. What it writes is shown behind that."""
    tail = _Tail()
    with machine_options.load(args, tail, tail, tail) as machine:
        source = _watched(machine)
        run = machine.start(args.max_instructions, timeout=args.timeout)
        try:
            status = _walk(source)
        finally:
            run.stop()
            run.wait()
    sys.stdout.buffer.write(tail.kept)
    return status


def _run_headless(args: argparse.Namespace) -> int:
    """Run it, then say what was asked for."""
    with _stderr() as stream, machine_options.load(args, stdout=stream) as machine:
        source = _watched(machine)
        try:
            with suppress(KeyboardInterrupt):
                stop = machine.run(args.max_instructions, timeout=args.timeout)
                if stop.trap is not None:
                    print(f"dynarec: {machine.program.name}: {stop.trap.name}", file=sys.stderr)
            _report(args, source.record())
        finally:
            source.close()
    return 0


def _watched(machine: Machine) -> Source:
    from dynarec.inspect.live import LiveSource
    from dynarec.inspect.recorder import Recorder

    return LiveSource(machine, Recorder(machine))


@contextmanager
def _stderr() -> Iterator[BinaryIO]:
    """The standard error as a program's stream."""
    from dynarec.machine.own_streams import own_stream

    with open(own_stream(2), "wb", buffering=0, closefd=False) as stream:
        yield stream


# -- what is written --------------------------------------------------------------------------------------------------


def _report(args: argparse.Namespace, recording: Recording) -> None:
    """What was asked for of a recording."""
    if args.dump:
        from dynarec.inspect import dump

        dump.write(recording, args.dump)
    if args.html:
        from dynarec.inspect import report

        report.write(recording, args.html)
    if _asks(args, TEXTS) or not _asks(args, FILES):
        print("\n".join(_lines(args, recording)))


def _lines(args: argparse.Namespace, recording: Recording) -> Iterator[str]:
    from dynarec.inspect import json_form, tables

    units = _chosen(args, recording)
    if args.json:
        yield json_form.to_json(recording, units)
    elif args.csv:
        yield tables.as_csv(recording, units).rstrip()
    elif args.dot:
        yield _dot(args, recording, units)
    elif args.unit:
        yield from _about(args, recording, units)
    else:
        yield from _table(recording, units if args.top is not None else units[:ROWS], len(units))


def _chosen(args: argparse.Namespace, recording: Recording) -> list[Unit]:
    """The units that the options mean, in the order that they ask for."""
    from dynarec.inspect import filters, tables

    if args.unit is not None:
        found = filters.at(recording, args.unit)
    else:
        found = filters.select(recording, args.filter or "")
        if args.sort or args.top is not None or not args.json:
            by = args.sort or "share"
            found = tables.ordered(recording, found, by.removeprefix("-"), reverse=by.startswith("-"))
    return found[: args.top]


def _dot(args: argparse.Namespace, recording: Recording, units: list[Unit]) -> str:
    from dynarec.inspect.graph import graph, to_dot

    some = args.top is not None or args.unit is not None
    if not some and not args.filter:
        units = [unit for unit in units if unit.alive]
    return to_dot(graph(recording, units, neighbours=some)).rstrip()


def _about(args: argparse.Namespace, recording: Recording, units: list[Unit]) -> Iterator[str]:
    from dynarec.inspect.unit_text import describe

    if not units:
        yield "no units"
        return
    first, *others = units
    yield from describe(recording, first, stages=args.stages)
    if others:
        yield ""
        yield f"also made from {args.unit}: " + ", ".join(
            f"#{unit.serial} {recording.name(unit.key)}" + ("" if unit.alive else " (dead)") for unit in others
        )


def _table(recording: Recording, units: list[Unit], of: int) -> Iterator[str]:
    from dynarec.inspect import tables
    from dynarec.inspect.hints import hints

    yield tables.as_text(recording, units) if units else "no units"
    if of > len(units):
        yield f"and {of - len(units):,} more: --top {of}"
    yield ""
    yield tables.summary(recording)
    for number, hint in enumerate(hints(recording)):
        if number == 0:
            yield "\nhints:"
        yield f"  {hint.text}" + (f": {hint.advice}" if hint.advice else "")


def _compare(args: argparse.Namespace) -> int:
    from dynarec.inspect import diff, dump

    if len(args.dumps) != 2:
        raise DynarecError("two dumps are compared: dynarec inspect diff A B, with options before or behind both")
    conditions = [diff.Condition.parse(text) for text in args.fail_on]
    before, after = map(dump.read, args.dumps)
    compared = diff.compare(before, after, diff.lowered(diff.USUAL, conditions))
    print(diff.to_json(compared) if args.json else diff.as_text(compared, 10 if args.top is None else args.top))
    reasons = [reason for condition in conditions if (reason := condition.fails(compared))]
    for reason in reasons:
        print(f"dynarec: {reason}", file=sys.stderr)
    return STATUS_DIFFERENT if reasons else 0
