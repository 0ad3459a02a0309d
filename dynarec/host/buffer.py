"""A growing piece of host code with labels.

A ``Buffer`` knows bytes and offsets only. The encoder of a host derives from it, appends to ``code`` and says in
``_patch`` how a distance is written into an instruction. Offsets are bytes from the start of the buffer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class EncodingError(ValueError):
    """An operand that the host instruction cannot hold, or a wrong use of a label.

    The buffer may hold the failed instruction; it is not to be used after this error.
    """


class Label:
    """A place in a buffer: ``offset`` in bytes, None until bound; ``uses`` are the (offset, kind) that wait for it."""

    __slots__ = ("offset", "uses")

    def __init__(self) -> None:
        self.offset: int | None = None
        self.uses: list[tuple[int, int]] = []


class Buffer(ABC):
    """Host code in the making: ``code`` holds the bytes so far."""

    __slots__ = ("_awaited", "code")

    def __init__(self) -> None:
        self.code = bytearray()
        self._awaited: list[Label] = []

    @property
    def here(self) -> int:
        """The offset of the next byte."""
        return len(self.code)

    def label(self) -> Label:
        """A new label, not yet bound."""
        return Label()

    def bind(self, label: Label) -> None:
        """Put the label here and patch what already refers to it; EncodingError if it is bound or out of reach."""
        if label.offset is not None:
            raise EncodingError(f"label is already bound at {label.offset:#x}")
        target = label.offset = len(self.code)
        for at, kind in label.uses:
            self._patch(at, kind, target)
        label.uses.clear()

    def finish(self) -> bytes:
        """The finished code; EncodingError if an instruction refers to a label that was never bound."""
        for label in self._awaited:
            if label.offset is None:
                raise EncodingError(f"the label used at {label.uses[0][0]:#x} was never bound")
        return bytes(self.code)

    def _refer(self, label: Label, at: int, kind: int) -> None:
        """Let the field at offset ``at`` refer to the label: patched now, or when the label is bound."""
        if label.offset is not None:
            self._patch(at, kind, label.offset)
            return
        if not label.uses:
            self._awaited.append(label)
        label.uses.append((at, kind))

    @abstractmethod
    def _patch(self, at: int, kind: int, target: int) -> None:
        """Write the distance to offset ``target`` into the field at ``at``; EncodingError if it is out of range."""
