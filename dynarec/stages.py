"""The stages of one block as text: guest code, IR as lifted and after each pass, host code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from dynarec.host.recoveries import recovery_texts
from dynarec.ir.text import format_ops

if TYPE_CHECKING:
    from dynarec.host.base import HostCode
    from dynarec.translate import Translator


NO_NOTES: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Section:
    """A stage with its heading."""

    title: str
    lines: list[str]


def sections(translator: Translator, key: int) -> Iterator[Section]:
    """What a translator makes of the block at `key`."""
    for name, unit in translator.stages(key):
        if name == "lifted":
            title = f"guest code: {len(unit.insns)} instructions from {key:#010x}"
            yield Section(title, [f"{insn.pc:08x}  {insn.text}" for insn in unit.insns])
        yield Section("IR, lifted:" if name == "lifted" else f"IR after {name}:", list(format_ops(unit)))
    code = translator.translate(key).code
    title = f"host code: {translator.host.name}, {len(code.code)} bytes"
    yield Section(title, list(host_lines(translator, code.code, code)))
    yield Section("exits:", list(_exit_lines(code)))


def host_lines(translator: Translator, code: bytes, made: HostCode) -> Iterator[str]:
    """A listing of host code, as it was made or as it is now."""
    notes = recovery_texts(made, translator.host.register_names, translator.guest.layout.fields)
    for offset, data, text in translator.host.disassemble(code):
        yield f"{offset:4x}  {data.hex():<24}{with_note(text, notes.get(offset))}"


def with_note(text: str, note: str | None) -> str:
    """An instruction, and what is to be said of it."""
    return text if note is None else f"{text}  ; {note}"


def _exit_lines(code: HostCode) -> Iterator[str]:
    for exit_ in code.exits:
        yield f"{exit_.ret:4x}  {exit_.kind.name.lower()} to {exit_.target:#010x}, gives back {exit_.refund}"
