"""Device trees: any bytes are a tree or refused, and a tree is the same when it is written and read again."""

from __future__ import annotations

from dynarec.errors import DynarecError
from dynarec.machine.board import Contents, fit
from dynarec.machine.devicetree import decode, encode
from tests.fuzz.oracle import bounded_memory, may_refuse

MAX_SIZE = 4096
CONTENTS = Contents(64 << 20, "console=ttyS0", (0x8300_0000, 0x8310_0000))


def check(data: bytes) -> None:
    """Read it, write it, and fit it to a machine."""
    with bounded_memory(len(data)), may_refuse(DynarecError):
        tree = decode(data)
        assert decode(encode(tree)) == tree
        fit(tree.root, CONTENTS)
        decode(encode(tree))
