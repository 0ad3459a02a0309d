"""How long the guest stood still for translations."""

from __future__ import annotations

NS_PER_US = 1000


class Histogram:
    """Of times."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        """Of times of less than 2 ** i microseconds, and no less than 2 ** (i - 1)."""
        self.longest = 0
        """In nanoseconds."""

    def note(self, nanoseconds: int) -> None:
        """One more."""
        index = (nanoseconds // NS_PER_US).bit_length()
        self.counts += [0] * (index + 1 - len(self.counts))
        self.counts[index] += 1
        self.longest = max(self.longest, nanoseconds)


class Pauses(Histogram):
    """Times in which the CPU thread did not run the guest because of translations.

    work: the processor time that it used in them, where it did something; the rest of a pause it waited, for Python's
    GIL or for a processor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work = Histogram()
