"""Device trees: a decoder of the tests' own reads what is written, and so does dtc where it is installed."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynarec.errors import DynarecError
from dynarec.machine.board import BOARDS, Contents, device_tree, fit
from dynarec.machine.devicetree import MAX_DEPTH, Node, Property, Tree, decode, encode
from dynarec.machine.recognise import RAM_START
from guest_isa.rv32.privileged import PRIVILEGED
from tests.fuzz import devicetree as fuzz_devicetree

Read = tuple[str, dict[str, bytes], list["Read"]]


def read(blob: bytes) -> Read:
    """The tree of a blob; asserts what the specification says about its layout."""
    magic, total, structure, strings, reserved, version, _, _, strings_size, structure_size = struct.unpack_from(
        ">10I", blob
    )
    assert (magic, total, version) == (0xD00D_FEED, len(blob), 17)
    assert blob[reserved : reserved + 16] == bytes(16)
    assert structure % 4 == 0
    assert strings + strings_size <= total
    words = blob[structure : structure + structure_size]
    assert words[-4:] == struct.pack(">I", 9)
    tree, end = _node(words, 0, blob[strings : strings + strings_size])
    assert end == len(words) - 4
    return tree


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(0, at)].decode()


def _node(words: bytes, at: int, strings: bytes) -> tuple[Read, int]:
    assert words[at : at + 4] == struct.pack(">I", 1)
    name = _text(words, at + 4)
    at += 4 + (len(name) + 4) // 4 * 4
    properties: dict[str, bytes] = {}
    children: list[Read] = []
    while True:
        (token,) = struct.unpack_from(">I", words, at)
        if token == 1:
            child, at = _node(words, at, strings)
            children.append(child)
        elif token == 3:
            size, place = struct.unpack_from(">2I", words, at + 4)
            properties[_text(strings, place)] = words[at + 12 : at + 12 + size]
            at += 12 + (size + 3) // 4 * 4
        else:
            assert token == 2
            return (name, properties, children), at + 4


def test_every_kind_of_property() -> None:
    child = Node("child@1", {"reg": (1, 0xFFFF_FFFF), "odd": b"abcde"})
    root = Node("", {"flag": None, "name": "text", "names": ("one", "two"), "cell": 7}, [child])
    assert read(encode(Tree(root))) == (
        "",
        {"flag": b"", "name": b"text\0", "names": b"one\0two\0", "cell": bytes((0, 0, 0, 7))},
        [("child@1", {"reg": bytes((0, 0, 0, 1)) + b"\xff" * 4, "odd": b"abcde"}, [])],
    )


CONTENTS = Contents(64 << 20, "console=ttyS0", (0x8300_0000, 0x8310_0000))


@pytest.mark.parametrize("name", BOARDS)
def test_the_tree_of_a_board(name: str) -> None:
    _, _, children = read(encode(Tree(device_tree(BOARDS[name], PRIVILEGED, CONTENTS))))
    nodes = {child[0]: child for child in children}
    assert nodes["chosen"][1]["bootargs"] == b"console=ttyS0\0"
    assert nodes["chosen"][1]["linux,initrd-end"] == struct.pack(">I", 0x8310_0000)
    assert nodes["memory@80000000"][1]["reg"] == struct.pack(">4I", 0, 0x8000_0000, 0, 64 << 20)
    devices = {child[0] for child in nodes["soc"][2]}
    assert f"serial@{BOARDS[name].uart:x}" in devices
    assert any(device.startswith("plic") for device in devices) == (name == "virt")


@pytest.mark.skipif(shutil.which("dtc") is None, reason="needs dtc")
@pytest.mark.parametrize("name", BOARDS)
def test_dtc_reads_the_tree_of_a_board(name: str, tmp_path: Path) -> None:
    blob = tmp_path / "board.dtb"
    blob.write_bytes(encode(Tree(device_tree(BOARDS[name], PRIVILEGED, CONTENTS))))
    done = subprocess.run(["dtc", "-I", "dtb", "-O", "dts", blob], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "Warning" in line or "ERROR" in line]
    assert 'compatible = "ns16550a"' in done.stdout


NAMES = st.text("abcxyz,#-@0123456789", min_size=1, max_size=31)
PROPERTIES = st.dictionaries(NAMES, st.binary(max_size=20), max_size=4)
NODES = st.recursive(
    st.builds(Node, NAMES, PROPERTIES), lambda nodes: st.builds(Node, NAMES, PROPERTIES, st.lists(nodes, max_size=4))
)
NUMBERS = st.integers(1, (1 << 64) - 1)
TREES = st.builds(Tree, NODES, st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3))


@given(TREES)
def test_what_is_written_is_read(tree: Tree) -> None:
    assert decode(encode(tree)) == tree


@given(TREES, st.randoms(use_true_random=False))
def test_a_damaged_tree_is_read_or_refused_in_one_line(tree: Tree, rng: random.Random) -> None:
    blob = bytearray(encode(tree))
    for _ in range(3):
        blob[rng.randrange(len(blob))] = rng.choice((0, 1, 3, 9, 0xFF, rng.randrange(256)))
    fuzz_devicetree.check(bytes(blob[: rng.randrange(len(blob) + 1)]))


TINY = encode(Tree(Node("", {"name": b"value"}, [Node("child", {})])))


def with_word(at: int, word: int) -> bytes:
    return TINY[:at] + struct.pack(">I", word) + TINY[at + 4 :]


STRUCTURE = 56
"""Offset in TINY: header and no reservations come before."""


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (b"", "shorter than a header"), (b"\x7fELF" + bytes(60), "begins with 0x7f454c46"), (TINY[:-1], "bytes of"),
        (with_word(20, 15), "version 15"), (with_word(24, 18), "version"), (with_word(8, 58), "at offset 0x3a"),
        (with_word(12, 5000), "outside of it"), (with_word(16, 5000), "too early"),
        (with_word(STRUCTURE, 9), "no root"), (with_word(STRUCTURE + 8, 7), "token 0x7 at offset 0x8"),
        (with_word(STRUCTURE + 12, 5000), "does not end"), (with_word(STRUCTURE + 16, 5000), "does not end within"),
        (with_word(STRUCTURE + 4, 0xFF00_0000), "not ASCII"),
    ],
)  # fmt: skip
def test_what_is_no_tree_is_refused(blob: bytes, text: str) -> None:
    with pytest.raises(DynarecError, match=f"^no device tree: .*{text}"):
        decode(blob)


def test_a_property_twice_or_behind_children_is_refused() -> None:
    twice = encode(Tree(Node("", {"a": b"", "b": b""}))).replace(b"a\0b\0", b"a\0a\0")
    with pytest.raises(DynarecError, match="twice"):
        decode(twice)
    behind = encode(Tree(Node("", {"a": b""}, [Node("", {})])))
    words = [behind[at : at + 4] for at in range(0, len(behind), 4)]
    start = STRUCTURE // 4 + 2
    moved = words[:start] + words[start + 3 : start + 6] + words[start : start + 3] + words[start + 6 :]
    with pytest.raises(DynarecError, match="behind its children"):
        decode(b"".join(moved))


def test_depth_is_limited() -> None:
    node = Node("", {})
    for _ in range(MAX_DEPTH - 1):
        node = Node("", {}, [node])
    assert decode(encode(Tree(node))).root == node
    with pytest.raises(DynarecError, match="deeper than"):
        decode(encode(Tree(Node("", {}, [node]))))


def fitted(*nodes: Node, **cells: bytes) -> Node:
    root = Node("", {f"#{name}-cells": value for name, value in cells.items()}, list(nodes))
    fit(root, CONTENTS)
    return root


def test_a_tree_of_somebody_else_is_fitted() -> None:
    memory = Node("memory@80000000", {"device_type": b"memory\0", "reg": bytes(16)})
    chosen: dict[str, Property] = {"bootargs": b"other\0", "stdout-path": b"/x\0"}
    root = fitted(memory, Node("chosen", chosen), address=bytes((0, 0, 0, 2)), size=bytes((0, 0, 0, 2)))
    assert memory.properties["reg"] == struct.pack(">2Q", RAM_START, CONTENTS.memory)
    _, properties, _ = read(encode(Tree(root)))[2][1]
    assert properties["bootargs"] == b"console=ttyS0\0"
    assert properties["linux,initrd-start"] == struct.pack(">I", 0x8300_0000)
    assert properties["stdout-path"] == b"/x\0"


@pytest.mark.parametrize(
    ("cells", "layout"),
    [({}, ">QI"), ({"address": b"\0\0\0\1", "size": b"\0\0\0\1"}, ">II"), ({"size": b"\xff" * 400}, ">QI")],
)
def test_cells_of_the_memory(cells: dict[str, bytes], layout: str) -> None:
    memory = Node("memory", {"device_type": b"memory\0"})
    root = fitted(memory, **cells)
    assert memory.properties["reg"] == struct.pack(layout, RAM_START, CONTENTS.memory)
    assert root.child("chosen") is not None


def test_what_is_not_asked_for_stays() -> None:
    root = Node("", {}, [Node("chosen", {"bootargs": b"mine\0"})])
    fit(root, Contents(1 << 20, ""))
    assert root.children == [Node("chosen", {"bootargs": b"mine\0"})]
