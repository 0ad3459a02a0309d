"""The command line: finds the command, and turns whatever goes wrong into one line and an exit status."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from dynarec.errors import DynarecError

COMMANDS = {
    "run": "run a program",
    "debug": "run a program in the debugger",
    "inspect": "look into the code cache: what was translated, why it died, what it cost",
    "disasm": "list a program's code",
    "translate": "show how a block is translated, step by step",
    "doctor": "say what dynarec finds on this computer",
    "sign-python": "make a Python that may run generated code on a Mac with the Hardened Runtime",
    "guests": "list the guest CPUs",
    "bench": "measure speed, or count executed host instructions",
}
"""Commands, each a module of dynarec.commands (- is _): `configure(parser)` and `main(arguments) -> exit status`."""

STATUS_FAILED = 125
"""dynarec itself could not do what it was asked."""
STATUS_INTERRUPTED = 130
STATUS_BROKEN_PIPE = 141
DEBUG_VARIABLE = "DYNAREC_DEBUG"
"""Set to 1, errors show where in dynarec they come from."""
NEW_OBJECTS = 50_000
"""Python looks for garbage when there are so many more objects."""
SWITCH_SECONDS = 0.0005
"""The guest stands still at most so long while another thread runs Python, and the CPU thread wants to."""

GUEST_ARGUMENTS = "guest_arguments"
"""Attribute of the parsed arguments: what follows the first `--`."""


class Parser(argparse.ArgumentParser):
    """argparse with this program's exit status and one line for bad usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(STATUS_FAILED, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


class Version(argparse.Action):
    """Prints the version, which takes time to find out."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        import dynarec

        print(f"dynarec {dynarec.__version__}")
        parser.exit(0)


def make_parser(words: Sequence[str]) -> Parser:
    """For this command line: commands that it does not name are listed, and cost nothing more."""
    parser = Parser(prog="dynarec", description="Runs programs for a small guest CPU by recompiling them.")
    parser.add_argument("--version", action=Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, allow_abbrev=False)
        if name in words:
            module = import_module(f"dynarec.commands.{name.replace('-', '_')}")
            command.description = module.__doc__
            module.configure(command)
            command.set_defaults(command=module.main)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    _collect_less()
    sys.setswitchinterval(SWITCH_SECONDS)
    _open_missing_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    try:
        parsed = make_parser(words[:split]).parse_args(words[:split])
    except SystemExit as exit_:  # argparse has said what there is to say
        return int(exit_.code or 0)
    setattr(parsed, GUEST_ARGUMENTS, words[split + 1 :])
    return _guarded(lambda: _flushed(parsed.command(parsed)))


def _collect_less() -> None:
    """Modules and translations are many objects and no garbage; and at the end of the process all goes anyway."""
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(gc.freeze)


def _open_missing_streams() -> None:
    """Let dynarec's own output go nowhere if the caller closed a stream. The guest finds it closed (own_streams.py)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as the process lives


def _flushed(status: int) -> int:
    """A reader that went away shows here, and not at the end of the process, where nobody can handle it."""
    sys.stdout.flush()
    return status


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except DynarecError as error:
        _raise_for_debugging()
        return _failed(str(error))
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STATUS_BROKEN_PIPE
    except Exception as error:
        _raise_for_debugging()
        return _failed(f"internal error: {type(error).__name__}: {error} (set {DEBUG_VARIABLE}=1 to see where)")


def _failed(message: str) -> int:
    print(f"dynarec: {' '.join(message.split())}", file=sys.stderr)
    return STATUS_FAILED


def _raise_for_debugging() -> None:
    """Raise the exception that is being handled again, if the user asked for tracebacks."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        raise
