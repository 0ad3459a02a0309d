"""A machine of this process that is inspected while it runs."""

from __future__ import annotations

from collections.abc import Collection

from dynarec.engine import Machine
from dynarec.inspect.model import Recording
from dynarec.inspect.recorder import Recorder


class LiveSource:
    """Gives recordings of a machine; a `Source`. Who runs the machine is somebody else's business.

    live: until it is closed.
    """

    def __init__(self, machine: Machine, recorder: Recorder) -> None:
        self.name = machine.program.name
        self.live = True
        self._recorder = recorder

    def record(self) -> Recording:
        return self._recorder.record()

    def erase(self, serial: int) -> None:
        self._recorder.erase(serial)

    def retranslate(self, serial: int, without: Collection[str] = ()) -> None:
        self._recorder.retranslate(serial, without)

    def close(self) -> None:
        if self.live:
            self.live = False
            self._recorder.close()
