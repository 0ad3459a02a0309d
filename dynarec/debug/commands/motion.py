"""Commands that let the program run, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dynarec.debug.commands.session import SIZED, Command, Context, go
from dynarec.debug.commands.telling import tell
from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Reason, Stopped
from dynarec.errors import DynarecError

Operation = Callable[[], Stopped]


def restart(context: Context, argument: str) -> Iterator[str]:
    context.holder.restart()
    context.forget()
    yield from tell(context, context.debugger.stopped)


def run(context: Context, argument: str) -> Iterable[str]:
    if context.debugger.stopped.reason is not Reason.START:
        context.holder.restart()
    return go(context, context.debugger.resume)


def start(context: Context, argument: str) -> Iterator[str]:
    context.holder.restart()
    debugger = context.debugger
    point = debugger.break_at("main", temporary=True)
    try:
        yield from go(context, debugger.resume)
    finally:
        debugger.stoppers.pop(point.number, None)
        point.disable()


def continue_(context: Context, argument: str) -> Iterable[str]:
    count = _count(argument)
    for stopper in context.debugger.stopped.stoppers:
        stopper.ignore = count - 1
    return go(context, context.debugger.resume)


def step(context: Context, argument: str) -> Iterable[str]:
    return _repeated(context, argument, lambda debugger: debugger.step)


def next_(context: Context, argument: str) -> Iterable[str]:
    return _repeated(context, argument, lambda debugger: debugger.next)


def stepi(context: Context, argument: str) -> Iterable[str]:
    count = _count(argument)
    return go(context, lambda: context.debugger.step_instruction(count))


def nexti(context: Context, argument: str) -> Iterable[str]:
    return _repeated(context, argument, lambda debugger: debugger.next_instruction)


def finish(context: Context, argument: str) -> Iterable[str]:
    return go(context, context.debugger.finish)


def until(context: Context, argument: str) -> Iterable[str]:
    if argument:
        return advance(context, argument)
    return go(context, lambda: _forwards(context.debugger))


def advance(context: Context, argument: str) -> Iterable[str]:
    if not argument:
        raise DynarecError("advance needs a place: advance main")
    place: str | int = argument
    if argument.isdecimal() and context.frame.file:
        place = f"{context.frame.file}:{argument}"
    return go(context, lambda: context.debugger.until(place))


def reverse_step(context: Context, argument: str) -> Iterable[str]:
    return _repeated(context, argument, lambda debugger: debugger.reverse_step)


def reverse_next(context: Context, argument: str) -> Iterable[str]:
    return _repeated(context, argument, lambda debugger: debugger.reverse_next)


def reverse_stepi(context: Context, argument: str) -> Iterable[str]:
    count = _count(argument)
    return go(context, lambda: context.debugger.reverse_step_instruction(count))


def reverse_continue(context: Context, argument: str) -> Iterable[str]:
    return go(context, context.debugger.reverse_resume)


def reverse_finish(context: Context, argument: str) -> Iterable[str]:
    return go(context, context.debugger.reverse_finish)


def origin(context: Context, argument: str) -> Iterable[str]:
    match = SIZED.fullmatch(argument)
    size = int(match["size"], 0) if match else None
    if not argument:
        raise DynarecError("origin needs a place: origin total, origin 0x12000, 4")
    return go(context, lambda: context.debugger.reverse_to_write(match["where"] if match else argument, size))


def _forwards(debugger: Debugger) -> Stopped:
    """To the next line, but not back to the head of a loop."""
    start, function = debugger.machine.pc, debugger.source.function_start(debugger.machine.pc)
    while True:
        stopped = debugger.next()
        is_back = stopped.pc <= start and debugger.source.function_start(stopped.pc) == function
        if stopped.reason is not Reason.STEP or not is_back:
            return stopped


def _repeated(context: Context, argument: str, choose: Callable[[Debugger], Operation]) -> Iterable[str]:
    """So many times, or until something else than the end of a step stops the program."""
    count, operation = _count(argument), choose(context.debugger)

    def repeat() -> Stopped:
        stopped = operation()
        for _ in range(count - 1):
            if stopped.reason is not Reason.STEP or context.interrupted:
                break
            stopped = operation()
        return stopped

    return go(context, repeat)


def _count(argument: str) -> int:
    try:
        count = int(argument or "1", 0)
    except ValueError:
        count = 0
    if count < 1:
        raise DynarecError(f"{argument!r} is no count")
    return count


COMMANDS = (
    Command(run, "run", "from the beginning", ("r",)),
    Command(start, "start", "from the beginning to main"),
    Command(restart, "restart", "back to the beginning, stopped"),
    Command(continue_, "continue [COUNT]", "go on; passing over COUNT - 1 stops here", ("c", "fg"), again="same"),
    Command(step, "step [COUNT]", "to another line, into calls", ("s",), again="same"),
    Command(next_, "next [COUNT]", "to another line, over calls", ("n",), again="same"),
    Command(stepi, "stepi [COUNT]", "one instruction", ("si",), again="same"),
    Command(nexti, "nexti [COUNT]", "one instruction, over calls", ("ni",), again="same"),
    Command(finish, "finish", "until the function returns", ("fin",), again="same"),
    Command(until, "until [PLACE]", "to a later line, or to a place", ("u",), "place", "same"),
    Command(advance, "advance PLACE", "to a place", (), "place"),
    Command(reverse_step, "reverse-step [COUNT]", "back to another line", ("rs",), again="same"),
    Command(reverse_next, "reverse-next [COUNT]", "back over calls", ("rn",), again="same"),
    Command(reverse_continue, "reverse-continue", "back to the stop before", ("rc",), again="same"),
    Command(reverse_finish, "reverse-finish", "back to the call of the function", ("rf",), again="same"),
    Command(reverse_stepi, "reverse-stepi [COUNT]", "back one instruction", ("rsi",), again="same"),
    Command(origin, "origin WHERE[, SIZE]", "back to the last write to it", (), "expression"),
)
