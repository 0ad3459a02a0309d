"""Who runs the programs: the host itself, dynarec in its tiers, and the emulators that are installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from dynarec.bench import rivals
from dynarec.bench.programs import BenchProgram
from dynarec.errors import DynarecError

NATIVE, DYNAREC, QEMU, UNICORN = "native", "dynarec", "qemu", "unicorn"
"""Who, as in results; dynarec is that in the first of the tiers, the others go by the tier's name."""
PEERS = (QEMU, UNICORN)
TIERS = ("auto", "jit", "interp")
SLOW = (UNICORN, "interp")
"""They take part in the first round alone: what they lack is far beyond any noise."""

Words = list[str | Path]


@dataclass(frozen=True, slots=True)
class Runner:
    """A way to run a program. command: for it and its host binary. shown: the command for people.

    once: whether it takes part in the first round alone.
    """

    who: str
    command: Callable[[BenchProgram, Path], Words]
    shown: str

    @property
    def once(self) -> bool:
        return self.who in SLOW


def dynarec_command(elf: Path, arguments: Sequence[str] = (), options: Sequence[str | Path] = ()) -> Words:
    """The command line that runs a program with the Python and the dynarec of this process, without earlier runs."""
    return [sys.executable, "-m", "dynarec", "run", elf, "--no-disk-cache", *options, "--", *arguments]


@dataclass(frozen=True, slots=True)
class Field:
    """Who is there to be compared. qemu: None where it is missing or not wanted; qemu_names: how it is called."""

    compiler: str
    tiers: tuple[str, ...]
    qemu: str | None
    qemu_names: tuple[str, ...]
    unicorn: bool

    @property
    def runners(self) -> list[Runner]:
        """In the order in which they take turns."""
        flags = " ".join(rivals.COMPILER_FLAGS)
        built = f"{rivals.COMPILER} {flags} -o PROGRAM PROGRAM.c; PROGRAM ROUNDS"
        found = [Runner(NATIVE, lambda program, native: [native, str(program.rounds)], built)]
        found += [_tier_runner(DYNAREC if at == 0 else tier, tier) for at, tier in enumerate(self.tiers)]
        if self.qemu is not None:
            found.append(_emulator(QEMU, [self.qemu], Path(self.qemu).name))
        if self.unicorn:
            module = "dynarec.bench.unicorn_run"
            found.append(_emulator(UNICORN, [sys.executable, "-m", module], f"python -m {module}"))
        return found

    def facts(self) -> dict[str, str]:
        """Versions, and what is missing."""
        missing = f"none of {' or '.join(self.qemu_names)} in PATH: no columns"
        return {
            "compiler": rivals.version_line(self.compiler),
            QEMU: missing if self.qemu is None else rivals.version_line(self.qemu),
            UNICORN: f"unicorn {version('unicorn')}" if self.unicorn else "no columns: pip install unicorn",
        }


def _tier_runner(who: str, tier: str) -> Runner:
    def command(program: BenchProgram, native: Path) -> Words:
        return dynarec_command(program.elf, [str(program.rounds)], ["--tier", tier])

    return Runner(who, command, f"python -m dynarec run PROGRAM.elf --no-disk-cache --tier {tier} -- ROUNDS")


def _emulator(who: str, words: Words, shown: str) -> Runner:
    def command(program: BenchProgram, native: Path) -> Words:
        return [*words, program.elf, str(program.rounds)]

    return Runner(who, command, f"{shown} PROGRAM.elf ROUNDS")


def find_field(elf: Path, tiers: tuple[str, ...], peers: tuple[str, ...] | None) -> Field:
    """Who can run a program. peers: those that are wanted; None: those that are installed.

    Raises DynarecError for unknown names, and for what is wanted and not installed.
    """
    _check_names("tier", tiers, TIERS)
    _check_names("peer", peers or (), PEERS)
    names = rivals.qemu_names(elf)
    wanted = PEERS if peers is None else peers
    qemu = rivals.find_qemu(names) if QEMU in wanted else None
    unicorn = UNICORN in wanted and find_spec(UNICORN) is not None
    for who, found, remedy in ((QEMU, qemu, f"install {names[0]}"), (UNICORN, unicorn, "pip install unicorn")):
        if who in (peers or ()) and not found:
            raise DynarecError(f"the peer {who} is not installed: {remedy}, or leave it out")
    return Field(rivals.find_compiler(), tiers, qemu, names, unicorn)


def _check_names(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise DynarecError(f"unknown {what} {name!r}: choose from {', '.join(known)}")
    if len(set(names)) < len(names):
        raise DynarecError(f"a {what} is named twice: {','.join(names)}")
