"""Chooses which guest registers live in host registers from what the program really uses.

A program starts with the guest's default order. Samples, taken every so many guest instructions and so the same in
every run, tell where it spends its time; the registers that the code there names are counted. Where another choice
saves enough, the machine changes to it; or to what earlier runs of the program have chosen then, if that is not much
worse. State in memory is exact between two entries of generated code, so that all it takes is to empty the code cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynarec.ir.state import Field

if TYPE_CHECKING:
    from dynarec.core import Core
    from dynarec.translate import Translator
    from guest_isa.guest import Guest

SAMPLE_INTERVAL = 1_000_003
"""Guest instructions between two samples: a prime, so that it does not beat with loops."""
DECISIONS = (48, 400)
"""A choice is made when there are so many samples."""
WORTH = 0.06
"""Change when so much of all register uses moves from memory to registers."""
LOYALTY = 2
"""So much more it has to be for another choice than an earlier run's."""


class HomeTuner:
    """Watches one machine until the last decision is made."""

    def __init__(self, guest: Guest, core: Core, translator: Translator) -> None:
        self._guest = guest
        self._core = core
        self._translator = translator
        self._named: dict[int, list[Field]] = {}
        """What the code at each sample names."""
        self._uses: Counter[Field] = Counter()
        """How often that is, weighted by the samples."""
        self._count = 0
        self.choices: dict[int, tuple[Field, ...]] = {}
        """Those of earlier runs of the program, for there is code for them, and of this one; by samples."""
        self.finished = len(translator.host.home_registers) >= len(guest.layout.fields)

    def sample(self, pc: int) -> None:
        """The guest is at `pc`. What is named there is counted at once: the guest waits, and is not to wait for all."""
        if pc not in self._named:
            self._named[pc] = self._names(pc)
        self._uses.update(self._named[pc])
        self._count += 1
        if self._count in DECISIONS:
            self._decide()
            self._named.clear()
            self._uses.clear()
        self.finished = self._count >= DECISIONS[-1]

    def _decide(self) -> None:
        now = self._translator.host.home_fields
        chosen = self.choices[self._count] = self._choice(now)
        if chosen != now:
            self._translator.host.set_homes(chosen)
            self._core.set_homes(chosen)

    def _choice(self, now: tuple[Field, ...]) -> tuple[Field, ...]:
        uses = self._uses
        order = sorted(self._guest.layout.fields, key=lambda field: (-uses[field], field not in now, field.index))
        best = tuple(order[: len(now)])

        def is_good(fields: Sequence[Field], times: int) -> bool:
            missing = sum(uses[field] for field in best) - sum(uses[field] for field in fields)
            return missing <= times * WORTH * uses.total()

        earlier = self.choices.get(self._count)
        if earlier is not None and len(earlier) == len(set(earlier)) == len(now) and is_good(earlier, LOYALTY):
            return earlier
        return now if is_good(now, 1) else best

    def _names(self, pc: int) -> list[Field]:
        """The fields that the code from `pc` on names, each as often as it does."""
        from dynarec.trace import form_trace

        code = form_trace(self._guest, self._translator.fetch, pc).decoded
        return [argument for insn in code for argument in insn.arguments if isinstance(argument, Field)]
