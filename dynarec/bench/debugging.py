"""What the debugger costs a program: breakpoints that are not reached, a history, and a step back in that."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Reason
from dynarec.engine import Machine
from dynarec.errors import DynarecError

PROGRAM, ROUNDS = "crc32.elf", "1000000000"
WARM_UP, COUNT = 20_000_000, 200_000_000
"""Instructions."""
BREAKPOINTS = 10
REPEAT = 5
HISTORY = 512 << 20
SECONDS = 10.0
STEPS_BACK = 30
SEED = 1
GLANCE = 0.02


@dataclass(frozen=True, slots=True)
class DebuggingCosts:
    """Run times with ten breakpoints and with a history, as multiples of that without; milliseconds of a step back.

    worst_step: of some, at random moments of a run of ten seconds; usual_step: their median. The step is the first one
    there: those that follow are faster.
    """

    breakpoints: float
    history: float
    usual_step: float
    worst_step: float


def debugging_costs(folder: Path, seconds: float = SECONDS) -> DebuggingCosts:
    """Measure. folder: of the benchmark programs. seconds: of the run that is stepped back in. Raises DynarecError."""
    kinds: dict[str, tuple[int, Callable[[Debugger], None]]] = {
        "plain": (0, _set_nothing),
        "breakpoints": (0, _set_breakpoints),
        "history": (HISTORY, _set_nothing),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(REPEAT):
        for name, (history, prepare) in kinds.items():
            times[name].append(_run(folder, history, prepare))
    steps = _steps_back(folder, seconds)
    plain = median(times["plain"])
    return DebuggingCosts(
        median(times["breakpoints"]) / plain, median(times["history"]) / plain, median(steps), max(steps)
    )


def _load(folder: Path) -> Machine:
    return Machine.load(folder / PROGRAM, args=[ROUNDS], stdin=io.BytesIO(), stdout=io.BytesIO())


def _run(folder: Path, history: int, prepare: Callable[[Debugger], None]) -> float:
    with _load(folder) as machine:
        debugger = Debugger(machine, history=history)
        debugger.step_instruction(WARM_UP)
        prepare(debugger)
        since = time.process_time()
        stopped = debugger.step_instruction(COUNT)
        if stopped.reason is not Reason.STEP:
            raise DynarecError(f"{PROGRAM}: a breakpoint was reached that should not be, at {stopped.pc:#x}")
        return time.process_time() - since


def _set_nothing(debugger: Debugger) -> None:
    """For comparison."""


def _set_breakpoints(debugger: Debugger) -> None:
    """At functions that are only used at the end."""
    symbols = debugger.machine.symbols
    unused = [symbol for symbol in symbols if symbol.is_function and symbol.name.startswith(("_", "__", "exit", "vf"))]
    for symbol in unused[:BREAKPOINTS]:
        debugger.break_at(symbol.address)


def _steps_back(folder: Path, seconds: float) -> list[float]:
    """Milliseconds of the first step back from moments of a long run."""
    with _load(folder) as machine:
        debugger = Debugger(machine, history=HISTORY)
        chance, found = random.Random(SEED), []
        for _ in range(STEPS_BACK):
            _resume_for(debugger, 2 * seconds / STEPS_BACK * chance.random())
            since = time.perf_counter()
            debugger.reverse_step_instruction()
            found.append((time.perf_counter() - since) * 1e3)
        return found


def _resume_for(debugger: Debugger, seconds: float) -> None:
    """An interruption that comes before the run has begun is none: it comes again."""
    stopped = threading.Event()

    def interrupt() -> None:
        wait = seconds
        while not stopped.wait(wait):
            debugger.interrupt()
            wait = GLANCE

    thread = threading.Thread(target=interrupt)
    thread.start()
    debugger.resume()
    stopped.set()
    thread.join()


def debugging_text(costs: DebuggingCosts) -> str:
    return (
        f"a run with {BREAKPOINTS} breakpoints that are not reached: {costs.breakpoints:.2f} times as long, "
        f"with history: {costs.history:.2f}; "
        f"milliseconds of a step back: {costs.usual_step:.1f}, at most {costs.worst_step:.1f}"
    )
