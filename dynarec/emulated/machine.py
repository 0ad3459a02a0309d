"""Whole programs on an emulated host: the run loop of native/dispatch.c with the reference evaluator as interpreter."""

from __future__ import annotations

import io
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from dynarec import loading
from dynarec.emulated.cache import Block, CodeCache, Link
from dynarec.emulated.cpu import DEFAULT_CODE_SIZE, EmulatedCpu
from dynarec.errors import DynarecError
from dynarec.evaluated import lift_one
from dynarec.guest_state import Registers
from dynarec.host import make_host
from dynarec.host.base import ExitKind
from dynarec.ir.evaluate import Left, Outcome, evaluate
from dynarec.machine.base import AccessFault, Continue, Died, Exited, Interrupts, Options, Profile, Trap
from dynarec.machine.base import Outcome as Answer
from dynarec.trace import NO_GUIDE, Guide
from dynarec.translate import Translator
from guest_isa.guest import Guest
from guest_isa.isa import Insn

if TYPE_CHECKING:
    from dynarec.core import Core
    from dynarec.program import Program

UNLIMITED = 1 << 63
PROFILED = 200_000
"""Guest instructions that are interpreted for a profile."""
SLICE = 500_000
"""Guest instructions of the longest stay in generated code."""
LONGEST_INSN = 8
MICROSECONDS = 1_000_000


class Counts(NamedTuple):
    """The run of a program. status: as a shell sees it."""

    status: int
    guest_instructions: int
    host_instructions: int


class EmulatedMachine:
    """A guest CPU whose translations run on an emulated host; what a profile sees as its machine."""

    profile: Profile

    def __init__(self, program: Program, guest: Guest, translator: Translator, cpu: EmulatedCpu) -> None:
        """For `load`, which makes machines."""
        self.program = program
        self.guest = guest
        self.cpu = cpu
        self.memory = cpu.memory
        # The registers are the words of `cpu`, as those of a core are.
        self.regs = Registers(cast("Core", self), guest.layout)
        self.cache = CodeCache(cpu)
        self.retired = 0
        """Guest instructions, but for those that trapped and that the profile did."""
        self._answered = 0
        self._translator = translator
        self._pending: Link | None = None
        self._left = 0
        self._ending: Exited | Died | None = None

    @classmethod
    def load(
        cls,
        source: Path | str | bytes,
        host: str,
        args: Sequence[str] = (),
        *,
        machine: str = loading.AUTO,
        guest: str | Guest | None = None,
        options: Options | None = None,
        without: Collection[str] = (),
        code_size: int = DEFAULT_CODE_SIZE,
        count_instructions: bool = False,
        bmi2: bool = True,
        guide: Guide = NO_GUIDE,
    ) -> EmulatedMachine:
        """Load a program into a machine on the named host.

        args: of the program, if `options` does not say more. without: names of `dynarec.features` to leave out.
        bmi2: x86-64 only. count_instructions: keep `cpu.executed`. guide: of the traces; see `profiled`.

        Raises DynarecError, also when Unicorn is not installed.
        """
        program, declaration = loading.read_program(source, guest)
        profile, _ = loading.choose_profile(program, declaration, machine)
        generator = make_host(host, declaration, bmi2=bmi2)
        cpu = EmulatedCpu(generator, code_size, count_instructions)
        translator = Translator(declaration, generator, cpu.memory.code, without=without, guide=guide)
        made = cls(program, declaration, translator, cpu)
        made.profile = profile(made, options or Options(list(args)))
        made.profile.load()
        made._connect_device()
        return made

    def _connect_device(self) -> None:
        """Map the register page of a profile that has one."""
        base = getattr(self.profile, "mmio_base", None)
        if base is None:
            return
        self.memory.refusals = (AccessFault,)
        self.memory.device(base, self.profile.mmio_size, self.profile)  # type: ignore[attr-defined, arg-type]

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return self.cpu.pc

    @pc.setter
    def pc(self, value: int) -> None:
        self.cpu.pc = value

    @property
    def instructions(self) -> int:
        """Guest instructions retired so far, with the system calls that the profile answered."""
        return self.retired + self._answered

    @property
    def interrupts(self) -> Interrupts:
        """Raises DynarecError: programs in machine mode do not run here."""
        raise DynarecError("an emulated host has no interrupts: run this program on machine user or console")

    def forget_end(self) -> None:
        """Let a program that has ended, or another one in its place, run again."""
        self._ending = None

    # -- the run loop -------------------------------------------------------------------------------------------------

    def run(self, instructions: int = UNLIMITED) -> Exited | Died | None:
        """Run until the program ends, or so many instructions; None in the second case."""
        end = self.instructions + instructions
        while self._ending is None and (left := end - self.instructions) > 0:
            self._left = left
            if self.memory.code_changed:
                self.memory.code_changed = False
                self.cache.invalidate_changed()
                self._pending = None
            self._run_once()
        return self._ending

    def _run_once(self) -> None:
        block = self.cache.find(self.pc) or self._translate()
        if block.translation.unit.retired > self._left:
            self._interpret()
        else:
            self._enter(block)

    def _translate(self) -> Block:
        block = self.cache.install(self._translator.translate(self.pc))
        pending, self._pending = self._pending, None
        if pending is not None and pending.exit.target == block.key:
            self.cache.link(pending, block)
        return block

    def _enter(self, block: Block) -> None:
        self.cpu.budget = slice_ = min(self._left, SLICE)
        departure = self.cpu.enter(block.start)
        if departure.faulted:
            code, site = self.cache.site_at(departure.offset)
            self.cpu.recover(code, site)
            self.pc = site.pc
            self._settle(slice_, site.refund)
            self._interpret()
        else:
            self._leave(self.cache.exit_before(departure.offset), slice_)

    def _settle(self, slice_: int, refund: int) -> None:
        """Count what was charged and executed."""
        spent = slice_ - self.cpu.budget - refund
        self.retired += spent
        self._left -= spent

    def _leave(self, link: Link, slice_: int) -> None:
        """Do what the exit says."""
        self._settle(slice_, link.owed)
        kind = link.kind
        if kind is not ExitKind.INDIRECT:
            self.pc = link.exit.target
        block = self.cache.find(self.pc)
        if kind is ExitKind.INTERPRET:
            if self._left:
                self._interpret()
        elif kind is ExitKind.JUMP and block is None:
            self._pending = link
        elif kind is ExitKind.JUMP and block is not None:
            self.cache.link(link, block)
        elif kind is ExitKind.INDIRECT and block is not None:
            self.cache.add_jump(block)

    # -- one instruction ----------------------------------------------------------------------------------------------

    def _interpret(self) -> None:
        """Evaluate the instruction at pc."""
        insn = self._decode()
        if insn is None:
            return
        outcome = evaluate(lift_one(insn, self.pc), self.cpu.state, self.memory, self._counter)
        causes = self.guest.access_causes
        match outcome.left:
            case Left.JUMP | Left.SYNC_CODE:
                self._retire(outcome)
            case Left.READ_FAULT:
                self._trap(causes.read, outcome.value, insn.length)
            case Left.WRITE_FAULT:
                self._trap(causes.write, outcome.value, insn.length)
            case _:
                self._trap(outcome.cause, outcome.value, insn.length)

    def _decode(self) -> Insn | None:
        """The instruction at pc; None if there is none, which has then trapped."""
        isa = self.guest.isa
        code = self.memory.code(self.pc, LONGEST_INSN)
        word = int.from_bytes(code, "little")
        length = isa.length(word) if len(code) >= isa.parcel else isa.parcel
        if len(code) < length:
            self._trap(self.guest.access_causes.fetch, self.pc + len(code), 0)
            return None
        insn = isa.decode(word)
        if insn is None:
            self._trap(self.guest.illegal, word & (1 << 8 * length) - 1, length)
        return insn

    def _counter(self, name: str) -> int:
        return int(time.monotonic() * MICROSECONDS) if name == "time" else self.retired

    def _retire(self, outcome: Outcome) -> None:
        self.pc = outcome.pc
        self.retired += 1
        self._left -= 1
        if outcome.left is Left.SYNC_CODE:
            self.memory.code_changed = True
        stored, self.memory.stored = self.memory.stored, None
        if stored is not None:
            self._end_with(self.profile.stored(*stored))
        answer, self.memory.outcome = self.memory.outcome, None
        if answer is not None:
            self._end_with(cast(Answer, answer))

    def _trap(self, cause: int, value: int, length: int) -> None:
        pc, known = self.pc, self.guest.causes[cause]
        self._end_with(self.profile.trap(Trap(known.kind, cause, known.name, pc, value, length)))
        if self.pc != pc or isinstance(self._ending, Exited):
            self._answered += 1

    def _end_with(self, answer: Answer) -> None:
        self._ending = None if isinstance(answer, Continue) else answer


@contextmanager
def profiled(path: Path | str | bytes, args: Sequence[str] = ()) -> Iterator[Guide]:
    """What this host's interpreter counts in the first instructions of a program. Raises DynarecError."""
    from dynarec.engine import Machine
    from dynarec.profiles import ProfileGuide

    with Machine.load(path, args=args, tier="interp", stdin=io.BytesIO(), stdout=io.BytesIO()) as machine:
        machine.run(PROFILED)
        yield ProfileGuide(machine.core)


def run_emulated(
    path: Path | str | bytes, host: str, args: Sequence[str] = (), without: Collection[str] = ()
) -> Counts:
    """Run a program to its end on an emulated host, counting instructions. Raises DynarecError.

    Its traces go where the interpreter has gone before, as they do when a program becomes hot. without: see `load`.
    """
    with profiled(path, args) as guide:
        machine = EmulatedMachine.load(path, host, args, without=without, count_instructions=True, guide=guide)
        try:
            ending = machine.run()
        finally:
            machine.profile.close()
    assert ending is not None, "nothing but its end stops a run without a limit"
    return Counts(ending.status, machine.instructions, machine.cpu.executed)
