"""Expressions of the debugger: any text is computed or refused, and what the core makes of it is what Python does."""

from __future__ import annotations

import functools
import random
import re

from dynarec.debug.language import Expression
from dynarec.debug.scope import HookSite, Scope
from dynarec.debug.syntax import MAX_LENGTH
from dynarec.errors import DynarecError
from tests.debug.build import ELF
from tests.debug.stopped import Stopped
from tests.fuzz.oracle import bounded_memory, check_line, may_refuse

MAX_SIZE = MAX_LENGTH + 8
WORDS = (
    "$pc", "a0", "s0", "total", "list", "each", "count", "c", "matrix", "first", "second", "scale", "f", "$value",
    "list->next->value", "matrix[1][2]", "first.label", "(char)", "(short)", "(unsigned*)", "(long long)", "u8[",
    "i16[", "0", "1", "0x80000000", "5ll", "'a'", "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "->",
    *"+-*/%&|^~!?:<>=.,()[]",
)  # fmt: skip


@functools.cache
def _stopped() -> Stopped:
    """In `walk`, where there are variables of every kind."""
    made = Stopped(ELF)
    made.run_to_line("walk calls")
    return made


def check(data: bytes) -> None:
    """Compute it, and as a condition of a hook: they agree."""
    stopped = _stopped()
    with bounded_memory(len(data)), may_refuse():
        expression = Expression(data.decode(errors="replace"))
        before = stopped.machine.snapshot() if expression.is_assignment else None
        try:
            _check_expression(stopped, expression)
        finally:
            if before is not None:
                stopped.machine.restore(before)


def _check_expression(stopped: Stopped, expression: Expression) -> None:
    holds = _compute(stopped, expression)
    machine = stopped.machine
    condition = expression.condition(HookSite(machine, stopped.source, machine.pc))
    if condition is not None:
        machine.hook_code(lambda _, pc: None, machine.pc, when=condition).remove()
        assert machine._core.holds(machine.pc, machine.pc + 1, condition) == holds


def _compute(stopped: Stopped, expression: Expression) -> bool:
    """Whether it holds; what cannot be evaluated does."""
    frame = stopped.frames(1)[0]
    try:
        result = expression.evaluate(Scope(stopped.machine, stopped.source, frame))
    except DynarecError as error:
        check_line(str(error))
        return True
    check_line(result.text)
    check_line(result.type)
    return bool(result)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change, add and take away words."""
    random_state = random.Random(seed)
    words = re.findall(r"\s*(?:\w+|\W)", data.decode(errors="replace"))
    for _ in range(random_state.randint(1, 4)):
        at = random_state.randrange(len(words) + 1)
        kept = random_state.choice((at, at + 1))
        words[at:kept] = random_state.choice(([], [random_state.choice(WORDS)], words[at : at + 4]))
    return "".join(words).encode()[:max_size]
