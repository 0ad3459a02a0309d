"""`python -m dynarec.bench.emulation ELF HOST ROUNDS RESULT [PASS...]`: one program on an emulated host.

The program's output is this process's. RESULT becomes a JSON object: `guest` and `host`, instructions executed.
The passes are left out.
The exit status is the program's, and 125 when dynarec could not run it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from dynarec.bench.counts import STATUS_FAILED
from dynarec.errors import DynarecError


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status."""
    from dynarec.emulated import run_emulated

    elf, host, rounds, result, *without = arguments
    try:
        counts = run_emulated(Path(elf), host, [rounds], without)
    except DynarecError as error:
        print(error, file=sys.stderr)
        return STATUS_FAILED
    assert counts.status is not None  # only a limit ends a run without one
    Path(result).write_text(json.dumps({"guest": counts.guest_instructions, "host": counts.host_instructions}))
    return counts.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
