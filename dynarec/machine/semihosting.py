"""Semihosting: the operations of the "Semihosting for AArch32 and AArch64" specification, on a 32-bit guest.

Most operations take the address of a block of words; handles are never 0, so a handle is a descriptor number plus 1.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable
from enum import IntEnum

from dynarec.errors import GuestMemoryError
from dynarec.machine.base import Exited, Machine, Outcome, Trap
from dynarec.machine.files import OpenFile, StreamFile, made_up_status
from dynarec.machine.linux_errno import EINVAL, ENOSYS, GuestError, from_host
from dynarec.machine.state import Fields, State
from dynarec.machine.system import System, signed
from dynarec.program import ADDRESS_SPACE
from guest_isa.profile import SemihostingMarker

FAILED = -1
CONSOLE = ":tt"
FEATURES_NAME = ":semihosting-features"
FEATURES = b"SHFB\x03"
"""Magic, then bit 0 SH_EXT_EXIT_EXTENDED and bit 1 SH_EXT_STDOUT_STDERR (specification, 3.2)."""
APPLICATION_EXIT = 0x20026
"""ADP_Stopped_ApplicationExit: the only reason that is a success."""
CENTISECOND = 10**7
NANOSECONDS = 10**9
TICK_FREQUENCY = 10**9
LARGEST_TEXT = 1 << 16
MODES = (
    os.O_RDONLY,
    os.O_RDWR,
    os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    os.O_RDWR | os.O_CREAT | os.O_APPEND,
)
"""fopen's r, r+, w, w+, a, a+; a mode number counts each twice (text and binary)."""
TEXT_AND_BINARY = 2
READ_ONLY_FILE = stat.S_IFREG | 0o444
WRITE_MODES, APPEND_MODES = range(4, 8), range(8, 12)


class Operation(IntEnum):
    """Operation numbers (specification, section 2)."""

    OPEN = 0x01
    CLOSE = 0x02
    WRITEC = 0x03
    WRITE0 = 0x04
    WRITE = 0x05
    READ = 0x06
    READC = 0x07
    ISERROR = 0x08
    ISTTY = 0x09
    SEEK = 0x0A
    FLEN = 0x0C
    TMPNAM = 0x0D
    REMOVE = 0x0E
    RENAME = 0x0F
    CLOCK = 0x10
    TIME = 0x11
    SYSTEM = 0x12
    ERRNO = 0x13
    GET_CMDLINE = 0x15
    HEAPINFO = 0x16
    EXIT = 0x18
    EXIT_EXTENDED = 0x20
    ELAPSED = 0x30
    TICKFREQ = 0x31


def is_call(machine: Machine, marker: SemihostingMarker, trap: Trap) -> bool:
    """Whether a breakpoint is a semihosting call: the marker's instructions lie around it."""
    whole = marker.before + marker.trap + marker.after
    try:
        return machine.memory.read(trap.pc - len(marker.before), len(whole)) == whole
    except (GuestMemoryError, ValueError):
        return False


class FeaturesFile(StreamFile):
    """The file that says which extensions exist; read only, with a position."""

    def __init__(self) -> None:
        super().__init__(_NoStream())
        self.flags = os.O_RDONLY
        self._position = 0

    def read(self, size: int) -> bytes:
        data = FEATURES[self._position :][:size]
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        self._position = min(max(offset, 0), len(FEATURES))
        return self._position

    def save(self) -> State:
        return {"made": FEATURES_NAME, "offset": self._position}

    def restore(self, fields: Fields) -> None:
        self._position = fields.number("offset", len(FEATURES) + 1)

    def status(self) -> os.stat_result:
        return made_up_status(READ_ONLY_FILE, len(FEATURES))


class _NoStream:
    """A stream with nothing in it."""

    def read(self, size: int = -1, /) -> bytes | None:
        return b""

    def write(self, data: bytes, /) -> int | None:
        raise GuestError(EINVAL)

    def fileno(self) -> int:
        raise OSError


class Semihosting:
    """The calls of one program."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.errno = 0
        system.files.makers[FEATURES_NAME] = FeaturesFile
        self._operations: dict[int, Callable[[int], int | Outcome]] = {
            Operation.OPEN: self._open,
            Operation.CLOSE: self._close,
            Operation.WRITEC: self._write_character,
            Operation.WRITE0: self._write_text,
            Operation.WRITE: self._write,
            Operation.READ: self._read,
            Operation.READC: self._read_character,
            Operation.ISERROR: self._is_error,
            Operation.ISTTY: self._is_terminal,
            Operation.SEEK: self._seek,
            Operation.FLEN: self._length,
            Operation.TMPNAM: self._temporary_name,
            Operation.REMOVE: self._remove,
            Operation.RENAME: self._rename,
            Operation.CLOCK: self._clock,
            Operation.TIME: lambda _: time.time_ns() // NANOSECONDS,
            Operation.SYSTEM: self._refuse,
            Operation.ERRNO: lambda _: self.errno,
            Operation.GET_CMDLINE: self._command_line,
            Operation.HEAPINFO: self._heap_info,
            Operation.EXIT: lambda reason: Exited(0 if reason == APPLICATION_EXIT else 1),
            Operation.EXIT_EXTENDED: self._exit_extended,
            Operation.ELAPSED: self._elapsed,
            Operation.TICKFREQ: lambda _: TICK_FREQUENCY,
        }

    def perform(self, operation: int, parameter: int) -> int | Outcome:
        """Make one call: its result, or the outcome that ends the program. Raises Interrupted."""
        known = self._operations.get(operation, self._refuse)
        try:
            return known(parameter)
        except GuestError as error:
            self.errno = error.number
        except OSError as error:
            self.errno = from_host(error)
        return FAILED

    def save(self) -> State:
        return {"errno": self.errno}

    def restore(self, state: State) -> None:
        self.errno = Fields(state, "semihosting").number("errno", ADDRESS_SPACE)

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return self.system.unpack(address, f"<{count}I")

    def _text(self, address: int, size: int) -> str:
        if size > LARGEST_TEXT:
            raise GuestError(EINVAL)
        return os.fsdecode(self.system.read(address, size))

    def _file(self, handle: int) -> OpenFile:
        return self.system.files[handle - 1]

    def _refuse(self, _parameter: int) -> int:
        raise GuestError(ENOSYS)

    def _open(self, block: int) -> int:
        address, mode, size = self._words(block, 3)
        if mode >= len(MODES) * TEXT_AND_BINARY:
            raise GuestError(EINVAL)
        name = self._text(address, size)
        return self.system.files.add(self._open_file(name, mode), lowest=3) + 1

    def _open_file(self, name: str, mode: int) -> OpenFile:
        if name == CONSOLE:
            return self.system.files[_console_number(mode)]
        if name == FEATURES_NAME:
            return FeaturesFile()
        return self.system.files.open(name, MODES[mode // TEXT_AND_BINARY])

    def _close(self, block: int) -> int:
        (handle,) = self._words(block, 1)
        self.system.files.remove(handle - 1)
        return 0

    def _write_character(self, address: int) -> int:
        self.system.files[1].write(self.system.read(address, 1))
        return 0

    def _write_text(self, address: int) -> int:
        self.system.files[1].write(os.fsencode(self.system.string(address)))
        return 0

    def _write(self, block: int) -> int:
        """The result is the number of bytes that were not written."""
        handle, address, size = self._words(block, 3)
        data = self.system.read(address, self.system.buffer(address, size))
        try:
            return size - self._file(handle).write(data)
        except (GuestError, OSError) as error:
            self.errno = error.number if isinstance(error, GuestError) else from_host(error)
            return size

    def _read(self, block: int) -> int:
        """The result is the number of bytes that were not read: all of them at the end of the file."""
        handle, address, size = self._words(block, 3)
        data = self._file(handle).read(self.system.buffer(address, size))
        self.system.write(address, data)
        return size - len(data)

    def _read_character(self, _parameter: int) -> int:
        data = self.system.files[0].read(1)
        return data[0] if data else FAILED

    def _is_error(self, block: int) -> int:
        (status,) = self._words(block, 1)
        return int(signed(status) < 0)

    def _is_terminal(self, block: int) -> int:
        (handle,) = self._words(block, 1)
        return int(self._file(handle).is_terminal())

    def _seek(self, block: int) -> int:
        handle, position = self._words(block, 2)
        self._file(handle).seek(position, os.SEEK_SET)
        return 0

    def _length(self, block: int) -> int:
        (handle,) = self._words(block, 1)
        return self._file(handle).status().st_size

    def _temporary_name(self, block: int) -> int:
        address, identifier, size = self._words(block, 3)
        name = b"tmp%02x\0" % (identifier & 0xFF)
        if len(name) > size:
            raise GuestError(EINVAL)
        self.system.write(address, name)
        return 0

    def _remove(self, block: int) -> int:
        name = self._text(*self._words(block, 2))
        files = self.system.files
        with files.sandbox.place(name, files.cwd, follow=False) as place:
            os.unlink(place.name, dir_fd=place.directory)
        return 0

    def _rename(self, block: int) -> int:
        words = self._words(block, 4)
        sandbox, here = self.system.files.sandbox, self.system.files.cwd
        old, new = self._text(*words[:2]), self._text(*words[2:])
        with sandbox.place(old, here, False) as source, sandbox.place(new, here, False, True) as target:
            os.rename(source.name, target.name, src_dir_fd=source.directory, dst_dir_fd=target.directory)
        return 0

    def _nanoseconds(self) -> int:
        return self.system.age

    def _clock(self, _parameter: int) -> int:
        return self._nanoseconds() // CENTISECOND

    def _elapsed(self, address: int) -> int:
        self.system.pack(address, "<Q", self._nanoseconds())
        return 0

    def _command_line(self, block: int) -> int:
        address, size = self._words(block, 2)
        words = (self.system.machine.program.name, *self.system.options.args)
        line = os.fsencode(" ".join(words)) + b"\0"
        if len(line) > size:
            raise GuestError(EINVAL)
        self.system.write(address, line)
        self.system.pack(block + struct.calcsize("<I"), "<I", len(line) - 1)
        return 0

    def _heap_info(self, block: int) -> int:
        """Heap base and limit, stack base and limit."""
        (address,) = self._words(block, 1)
        system = self.system
        self.system.pack(address, "<4I", system.heap_start, system.heap_limit, system.stack_top, system.heap_limit)
        return 0

    def _exit_extended(self, block: int) -> Exited:
        reason, status = self._words(block, 2)
        return Exited(status & 0xFF if reason == APPLICATION_EXIT else 1)


def _console_number(mode: int) -> int:
    if mode in WRITE_MODES:
        return 1
    return 2 if mode in APPEND_MODES else 0
