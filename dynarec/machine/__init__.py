"""Machine profiles: what a program finds around its CPU."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynarec.machine.base import Profile

PROFILES: Mapping[str, str] = {
    "console": "dynarec.machine.console:Console",
    "virt": "dynarec.machine.virt:Virt",
    "user": "dynarec.machine.user:UserProfile",
}
"""Name -> module and class, imported when needed."""


def profile_class(name: str) -> type[Profile]:
    """The profile of that name, one of `PROFILES`."""
    module, _, attribute = PROFILES[name].partition(":")
    profile: type[Profile] = getattr(import_module(module), attribute)
    return profile
