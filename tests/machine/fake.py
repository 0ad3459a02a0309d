"""A machine without a CPU: guest memory in a dict of pages, registers in a dict."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from dynarec.errors import GuestMemoryError
from dynarec.machine.base import PAGE_SIZE, Access, ByteFile, Options, Outcome, Trap, TrapKind
from dynarec.machine.user import UserProfile
from dynarec.program import Program
from guest_isa.profile import Abi, SemihostingMarker

MARKER = SemihostingMarker(b"\x13\x10\xf0\x01", b"\x73\x00\x10\x00", b"\x13\x50\x70\x40", "r0", "r1")
ABI = Abi("r7", ("r0", "r1", "r2", "r3", "r4", "r5"), "r0", "sp", MARKER)
MACHINE_ID = 243
MACHINE_IDS = {MACHINE_ID: "fake"}
SPACE = 1 << 32


class FakeMemory:
    """Pages come into being when they are touched; mapping is a list of spans, so huge ones cost nothing."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int, Access]] = []
        self.pages: dict[int, bytearray] = {}
        self.watched: list[tuple[int, int]] = []

    def map(self, address: int, size: int, access: Access) -> None:
        assert address % PAGE_SIZE == 0
        assert size % PAGE_SIZE == 0
        assert size > 0
        assert address >= 0
        assert address + size <= SPACE
        self.unmap(address, size)
        self.spans.append((address, address + size, access))

    def unmap(self, address: int, size: int) -> None:
        self._cut(address, address + size)
        for page in [p for p in self.pages if address <= p < address + size]:
            del self.pages[page]

    def _cut(self, start: int, end: int) -> None:
        kept = []
        for low, high, access in self.spans:
            if high <= start or end <= low:
                kept.append((low, high, access))
                continue
            kept += [(a, b, access) for a, b in ((low, start), (end, high)) if a < b]
        self.spans = kept

    def protect(self, address: int, size: int, access: Access) -> None:
        if not self.is_mapped(address, size):
            raise GuestMemoryError(address, size, "map")
        self._cut(address, address + size)
        self.spans.append((address, address + size, access))

    def access(self, address: int) -> Access | None:
        return next((a for low, high, a in self.spans if low <= address < high), None)

    def is_mapped(self, address: int, size: int) -> bool:
        return self._covered(address, size, Access.NONE)

    def _covered(self, address: int, size: int, need: Access) -> bool:
        at, end = address, address + size
        while at < end:
            found = next((s for s in self.spans if s[0] <= at < s[1] and s[2] & need == need), None)
            if found is None:
                return False
            at = found[1]
        return True

    def read(self, address: int, size: int, checked: bool = False) -> bytes:
        if not self._covered(address, size, Access.READ if checked else Access.NONE):
            raise GuestMemoryError(address, size, "read")
        out = bytearray()
        while len(out) < size:
            at = address + len(out)
            page, offset = at & -PAGE_SIZE, at % PAGE_SIZE
            take = min(PAGE_SIZE - offset, size - len(out))
            out += self.pages.get(page, bytes(PAGE_SIZE))[offset : offset + take]
        return bytes(out)

    def write(self, address: int, data: bytes, checked: bool = False) -> None:
        if not self._covered(address, len(data), Access.WRITE if checked else Access.NONE):
            raise GuestMemoryError(address, len(data), "write")
        done = 0
        while done < len(data):
            page, offset = (address + done) & -PAGE_SIZE, (address + done) % PAGE_SIZE
            take = min(PAGE_SIZE - offset, len(data) - done)
            self.pages.setdefault(page, bytearray(PAGE_SIZE))[offset : offset + take] = data[done : done + take]
            done += take

    def watch(self, address: int, size: int) -> None:
        self.watched.append((address, size))


@dataclass
class FakeGuest:
    name: str = "fake32"
    abi: Abi | None = ABI


@dataclass
class FakeMachine:
    program: Program
    memory: FakeMemory = field(default_factory=FakeMemory)
    regs: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*(f"r{n}" for n in range(8)), "sp"], 0))
    guest: FakeGuest = field(default_factory=FakeGuest)
    pc: int = 0
    instructions: int = 0


class Stream(io.BytesIO):
    """A stream without a descriptor."""

    def fileno(self) -> int:
        raise OSError("no descriptor")


class Process:
    """A loaded program whose system calls the test makes itself. `scratch` is guest memory to pass things in."""

    def __init__(
        self, program: Program, root: Path | None = None, *, stdin: bytes | ByteFile = b"", **options: object
    ) -> None:
        self.stdout, self.stderr = Stream(), Stream()
        given = Stream(stdin) if isinstance(stdin, bytes) else stdin
        chosen = {"stdin": given, "stdout": self.stdout, "stderr": self.stderr, "seed": 1} | options
        self.machine = FakeMachine(program)
        self.profile = UserProfile(self.machine, Options(root=root, **chosen))  # type: ignore[arg-type]
        self.profile.load()
        self.memory = self.machine.memory
        self.system = self.profile.system
        self.scratch = 0x4000_0000
        self.system.map_anonymous(self.scratch, 0x10_0000, Access.READ | Access.WRITE)
        self._next = self.scratch

    def put(self, data: bytes | str) -> int:
        """Store bytes, or text with a zero after it; the address."""
        raw = data.encode() + b"\0" if isinstance(data, str) else data
        address, self._next = self._next, (self._next + len(raw) + 15) & ~15
        self.memory.write(address, raw)
        return address

    def room(self, size: int) -> int:
        return self.put(bytes(size))

    def outcome(self, number: int, *args: int) -> Outcome:
        """Trap with a system call."""
        for register, value in zip(ABI.args, (*args, 0, 0, 0, 0, 0, 0), strict=False):
            self.machine.regs[register] = value & 0xFFFFFFFF
        self.machine.regs["r7"] = number
        return self.profile.trap(Trap(TrapKind.SYSCALL, 8, "call", 0x1000, 0, 4))

    def call(self, number: int, *args: int) -> int:
        """The signed result of a system call that returns."""
        outcome = self.outcome(number, *args)
        assert type(outcome).__name__ == "Continue", outcome
        assert self.machine.pc == 0x1004
        result = self.machine.regs["r0"]
        return result - SPACE if result >> 31 else result
