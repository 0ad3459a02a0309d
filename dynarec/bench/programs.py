"""The benchmark programs: a folder of C files, the same programs as guest ELF files, and `programs.json`.

`programs.json` is a list of objects with `name`, `kind`, `rounds`, `checksum`, `small` and `small_checksum`. A program
takes its number of rounds as its argument and prints one line: its name and the checksum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dynarec
from dynarec.errors import DynarecError

Size = Literal["full", "small"]
SIZES: tuple[Size, ...] = ("full", "small")
KEYS: dict[Size, tuple[str, str]] = {"full": ("rounds", "checksum"), "small": ("small", "small_checksum")}
"""Keys of the number of rounds and of the checksum that belongs to it."""
CATALOGUE = "programs.json"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a result is about: a program and its number of rounds."""

    name: str
    kind: str
    rounds: int


@dataclass(frozen=True, slots=True)
class BenchProgram(Subject):
    """One program that is there, and the checksum that its rounds give."""

    source: Path
    elf: Path
    checksum: str

    @property
    def output(self) -> bytes:
        """What a correct run prints."""
        return f"{self.name} {self.checksum}\n".encode()


def default_folder() -> Path:
    """`roms/bench` of the checkout that this package is in."""
    return Path(dynarec.__file__).resolve().parent.parent / "roms" / "bench"


def load_programs(folder: Path, names: Sequence[str], size: Size) -> list[BenchProgram]:
    """The named programs of a folder, or all, in the catalogue's order.

    Raises DynarecError when the folder has no usable catalogue, lacks a file, or does not know a name.
    """
    programs = [_program(folder, entry, size) for entry in _catalogue(folder)]
    known = [program.name for program in programs]
    for name in names:
        if name not in known:
            raise DynarecError(f"unknown benchmark program {name!r}: choose from {', '.join(known)}")
    chosen = [program for program in programs if not names or program.name in names]
    for program in chosen:
        _check_files(program)
    return chosen


def _catalogue(folder: Path) -> list[dict[str, object]]:
    path = folder / CATALOGUE
    try:
        entries = json.loads(path.read_text())
    except OSError as error:
        raise DynarecError(
            f"cannot read {path}: {error.strerror}: the benchmark programs are in roms/bench of a checkout and are "
            "not installed; name that folder with --bench-dir"
        ) from error
    except ValueError as error:
        raise DynarecError(f"{path} is not JSON: {error}") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise DynarecError(f"{path} is no list of programs: take the one of a checkout")
    return entries


def _program(folder: Path, entry: dict[str, object], size: Size) -> BenchProgram:
    rounds_key, checksum_key = KEYS[size]
    try:
        name, kind, checksum = (str(entry[key]) for key in ("name", "kind", checksum_key))
        rounds = int(str(entry[rounds_key]))
    except (KeyError, ValueError) as error:
        raise DynarecError(f"{folder / CATALOGUE}: {entry.get('name', 'a program')} has no usable {error}") from error
    return BenchProgram(name, kind, rounds, folder / f"{name}.c", folder / f"{name}.elf", checksum)


def _check_files(program: BenchProgram) -> None:
    for path in (program.source, program.elf):
        if not path.is_file():
            raise DynarecError(f"{path} is missing: --bench-dir must name roms/bench of a checkout")
