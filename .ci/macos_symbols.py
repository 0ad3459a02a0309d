"""Reads a native module built for macOS back: what it is, what it imports, whom it lets write code, its signature.

`python .ci/macos_symbols.py FILE`, with lief installed.
"""

from __future__ import annotations

import struct
import sys

import lief

NEEDED = {
    "_pthread_jit_write_protect_np",  # opens and closes the code region for the calling thread
    "_pthread_jit_write_protect_supported_np",
    "_sys_icache_invalidate",
}
# Younger than the oldest supported system: there, they have to be missing without harm.
NEEDED_WEAK = {
    "_pthread_jit_write_with_callback_np",
    "_pthread_jit_write_freeze_callbacks_np",
}
N_WEAK_REF = 0x40  # <mach-o/nlist.h>
MODULE_ENTRY = "_PyInit__native"
ALLOW_LIST = ("__DATA_CONST", "__pth_jit_func")  # <pthread.h>, PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP
CALLBACK = "_write_checked"
POINTER = 8

# <kern/cs_blobs.h>; a signature is stored big-endian.
CSMAGIC_EMBEDDED_SIGNATURE = 0xFADE0CC0
CSMAGIC_CODEDIRECTORY = 0xFADE0C02
CS_ADHOC = 0x2


def import_problems(binary: lief.MachO.Binary) -> list[str]:
    """Functions that are not imported, or not as they should be."""
    weak = {str(symbol.name): bool(symbol.description & N_WEAK_REF) for symbol in binary.imported_symbols}
    found = [f"does not import {name}" for name in sorted(NEEDED | NEEDED_WEAK) if name not in weak]
    return found + [f"does not load without {name}" for name in sorted(NEEDED_WEAK) if weak.get(name) is False]


def allow_list_problems(binary: lief.MachO.Binary) -> list[str]:
    """The list of functions that may write code holds the one callback, and the NULL that ends it."""
    segment, name = ALLOW_LIST
    section = binary.get_section(segment, name)
    if section is None:
        return [f"has no section {segment},{name}"]
    callbacks = {symbol.value for symbol in binary.symbols if str(symbol.name) == CALLBACK}
    content = struct.unpack(f"<{section.size // POINTER}Q", bytes(section.content))
    if len(callbacks) != 1 or content != (*callbacks, 0):
        return [f"lists {[hex(address) for address in content]} in {name}, not {CALLBACK} alone"]
    return []


def signature_problems(binary: lief.MachO.Binary) -> list[str]:
    """A module without a signature is not loaded on arm64; one without an identity is signed ad hoc."""
    signature = binary.code_signature
    if signature is None:
        return ["is not signed"]
    blob = bytes(signature.content)
    magic, _length, count = struct.unpack_from(">3I", blob)
    if magic != CSMAGIC_EMBEDDED_SIGNATURE:
        return ["has a signature of an unknown form"]
    offsets = [struct.unpack_from(">2I", blob, 12 + 8 * index)[1] for index in range(count)]
    directories = [at for at in offsets if struct.unpack_from(">I", blob, at)[0] == CSMAGIC_CODEDIRECTORY]
    if not directories or not all(struct.unpack_from(">I", blob, at + 12)[0] & CS_ADHOC for at in directories):
        return ["is not signed ad hoc"]
    return []


def problems(path: str) -> list[str]:
    """What is wrong with the file, if anything."""
    binary = lief.parse(path)
    if not isinstance(binary, lief.MachO.Binary):
        return ["not a Mach-O file"]
    found = []
    if binary.header.cpu_type != lief.MachO.Header.CPU_TYPE.ARM64:
        found.append(f"for {binary.header.cpu_type}, not arm64")
    if MODULE_ENTRY not in {str(symbol.name) for symbol in binary.exported_symbols}:
        found.append(f"does not export {MODULE_ENTRY}")
    return [*found, *import_problems(binary), *allow_list_problems(binary), *signature_problems(binary)]


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(f"{sys.argv[1]}: {problem}" for problem in found) or "a Mach-O for arm64 with all that is needed")
    raise SystemExit(1 if found else 0)
