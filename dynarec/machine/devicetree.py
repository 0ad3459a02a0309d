"""Flattened device trees (Devicetree Specification 0.4, chapter 5)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAGIC = 0xD00D_FEED
VERSION, COMPATIBLE_VERSION = 17, 16
BEGIN_NODE, END_NODE, PROPERTY, END = 1, 2, 3, 9
HEADER = struct.Struct(">10I")
RESERVATION_SIZE = 16
"""Bytes of an entry of the memory reservation block; one of zeros ends it."""
CELL = 4

Property = None | str | int | bytes | Sequence[str] | Sequence[int]
"""A flag, a string, a cell, bytes, a list of strings, or cells."""


@dataclass(slots=True)
class Node:
    """A node; properties and children keep their order."""

    name: str
    properties: Mapping[str, Property]
    children: list[Node] = field(default_factory=list)


def encode(root: Node) -> bytes:
    """The tree as a program finds it in memory."""
    writer = _Writer()
    writer.node(root)
    structure = bytes(writer.structure) + struct.pack(">I", END)
    reserved = bytes(RESERVATION_SIZE)
    structure_at = HEADER.size + len(reserved)
    strings_at = structure_at + len(structure)
    total = _aligned(strings_at + len(writer.strings))
    header = HEADER.pack(
        MAGIC, total, structure_at, strings_at, HEADER.size, VERSION, COMPATIBLE_VERSION, 0, len(writer.strings),
        len(structure),
    )  # fmt: skip
    return (header + reserved + structure + writer.strings).ljust(total, b"\0")


def property_bytes(value: Property) -> bytes:
    """The bytes of a property's value."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str | int):
        return _item(value)
    return b"".join(map(_item, value))


def _item(value: str | int) -> bytes:
    return value.encode() + b"\0" if isinstance(value, str) else value.to_bytes(CELL, "big")


def _aligned(size: int) -> int:
    return size + -size % CELL


class _Writer:
    """Structure block and strings block as they grow."""

    def __init__(self) -> None:
        self.structure = bytearray()
        self.strings = bytearray()
        self._places: dict[str, int] = {}

    def node(self, node: Node) -> None:
        self._token(BEGIN_NODE)
        self._padded(node.name.encode() + b"\0")
        for name, value in node.properties.items():
            data = property_bytes(value)
            self._token(PROPERTY, len(data), self._place(name))
            self._padded(data)
        for child in node.children:
            self.node(child)
        self._token(END_NODE)

    def _place(self, name: str) -> int:
        if name not in self._places:
            self._places[name] = len(self.strings)
            self.strings += name.encode() + b"\0"
        return self._places[name]

    def _token(self, *words: int) -> None:
        self.structure += struct.pack(f">{len(words)}I", *words)

    def _padded(self, data: bytes) -> None:
        self.structure += data.ljust(_aligned(len(data)), b"\0")
