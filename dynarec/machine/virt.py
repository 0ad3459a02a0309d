"""Machine `virt`: RAM, timer, interrupt controller, serial port and power switch, for programs in machine mode.

The guest takes its traps and interrupts itself. Its time is virtual by default, that is, counted in instructions, and
skips ahead while the guest waits: a run is the same every time, unless somebody types.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from dynarec.errors import BadProgram, DynarecError
from dynarec.machine import devicetree
from dynarec.machine.base import (
    PAGE_SIZE,
    Access,
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
from dynarec.machine.htif import TOHOST, WORD_SIZE, Htif
from dynarec.machine.serial_input import FileInput, LiveInput, descriptor_of, is_live
from dynarec.machine.system import System
from dynarec.machine.terminal import EscapeFilter
from dynarec.machine.waiting import Interrupted
from dynarec.program import ADDRESS_SPACE, Program, Segment
from dynarec.symbols import Symbols
from guest_isa.privileged import Privileged

LARGEST_RAM = ADDRESS_SPACE - RAM_START
CLOCKS = ("virtual", "host")
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
        self._system: System | None = None
        self._htif: Htif | None = None

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
        """Put the devices where the board has them."""
        interrupts, privileged, board = self.machine.interrupts, self.privileged, self.board
        virtual = self.hardware.clock == CLOCKS[0]
        interrupts.set_clock(board.ticks_per_second, board.instructions_per_tick if virtual else 0)
        interrupts.add_clint(board.clint, privileged.software, privileged.timer)
        interrupts.add_finisher(board.finisher)
        if board.plic is not None:
            interrupts.add_plic(board.plic, privileged.external)
        descriptor = descriptor_of(self.options.stdin)
        live = descriptor is not None and is_live(descriptor)
        self._input: FileInput | LiveInput = FileInput(self.options.stdin, descriptor)
        source = UART_SOURCE if board.plic is not None else 0
        interrupts.add_uart(board.uart, source, self, always_ready=not live)
        if live and descriptor is not None:
            keys = EscapeFilter(interrupts.request_stop, self._stderr.write)
            self._input = LiveInput(descriptor, interrupts.feed_uart, keys)

    def send(self, data: bytes) -> None:
        self._stdout.write(data)

    def fetch(self, size: int) -> bytes:
        return self._input.read(size)

    # -- the program --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Fill the RAM, and start in machine mode with the device tree at hand. Raises BadProgram, DynarecError."""
        machine, memory = self.machine, self.machine.memory
        self._connect()
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

    # -- while it runs ------------------------------------------------------------------------------------------------

    def trap(self, trap: Trap) -> Outcome:
        """The handler traps at its own first instruction, which it would do for ever."""
        self.machine.interrupts.flush_uart()
        return Died(trap)

    def stored(self, address: int, size: int) -> Outcome:
        try:
            return self._htif.stored(address, size) if self._htif else super().stored(address, size)
        except Interrupted:
            return super().stored(address, size)

    def wait(self) -> None:
        """Sleep, or skip ahead to the timer when nobody can type meanwhile."""
        interrupts = self.machine.interrupts
        interrupts.flush_uart()
        hears = self._input.live and interrupts.uart_hears
        interrupts.wait(self.board.instructions_per_second if hears else 0)

    def interrupt(self) -> None:
        if self._system is not None:
            self._system.waiter.interrupt()

    def close(self) -> None:
        self.machine.interrupts.flush_uart()
        self._input.close()
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
