"""The handle of a C core, which the parts of `Core` share."""

from __future__ import annotations

from typing import Any

from dynarec._native import ffi, lib
from dynarec.errors import DynarecError


class CoreHandle:
    """A struct dr_core, until it has been freed."""

    _pointer: Any = None  # until it has been made

    @property
    def pointer(self) -> Any:
        """The struct dr_core. Raises DynarecError when it has been freed."""
        if self._pointer is None:
            raise DynarecError("the machine is closed: load the program again")
        return self._pointer

    @property
    def cpu(self) -> Any:
        """The struct dr_cpu."""
        return lib.dr_cpu(self.pointer)

    def check(self, result: int) -> None:
        """Raise what the C core says when one of its functions failed."""
        if result:
            raise DynarecError(self.error)

    @property
    def error(self) -> str:
        """What went wrong last."""
        return text(lib.dr_error())


def text(string: Any) -> str:
    """A string of C."""
    return ffi.string(string).decode() if string != ffi.NULL else "no reason is known"
