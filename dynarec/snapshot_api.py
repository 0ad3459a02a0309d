"""The functions by which a machine is saved and restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from dynarec.guest_pages import Moment
from dynarec.hooks import Hooks
from dynarec.machine.base import Device, Exited, Profile
from dynarec.machine.state import Fields, State
from dynarec.snapshot import Origin, Snapshot

if TYPE_CHECKING:
    from dynarec.core import Core
    from dynarec.program import Program
    from dynarec.run_loop import RunLoop
    from guest_isa.guest import Guest


class Restorable(ABC):
    """What of `Machine` is about snapshots."""

    program: Program
    guest: Guest
    profile: Profile
    _core: Core
    _hooks: Hooks
    _loop: RunLoop

    @abstractmethod
    def _owned(self) -> AbstractContextManager[None]:
        """Nobody else uses the machine meanwhile. Raises DynarecError if it runs, or is closed."""

    def snapshot(self) -> Snapshot:
        """All that the machine is now, to go back to. It costs as much as was written since the last one.

        Raises DynarecError while the machine runs, or when it is closed.
        """
        with self._owned():
            status = None if self._loop.exited is None else self._loop.exited.status
            state = self.profile.save()
            return Snapshot(
                origin=self._origin,
                moment=self._core.moment,
                pages=self._core.save_pages(),
                answered=self._loop.answered,
                exited=status,
                profile=state,
                devices=self._save_devices(),
            )

    def restore(self, snapshot: Snapshot) -> None:
        """Become what a machine with the same program was when it took the snapshot, and go on from there.

        What the program has written to files and streams stays written; files that it had open are open again, at their
        positions. Translations live on, unless memory held other code then.

        Raises DynarecError while the machine runs, when it is closed, and when the snapshot does not fit it or a file
        cannot be opened again: the machine is then what it was.
        """
        with self._owned():
            snapshot.check(self.guest, self._origin, self._added_devices().keys())
            self._core.check_pages(snapshot.pages)
            before = self.profile.save(), self._core.moment, self._save_devices()
            try:
                self._restore_around(snapshot.profile, snapshot.moment, snapshot.devices)
                self._core.restore_pages(snapshot.pages)
            except BaseException:
                self._restore_around(*before)
                raise
            self._hooks.forget()
            self._loop.answered = snapshot.answered
            self._loop.exited = None if snapshot.exited is None else Exited(snapshot.exited)

    def rewind(self, snapshot: Snapshot) -> None:
        """Look at a moment of the past: registers, memory and devices that can be asked again are what they were.

        What the machine has of the host (files, positions in them) is left alone. Raises DynarecError while it runs.
        """
        with self._owned():
            self._core.moment = snapshot.moment
            self.profile.rewind(snapshot.profile)
            self._core.restore_pages(snapshot.pages)
            self._hooks.forget()
            self._loop.answered = snapshot.answered
            self._loop.exited = None if snapshot.exited is None else Exited(snapshot.exited)

    def _restore_around(self, profile: State, moment: Moment, devices: State) -> None:
        """All but memory."""
        saved = Fields(devices, "devices")
        for name, device in self._added_devices().items():
            device.restore(saved.state(name))
        self._core.moment = moment
        self.profile.restore(profile)

    def _save_devices(self) -> State:
        return {name: device.save() for name, device in self._added_devices().items()}

    def _added_devices(self) -> dict[str, Device]:
        """Devices by their addresses, but the profile, which may be one itself."""
        profile: object = self.profile
        return {name: each for name, each in self._core.devices.items() if each is not profile}

    @cached_property
    def _origin(self) -> Origin:
        names = {field.index: field.name for field in self.guest.layout}
        return Origin(
            guest=self.guest.name,
            program=self.program.name,
            digest=self.program.digest(),
            machine=self.profile.name,
            parts=self.profile.parts,
            registers=tuple(names.get(index, "") for index in range(max(names) + 1)),
        )
