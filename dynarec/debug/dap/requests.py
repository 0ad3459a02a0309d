"""What a module of requests declares: commands, and when they may be answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.session import Session

Body = Mapping[str, object]


PENDING: Body = {}
"""What a request is answered with that is only begun: its answer, which says nothing more, comes when it has ended."""


class When(Enum):
    """ANY: at once. HELD: a program that runs is stopped for it, and goes on. STOPPED: not while it runs."""

    ANY = auto()
    HELD = auto()
    STOPPED = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """answer: raises DynarecError for what cannot be done."""

    answer: Callable[[Session, Arguments], Body | None]
    when: When = When.STOPPED
