"""Watches the code cache of one machine, and makes recordings of it."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynarec.inspect.model import Cache, Circumstances, Death, Exit, Generation, Label, Moment, Recording, Subject, Unit

if TYPE_CHECKING:
    from dynarec.engine import Machine
    from dynarec.translate import Translation


@dataclass(slots=True)
class _Born:
    """A translation that was installed."""

    serial: int
    translation: Translation
    circumstances: Circumstances
    offset: int
    code: bytes
    host_insns: int
    when: Moment
    install_seconds: float
    died: Death | None = None


class Recorder:
    """Watches one machine from now on; made while that does not run. Any thread may ask it to `record`, at any time."""

    def __init__(self, machine: Machine) -> None:
        """Raises DynarecError when the machine interprets everything, or has a recorder already."""
        self._machine = machine
        self._since = time.perf_counter_ns()
        self._units: list[_Born] = []
        self._live: dict[int, _Born] = {}
        self._deaths = machine.stats().discarded
        self._lock = threading.Lock()
        machine.watch_installs(self._installed)

    def close(self) -> None:
        """Watch no more. May be called twice."""
        self._machine.watch_installs(None)

    def record(self) -> Recording:
        """Everything that is known now."""
        with self._lock:
            self._collect()
            units = tuple(self._unit(born) for born in self._units)
        machine = self._machine
        stats = machine.core.stats()
        return Recording(
            subject=self._subject(),
            taken=self._now(),
            counted=False,
            cache=Cache(
                size=machine.cache_size,
                policy=machine.core.policy,
                generations=(Generation(0, machine.cache_size, 0),),
                current=0,
                stats={name: value for name, value in stats.items() if isinstance(value, int)},
                deaths=machine.stats().deaths,
                exits=machine.stats().exits,
            ),
            units=units,
            labels=tuple(
                sorted(
                    (Label(s.address, s.size, s.name, s.is_function) for s in machine.symbols),
                    key=lambda label: (label.address, label.size, label.name),
                )
            ),
        )

    def _subject(self) -> Subject:
        machine, program = self._machine, self._machine.program
        digest = hashlib.sha256(b"".join(segment.data for segment in program.segments)).hexdigest()
        host = machine.translator.host.name if machine.translator else ""
        return Subject(
            program.name,
            digest,
            machine.guest.name,
            machine.profile.name,
            host,
            machine.core.tier.name.lower(),
            program.entry,
        )

    def _now(self) -> Moment:
        return Moment(time.perf_counter_ns() - self._since, self._machine.core.instructions)

    def _installed(self, translation: Translation, install_seconds: float) -> None:
        with self._lock:
            self._collect()
            core = self._machine.core
            offset = core.find(translation.unit.key)
            if offset is None:
                return
            code = core.read_code(offset, len(translation.code.code))
            translator = self._machine.translator
            assert translator is not None
            host = translator.host
            circumstances = Circumstances(
                host.name,
                tuple(field.name for field in host.home_fields),
                translation.limit,
                features=host.features,
                checked=translation.checked,
                without=(),
                harden=tuple(each.value for each in host.harden),
                counted=host.counting,
            )
            born = _Born(
                len(self._units) + 1,
                translation,
                circumstances,
                offset,
                code,
                len(host.disassemble(code)),
                self._now(),
                install_seconds,
            )
            self._units.append(born)
            self._live[translation.unit.key] = born

    def _collect(self) -> None:
        for death in self._machine.core.deaths(self._deaths):
            self._deaths += 1
            born = self._live.pop(death.key, None)
            if born is not None:
                when = Moment(self._now().time, death.instructions)
                born.died = Death(when, death.reason, death.address, 0)

    def _unit(self, born: _Born) -> Unit:
        translation, unit = born.translation, born.translation.unit
        code = translation.code
        return Unit(
            serial=born.serial,
            key=unit.key,
            tier="trace",
            ranges=tuple(translation.ranges),
            source=translation.source,
            pcs=tuple(insn.pc for insn in unit.insns),
            charged=unit.retired,
            offset=born.offset,
            code=born.code,
            host_insns=born.host_insns,
            marks=tuple((mark.offset, mark.op) for mark in code.marks),
            op_insns=tuple(op.at for op in unit.ops),
            exits=tuple(
                Exit(e.kind.name.lower(), e.target, unit.retired - e.refund, e.ret, None, 0, None) for e in code.exits
            ),
            circumstances=born.circumstances,
            phases={**translation.phases, "install": born.install_seconds},
            batch=0,
            born=born.when,
            died=born.died,
            rounds=None,
            instructions=None,
            samples=0,
        )
