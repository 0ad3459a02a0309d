"""The targets by name, and how one is looked up.

A target is a module with `check(data)`, which raises for a bug and for nothing else, and `MAX_SIZE`, the bytes of the
longest input that is worth trying. Its inputs are the files in `corpus/NAME`. It may have `mutate(data, max_size,
seed)`, which changes an input in a way of its own. To add one: a line here, and its folder.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MODULES = {
    "elf": "tests.fuzz.elf",
    "machine": "tests.fuzz.machine",
    "code": "tests.fuzz.code",
    "devicetree": "tests.fuzz.devicetree",
    "dap": "tests.fuzz.dap",
    "dwarf": "tests.fuzz.dwarf",
    "language": "tests.fuzz.language",
    "snapshot": "tests.fuzz.snapshot",
    "packets": "tests.fuzz.packets",
    "dump": "tests.fuzz.dump",
    "units": "tests.fuzz.units",
}
Mutate = Callable[[bytes, int, int], bytes]
CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """name: also that of its corpus. check: raises for a bug. max_size: bytes. mutate: None for libFuzzer's own."""

    name: str
    check: Callable[[bytes], None]
    max_size: int
    mutate: Mutate | None

    def inputs(self) -> Iterator[Path]:
        """The files of the corpus."""
        yield from sorted((CORPUS / self.name).iterdir())


def find_target(name: str) -> Target:
    """The target, whose module is imported now: what it imports is instrumented if the caller says so."""
    module = importlib.import_module(MODULES[name])
    return Target(name, module.check, module.MAX_SIZE, getattr(module, "mutate", None))
