"""What finds out, in C, which instruction a word is: switches over the literal bits of the guest's table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import and_

from guest_isa.c_printer import INDENT
from guest_isa.guest import Guest
from guest_isa.isa import InsnSpec


def indented(lines: Iterable[str], depth: int = 1) -> Iterator[str]:
    """The lines, further to the right."""
    return (INDENT * depth + line for line in lines)


def _excluded(spec: InsnSpec) -> str:
    return " || ".join(f"{name} == {number:#x}u" for name, numbers in spec.unless.items() for number in numbers)


def operands(spec: InsnSpec, names: Iterable[str]) -> list[str]:
    """Declarations of operands of the word `w`."""
    return [f"uint32_t {name} = (uint32_t){spec.expression(name)};" for name in names]


def handler_name(spec: InsnSpec) -> str:
    """Instructions may have a name in common."""
    name = "".join(each if each.isalnum() else "_" for each in spec.name)
    return f"{name}_{spec.mask:x}_{spec.match:x}"


def _case(spec: InsnSpec, found: str) -> list[str]:
    handler = found.format(handler_name(spec))
    if not spec.unless:
        return [f"case {spec.match:#x}:", INDENT + handler]
    lines = [*operands(spec, spec.unless), f"if ({_excluded(spec)})", INDENT + "break;", handler]
    return [f"case {spec.match:#x}: {{", *indented(lines), "}"]


def _switch(mask: int, by_match: Mapping[int, list[InsnSpec]], found: str) -> list[str]:
    lines = [f"switch (w & {mask:#x}) {{"]
    for specs in by_match.values():
        if len(specs) > 1:
            raise ValueError(f"{[spec.name for spec in specs]} differ only in their exclusions")
        lines += _case(specs[0], found)
    return [*lines, "}"]


def _decode(guest: Guest, length: int, found: str) -> list[str]:
    """A switch over the literal bits that all have, and in it those of the most specific patterns first.

    Falls through when none matches.
    """
    candidates = guest.isa.candidates(length)
    shared = reduce(and_, (mask for mask, _ in candidates))
    lines = [f"switch (w & {shared:#x}) {{"]
    for major in sorted({match & shared for _, by_match in candidates for match in by_match}):
        lines.append(f"case {major:#x}:")
        for mask, by_match in candidates:
            if own := {match: specs for match, specs in by_match.items() if match & shared == major}:
                lines += indented(_switch(mask, own, found))
        lines.append(f"{INDENT}break;")
    return [*lines, "}"]


def find(guest: Guest, found: str) -> list[str]:
    """What is `found` of `insn`: a statement that ends the function, around the handler's name."""
    lines = ["uint32_t w = insn->word;"]
    for length in sorted({spec.length for spec in guest.isa}):
        lines += [f"if (insn->length == {length}) {{", *indented(_decode(guest, length, found)), "}"]
    return [*lines, found.format("undefined")]
