"""Runs a program in the debugger: in this terminal, for GDB or LLDB (--gdb), or for an editor (--dap). Arguments
behind -- are the program's. With --gdb, the exit status is 0 when a client has killed the program, or when the program
has ended and its client has left."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dynarec.commands import arguments, machine_options
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.launch import Launch
    from dynarec.machine.base import ByteFile


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    machine_options.configure(parser, needs_program=False)
    add = parser.add_argument
    interface = parser.add_mutually_exclusive_group().add_argument
    interface(
        "--gdb", metavar="[HOST:]PORT", help="wait there for GDB or LLDB (port 0: any free one; default host: this)"
    )
    interface("--dap", action="store_true", help="speak the Debug Adapter Protocol on stdin and stdout")
    add(
        "--history",
        type=arguments.size,
        default=512 << 20,
        metavar="SIZE",
        help="memory for going backwards (K, M, G; default 512M; 0: none)",
    )
    add(
        "--source",
        type=arguments.path,
        action="append",
        default=[],
        metavar="DIR",
        help="look here for source files that have moved",
    )


def main(args: argparse.Namespace) -> int:
    """Debug it; the exit status."""
    if args.rom is None and args.kernel is None and not args.dap:
        raise DynarecError("name a program: dynarec debug ROM (with --dap, editors may name it)")
    if args.gdb is not None:
        from dynarec.debug.gdb.server import serve

        return serve(make_launch(args), args.gdb)
    if args.dap:
        from dynarec.debug.dap.server import serve_standard_streams

        return serve_standard_streams(args)
    try:
        from dynarec.debug.tui.app import run
    except ModuleNotFoundError as error:
        raise DynarecError(
            f"the debugger in the terminal needs {error.name}: pip install 'dynarec[debug]'; --gdb and --dap do without"
        ) from error
    return run(args)


def make_launch(
    args: argparse.Namespace,
    stdin: ByteFile | None = None,
    stdout: ByteFile | None = None,
    stderr: ByteFile | None = None,
) -> Launch:
    """How the program that the options describe is started. stdin, stdout, stderr: of the program."""
    from dynarec.debug.launch import Launch

    name = str(args.rom if args.kernel is None else args.kernel)
    return Launch(lambda: machine_options.load(args, stdin, stdout, stderr, sync=True), name, args.source, args.history)
