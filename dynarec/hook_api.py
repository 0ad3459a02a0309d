"""The functions by which a machine is hooked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.errors import DynarecError
from dynarec.hooks import (
    ACCESS_KINDS,
    ADDRESS_SPACE,
    CodeCallback,
    Hook,
    HookKind,
    Hooks,
    MemoryCallback,
    SystemCallback,
)

if TYPE_CHECKING:
    from dynarec.conditions import Condition


class Hookable:
    """What of `Machine` is about hooks."""

    _hooks: Hooks

    def hook_code(
        self,
        callback: CodeCallback,
        start: int | str,
        end: int | str | None = None,
        *,
        when: Condition | None = None,
        reason: str = "hook",
    ) -> Hook:
        """Call `callback(machine, pc)` before each instruction that begins in [start, end), or at `start` alone.

        Callbacks run on the CPU thread. They may read and change registers, the pc and memory, add and remove hooks,
        and stop the machine. One that returns True ends the run, before the instruction, with StopReason.HOOK; the next
        run executes the instruction without calling it again. An exception ends the run and comes through unchanged.
        Several hooks are called in the order in which they were added; those behind one that ended the run are called
        when the machine goes on. Addresses may be names of symbols.

        when: the callback is called only where this holds; where it does not, and nothing else is hooked, the guest
        goes on without Python. reason: "hook" or "breakpoint", why translations die when it comes or goes.

        A hook takes effect at once, also from a callback. Raises DynarecError for an unknown symbol, an empty range or
        a condition that is none, and when called from another thread while the machine runs.
        """
        return self._hooks.add(callback, (HookKind.CODE,), start, end, reason, when)

    def hook_block(
        self,
        callback: CodeCallback,
        start: int | str = 0,
        end: int | str = ADDRESS_SPACE,
        *,
        when: Condition | None = None,
    ) -> Hook:
        """Call `callback(machine, pc)` before the first instruction of each basic block that begins in [start, end).

        A block begins where control comes from elsewhere, and behind each branch, taken or not; and where the guest is
        when the hook is added. See `hook_code`.
        """
        return self._hooks.add(callback, (HookKind.BLOCK,), start, end, when=when)

    def hook_memory(
        self,
        callback: MemoryCallback,
        start: int | str,
        end: int | str | None = None,
        kind: str = "access",
        *,
        when: Condition | None = None,
    ) -> Hook:
        """Call `callback(machine, access)` before each access of the guest that overlaps [start, end), or byte `start`.

        kind: "read", "write" or "access". Only what the guest may access is reported; an instruction that reads and
        then writes is reported twice. Fetching instructions is no access, nor is what Python does. when: may ask for
        the access too. See `hook_code`.
        """
        if kind not in ACCESS_KINDS:
            raise DynarecError(f"unknown kind of access {kind!r}: choose one of {', '.join(ACCESS_KINDS)}")
        return self._hooks.add(callback, ACCESS_KINDS[kind], start, end, when=when)

    def hook_syscall(self, callback: SystemCallback, number: int | None = None) -> Hook:
        """Call `callback(machine, call)` before each system call that the machine is to answer, or those of a number.

        A callback that answers by itself sets the registers and returns Hook.HANDLED, or `Exited(status)` to end the
        program. Semihosting and HTIF are no system calls, nor is what a guest's own kernel answers. See `hook_code`.
        """
        return self._hooks.add_system_call(callback, number)

    def call_hooks_left(self) -> None:
        """Call now the hooks that are left to call since one has ended the run; what they return is ignored."""
        while self._hooks.resume():
            pass

    def pass_system_call(self) -> None:
        """The next run makes the system call at pc without calling its hooks again."""
        self._hooks.pass_call()
