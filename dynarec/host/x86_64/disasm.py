"""x86-64 disassembly for listings and tests, through capstone."""

from __future__ import annotations


def disassemble(code: bytes, address: int = 0) -> list[tuple[int, bytes, str]]:
    """List ``code``, which runs at ``address``, as (offset in bytes, bytes, text in Intel syntax).

    Never raises for bad code: a byte that starts no instruction becomes a ``.byte`` line. Needs capstone.
    """
    from capstone import CS_ARCH_X86, CS_MODE_64, Cs

    decoder = Cs(CS_ARCH_X86, CS_MODE_64)
    decoder.skipdata = True
    lines = []
    for at, size, mnemonic, operands in decoder.disasm_lite(code, address):
        offset = at - address
        lines.append((offset, code[offset : offset + size], f"{mnemonic} {operands}".rstrip()))
    return lines
