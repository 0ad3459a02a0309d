"""The guest's open files: the standard streams, and files of the sandbox."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack
from select import PIPE_BUF
from typing import NamedTuple

from dynarec.errors import DynarecError
from dynarec.machine.base import ByteFile, Options
from dynarec.machine.input_position import input_position, set_input_position
from dynarec.machine.linux_errno import EACCES, EBADF, EISDIR, EMFILE, ENOTDIR, ESPIPE, GuestError
from dynarec.machine.own_streams import own_stream
from dynarec.machine.sandbox import Sandbox
from dynarec.machine.state import Fields, State, Value
from dynarec.machine.waiting import Interrupted, Waiter

MAX_FILES = 1024
MAX_TRANSFER = 1 << 26
"""The most bytes of one read: a guest's huge count must not become a huge allocation here."""
STREAM_DEVICE_MODE = stat.S_IFCHR | 0o620
STREAM_BLOCK_SIZE = 1024
STDIN = 0
OFFSET_END = 1 << 63
MOST_SERIAL = 1 << 62
PERMISSIONS_END = 0o1000


class OpenFile:
    """What a descriptor refers to: a host descriptor, shared by its duplicates.

    serial: tells the files of one table apart, so that a restore finds one that is still open.
    stream: the number of a standard stream; None for a file.
    """

    serial = 0
    stream: int | None = None

    def __init__(self, fd: int, waiter: Waiter, parts: tuple[str, ...] = (), *, flags: int, owned: bool = True) -> None:
        """parts: the guest path. flags: the guest's open flags, for F_GETFL. owned: closed with its last duplicate."""
        self.fd = fd
        self.parts = parts
        self.flags = flags
        self.next_entry = 0
        self._listing: list[tuple[str, int, int]] = []
        self._owned = owned
        self._waiter = waiter
        mode = os.fstat(fd).st_mode
        self.is_directory = stat.S_ISDIR(mode)
        self._blocks = not stat.S_ISREG(mode) and not self.is_directory

    def read(self, size: int) -> bytes:
        """Up to size bytes; empty at the end of the file."""
        if self.is_directory:
            raise GuestError(EISDIR)
        if self._blocks:
            self._waiter.readable(self.fd)
        return os.read(self.fd, min(size, MAX_TRANSFER))

    def write(self, data: bytes) -> int:
        """Write all of it where possible; the number of bytes written."""
        return self._write_in_pieces(data) if self._blocks else os.write(self.fd, data)

    def _write_in_pieces(self, data: bytes) -> int:
        """A write of at most PIPE_BUF to a descriptor that is ready cannot block."""
        done = 0
        try:
            while done < len(data):
                self._waiter.writable(self.fd)
                done += os.write(self.fd, data[done : done + PIPE_BUF])
        except Interrupted:
            if not done:
                raise
        return done

    def pread(self, size: int, offset: int) -> bytes:
        """Read at an offset; the position stays."""
        return os.pread(self.fd, min(size, MAX_TRANSFER), offset)

    def pwrite(self, data: bytes, offset: int) -> int:
        """Write at an offset; the position stays."""
        return os.pwrite(self.fd, data, offset)

    def seek(self, offset: int, whence: int) -> int:
        """Move the position (whence 0 start, 1 position, 2 end); the new position."""
        if self.is_directory:
            self.next_entry, self._listing = 0, []
            return 0
        return os.lseek(self.fd, offset, whence)

    def truncate(self, size: int) -> None:
        """Set the file's length."""
        os.ftruncate(self.fd, size)

    def status(self) -> os.stat_result:
        """The host's view of the file."""
        return os.fstat(self.fd)

    def is_terminal(self) -> bool:
        """Whether this is a terminal."""
        return os.isatty(self.fd)

    def entries(self) -> list[tuple[str, int, int]]:
        """(name, inode, file type bits of st_mode) of a directory, in a fixed order, with `.` and `..`.

        Read once: what is removed while the guest goes through them does not shift the rest.
        """
        if not self.is_directory:
            raise GuestError(ENOTDIR)
        if not self._listing:
            here = self.status().st_ino
            with os.scandir(self.fd) as found:
                named = sorted((e.name, e.inode(), stat.S_IFMT(e.stat(follow_symlinks=False).st_mode)) for e in found)
            self._listing = [(".", here, stat.S_IFDIR), ("..", here, stat.S_IFDIR), *named]
        return self._listing

    def save(self) -> State:
        """What it takes to find or open it again. Flags have numbers of their own on each host, so they go by name."""
        if self.stream is not None:
            return _save_stream(self.stream, None, self.fd)
        state: State = {
            "serial": self.serial, "path": list[Value](self.parts), "mode": self.flags & os.O_ACCMODE,
            "append": int(bool(self.flags & os.O_APPEND)), "directory": int(self.is_directory),
        }  # fmt: skip
        if self.is_directory:
            names, inodes, kinds = (list[Value](entry[column] for entry in self._listing) for column in range(3))
            return {**state, "entry": self.next_entry, "names": names, "inodes": inodes, "kinds": kinds}
        return {**state, "offset": os.lseek(self.fd, 0, os.SEEK_CUR)}

    def restore(self, fields: Fields) -> None:
        """Be where it was then."""
        if self.stream is not None:
            _restore_stream(fields, None, self.fd)
        elif self.is_directory:
            names, inodes, kinds = fields.texts("names"), fields.numbers("inodes"), fields.numbers("kinds", 1 << 16)
            if not len(names) == len(inodes) == len(kinds):
                raise fields.bad("names", "is not as long as what belongs to it")
            self.next_entry = fields.number("entry", len(names) + 1)
            self._listing = list(zip(names, inodes, kinds, strict=True))
        else:
            try:
                os.lseek(self.fd, fields.number("offset", OFFSET_END), os.SEEK_SET)
            except OSError as error:
                raise fields.bad("offset", "is none that a file here can have") from error

    def close(self) -> None:
        """Release the host descriptor, unless it is one of this process's own streams."""
        if self._owned and self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def _save_stream(number: int, file: ByteFile | None, descriptor: int | None) -> State:
    """Only input is read again: what was written stays written."""
    position = input_position(file, descriptor) if number == STDIN else None
    return {"stream": number} if position is None else {"stream": number, "offset": position}


def _restore_stream(fields: Fields, file: ByteFile | None, descriptor: int | None) -> None:
    if "offset" in fields:
        set_input_position(file, descriptor, fields.number("offset", OFFSET_END))


def made_up_status(mode: int, size: int) -> os.stat_result:
    """The status of a file that the host does not have: only its kind and size mean anything."""
    times = dict.fromkeys(("st_atime_ns", "st_mtime_ns", "st_ctime_ns"), 0)
    return os.stat_result((mode, 0, 0, 1, 0, 0, size, 0, 0, 0), {"st_rdev": 0, **times})


class StreamFile(OpenFile):
    """A standard stream given as a Python object without a descriptor (a BytesIO, an embedder's own class)."""

    def __init__(self, stream: ByteFile) -> None:
        self.fd = -1
        self.parts = ()
        self.flags = os.O_RDWR
        self.is_directory = False
        self.next_entry = 0
        self._stream = stream

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, MAX_TRANSFER)) or b""

    def write(self, data: bytes) -> int:
        written = self._stream.write(data)
        return len(data) if written is None else written

    def pread(self, size: int, offset: int) -> bytes:
        raise GuestError(ESPIPE)

    def pwrite(self, data: bytes, offset: int) -> int:
        raise GuestError(ESPIPE)

    def seek(self, offset: int, whence: int) -> int:
        raise GuestError(ESPIPE)

    def truncate(self, size: int) -> None:
        raise GuestError(ESPIPE)

    def status(self) -> os.stat_result:
        return made_up_status(STREAM_DEVICE_MODE, 0)

    def is_terminal(self) -> bool:
        return False

    def save(self) -> State:
        assert self.stream is not None, "a made-up file says itself what it is"
        return _save_stream(self.stream, self._stream, None)

    def restore(self, fields: Fields) -> None:
        _restore_stream(fields, self._stream, None)

    def close(self) -> None:
        """The object belongs to whoever gave it."""


class Slot(NamedTuple):
    """One descriptor number: the file, and whether it would be closed by exec (reported by F_GETFD only)."""

    file: OpenFile
    close_on_exec: bool = False


class FileTable:
    """Descriptor numbers to open files. Numbers 0, 1, 2 exist from the start."""

    def __init__(self, options: Options, waiter: Waiter) -> None:
        self.sandbox = Sandbox(options.root)
        self.cwd: tuple[str, ...] = ()
        self.umask = 0o022
        self._waiter = waiter
        self._streams = (options.stdin, options.stdout, options.stderr)
        self._serial = 0
        self._slots: dict[int, Slot] = {}
        self.makers: dict[str, Callable[[], OpenFile]] = {}
        """What makes the files that are none of the host's, by the name they have in a snapshot."""
        for number in range(len(self._streams)):
            with contextlib.suppress(OSError):  # the user closed it: the guest finds it closed too
                self._slots[number] = Slot(self._standard(number))

    def _standard(self, number: int) -> OpenFile:
        file = self._open_standard(number, self._streams[number])
        file.stream = number
        return file

    def _open_standard(self, number: int, stream: ByteFile | None) -> OpenFile:
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY
        if stream is None:
            return OpenFile(own_stream(number), self._waiter, flags=flags, owned=False)
        try:
            return OpenFile(stream.fileno(), self._waiter, flags=flags, owned=False)
        except (OSError, AttributeError):
            return StreamFile(stream)

    def close(self) -> None:
        """Close every file; may be called twice."""
        for number in list(self._slots):
            self.remove(number)
        self.sandbox.close()

    def __getitem__(self, number: int) -> OpenFile:
        """The open file; raises GuestError EBADF."""
        return self.slot(number).file

    def slot(self, number: int) -> Slot:
        """The descriptor; raises GuestError EBADF."""
        if number not in self._slots:
            raise GuestError(EBADF)
        return self._slots[number]

    def add(self, file: OpenFile, lowest: int = 0, close_on_exec: bool = False) -> int:
        """Give the file the lowest free number from `lowest`; raises GuestError EMFILE (the file is then closed)."""
        number = next((n for n in range(lowest, MAX_FILES) if n not in self._slots), None)
        if number is None:
            self._release(file)
            raise GuestError(EMFILE)
        self._slots[number] = Slot(file, close_on_exec)
        return number

    def replace(self, number: int, file: OpenFile, close_on_exec: bool = False) -> None:
        """dup3: the number refers to this file from now on."""
        if not 0 <= number < MAX_FILES:
            raise GuestError(EBADF)
        held = self._slots.get(number)
        self._slots[number] = Slot(file, close_on_exec)
        if held:
            self._release(held.file)

    def mark(self, number: int, close_on_exec: bool) -> None:
        """F_SETFD."""
        self._slots[number] = self.slot(number)._replace(close_on_exec=close_on_exec)

    def remove(self, number: int) -> None:
        """close; raises GuestError EBADF."""
        file = self.slot(number).file
        del self._slots[number]
        self._release(file)

    def _release(self, file: OpenFile) -> None:
        if all(slot.file is not file for slot in self._slots.values()):
            file.close()

    def directory(self, number: int | None) -> tuple[str, ...]:
        """The guest path that relative names start from: an open directory, or (None) the current one."""
        if number is None:
            return self.cwd
        file = self[number]
        if not file.is_directory:
            raise GuestError(ENOTDIR)
        return file.parts

    def open(self, path: str, flags: int, mode: int = 0o666, base: tuple[str, ...] | None = None) -> OpenFile:
        """Open a regular file or a directory of the sandbox; flags are the host's `os.O_*`.

        Devices, pipes and sockets below the root are refused (EACCES): they reach outside of it.
        """
        creates = bool(flags & os.O_CREAT)
        follow = not flags & (os.O_NOFOLLOW | os.O_EXCL)
        start = self.cwd if base is None else base
        with self.sandbox.place(path, start, follow, create=creates) as place:
            # O_NONBLOCK: opening a pipe must not wait, it is refused below.
            host_flags = flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(place.name, host_flags, mode & ~self.umask, dir_fd=place.directory)
            kind = os.fstat(fd).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                os.close(fd)
                raise GuestError(EACCES)
            file = OpenFile(fd, self._waiter, place.parts, flags=flags)
            self._serial += 1
            file.serial = self._serial
            return file

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def save(self) -> State:
        """Each open file once, and which number refers to which."""
        files = list({id(slot.file): slot.file for slot in self._slots.values()}.values())
        slots: list[Value] = [
            {"number": number, "file": files.index(slot.file), "close on exec": int(slot.close_on_exec)}
            for number, slot in self._slots.items()
        ]
        return {
            "cwd": list[Value](self.cwd), "umask": self.umask, "files": [file.save() for file in files], "slots": slots,
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Files that are still open are used again, others are opened.

        Raises DynarecError for a file that cannot be opened again, and BadState; the table is then what it was.
        """
        fields = Fields(state, "files")
        cwd, umask, parts = _folders(fields), fields.number("umask", PERMISSIONS_END), fields.parts("files")
        with ExitStack() as opened:
            files = [self._again(part, opened) for part in parts]
            slots = dict(_slot(part, files) for part in fields.parts("slots"))
            for file, part in zip(files, parts, strict=True):
                if file is not None:
                    file.restore(part)
            opened.pop_all()
        before, self._slots = self._slots, {number: slot for number, slot in slots.items() if slot is not None}
        self.cwd, self.umask = cwd, umask
        for left in {*(slot.file for slot in before.values()), *files}:
            if left is not None:
                self._release(left)

    def _again(self, fields: Fields, opened: ExitStack) -> OpenFile | None:
        """The file that was saved; None for a standard stream that this process does not have."""
        file = next((slot.file for slot in self._slots.values() if _is_saved(slot.file, fields)), None)
        if file is None:
            file = self._open_again(fields)
            if file is not None:
                opened.callback(file.close)
        return file

    def _open_again(self, fields: Fields) -> OpenFile | None:
        if "stream" in fields:
            with contextlib.suppress(OSError):
                return self._standard(fields.number("stream", len(self._streams)))
            return None
        if "made" in fields:
            made = self.makers.get(fields.text("made"))
            if made is None:
                raise fields.bad("made", "is no file that this machine knows")
            return made()
        return self._reopen(fields)

    def _reopen(self, fields: Fields) -> OpenFile:
        path = "/" + "/".join(fields.texts("path"))
        flags = fields.number("mode", os.O_ACCMODE + 1) | (os.O_APPEND if fields.flag("append") else 0)
        try:
            file = self.open(path, flags | (os.O_DIRECTORY if fields.flag("directory") else 0))
        except (GuestError, OSError, ValueError) as error:
            reason = os.strerror(error.number) if isinstance(error, GuestError) else getattr(error, "strerror", error)
            advice = "" if self.sandbox.has_root else ": give the machine the directory that it had (--root)"
            raise DynarecError(f"the guest's file {path!r} cannot be opened again: {reason}{advice}") from error
        file.serial = fields.number("serial", MOST_SERIAL)
        self._serial = max(self._serial, file.serial)
        return file


def _folders(fields: Fields) -> tuple[str, ...]:
    """The names on the way to the current directory, each of which is one."""
    names = tuple(fields.texts("cwd"))
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name or not _is_of_host(name):
            raise fields.bad("cwd", "has what is no name of a directory")
    return names


def _is_of_host(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _is_saved(file: OpenFile, fields: Fields) -> bool:
    """Whether an open file is the one that was saved; not those that are made up, which hold nothing."""
    if "stream" in fields:
        return file.stream == fields.number("stream")
    if "made" in fields or file.stream is not None:
        return False
    known = file.save()
    return all(known.get(name) == fields.value(name) for name in ("serial", "path", "mode", "append", "directory"))


def _slot(fields: Fields, files: list[OpenFile | None]) -> tuple[int, Slot | None]:
    """A number, and what it refers to."""
    file = files[fields.number("file", len(files))]
    closes = fields.flag("close on exec")
    return fields.number("number", MAX_FILES), None if file is None else Slot(file, closes)
