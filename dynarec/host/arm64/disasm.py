"""arm64 disassembly for listings and tests, through capstone."""

from __future__ import annotations

_WORD = 4
"""Bytes of an instruction."""


def disassemble(code: bytes, address: int = 0) -> list[tuple[int, bytes, str]]:
    """List ``code``, which runs at ``address``, as (offset in bytes, bytes, text).

    Never raises for bad code: a word that is no instruction becomes a ``.word`` line, a cut last word a ``.byte`` line.
    Needs capstone.
    """
    from capstone import CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, Cs

    decoder = Cs(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN)
    lines = []
    for offset in range(0, len(code), _WORD):
        word = code[offset : offset + _WORD]
        decoded = next(decoder.disasm_lite(word, address + offset), None)
        text = f"{decoded[2]} {decoded[3]}".rstrip() if decoded else _data(word)
        lines.append((offset, word, text))
    return lines


def _data(word: bytes) -> str:
    if len(word) == _WORD:
        return f".word {int.from_bytes(word, 'little'):#010x}"
    return ".byte " + ", ".join(f"{byte:#04x}" for byte in word)
