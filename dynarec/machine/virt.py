"""Machine `virt`: RAM, timer, interrupt controller, serial port and power switch, for programs in machine mode.

The guest takes its traps and interrupts itself. Its time is virtual by default, that is, counted in instructions, and
skips ahead while the guest waits: a run is the same every time, unless somebody types.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from dynarec.errors import BadProgram, DynarecError
from dynarec.machine import devicetree
from dynarec.machine.base import (
    PAGE_SIZE,
    Access,
    Device,
    Died,
    GuestFacts,
    Hardware,
    Machine,
    Options,
    Outcome,
    Profile,
    Trap,
)
from dynarec.machine.board import BOARDS, RAM_START, UART_SOURCE, Board, Contents, device_tree
from dynarec.machine.console import STDERR_FD, STDOUT_FD, Output
from dynarec.machine.devices import clint, plic
from dynarec.machine.devices.clint import Clint, VirtualAlarm
from dynarec.machine.devices.finisher import Finisher
from dynarec.machine.devices.host_alarm import HostAlarm
from dynarec.machine.devices.plic import Plic
from dynarec.machine.devices.uart import Uart
from dynarec.machine.htif import TOHOST, WORD_SIZE, Htif
from dynarec.machine.serial_input import FileInput, LiveInput, descriptor_of, is_live
from dynarec.machine.state import Fields, State, Stateful
from dynarec.machine.system import System
from dynarec.machine.terminal import EscapeFilter
from dynarec.machine.waiting import Interrupted
from dynarec.program import ADDRESS_SPACE, Program, Segment
from dynarec.symbols import Symbols
from guest_isa.privileged import Privileged

LARGEST_RAM = ADDRESS_SPACE - RAM_START
CLOCKS = ("virtual", "host")
LINE_BYTES = 256
"""Output is handed on by lines, and lines that are longer in pieces."""
SOON = 1 << 20
"""Bytes from the entry on in which machine code sets up its trap handler."""


class Virt(Profile):
    """One machine."""

    name: ClassVar[str] = "virt"
    description: ClassVar[str] = "machine mode: RAM, timer, interrupt controller, serial port; boards virt and mini"

    def __init__(self, machine: Machine, options: Options) -> None:
        super().__init__(machine, options)
        if machine.guest.privileged is None:
            raise DynarecError(f"{machine.guest.name}: this guest has no machine mode; choose another machine")
        self.privileged: Privileged = machine.guest.privileged
        self.hardware: Hardware = options.hardware
        self.board: Board = _board(self.hardware)
        self._stdout = Output(options.stdout, STDOUT_FD)
        self._stderr = Output(options.stderr, STDERR_FD)
        self._line = bytearray()
        self._wake = threading.Event()
        self._system: System | None = None
        self._htif: Htif | None = None
        self._connect()

    @classmethod
    def recognise(cls, program: Program, guest: GuestFacts) -> str | None:
        """A program for the RAM of this machine with code that only machine mode may execute."""
        if guest.privileged is None or not all(segment.address >= RAM_START for segment in program.segments):
            return None
        code = next((s for s in program.segments if s.address <= program.entry < s.end), None)
        if code is None or not re.search(guest.privileged.marker, code.data[:SOON], re.DOTALL):
            return None
        tohost = program.symbols.lookup(TOHOST)
        return "machine mode" if tohost is None else f"machine mode, HTIF tohost at {tohost:#010x}"

    # -- devices ------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Make the devices and join them."""
        interrupts, privileged = self.machine.interrupts, self.privileged
        virtual = self.hardware.clock == CLOCKS[0]
        interrupts.set_clock(self.board.ticks_per_second, self.board.instructions_per_tick if virtual else 0)
        self._alarm: VirtualAlarm | HostAlarm
        if virtual:
            self._alarm = VirtualAlarm(interrupts, privileged.timer, self.board.instructions_per_tick)
        else:
            self._alarm = HostAlarm(interrupts, privileged.timer, self.board.ticks_per_second, self._wake.set)
        self.clint = Clint(interrupts, privileged.software, privileged.timer, self._alarm)
        self.plic = Plic(lambda up: interrupts.set_lines(privileged.external, up))
        descriptor = descriptor_of(self.options.stdin)
        self._input: FileInput | LiveInput = FileInput(self.options.stdin, descriptor)
        live = descriptor is not None and is_live(descriptor)
        refill = (lambda size: b"") if live else self._input.read
        self.uart = Uart(self._send, self._uart_line, refill, self._flush)
        if live and descriptor is not None:
            keys = EscapeFilter(interrupts.request_stop, self._stderr.write)
            self._input = LiveInput(descriptor, self.uart, keys, self._wake.set)

    def _uart_line(self, up: bool) -> None:
        if self.board.plic is not None:
            self.plic.set_source(UART_SOURCE, up)

    def devices(self) -> Sequence[tuple[range, Device]]:
        board = self.board
        placed: list[tuple[int, int, Device]] = [
            (board.uart, PAGE_SIZE, self.uart),
            (board.clint, clint.SIZE, self.clint),
            (board.finisher, PAGE_SIZE, Finisher()),
        ]
        if board.plic is not None:
            placed.append((board.plic, plic.SIZE, self.plic))
        return [(range(start, start + size), device) for start, size, device in placed]

    def _send(self, byte: int) -> None:
        self._line.append(byte)
        if byte == ord("\n") or len(self._line) >= LINE_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = bytes(self._line)
        self._line.clear()
        self._stdout.write(data)

    # -- the program --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Fill the RAM, and start in machine mode with the device tree at hand. Raises BadProgram, DynarecError."""
        machine, memory = self.machine, self.machine.memory
        memory.map(RAM_START, self.hardware.memory, Access.READ | Access.WRITE | Access.EXECUTE)
        for segment in machine.program.segments:
            address = segment.physical or segment.address
            self._check_in_ram(f"{machine.program.name}: segment", address, segment.size)
            memory.write(address, segment.data)
        for name, value in self.privileged.reset.items():
            machine.regs[name] = value
        machine.regs[self.privileged.hart] = 0
        machine.regs[self.privileged.tree] = self._place_tree()
        machine.pc = machine.program.entry
        self._watch()
        machine.interrupts.own_traps()

    def _check_in_ram(self, what: str, address: int, size: int) -> None:
        end = RAM_START + self.hardware.memory
        if address < RAM_START or address + size > end:
            where = f"{address:#010x} to {address + size:#010x}"
            raise BadProgram(f"{what} at {where} lies outside the RAM, {RAM_START:#010x} to {end:#010x}")

    def _place_tree(self) -> int:
        """Put initrd and device tree at the end of the RAM; the tree's address."""
        hardware = self.hardware
        top = RAM_START + hardware.memory
        tree = _read(hardware.dtb) if hardware.dtb is not None else None
        initrd = _read(hardware.initrd) if hardware.initrd is not None else b""
        room = PAGE_SIZE * (1 + len(tree or b"") // PAGE_SIZE + len(hardware.append) // PAGE_SIZE)
        tree_at = (top - room - PAGE_SIZE) & -PAGE_SIZE
        start = (tree_at - len(initrd)) & -PAGE_SIZE
        self._check_in_ram("the initrd", start, len(initrd))
        if tree is None:
            span = (start, start + len(initrd)) if initrd else None
            contents = Contents(hardware.memory, hardware.append, span)
            tree = devicetree.encode(device_tree(self.board, self.privileged, contents))
        self.machine.memory.write(start, initrd)
        self.machine.memory.write(tree_at, tree)
        return tree_at

    def _watch(self) -> None:
        """Test programs end by a store to `tohost`."""
        tohost = self.machine.program.symbols.lookup(TOHOST)
        if tohost is not None and self.machine.memory.is_mapped(tohost, WORD_SIZE):
            self._system = System(self.machine, self.options)
            self._htif = Htif(self._system, tohost)
            self.machine.memory.watch(tohost, WORD_SIZE)

    # -- snapshots ----------------------------------------------------------------------------------------------------

    @property
    def parts(self) -> State:
        return {"board": self.hardware.board, "memory": self.hardware.memory, "clock": self.hardware.clock}

    def _stateful(self) -> dict[str, Stateful]:
        """What has a state, by its name in a snapshot; the serial port after the controller that it is joined to."""
        known: dict[str, Stateful | None] = {
            "clint": self.clint, "plic": self.plic, "input": self._input, "uart": self.uart,
            "system": self._system, "htif": self._htif,
        }  # fmt: skip
        return {name: each for name, each in known.items() if each is not None}

    def save(self) -> State:
        self._flush()
        return {name: each.save() for name, each in self._stateful().items()}

    def restore(self, state: State) -> None:
        self._flush()
        fields = Fields(state, "virt")
        for name, each in self._stateful().items():
            each.restore(fields.state(name))

    # -- while it runs ------------------------------------------------------------------------------------------------

    def trap(self, trap: Trap) -> Outcome:
        """The handler traps at its own first instruction, which it would do for ever."""
        self._flush()
        return Died(trap)

    def stored(self, address: int, size: int) -> Outcome:
        try:
            return self._htif.stored(address, size) if self._htif else super().stored(address, size)
        except Interrupted:
            return super().stored(address, size)

    def wait(self) -> None:
        """Sleep, or skip ahead to the timer when nothing else can wake the guest."""
        self._flush()
        if isinstance(self._alarm, VirtualAlarm):
            self._wait_virtual(self._alarm)
        else:
            self._sleep(None)

    def _wait_virtual(self, alarm: VirtualAlarm) -> None:
        interrupts = self.machine.interrupts
        now = interrupts.virtual_time
        at = alarm.at if alarm.at is not None and alarm.at > now else None
        hears = self._input.live and (self.uart.interrupts_on_input or self.board.plic is None)
        if at is not None and not hears:
            interrupts.skip_to(at)
            return
        rate = self.board.instructions_per_second
        since = time.monotonic()
        if not self._sleep(None if at is None else (at - now) / rate) and at is not None:
            interrupts.skip_to(at)
        else:
            passed = now + int((time.monotonic() - since) * rate)
            interrupts.skip_to(passed if at is None else min(passed, at))

    def _sleep(self, seconds: float | None) -> bool:
        """Until something has happened (True), or so long (False)."""
        happened = self._wake.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))
        self._wake.clear()
        return happened

    def interrupt(self) -> None:
        self._wake.set()
        if self._system is not None:
            self._system.waiter.interrupt()

    def close(self) -> None:
        self._flush()
        self._input.close()
        if isinstance(self._alarm, HostAlarm):
            self._alarm.close()
        if self._system is not None:
            self._system.close()


def _board(hardware: Hardware) -> Board:
    """The board that is asked for. Raises DynarecError."""
    if hardware.board not in BOARDS:
        raise DynarecError(f"unknown board {hardware.board!r}: choose one of {', '.join(BOARDS)}")
    if hardware.clock not in CLOCKS:
        raise DynarecError(f"unknown clock {hardware.clock!r}: choose one of {', '.join(CLOCKS)}")
    if not 0 < hardware.memory <= LARGEST_RAM or hardware.memory % PAGE_SIZE:
        raise DynarecError(f"{hardware.memory} bytes of memory: choose whole pages, at most {LARGEST_RAM >> 20} MiB")
    return BOARDS[hardware.board]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DynarecError(f"{path}: cannot be read: {error.strerror or error}") from error


def raw_program(path: Path, machine_id: int) -> Program:
    """A kernel that is no ELF file: its bytes are what the RAM starts with. Raises DynarecError."""
    data = _read(path)
    if not data:
        raise BadProgram(f"{path}: is empty")
    segment = Segment(RAM_START, data, len(data), True, True, True)
    return Program(path.name, RAM_START, [segment], Symbols(), machine_id, 0, path=path)
