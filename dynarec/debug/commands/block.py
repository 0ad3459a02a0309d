"""The block that is being executed: of the code cache if it is there, else as a translation would make it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dynarec.errors import DynarecError
from dynarec.host import make_native_host
from dynarec.stages import Section, host_lines, sections
from dynarec.trace import TRACE_LIMIT
from dynarec.translate import Translator

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.engine import Machine
    from dynarec.host.base import HostCode


def block(debugger: Debugger, address: int) -> Iterator[Section]:
    """The stages of the block that holds an address, without breakpoints. Raises DynarecError if there is no code."""
    machine = debugger.machine
    if not machine.code_at(address, 1):
        raise DynarecError(f"{machine.program.name}: there is no code at {address:#010x}")
    host = machine.translator.host if machine.translator else make_native_host(machine.guest)
    translator = Translator(machine.guest, host, machine.code_at)
    key = _key(debugger, translator, address)
    code = translator.translate(key).code
    for section in sections(translator, key):
        if section.title.startswith("host code:"):
            yield _in_cache(machine, translator, key, code, section)
        else:
            yield section


def _key(debugger: Debugger, translator: Translator, address: int) -> int:
    """Where the block begins that is in the code cache and holds the address; the address if there is none."""
    if debugger.machine.core.find(address) is None:
        for line in reversed(debugger.view.before(address, TRACE_LIMIT)):
            if debugger.machine.core.find(line.address) is not None:
                ranges = translator.form(line.address).ranges
                return line.address if any(start <= address < start + size for start, size in ranges) else address
    return address


def _in_cache(machine: Machine, translator: Translator, key: int, code: HostCode, section: Section) -> Section:
    """The section of the host code, as it is in the cache."""
    offset = machine.core.find(key)
    if offset is None:
        return replace(section, title=f"{section.title}, not in the code cache")
    data = machine.core.read_code(offset, len(code.code))
    unpatched = translator.host.unpatched
    if unpatched(data, code) != unpatched(code.code, code):
        return replace(section, title=f"{section.title}; the code cache has another form, for breakpoints or a profile")
    lines = list(host_lines(translator, data, code))
    return Section(f"{section.title}, at {offset:#x} in the code cache", lines)
