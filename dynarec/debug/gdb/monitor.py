"""The commands that users of GDB type behind `monitor` (LLDB: `process plugin packet monitor`)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dynarec.commands import run_stats
from dynarec.debug.stoppers import CAUGHT
from dynarec.errors import DynarecError
from dynarec.snapshot import Snapshot

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.debug.gdb.target import Target
    from dynarec.debug.gdb.trace import Trace

SHOWN = 20
"""Lines of a list, unless a number is given."""
HELP = f"""\
cache                    numbers of the translation cache, and the units that died last
catch WHAT [N] [if E]    stop for something: {", ".join(CAUGHT)};
                         N: number of a system call, or a cause
delete N                 take back what info shows with number N
info                     where the program is, and what stops it
snapshot save FILE       keep all that the machine is now
snapshot restore FILE    go back to it (then: maintenance flush register-cache)
trace on|off             note the basic blocks that are executed
trace [N]                the last ones
trace hot [N]            those that were executed most
"""


class Monitor:
    """Of one target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._commands: dict[str, Callable[[Sequence[str]], str]] = {
            "help": lambda words: HELP,
            "cache": self._cache,
            "catch": self._catch,
            "delete": self._delete,
            "info": self._info,
            "snapshot": self._snapshot,
            "trace": self._trace,
        }

    def run(self, line: str) -> str:
        """The output of a command: lines, or one that says what is wrong."""
        try:
            words = shlex.split(line) or ["help"]
            command = self._commands.get(words[0])
            if command is None:
                raise DynarecError(f"there is no monitor command {words[0]!r}: try monitor help")
            return _lines([command(words[1:])])
        except (DynarecError, ValueError) as error:
            return _lines([str(error)])

    @property
    def _debugger(self) -> Debugger:
        return self._target.debugger

    def _info(self, words: Sequence[str]) -> str:
        debugger = self._debugger
        machine = debugger.machine
        stopped = debugger.stopped
        lines = [
            f"{machine.program.name}: guest {machine.guest.name}, machine {machine.profile.name}",
            f"{stopped.reason.value} at {self._place(machine.pc)}, after {machine.instructions:,} instructions",
        ]
        lines += [
            f"{number}: {each.kind} {each.text}, {each.hits} hits" for number, each in sorted(debugger.stoppers.items())
        ]
        return _lines(lines)

    def _cache(self, words: Sequence[str]) -> str:
        machine = self._debugger.machine
        deaths = [
            f"{self._place(each.key)} died after {each.instructions:,} instructions: {each.reason}"
            for each in machine.core.deaths()[-SHOWN:]
        ]
        return _lines([run_stats.as_text(machine.stats()), *deaths])

    def _catch(self, words: Sequence[str]) -> str:
        words, when = _condition(words)
        if not 1 <= len(words) <= 2:
            raise DynarecError(f"monitor catch WHAT [N] [if E]: WHAT is one of {', '.join(CAUGHT)}")
        selector = None if len(words) == 1 else _number(words[1])
        made = self._debugger.catch(words[0], selector, when=when)
        return f"{made.number}: {made.kind} {made.text}"

    def _delete(self, words: Sequence[str]) -> str:
        if len(words) != 1:
            raise DynarecError("monitor delete N: monitor info shows the numbers")
        self._debugger.delete(_number(words[0]))
        return ""

    def _snapshot(self, words: Sequence[str]) -> str:
        match words:
            case ["save", file]:
                self._debugger.snapshot().save(file)
                return f"{file}: {self._place(self._debugger.machine.pc)}"
            case ["restore", file]:
                self._target.go_back_to(Snapshot.load(file))
                return f"at {self._place(self._debugger.machine.pc)}"
        raise DynarecError("monitor snapshot save FILE, or restore FILE")

    def _trace(self, words: Sequence[str]) -> str:
        trace = self._target.trace
        match words:
            case ["on"]:
                trace.start()
                return ""
            case ["off"]:
                trace.stop()
                return ""
            case ["hot", *count] if len(count) <= 1:
                return self._hot(trace, *map(_number, count))
            case count if len(count) <= 1:
                return self._last(trace, *map(_number, count))
        raise DynarecError("monitor trace on, off, [N], or hot [N]")

    def _last(self, trace: Trace, count: int = SHOWN) -> str:
        executed = list(trace.last)[-count:] if count else []
        return _lines(f"{self._place(each.pc)}{_times(each.times)}" for each in executed)

    def _hot(self, trace: Trace, count: int = SHOWN) -> str:
        found = self._debugger.machine.core.find
        return _lines(
            f"{times:>12,} {self._place(pc)}{'' if found(pc) is None else ', translated'}"
            for pc, times in trace.counts.most_common(count)
        )

    def _place(self, address: int) -> str:
        """ "0x000101ba main+0x8, program.c:59" """
        row = self._debugger.source.lines.at(address)
        parts = [f"{address:#010x} {self._debugger.view.place(address)}".rstrip()]
        if row is not None and row.line:
            parts.append(f"{row.file.rpartition('/')[2]}:{row.line}")
        return ", ".join(parts)


def _condition(words: Sequence[str]) -> tuple[Sequence[str], str]:
    """What comes before and behind `if`."""
    if "if" not in words:
        return words, ""
    at = words.index("if")
    return words[:at], " ".join(words[at + 1 :])


def _number(text: str) -> int:
    """Raises DynarecError for what is none, or negative."""
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if number < 0:
        raise DynarecError(f"{text!r} is no number")
    return number


def _times(count: int) -> str:
    return f", {count:,} times" if count > 1 else ""


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())
