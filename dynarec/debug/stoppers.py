"""Breakpoints, watchpoints and catchpoints: what makes a program stop in the debugger.

Each of them is made of hooks of the machine, which are there while it is enabled; so it costs nothing elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from dynarec.conditions import CHANGES, Condition, both
from dynarec.core import DEATHS
from dynarec.debug.language import Expression, parse
from dynarec.debug.scope import HookSite
from dynarec.debug.source import Source
from dynarec.errors import DynarecError
from dynarec.hooks import Hook, MemoryAccess, SystemCall
from dynarec.observer import Catch, Caught
from guest_isa.guest import TrapKind

if TYPE_CHECKING:
    from dynarec.engine import Machine

HOOK_REASON = "breakpoint"
WATCH_KINDS = {"write": "write", "read": "read", "access": "access", "change": "write"}
"""Kinds of watchpoints, and the accesses they are about."""


class Owner(Protocol):
    """The debugger, as its stoppers see it."""

    @property
    def machine(self) -> Machine: ...

    @property
    def source(self) -> Source: ...

    def hit(self, stopper: Stopper, access: MemoryAccess | None = None, detail: str = "") -> bool:
        """A stopper has been reached, on the CPU thread; whether the run is to stop."""


class Stopper(ABC):
    """What all have in common.

    number: how users name it. when: a condition, "" for none. ignore: how many hits are passed over before it stops
    again. commands: what the user interface executes when it has stopped. hits: how often it was reached with its
    condition true. temporary: it is deleted when it has stopped the program. on_hit: is asked at each hit that is not
    passed over whether it is to stop the program, which it may look at; what goes backwards does not stop there.
    """

    kind = ""

    def __init__(
        self, owner: Owner, number: int, when: str, ignore: int, commands: Sequence[str], temporary: bool
    ) -> None:
        self.owner = owner
        self.number = number
        self.ignore = ignore
        self.commands = list(commands)
        self.temporary = temporary
        self.hits = 0
        self.on_hit: Callable[[], bool] | None = None
        self.expression: Expression | None = None
        self._when = ""
        self._hooks: list[Hook] = []
        self._enabled = False
        self.set_condition(when)

    @property
    @abstractmethod
    def text(self) -> str:
        """What it stops at, in words."""

    @abstractmethod
    def _make_hooks(self) -> list[Hook]:
        """The hooks that it is made of."""

    @property
    def when(self) -> str:
        """The condition, as it was given."""
        return self._when

    def set_condition(self, when: str) -> None:
        """Stop only if an expression is true; "" for always. Raises DynarecError for one that cannot be read."""
        before = self.expression, self._when
        self.expression, self._when = parse(when) if when else None, when
        if not self._enabled:
            return
        self.disable()
        try:
            self.enable()
        except DynarecError:
            self.expression, self._when = before
            self.enable()
            raise

    def _condition(self, pc: int | None = None, has_access: bool = False) -> Condition | None:
        """The condition as the core evaluates it at a hook; None: without one, or when it is left to `holds`.

        pc: where the hook is, if that is known. Raises DynarecError for a condition with names that there are not.
        """
        if self.expression is None:
            return None
        return self.expression.condition(HookSite(self.owner.machine, self.owner.source, pc, has_access))

    @property
    def is_compiled(self) -> bool:
        """Whether the core has evaluated the condition before it is hit."""
        return bool(self._hooks) and all(hook.when is not None for hook in self._hooks)

    @property
    def enabled(self) -> bool:
        return self._enabled

    def enable(self) -> None:
        """Raises DynarecError when it cannot be set."""
        if not self._enabled:
            self._hooks = self._make_hooks()
            self._enabled = True

    def disable(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._enabled = False

    @property
    def catches(self) -> Catch:
        """What the machine's observer has to catch for it."""
        return Catch(0)

    def is_caught(self, caught: Caught) -> str | None:
        """What it says of something that was caught; None: it is not meant."""
        return None


class Breakpoint(Stopper):
    """Stops before the instructions at some addresses."""

    kind = "breakpoint"

    def __init__(
        self,
        owner: Owner,
        number: int,
        where: str,
        addresses: Sequence[int],
        *,
        when: str = "",
        ignore: int = 0,
        commands: Sequence[str] = (),
        temporary: bool = False,
    ) -> None:
        self.where = where
        self.addresses = tuple(addresses)
        super().__init__(owner, number, when, ignore, commands, temporary)

    @property
    def text(self) -> str:
        return self.where

    def _make_hooks(self) -> list[Hook]:
        hook = self.owner.machine.hook_code
        return [hook(self._reached, at, when=self._condition(at), reason=HOOK_REASON) for at in self.addresses]

    def _reached(self, machine: Machine, pc: int) -> bool:
        return self.owner.hit(self)


class Watchpoint(Stopper):
    """Stops before the instruction that reads or writes a range of memory.

    watched: "write", "read", "access" or "change": a write that changes a value.
    """

    kind = "watchpoint"

    def __init__(
        self,
        owner: Owner,
        number: int,
        where: str,
        addresses: range,
        watched: str = "write",
        *,
        when: str = "",
        ignore: int = 0,
        commands: Sequence[str] = (),
        temporary: bool = False,
    ) -> None:
        if watched not in WATCH_KINDS:
            raise DynarecError(f"unknown kind of watchpoint {watched!r}: choose one of {', '.join(WATCH_KINDS)}")
        if not addresses:
            raise DynarecError(f"{where}: a watchpoint needs at least one byte")
        self.where = where
        self.addresses = addresses
        self.watched = watched
        super().__init__(owner, number, when, ignore, commands, temporary)

    @property
    def text(self) -> str:
        return f"{self.where} ({self.watched}, {len(self.addresses)} bytes at {self.addresses.start:#x})"

    def _make_hooks(self) -> list[Hook]:
        condition = self._condition(has_access=True)
        if self.watched == "change":
            condition = CHANGES if condition is None else both(condition, CHANGES)
        kind, where = WATCH_KINDS[self.watched], self.addresses
        return [self.owner.machine.hook_memory(self._reached, where.start, where.stop, kind, when=condition)]

    @property
    def is_compiled(self) -> bool:
        return super().is_compiled and self._condition(has_access=True) is not None

    def _reached(self, machine: Machine, access: MemoryAccess) -> bool:
        return self.owner.hit(self, access)


CAUGHT = {
    "trap": Catch.TRAP,
    "interrupt": Catch.INTERRUPT,
    "translate": Catch.TRANSLATION,
    "invalidate": Catch.DEATH,
    "syscall": Catch(0),
    "mmio": Catch(0),
}
"""What can be caught."""


class Catchpoint(Stopper):
    """Stops at what happens to the machine: traps, system calls, interrupts, accesses to devices, translations.

    what: a key of CAUGHT. number_of: of the system call, or the cause of the trap or interrupt; None: any.
    """

    kind = "catchpoint"

    def __init__(
        self,
        owner: Owner,
        number: int,
        what: str,
        selector: int | None = None,
        *,
        when: str = "",
        ignore: int = 0,
        commands: Sequence[str] = (),
        temporary: bool = False,
    ) -> None:
        if what not in CAUGHT:
            raise DynarecError(f"cannot catch {what!r}: choose one of {', '.join(CAUGHT)}")
        self.what = what
        self.selector = selector
        super().__init__(owner, number, when, ignore, commands, temporary)

    @property
    def text(self) -> str:
        return self.what if self.selector is None else f"{self.what} {self.selector}"

    @property
    def is_call(self) -> bool:
        """Whether it stops before a system call that the machine is to answer."""
        return self.what == "syscall" and not self.owner.machine.has_own_traps

    @property
    def catches(self) -> Catch:
        if self.what == "syscall" and self.owner.machine.has_own_traps:
            return Catch.TRAP
        return CAUGHT[self.what]

    def _make_hooks(self) -> list[Hook]:
        machine = self.owner.machine
        if self.what == "syscall" and not machine.has_own_traps:
            return [machine.hook_syscall(self._called, self.selector)]
        if self.what == "mmio":
            when, hook = self._condition(has_access=True), machine.hook_memory
            return [hook(self._accessed, each.start, each.stop, when=when) for each in machine.device_ranges]
        return []

    def _called(self, machine: Machine, call: SystemCall) -> bool:
        arguments = ", ".join(f"{value:#x}" for value in call.args)
        return self.owner.hit(self, detail=f"system call {call.number} ({arguments})")

    def _accessed(self, machine: Machine, access: MemoryAccess) -> bool:
        return self.owner.hit(self, access)

    def is_caught(self, caught: Caught) -> str | None:
        if not caught.what & self.catches:
            return None
        if caught.what is Catch.TRANSLATION:
            return f"block {caught.pc:#010x} was translated"
        if caught.what is Catch.DEATH:
            written = f", written at {caught.value:#010x}" if caught.value else ""
            return f"block {caught.pc:#010x} died: {DEATHS[caught.cause]}{written}"
        return self._trap_text(caught)

    def _trap_text(self, caught: Caught) -> str | None:
        machine = self.owner.machine
        if caught.what is Catch.INTERRUPT:
            chosen = self.selector in (None, caught.cause, caught.cause & 0xFF)
            return f"interrupt {caught.cause & 0xFF} before {caught.pc:#010x}" if chosen else None
        cause = machine.guest.causes[caught.cause]
        if self.what == "syscall":
            abi = machine.guest.abi
            if cause.kind is not TrapKind.SYSCALL or abi is None:
                return None
            number = machine.regs[abi.number]
            return f"system call {number} at {caught.pc:#010x}" if self.selector in (None, number) else None
        if self.selector not in (None, caught.cause):
            return None
        return f"{cause.name} at {caught.pc:#010x}, value {caught.value:#x}"
