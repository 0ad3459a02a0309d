"""Reads a native module built for macOS back: what it is, and that it imports what writing code needs there.

`python .ci/macos_symbols.py FILE`, with lief installed.
"""

from __future__ import annotations

import sys

import lief

NEEDED = {
    "_pthread_jit_write_protect_np",  # opens and closes the code region for the calling thread
    "_pthread_jit_write_protect_supported_np",
    "_sys_icache_invalidate",
}
MODULE_ENTRY = "_PyInit__native"


def problems(path: str) -> list[str]:
    """What is wrong with the file, if anything."""
    binary = lief.parse(path)
    if not isinstance(binary, lief.MachO.Binary):
        return ["not a Mach-O file"]
    found = []
    if binary.header.cpu_type != lief.MachO.Header.CPU_TYPE.ARM64:
        found.append(f"for {binary.header.cpu_type}, not arm64")
    imported = {str(symbol.name) for symbol in binary.imported_symbols}
    found += [f"does not import {name}" for name in sorted(NEEDED - imported)]
    if MODULE_ENTRY not in {str(symbol.name) for symbol in binary.exported_symbols}:
        found.append(f"does not export {MODULE_ENTRY}")
    return found


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(f"{sys.argv[1]}: {problem}" for problem in found) or "a Mach-O for arm64 with all that is needed")
    raise SystemExit(1 if found else 0)
