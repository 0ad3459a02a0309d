"""Sessions of real debuggers with a server that is a process of its own, as users have them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.debug.build import FOLDER

GDB, LLDB = shutil.which("gdb-multiarch"), shutil.which("lldb")
SECONDS = 120
"""More than any session takes, also where everything is emulated."""
PLAIN = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "PYTHONPATH")}
"""What a sanitizer adds is not for the debuggers, which have a Python of their own in them."""
PIPES: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": PLAIN}
ANNOUNCED = re.compile(r"dynarec: .*: waiting at (\S+):(\d+); in gdb: target remote (?:\1)?:\2\n")


@dataclass
class Process:
    """`dynarec debug --gdb 0`. port: which one it has taken."""

    popen: subprocess.Popen[bytes]
    port: int
    output: IO[bytes]

    def end(self) -> tuple[int, str]:
        """The exit status, and what the program has printed."""
        status = self.popen.wait(SECONDS)
        self.output.seek(0)
        return status, self.output.read().decode()


@contextmanager
def debugging(*arguments: str | Path, where: str = "0") -> Iterator[Process]:
    """A server, which is gone when the block is left."""
    command = [sys.executable, "-m", "dynarec", "debug", "--gdb", where, *map(str, arguments)]
    with tempfile.TemporaryFile() as output:
        popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE)
        assert popen.stderr is not None
        try:
            line = popen.stderr.readline().decode()
            match = ANNOUNCED.fullmatch(line)
            assert match is not None, line
            yield Process(popen, int(match[2]), output)
        finally:
            popen.kill()
            popen.wait()
            popen.stderr.close()


def gdb(port: int, commands: Sequence[str], elf: Path, target: str = "remote") -> str:
    """What GDB prints for these commands, once it is connected."""
    return _run(_gdb_command(port, commands, elf, target))


def interrupted_gdb(port: int, elf: Path) -> str:
    """What GDB prints when somebody presses Ctrl-C while the program runs, and then asks for the pc."""
    commands = ["set debug remote 1", "continue", "set debug remote 0", "print/x $pc", "kill"]
    text = ""
    with subprocess.Popen(_gdb_command(port, commands, elf, "remote"), **PIPES, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            text += line
            if "Sending packet: $vCont;c" in line:
                process.send_signal(signal.SIGINT)
    return text


def _gdb_command(port: int, commands: Sequence[str], elf: Path, target: str) -> list[str]:
    assert GDB is not None
    script = [
        *("set pagination off", "set confirm off", "set width 0", f"set substitute-path /src {FOLDER}"),
        *(f"set remotetimeout {SECONDS}", f"target {target} :{port}", *commands),
    ]
    return [GDB, "-nx", "-batch", *(part for each in script for part in ("-ex", each)), str(elf)]


def lldb(port: int, commands: Sequence[str], elf: Path) -> str:
    """What LLDB prints for these commands, once it is connected."""
    assert LLDB is not None
    script = [
        *(f"settings set target.source-map /src {FOLDER}", "settings set use-color false"),
        *(f"settings set plugin.process.gdb-remote.packet-timeout {SECONDS}", f"gdb-remote {port}", *commands),
    ]
    return _run([LLDB, "--no-lldbinit", "--batch", *(part for each in script for part in ("-o", each)), str(elf)])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, **PIPES, timeout=SECONDS, check=False)
    return done.stdout.decode(errors="replace")


def in_order(text: str, *parts: str) -> None:
    """Assert that a text has these parts (regular expressions), one behind the other."""
    at = 0
    for part in parts:
        match = re.compile(part).search(text, at)
        assert match is not None, f"no {part!r} behind here:\n{text[:at]}\n>>> {text[at:]}"
        at = match.end()
