"""Device trees: a decoder of the tests' own reads what is written, and so does dtc where it is installed."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from dynarec.machine.board import BOARDS, Contents, device_tree
from dynarec.machine.devicetree import Node, encode
from guest_isa.rv32.privileged import PRIVILEGED

Tree = tuple[str, dict[str, bytes], list["Tree"]]


def decode(blob: bytes) -> Tree:
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


def _node(words: bytes, at: int, strings: bytes) -> tuple[Tree, int]:
    assert words[at : at + 4] == struct.pack(">I", 1)
    name = _text(words, at + 4)
    at += 4 + (len(name) + 4) // 4 * 4
    properties: dict[str, bytes] = {}
    children: list[Tree] = []
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
    assert decode(encode(root)) == (
        "",
        {"flag": b"", "name": b"text\0", "names": b"one\0two\0", "cell": bytes((0, 0, 0, 7))},
        [("child@1", {"reg": bytes((0, 0, 0, 1)) + b"\xff" * 4, "odd": b"abcde"}, [])],
    )


CONTENTS = Contents(64 << 20, "console=ttyS0", (0x8300_0000, 0x8310_0000))


@pytest.mark.parametrize("name", BOARDS)
def test_the_tree_of_a_board(name: str) -> None:
    _, _, children = decode(encode(device_tree(BOARDS[name], PRIVILEGED, CONTENTS)))
    nodes = {child[0]: child for child in children}
    assert nodes["chosen"][1]["bootargs"] == b"console=ttyS0\0"
    assert nodes["chosen"][1]["linux,initrd-end"] == struct.pack(">I", 0x8310_0000)
    assert nodes["memory@80000000"][1]["reg"] == struct.pack(">4I", 0, 0x8000_0000, 0, 64 << 20)
    devices = {child[0] for child in nodes["soc"][2]}
    assert f"serial@{BOARDS[name].uart:x}" in devices
    assert any(device.startswith("plic") for device in devices) == (name == "virt")


@pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is not installed")
@pytest.mark.parametrize("name", BOARDS)
def test_dtc_reads_the_tree_of_a_board(name: str, tmp_path: Path) -> None:
    blob = tmp_path / "board.dtb"
    blob.write_bytes(encode(device_tree(BOARDS[name], PRIVILEGED, CONTENTS)))
    done = subprocess.run(["dtc", "-I", "dtb", "-O", "dts", blob], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "Warning" in line or "ERROR" in line]
    assert 'compatible = "ns16550a"' in done.stdout
