"""Makes the listings: every instruction of the table, in a few shapes of operands, alone in its trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dynarec.host import HOSTS, make_host
from dynarec.host.base import Host
from dynarec.ir.unit import Jump
from dynarec.translate import Translation, Translator
from guest_isa.isa import Insn, InsnSpec
from guest_isa.rv32 import GUEST
from tests.guest_isa.words import encode

FOLDER = Path(__file__).parent
KEY = 0x1_0000
BYTES_WIDTH = 24
"""Columns for the bytes of a host instruction; longer ones push their text to the right."""

A0, A1, A2, S6, S7, S8 = 10, 11, 12, 22, 23, 24
SHAPES = {
    "homes": {"rd": A0, "rs1": A1, "rs2": A2},
    "homes, rd is rs1": {"rd": A0, "rs1": A0, "rs2": A2},
    "homes, rd is rs2": {"rd": A0, "rs1": A1, "rs2": A0},
    "held in memory": {"rd": S6, "rs1": S7, "rs2": S8},
    "held in memory, rd is rs1": {"rd": S6, "rs1": S6, "rs2": S8},
    "zero": {"rd": A0, "rs1": 0, "rs2": 0},
    "rs2 zero": {"rd": A0, "rs1": A1, "rs2": 0},
    "rd zero": {"rd": 0, "rs1": A1, "rs2": A2},
}
NUMBERS = {
    "imm": 0xFFFF_FFF0, "offset": 0x40, "uimm": 0x40, "shamt": 5, "upper": 0x1234_5000, "upper6": 0x1_2000, "pred": 0xF,
    "succ": 0xF, "csr": 0xC00, "zimm": 1,
}  # fmt: skip
ORDERINGS = (".rl", ".aq", ".aqrl")
COMPRESSED_BASE, COMPRESSED_BITS = 8, 3


def path_of(host: str) -> Path:
    """The listing of a host."""
    return FOLDER / f"{GUEST.name}.{host}.txt"


def shaped_insns(spec: InsnSpec) -> Iterator[Insn]:
    """The instruction in every shape that it has, each once; one shape where it is a variant in its ordering alone."""
    seen = set()
    for shape in list(SHAPES.values())[: 1 if spec.name.endswith(ORDERINGS) else None]:
        numbers = {name: _number(spec, name, shape) for name in spec.operands}
        if any(number is None for number in numbers.values()):
            continue
        word = encode(spec, {name: number for name, number in numbers.items() if number is not None})
        insn = GUEST.isa.decode(word)
        if word not in seen and insn is not None and insn.spec is spec:
            seen.add(word)
            yield insn


def _number(spec: InsnSpec, name: str, shape: dict[str, int]) -> int | None:
    """The operand's number; None for a register that three bits cannot name."""
    number = shape.get(name, NUMBERS.get(name, 0))
    if name not in shape or spec.operands[name].bits != COMPRESSED_BITS:
        return number
    number -= COMPRESSED_BASE
    return number if 0 <= number < 1 << COMPRESSED_BITS else None


def translate(host: Host, insn: Insn) -> Translation:
    """The trace that is the instruction alone."""
    code = insn.word.to_bytes(insn.length, "little")
    return Translator(GUEST, host, lambda address, size: code[address - KEY :], limit=1).translate(KEY)


def host_lines(host: Host, insn: Insn, whole: bool) -> Iterator[str]:
    """The host instructions, without head and exits where they are as always, unless the `whole` code is asked for."""
    made = translate(host, insn)
    whole = whole or made.unit.terminal != Jump(KEY + insn.length)
    for offset, data, text in host.disassemble(made.code.code):
        op = [mark.op for mark in made.code.marks if mark.offset <= offset][-1]
        if whole or op >= 0:
            yield f"    {data.hex():{BYTES_WIDTH}} {text}"


def listing(name: str) -> str:
    """The listing of the named host."""
    host = make_host(name, GUEST, bmi2=True)
    lines = [f"{GUEST.title} on {name}. Head and exits are shown with the first instruction, and where they differ."]
    for spec in GUEST.isa:
        for insn in shaped_insns(spec):
            lines += ["", insn.text(KEY), *host_lines(host, insn, whole=len(lines) == 1)]
    return "\n".join(lines) + "\n"


def update() -> None:
    """Write the listings anew."""
    for name in HOSTS:
        path_of(name).write_text(listing(name), encoding="utf-8")


def without_text(text: str) -> list[str]:
    """The lines with the bytes of host instructions alone: their text is the disassembler's."""
    return [" ".join(line.split()[:1]) if line.startswith(" ") else line for line in text.splitlines()]
