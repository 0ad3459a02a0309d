"""Machine `virt`: RAM, timer, interrupt controller, serial port and power switch, for programs in machine mode.

The guest takes its traps and interrupts itself. Its time is virtual by default, that is, counted in instructions, and
skips ahead while the guest waits: a run is the same every time, unless somebody types.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from dynarec.errors import BadProgram, DynarecError
from dynarec.machine.base import (
    PAGE_SIZE,
    Access,
    Died,
    Exited,
    Hardware,
    Machine,
    Options,
    Outcome,
    Profile,
    Trap,
)
from dynarec.machine.board import BOARDS, UART_SOURCE, Board, Contents, device_tree, fit
from dynarec.machine.console import STDERR_FD, STDOUT_FD, Output
from dynarec.machine.devicetree import Tree, decode, encode
from dynarec.machine.htif import WORD_SIZE, Htif
from dynarec.machine.recognise import RAM_START, TOHOST
from dynarec.machine.serial_input import FileInput, LiveInput, descriptor_of, is_live
from dynarec.machine.state import Fields, State, Stateful
from dynarec.machine.system import System
from dynarec.machine.terminal import EscapeFilter
from dynarec.machine.waiting import Interrupted
from dynarec.program import ADDRESS_SPACE, Program, Segment
from dynarec.symbols import Symbols
from guest_isa.privileged import Privileged

STATUS_MASK = 0xFF
LARGEST_RAM = ADDRESS_SPACE - RAM_START
CLOCKS = ("virtual", "host")


class Virt(Profile):
    """One machine."""

    name: ClassVar[str] = "virt"
    description: ClassVar[str] = "machine mode: RAM, timer, interrupt controller, serial port; boards virt and mini"
    repeats = True

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
        self._held: int | None = None
        self._htif: Htif | None = None

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
        tree = None if hardware.dtb is None else _read_tree(hardware.dtb)
        initrd = None if hardware.initrd is None else _read(hardware.initrd)
        size = len(self._encoded(tree, None if initrd is None else (0, 0)))
        tree_at = (RAM_START + hardware.memory - size) & -PAGE_SIZE
        self._check_in_ram("the device tree", tree_at, size)
        span = None
        if initrd is not None:
            start = (tree_at - len(initrd)) & -PAGE_SIZE
            self._check_in_ram("the initrd", start, len(initrd))
            self.machine.memory.write(start, initrd)
            span = (start, start + len(initrd))
        self.machine.memory.write(tree_at, self._encoded(tree, span))
        return tree_at

    def _encoded(self, tree: Tree | None, initrd: tuple[int, int] | None) -> bytes:
        """The tree of the user, or one that is made; its size does not depend on where the initrd is."""
        contents = Contents(self.hardware.memory, self.hardware.append, initrd)
        if tree is None:
            tree = Tree(device_tree(self.board, self.privileged, contents))
        else:
            fit(tree.root, contents)
        return encode(tree)

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
        """What has a state beside the core's own devices, by its name in a snapshot."""
        known: dict[str, Stateful | None] = {"input": self._input, "system": self._system, "htif": self._htif}
        return {name: each for name, each in known.items() if each is not None}

    def save(self) -> State:
        devices = self.machine.interrupts.save_devices()
        return {"devices": devices, **{name: each.save() for name, each in self._stateful().items()}}

    def restore(self, state: State) -> None:
        self.machine.interrupts.flush_uart()
        fields = Fields(state, "virt")
        for name, each in self._stateful().items():
            each.restore(fields.state(name))
        self.machine.interrupts.restore_devices(fields.state("devices"))

    def rewind(self, state: State) -> None:
        self.machine.interrupts.restore_devices(Fields(state, "virt").state("devices"))

    def stand_still(self) -> None:
        self._held = self.machine.interrupts.elapsed

    def go_on(self) -> None:
        if self._held is not None:
            self.machine.interrupts.elapsed, self._held = self._held, None

    # -- while it runs ------------------------------------------------------------------------------------------------

    def trap(self, trap: Trap) -> Outcome:
        """The handler traps at its own first instruction, which it would do for ever."""
        self.machine.interrupts.flush_uart()
        return Died(trap)

    def stored(self, address: int, size: int) -> Outcome:
        if self._htif is None:
            return super().stored(address, size)
        try:
            outcome = self._htif.stored(address, size)
        except Interrupted:
            return super().stored(address, size)
        failed = self._htif.ended_with
        return self._failed(failed) if isinstance(outcome, Exited) and failed else outcome

    def _failed(self, test: int) -> Exited:
        """As riscv-tests tell it. A number whose eight bits are 0 is a failure too."""
        self.machine.interrupts.flush_uart()
        self._stderr.write(
            f"dynarec: {self.machine.program.name}: test {test} failed (it ended with tohost)\n".encode()
        )
        return Exited(test & STATUS_MASK or 1)

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


def _read_tree(path: Path) -> Tree:
    data = _read(path)
    try:
        return decode(data)
    except DynarecError as error:
        raise DynarecError(f"{path}: {error}") from error


def raw_program(path: Path, machine_id: int) -> Program:
    """A kernel that is no ELF file: its bytes are what the RAM starts with. Raises DynarecError."""
    data = _read(path)
    if not data:
        raise BadProgram(f"{path}: is empty")
    segment = Segment(RAM_START, data, len(data), True, True, True)
    return Program(path.name, RAM_START, [segment], Symbols(), machine_id, 0, path=path)
