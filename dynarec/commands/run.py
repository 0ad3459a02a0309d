"""Runs a program. The exit status is the program's own; 124 when a limit ended it, 128 + n when it died of signal n,
and 125 when dynarec could not run it. Arguments behind -- are the program's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.commands import arguments, machine_options, run_inspect, run_tools
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.engine import Machine, Stop
    from dynarec.machine.console import Console

STATUS_LIMIT = 124
STATUS_LEFT = 0
CONSOLE = "console"
VIRT = "virt"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    machine_options.configure(parser)
    add = parser.add_argument
    add("--headless", action="store_true", help="run a console ROM without a window")
    add("--screenshot", type=arguments.path, metavar="F", help="write the last picture to a PNG file")
    add("--max-instructions", type=arguments.count, metavar="N", help="end after so many guest instructions")
    add("--timeout", type=arguments.seconds, metavar="S", help="end after so many seconds")
    add("--stats", action="store_true", help="print numbers about the run to stderr")
    add("--stats-json", type=arguments.path, metavar="F", help="write the same numbers to a file")
    add("--no-disk-cache", action="store_true", help="translate anew what earlier runs have translated; so does --sync")
    add("--verbose", action="store_true", help="say what is run, and how")
    add("--restore", type=arguments.path, metavar="F", help="go on from a snapshot of the same program")
    add(
        "--save-snapshot", type=arguments.path, metavar="F", help="write a snapshot when a limit or Ctrl-C ends the run"
    )
    run_inspect.configure(parser)
    run_tools.configure(parser)


def main(args: argparse.Namespace) -> int:
    """Run it; the exit status."""
    from dynarec.snapshot import Snapshot

    with machine_options.load(args, disk_cache=not args.no_disk_cache and not args.sync) as machine:
        console = _console(machine)
        if args.screenshot and console is None:
            raise DynarecError(
                f"{machine.program.name}: machine {machine.profile.name} has no picture for --screenshot"
            )
        if args.verbose:
            _describe(machine)
        if args.restore:
            machine.restore(Snapshot.load(args.restore))
        stop = None
        with run_inspect.recording(machine, args), run_tools.telling(machine, args):
            try:
                stop = _run(machine, console, args)
                _keep(machine, args.save_snapshot, stop)
            except KeyboardInterrupt:
                _keep(machine, args.save_snapshot, None)
                raise
            finally:
                _report(machine, console, args, stop)
        return _status(machine, stop)


def _console(machine: Machine) -> Console | None:
    if machine.profile.name != CONSOLE:
        return None
    from dynarec.machine.console import Console

    return machine.profile if isinstance(machine.profile, Console) else None


def _describe(machine: Machine) -> None:
    stats = machine.stats()
    _say(f"{machine.program.name}: {machine.convention}; guest {machine.guest.name}, machine {machine.profile.name}")
    _say(f"tier {stats.tier}, W^X policy {stats.policy}, entry {machine.pc:#010x}")


def _run(machine: Machine, console: Console | None, args: argparse.Namespace) -> Stop:
    if console is not None and not args.headless:
        from dynarec.window import NoDisplay, open_window

        window = open_window(machine.program.name)
        if not isinstance(window, NoDisplay):
            from dynarec.commands.session import WindowSession

            try:
                return WindowSession(machine, console, args.max_instructions, args.timeout).run(window)
            finally:
                window.close()
        _say(window.message)
    if machine.profile.name != VIRT:
        return machine.run(args.max_instructions, timeout=args.timeout)
    from dynarec.machine.serial_input import descriptor_of
    from dynarec.machine.terminal import raw_terminal

    with raw_terminal(descriptor_of(None)):
        return machine.run(args.max_instructions, timeout=args.timeout)


def _status(machine: Machine, stop: Stop) -> int:
    from dynarec.engine import StopReason

    if stop.trap is not None:
        _say(f"{machine.program.name}: {_death(machine, stop)}")
    if stop.status is not None:
        return stop.status
    return STATUS_LEFT if stop.reason is StopReason.REQUEST else STATUS_LIMIT


def _death(machine: Machine, stop: Stop) -> str:
    """ "load access fault at 0x00010234 (main+0x14), address 0x00000000" """
    from dynarec.machine.base import TrapKind

    trap = stop.trap
    assert trap is not None
    named = {TrapKind.ACCESS: "address", TrapKind.MISALIGNED: "address", TrapKind.ILLEGAL: "instruction"}.get(trap.kind)
    value = f", {named} {trap.value:#010x}" if named else ""
    return f"{trap.name} at {trap.pc:#010x}{_place(machine, trap.pc)}{value}"


def _place(machine: Machine, address: int) -> str:
    """ " (main+0x14)"; nothing outside of the program, where the last symbol below the address says nothing."""
    inside = any(segment.address <= address < segment.end for segment in machine.program.segments)
    nearest = machine.symbols.nearest(address) if inside else None
    return f" ({nearest[0]}+{nearest[1]:#x})" if nearest else ""


def _report(machine: Machine, console: Console | None, args: argparse.Namespace, stop: Stop | None) -> None:
    """What the user wants to keep of a run, however it ended."""
    if args.screenshot and console is not None:
        _save_picture(console, args.screenshot)
    if args.stats or args.stats_json:
        from dynarec.commands import run_stats

        stats = machine.stats()
        if args.stats:
            print(run_stats.as_text(stats), file=sys.stderr)
        if args.stats_json:
            run_stats.write_json(args.stats_json, stats, stop)


def _keep(machine: Machine, path: Path | None, stop: Stop | None) -> None:
    """Write the snapshot that the user asked for, if the program can go on."""
    if path is None:
        return
    if stop is not None and stop.status is not None:
        _say(f"there is no snapshot to write to {path}: the program has ended")
    else:
        machine.snapshot().save(path)


def _save_picture(console: Console, path: Path) -> None:
    from dynarec.screenshot import write_png

    picture = console.picture()
    if picture is None:
        _say(f"there is no picture to write to {path}: the program has shown none")
    else:
        write_png(path, picture)


def _say(text: str) -> None:
    print(f"dynarec: {text}", file=sys.stderr)
