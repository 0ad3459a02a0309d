"""What a launch configuration says, as options of the command line: those are the defaults."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from dynarec.commands import arguments as types
from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.outbox import Outbox, ProgramOutput
from dynarec.debug.launch import Launch
from dynarec.errors import DynarecError

TEXTS = ("machine", "tier", "wx", "append", "board", "clock")
FILES = {"program": "rom", "kernel": "kernel", "root": "root", "initrd": "initrd", "dtb": "dtb"}
"""Names in the configuration, and of the options; relative to `cwd`."""
SIZES = {"memory": "memory", "cacheSize": "cache_size", "history": "history"}
"""Numbers of bytes, or texts such as "64M"."""


def make_launch(defaults: argparse.Namespace, wanted: Arguments, outbox: Outbox) -> Launch:
    """How the program that a configuration describes is started. Raises DynarecError."""
    from dynarec.commands import debug

    options = argparse.Namespace(**vars(defaults))
    _take_files(options, wanted)
    for name in TEXTS:
        if name in wanted:
            setattr(options, name, wanted.text(name))
    for name, option in SIZES.items():
        if name in wanted:
            setattr(options, option, _size(wanted, name))
    if "seed" in wanted:
        options.seed = wanted.number("seed")
    if "args" in wanted:
        options.guest_arguments = wanted.texts("args")
    if options.rom is None and options.kernel is None:
        raise DynarecError("launch: program is missing: name an ELF file")
    return debug.make_launch(options, _input(wanted), ProgramOutput(outbox, "stdout"), ProgramOutput(outbox, "stderr"))


def _take_files(options: argparse.Namespace, wanted: Arguments) -> None:
    folder = Path(wanted.text("cwd", ""))
    for name, option in FILES.items():
        if name in wanted:
            setattr(options, option, folder / _path(wanted, name))
    if "program" in wanted:
        options.kernel = None
    elif "kernel" in wanted:
        options.rom = None
    if "source" in wanted:
        options.source = [folder / each for each in wanted.texts("source")]


def _input(wanted: Arguments) -> io.BytesIO:
    """What the program reads: a file, or nothing."""
    if "stdin" not in wanted:
        return io.BytesIO()
    path = Path(wanted.text("cwd", "")) / _path(wanted, "stdin")
    try:
        return io.BytesIO(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DynarecError(
            f"launch: stdin: {path}: {error.strerror if isinstance(error, OSError) else error}"
        ) from None


def _path(wanted: Arguments, name: str) -> Path:
    text = wanted.text(name)
    if not text or "\0" in text:
        raise DynarecError(f"launch: {name} is no name of a file")
    return Path(text)


def _size(wanted: Arguments, name: str) -> int:
    text = str(wanted.number(name)) if wanted.is_number(name) else wanted.text(name)
    try:
        return types.size(text)
    except argparse.ArgumentTypeError as error:
        raise DynarecError(f"launch: {name}: {error}") from None
