"""Hooks: Python functions that are called when the guest executes, reads or writes somewhere, or makes a system call.

The core finds out whether an instruction or an access is hooked (native/hooks.h), and leaves its run loop only then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, Self, cast

from dynarec.errors import DynarecError
from dynarec.machine.base import Continue, Outcome, Trap

if TYPE_CHECKING:
    from dynarec.conditions import Condition
    from dynarec.core import Core, Hit
    from dynarec.engine import Machine
    from guest_isa.profile import Abi

ADDRESS_SPACE = 1 << 32
NOWHERE = -1


class HookKind(IntEnum):
    """What is hooked (enum dr_hook)."""

    CODE = 0
    BLOCK = 1
    READ = 2
    WRITE = 3
    STORED = 4


ACCESS_KINDS = {
    "read": (HookKind.READ,),
    "write": (HookKind.WRITE,),
    "access": (HookKind.READ, HookKind.WRITE),
}


class MemoryAccess(NamedTuple):
    """An access that the instruction at `pc` is about to make: `size` bytes at `address`.

    kind: "read" or "write". value: what is to be written, unsigned; None for a read.
    """

    pc: int
    address: int
    size: int
    value: int | None
    kind: str


class SystemCall(NamedTuple):
    """A system call that the instruction at `pc` is about to make: its number, and the registers of its arguments."""

    pc: int
    number: int
    args: tuple[int, ...]


CodeCallback = Callable[["Machine", int], object]
"""(machine, pc) -> True to end the run before the instruction."""
MemoryCallback = Callable[["Machine", MemoryAccess], object]
"""(machine, access) -> True to end the run before the instruction that makes the access."""
SystemCallback = Callable[["Machine", SystemCall], object]
"""(machine, call) -> True to end the run before the call; an Outcome when the callback has answered it."""


class Hook:
    """A hook of a machine, until it is removed: by `remove`, or at the end of a `with` block."""

    STOP: Final = True
    """What a callback returns to end the run, with StopReason.HOOK."""
    HANDLED: ClassVar[Outcome] = Continue()
    """What the callback of a system call returns when it has answered the call. The guest goes on behind the call, or
    where the callback has set the pc to."""

    def __init__(
        self,
        hooks: Hooks,
        callback: Callable[..., object],
        kinds: tuple[HookKind, ...] = (),
        start: int = 0,
        end: int = 0,
        *,
        number: int | None = None,
        reason: str = "hook",
        when: Condition | None = None,
    ) -> None:
        """For `Machine`, which makes hooks. Of the addresses [start, end); or, without kinds, of a system call.

        number: of the call; None: any. reason: why translations die when it comes or goes. when: None: always.
        """
        self.callback = callback
        self.kinds = kinds
        self.bits = sum(1 << kind for kind in kinds)
        self.start = start
        self.end = end
        self.number = number
        self.reason = reason
        self.when = when
        self._hooks = hooks

    @property
    def active(self) -> bool:
        """Whether it has not been removed."""
        return self in self._hooks

    @property
    def is_due(self) -> bool:
        """Whether it is to be called, at what the machine has stopped for."""
        return self.active and (self.when is None or self._hooks.holds(self))

    def remove(self) -> None:
        """Call it no more. May be called twice. Raises DynarecError on another thread while the machine runs."""
        self._hooks.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.remove()


class _Calls:
    """Hooks that are to be called before the guest goes on from `pc`, each once, whatever ends a run meanwhile."""

    def __init__(self, pc: int, hooks: Iterable[Hook], argument: object) -> None:
        """argument: what they are called with, behind the machine."""
        self.pc = pc
        self._left = deque(hooks)
        self._argument = argument

    def make(self, machine: Machine) -> object:
        """Call what is left, up to a hook that ends the run or answers: what that one returned, else None.

        When control has been taken elsewhere, nothing is left to call.
        """
        while self._left and machine.pc == self.pc:
            hook = self._left.popleft()
            result = hook.callback(machine, self._argument) if hook.is_due else None
            if result is Hook.STOP or isinstance(result, Outcome):
                return result
        return None


NO_CALLS = _Calls(NOWHERE, (), None)


class Hooks:
    """The hooks of one machine. They are called in the order in which they were added, on the CPU thread."""

    def __init__(self, machine: Machine, core: Core, on_cpu_thread: Callable[[Callable[[], None]], None]) -> None:
        """on_cpu_thread: has the CPU thread do something between runs, or does it if this is the CPU thread."""
        self._machine = machine
        self._core = core
        self._on_cpu_thread = on_cpu_thread
        self._hooks: dict[Hook, None] = {}
        self._hit = self._system_call = NO_CALLS
        self._made_at = 0
        """Instructions that the guest had executed when it made the system call."""

    def __contains__(self, hook: Hook) -> bool:
        return hook in self._hooks

    # -- adding and removing ------------------------------------------------------------------------------------------

    def add(
        self,
        callback: Callable[..., object],
        kinds: tuple[HookKind, ...],
        start: int | str,
        end: int | str | None,
        reason: str = "hook",
        when: Condition | None = None,
    ) -> Hook:
        """A hook of addresses, or names of symbols; end: None: of one address. Raises DynarecError."""
        start = self._machine.address(start)
        end = start + 1 if end is None else self._machine.address(end)
        if not 0 <= start < end <= ADDRESS_SPACE:
            raise DynarecError(f"a hook from {start:#x} up to {end:#x}: give start < end, of addresses of 32 bits")
        return self._add(Hook(self, callback, kinds, start, end, reason=reason, when=when))

    def add_system_call(self, callback: SystemCallback, number: int | None) -> Hook:
        """A hook of system calls, which need the guest's registers for them. Raises DynarecError."""
        if self._machine.guest.abi is None:
            raise DynarecError(f"{self._machine.guest.name}: this guest has no system calls to hook")
        if self._core.has_own_traps:
            raise DynarecError(
                f"{self._machine.program.name}: system calls go to the program's own trap handler: hook its address"
            )
        return self._add(Hook(self, callback, number=number))

    def _add(self, hook: Hook) -> Hook:
        self._on_cpu_thread(lambda: self._enter(hook))
        return hook

    def remove(self, hook: Hook) -> None:
        """See `Hook.remove`."""
        if hook in self._hooks:
            self._on_cpu_thread(lambda: self._leave(hook))

    def forget(self) -> None:
        """The machine has gone to another moment: nothing is left to call."""
        self._hit = self._system_call = NO_CALLS

    def close(self) -> None:
        """The machine is closed: no hook is left."""
        self._hooks.clear()

    def holds(self, hook: Hook) -> bool:
        """Whether the condition of a hook holds, which it has, at what the core has stopped for."""
        assert hook.when is not None
        return self._core.holds(hook.start, hook.end, hook.when)

    def _enter(self, hook: Hook) -> None:
        for kind in hook.kinds:
            self._core.hook(kind, hook.start, hook.end, hook.reason, hook.when)
        self._hooks[hook] = None

    def _leave(self, hook: Hook) -> None:
        del self._hooks[hook]
        for kind in hook.kinds:
            self._core.unhook(kind, hook.start, hook.end, hook.reason, hook.when)

    # -- calling: on the CPU thread -----------------------------------------------------------------------------------

    def call(self) -> bool:
        """The core has stopped for a hook: call those that are hit; whether one ends the run."""
        hit = self._core.hit
        start, size = (hit.address, hit.size) if hit.is_access else (hit.pc, 1)
        end = start + size
        hooks = [hook for hook in self._hooks if hook.bits & hit.kinds and start < hook.end and hook.start < end]
        self._hit = _Calls(hit.pc, hooks, _view(hit))
        return self.resume()

    def resume(self) -> bool:
        """Call what is left to call since a hook ended the last run, or failed; whether one ends this run."""
        return self._hit.make(self._machine) is Hook.STOP

    def pass_call(self) -> None:
        """The system call that the guest makes next has been reported."""
        here = self._machine.pc, self._machine.instructions
        if (self._system_call.pc, self._made_at) != here:
            self._system_call, self._made_at = _Calls(here[0], (), None), here[1]

    def call_for(self, trap: Trap, abi: Abi) -> Outcome | Literal[True] | None:
        """The guest makes a system call: the answer of a hook, None without one, True if a hook ends the run.

        The guest makes the call again when a run has ended before it: then what is left to call is called.
        """
        if (self._system_call.pc, self._made_at) != (trap.pc, self._machine.instructions):
            regs = self._machine.regs
            call = SystemCall(trap.pc, regs[abi.number], tuple(regs[name] for name in abi.args))
            hooks = [hook for hook in self._hooks if not hook.kinds and hook.number in (None, call.number)]
            self._system_call, self._made_at = _Calls(trap.pc, hooks, call), self._machine.instructions
        answer = self._system_call.make(self._machine)
        if isinstance(answer, Continue) and self._machine.pc == trap.pc:
            self._machine.pc = (trap.pc + trap.length) % ADDRESS_SPACE
        return cast("Outcome | Literal[True] | None", answer)


def _view(hit: Hit) -> MemoryAccess | int:
    """What the callbacks are given."""
    if not hit.is_access:
        return hit.pc
    is_write = hit.kinds == 1 << HookKind.WRITE
    return MemoryAccess(hit.pc, hit.address, hit.size, hit.value if is_write else None, "write" if is_write else "read")
