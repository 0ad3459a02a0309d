"""What translations depend on, beside the guest bytes that they were made from: only equals share them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import guest_isa
from dynarec._native import lib
from dynarec.disk.digests import digest_of

if TYPE_CHECKING:
    from dynarec.program import Program
    from dynarec.translate import Translator
    from guest_isa.guest import Guest

PACKAGE = Path(__file__).parent.parent
MAKERS = ("trace.py", "translate.py", "code_cache.py", "ir", "opt", "host", "disk")
"""Of this package, what makes translations."""


def identity_of(program: Program, translator: Translator) -> bytes | None:
    """32 bytes; None where it cannot be told what the translations would come from."""
    guest, host = translator.guest, translator.host
    sources = _sources(guest)
    if sources is None or not all(source.is_file() for source in sources):
        return None
    parts = [
        lib.dr_abi_version(), guest.name, host.name, host.jump_shift, sorted(host.features),
        sorted(each.value for each in host.harden), translator.without, translator.limit, *map(_state, sources),
    ]  # fmt: skip
    return digest_of((repr(parts).encode(), *program.parts()))


def _sources(guest: Guest) -> list[Path] | None:
    """The files that translations of a guest come from. None: it is no installed guest, or has parts in no file."""
    if not _is_installed(guest):
        return None
    modules = {"dynarec._native", *(spec.meaning.__module__ for spec in guest.isa)}
    files = [getattr(sys.modules.get(name), "__file__", None) for name in modules]
    if None in files:
        return None
    roots = [Path(guest_isa.__file__).parent, *(PACKAGE / name for name in MAKERS), *map(Path, filter(None, files))]
    return sorted({file for root in roots for file in _files(root)})


def _is_installed(guest: Guest) -> bool:
    if any(each is guest for each in guest_isa.bundled_guests()):
        return True
    return guest_isa.load_guests().get(guest.name) is guest


def _files(root: Path) -> Iterator[Path]:
    return root.rglob("*.py") if root.is_dir() else iter((root,))


def _state(file: Path) -> tuple[str, int, int]:
    """What no other version of the file has: an installation replaces it, and an edit changes it."""
    status = file.stat()
    return str(file), status.st_size, status.st_mtime_ns
