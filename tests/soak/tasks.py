"""What the soak does again and again: a task runs one random case, and raises if tiers differ or a count is wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress

from dynarec import Hook
from dynarec.core import policies, probe_policy
from dynarec.engine import Machine, Run, StopReason
from dynarec.errors import DynarecError
from dynarec.inspect.recorder import Recorder
from dynarec.opt import PASS_NAMES
from dynarec.snapshot import Snapshot
from tests.machine.test_virt import KERNEL, Port
from tests.native.guests import CODE, load, registers
from tests.native.test_devices import DEVICE, ROUNDS, Register, loop, random_body
from tests.native.test_requests import LOOP
from tests.native.test_self_modifying import load_pair, random_program

KIBI = 1024
CACHES = (16 * KIBI, 64 * KIBI, 1024 * KIBI)
POLICIES = [name for name in policies() if probe_policy(name) is None]
PIECES = 8
LONGEST_PIECE = 3000
SECONDS = 300
"""A run that takes longer hangs."""
COMMANDS = ("echo hello", "time", "ticks 3", "user", "traps", "mem 0x80000000")

Task = Callable[[random.Random], None]


def _options(rng: random.Random) -> dict[str, object]:
    """A tier that translates, under any policy, with a small cache more often than not."""
    tier = rng.choice(("jit", "auto"))
    return {"tier": tier, "wx": rng.choice(POLICIES), "cache_size": rng.choice(CACHES), "hot": rng.randrange(1, 9)}


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, interpreted {expected!r}")


def _pieces(rng: random.Random) -> list[int]:
    return [rng.randrange(1, LONGEST_PIECE) for _ in range(PIECES)]


class _Onlooker(threading.Thread):
    """Asks a machine for all that other threads may ask while it runs."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(daemon=True)
        self.machine = machine
        self.ended = threading.Event()

    def run(self) -> None:
        core = self.machine._core
        while not self.ended.wait(0.001):
            stats = self.machine.stats()
            if core.find(self.machine.pc) is not None and stats.code_bytes:
                core.read_code(0, min(64, stats.code_bytes))
            core.deaths(max(0, stats.discarded - 3))

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def overwrite(rng: random.Random) -> None:
    """Code that overwrites itself."""
    code, data = random_program(rng)
    pieces = _pieces(rng)
    with load_pair(code, data, tier="interp") as oracle, load_pair(code, data, **_options(rng)) as machine:
        with _Onlooker(machine):
            for piece in pieces:
                oracle.run(piece)
                machine.run(piece)
                _same("registers", registers(machine), registers(oracle))
        _same("code", machine.memory[CODE : CODE + 4096], oracle.memory[CODE : CODE + 4096])


def go_back(rng: random.Random) -> None:
    """Code that overwrites itself, with snapshots in between; each tier goes back to those of the other."""
    code, data = random_program(rng)
    kept: list[tuple[Snapshot, Snapshot]] = []
    with load_pair(code, data, tier="interp") as oracle, load_pair(code, data, **_options(rng)) as machine:
        for piece in _pieces(rng) + _pieces(rng):
            if kept and rng.random() < 0.5:
                of_oracle, of_machine = rng.choice(kept)
                oracle.restore(of_machine)
                machine.restore(of_oracle)
            oracle.run(piece)
            machine.run(piece)
            _same("registers", registers(machine), registers(oracle))
            _same("instructions", machine.instructions, oracle.instructions)
            _same("code", machine.memory[CODE : CODE + 4096], oracle.memory[CODE : CODE + 4096])
            if rng.random() < 0.5:
                kept.append((oracle.snapshot(), machine.snapshot()))


def access(rng: random.Random) -> None:
    """Loops over devices and memory."""
    body, pieces = random_body(rng), _pieces(rng)
    runs = []
    for options in ({"tier": "interp"}, _options(rng)):
        device, seen = Register(), []
        with load(loop(body, ROUNDS), **options) as machine:
            machine.add_device(DEVICE, device)
            for piece in pieces:
                machine.run(piece)
                seen.append(registers(machine))
            runs.append((seen, machine.run(timeout=SECONDS).instructions, device.log))
    _same("device accesses", runs[1], runs[0])


def command(rng: random.Random) -> None:
    """A kernel with timer interrupts, in pieces, with its timer moved now and then."""
    text = "".join(f"{rng.choice(COMMANDS)}\r" for _ in range(rng.randrange(1, 6))) + "halt 3\r"
    moves = [(rng.randrange(1, 40_000), rng.randrange(1, 300)) for _ in range(PIECES)]
    runs = []
    for options in ({"tier": "interp"}, _options(rng)):
        port = Port(text)
        with Machine.load(KERNEL, stdin=port, stdout=port, **options) as machine:  # type: ignore[arg-type]
            timer = machine.guest.privileged.timer  # type: ignore[union-attr]
            for piece, distance in moves:
                machine.run(piece)
                machine.interrupts.set_deadline(machine.interrupts.ticks + distance, timer)
            stop = machine.run(timeout=SECONDS)
            runs.append((stop.reason, stop.status, machine.instructions, bytes(port.written)))
    _same("kernel", runs[1], runs[0])


class _Inspector(threading.Thread):
    """Makes recordings of a machine while it runs, and has units made anew."""

    def __init__(self, machine: Machine, recorder: Recorder, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.machine, self.recorder, self.rng = machine, recorder, rng
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.001):
            live = self.recorder.record().live
            if live and self.rng.random() < 0.3:
                with suppress(DynarecError):  # it may have died by itself
                    self._change(self.rng.choice(live).serial)

    def _change(self, serial: int) -> None:
        if self.rng.random() < 0.5:
            self.recorder.erase(serial)
        else:
            self.recorder.retranslate(serial, self.rng.sample(PASS_NAMES, 2))

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def inspect(rng: random.Random) -> None:
    """Code that overwrites itself, recorded and changed from another thread: it does the same, and all is counted."""
    code, data = random_program(rng)
    with load_pair(code, data, tier="interp") as oracle, load_pair(code, data, **_options(rng)) as machine:
        recorder = Recorder(machine, sampling=0.001)
        with _Inspector(machine, recorder, random.Random(rng.random())):
            for piece in _pieces(rng):
                oracle.run(piece)
                machine.run(piece)
                _same("registers", registers(machine), registers(oracle))
        recording = recorder.record()
        _same("instructions", recording.instructions, machine.stats().instructions)
        recorder.close()


def hook(rng: random.Random) -> None:
    """Hooks that come and go over code that overwrites itself: what they see is the same."""
    code, data = random_program(rng)
    plan = [(rng.choice(("code", "block", "memory")), rng.randrange(32), rng.randrange(1, 8)) for _ in range(PIECES)]
    pieces, runs = _pieces(rng), []
    for options in ({"tier": "interp"}, _options(rng)):
        seen: list[object] = []
        with load_pair(code, data, **options) as machine, _Onlooker(machine):
            for piece, (kind, word, length) in zip(pieces, plan, strict=True):
                with _add_hook(machine, kind, CODE + 4 * word, CODE + 4 * (word + length), seen):
                    machine.run(piece)
                seen.append(registers(machine))
        runs.append(seen)
    _same("hooks", runs[1], runs[0])


def _add_hook(machine: Machine, kind: str, start: int, end: int, seen: list[object]) -> Hook:
    match kind:
        case "code":
            return machine.hook_code(lambda _, pc: seen.append(pc), start, end)
        case "block":
            return machine.hook_block(lambda _, pc: seen.append(pc), start, end)
    return machine.hook_memory(lambda _, access: seen.append(access), start, end)


def ask(rng: random.Random) -> None:
    """Requests to stop and interrupts from another thread: counts stay exact."""
    with load(LOOP, **{**_options(rng), "cache_size": CACHES[-1]}) as machine:
        for _ in range(PIECES):
            limit = rng.randrange(1_000_000)
            run = machine.start(limit)
            _disturb(machine, run, rng)
            stop = run.wait()
            if stop.reason is StopReason.BUDGET and stop.instructions != limit:
                raise AssertionError(f"{stop.instructions} instructions instead of {limit}")
            rounds, rest = divmod(machine.instructions, 201)
            _same("t0 and pc", (machine.regs.t0, machine.pc), (rounds * 100 + (rest + 1) // 2, CODE + 4 * rest))


def _disturb(machine: Machine, run: Run, rng: random.Random) -> None:
    for _ in range(rng.randrange(50)):
        machine.interrupts.set_lines(1, True)
        machine.interrupts.set_lines(1, False)
    if rng.random() < 0.5:
        run.stop()


TASKS: dict[str, Task] = {each.__name__: each for each in (overwrite, go_back, access, command, hook, inspect, ask)}
