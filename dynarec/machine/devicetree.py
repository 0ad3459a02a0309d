"""Flattened device trees (Devicetree Specification 0.4, chapter 5)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dynarec.errors import DynarecError

MAGIC = 0xD00D_FEED
VERSION, COMPATIBLE_VERSION = 17, 16
BEGIN_NODE, END_NODE, PROPERTY, NOP, END = 1, 2, 3, 4, 9
HEADER = struct.Struct(">10I")
RESERVATION = struct.Struct(">2Q")
"""An entry of the memory reservation block: address and size; one of zeros ends it."""
CELL = 4
MAX_DEPTH = 64
"""As deep as Linux reads trees."""
MAX_NAME = 255
"""Bytes of a property's name; the specification allows 31, and not everybody keeps to it."""

Property = None | str | int | bytes | Sequence[str] | Sequence[int]
"""A flag, a string, a cell, bytes, a list of strings, or cells."""


@dataclass(slots=True)
class Node:
    """A node; properties and children keep their order."""

    name: str
    properties: Mapping[str, Property]
    children: list[Node] = field(default_factory=list)

    def child(self, name: str) -> Node | None:
        """The child of that name."""
        return next((each for each in self.children if each.name == name), None)


@dataclass(slots=True)
class Tree:
    """A tree, and addresses and sizes of the memory that it says must be left alone."""

    root: Node
    reserved: list[tuple[int, int]] = field(default_factory=list)


def encode(tree: Tree) -> bytes:
    """The tree as a program finds it in memory."""
    writer = _Writer()
    writer.node(tree.root)
    structure = bytes(writer.structure) + struct.pack(">I", END)
    reserved = b"".join(RESERVATION.pack(*each) for each in [*tree.reserved, (0, 0)])
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


def decode(blob: bytes) -> Tree:
    """The tree of a blob; values are bytes. Raises DynarecError for what is none, with what is wrong."""
    try:
        return _Reader(blob).tree()
    except (struct.error, IndexError) as error:
        raise DynarecError("no device tree: it ends too early") from error
    except UnicodeDecodeError as error:
        raise DynarecError("no device tree: a name is not ASCII") from error


def _check(condition: bool, text: str) -> None:
    if not condition:
        raise DynarecError(f"no device tree: {text}")


class _Reader:
    """A blob that need not be a tree. It is read without recursion into what it says."""

    def __init__(self, blob: bytes) -> None:
        _check(len(blob) >= HEADER.size, "it is shorter than a header")
        magic, total, structure, strings, reserved, version, compatible, _, strings_size, size = HEADER.unpack_from(
            blob
        )
        _check(magic == MAGIC, f"it begins with {magic:#010x}, not {MAGIC:#010x}")
        _check(compatible <= VERSION <= version, f"version {version}, where {VERSION} is known")
        _check(total <= len(blob), f"it has {len(blob)} bytes of {total}")
        _check(structure % CELL == 0, f"its structure is at offset {structure:#x}")
        _check(structure + size <= total and strings + strings_size <= total, "its parts lie outside of it")
        self._blob = blob[:total]
        self._structure = blob[structure : structure + size]
        self._strings = blob[strings : strings + strings_size]
        self._reserved = reserved
        self._at = 0

    def tree(self) -> Tree:
        root = self._root()
        return Tree(root, self._reservations())

    def _reservations(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        at = self._reserved
        while (entry := RESERVATION.unpack_from(self._blob, at)) != (0, 0):
            found.append(entry)
            at += RESERVATION.size
        return found

    def _root(self) -> Node:
        _check(self._token() == BEGIN_NODE, "it has no root")
        root, properties = self._node()
        path = [(root, properties)]
        while path:
            token = self._token()
            if token == BEGIN_NODE:
                _check(len(path) < MAX_DEPTH, f"it is deeper than {MAX_DEPTH} nodes")
                path.append(self._node())
                path[-2][0].children.append(path[-1][0])
            elif token == END_NODE:
                path.pop()
            else:
                _check(token == PROPERTY, f"token {token:#x} at offset {self._at - CELL:#x} of its structure")
                self._property(*path[-1])
        _check(self._token() == END, "its structure goes on behind the root")
        return root

    def _token(self) -> int:
        while (word := self._word()) == NOP:
            pass
        return word

    def _word(self) -> int:
        (word,) = struct.unpack_from(">I", self._structure, self._at)
        self._at += CELL
        return int(word)

    def _node(self) -> tuple[Node, dict[str, Property]]:
        """A node that is empty yet, and its properties, to be filled in."""
        end = self._structure.find(0, self._at)
        _check(end >= 0, "the name of a node does not end")
        name = self._structure[self._at : end].decode("ascii")
        self._at = _aligned(end + 1)
        properties: dict[str, Property] = {}
        return Node(name, properties), properties

    def _property(self, node: Node, properties: dict[str, Property]) -> None:
        size, place = self._word(), self._word()
        name = self._name(place)
        _check(name not in properties, "a node has a property twice")
        _check(not node.children, "a node has properties behind its children")
        _check(self._at + size <= len(self._structure), "a property does not end")
        properties[name] = self._structure[self._at : self._at + size]
        self._at = _aligned(self._at + size)

    def _name(self, place: int) -> str:
        end = self._strings.find(0, place, place + MAX_NAME + 1)
        _check(end >= 0, f"the name of a property does not end within {MAX_NAME} bytes")
        return self._strings[place:end].decode("ascii")


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
