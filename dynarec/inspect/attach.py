"""Inspecting another process: a server thread in that one, a source of recordings in this one.

They meet at a Unix socket in a directory that only its user may enter: $XDG_RUNTIME_DIR/dynarec, or else dynarec-UID in
the directory for temporary files. The socket is called after the process. Each request has a connection of its own; in
little-endian order:

    request   u32 size (up to 4096), and as many bytes of JSON: {"protocol": 1, "do": "record"},
              {..., "do": "erase", "serial": N} or {..., "do": "retranslate", "serial": N, "without": [PASS, ...]}
    reply     u8 0 and u64 size, and as many bytes: a dump (dynarec/inspect/dump.py), or nothing; or
              u8 1 and u64 size, and a line that says why not

Either side hangs up on one that says something else, or that takes too long.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from dynarec.errors import DynarecError
from dynarec.inspect import dump
from dynarec.inspect.columns import shown
from dynarec.inspect.model import Recording
from dynarec.inspect.source import Source

PROTOCOL = 1
REQUEST = struct.Struct("<I")
REPLY = struct.Struct("<BQ")
DONE, REFUSED = 0, 1
MOST_REQUEST = 4096
MOST_REPLY = 1 << 30
MOST_PATH = 103
"""Bytes of the name of a socket; the smallest of the systems' limits."""
PIECE = 1 << 20
REQUEST_SECONDS = 2.0
REPLY_SECONDS = 30.0
"""For a client to take a reply."""
LAST_SECONDS = 2.0
"""The same when the server is closed."""
PAUSE = 0.01
"""Seconds between two clients if one was broken, lest all time goes into such."""
PATIENCE = 60.0
"""Seconds that a client waits for a reply."""
SUFFIX = ".inspect"
PEER_CREDENTIALS = struct.Struct("=iII")
DARWIN_LEVEL, DARWIN_CREDENTIALS, DARWIN_SIZE = 0, 1, 76
"""SOL_LOCAL, LOCAL_PEERCRED and the size of struct xucred in sys/un.h and sys/ucred.h of macOS."""


class _Broken(Exception):  # noqa: N818
    """The other side says something that makes no sense, nothing, or too much."""


# -- where they meet --------------------------------------------------------------------------------------------------


def directory() -> Path:
    """Where this user's sockets are; perhaps it does not exist."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime) / "dynarec"
    return Path(tempfile.gettempdir()) / f"dynarec-{os.getuid()}"


def _socket_of(pid: int) -> Path:
    path = directory() / f"{pid}{SUFFIX}"
    if len(os.fsencode(path)) > MOST_PATH:
        raise DynarecError(f"{path}: is too long for a socket's name: set XDG_RUNTIME_DIR to a shorter one")
    return path


def _check_directory(path: Path) -> None:
    """Raise DynarecError for a directory that others may have put something into."""
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise DynarecError(f"{path}: is no directory that only this user may enter: remove it")


def _user_of(connection: socket.socket) -> int:
    """The user at the other side."""
    if sys.platform == "darwin":
        credentials = connection.getsockopt(DARWIN_LEVEL, DARWIN_CREDENTIALS, DARWIN_SIZE)
        return int(struct.unpack_from("=II", credentials)[1])
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    return int(PEER_CREDENTIALS.unpack(credentials)[1])


def _receive(connection: socket.socket, size: int, deadline: float) -> bytes:
    """So many bytes; memory is taken as they come. Raises _Broken."""
    parts: list[bytes] = []
    while size:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(min(size, PIECE))
        if not part or time.monotonic() > deadline:
            raise _Broken
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# -- the process that is inspected ------------------------------------------------------------------------------------


class Server:
    """Answers other processes of this user, in a thread of its own, until it is closed."""

    def __init__(self, source: Source, pid: int) -> None:
        """Raises DynarecError when there can be no socket."""
        self._source = source
        self.path = _socket_of(pid)
        self._listener = self._listen()
        self._wake, self._waking = socket.socketpair()
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="dynarec inspect", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and remove the socket. May be called twice."""
        if self._thread.is_alive():
            self._waking.send(b"x")
            self._thread.join(LAST_SECONDS)
            self._hang_up()
            self._thread.join()
        for each in (self._listener, self._wake, self._waking):
            each.close()
        self.path.unlink(missing_ok=True)

    def _hang_up(self) -> None:
        """On whoever is taking a reply."""
        if (client := self._client) is not None:
            with suppress(OSError):  # it has ended meanwhile
                client.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            _check_directory(self.path.parent)
            _remove_stale(self.path.parent)
            self.path.unlink(missing_ok=True)
            listener.bind(os.fspath(self.path))
            listener.listen()
        except OSError as error:
            listener.close()
            raise DynarecError(f"{self.path}: others cannot attach there: {error.strerror or error}") from error
        except BaseException:
            listener.close()
            raise
        return listener

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while all(key.fileobj is not self._wake for key, _ in selector.select()):
                try:
                    self._answer_one()
                except (OSError, _Broken):  # whatever a client does is its own affair
                    time.sleep(PAUSE)

    def _answer_one(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            if _user_of(connection) != os.getuid():
                return
            deadline = time.monotonic() + REQUEST_SECONDS
            (size,) = REQUEST.unpack(_receive(connection, REQUEST.size, deadline))
            if size > MOST_REQUEST:
                raise _Broken
            status, reply = self._reply(_receive(connection, size, deadline))
            connection.settimeout(REPLY_SECONDS)
            self._client = connection
            connection.sendall(REPLY.pack(status, len(reply)) + reply)

    def _reply(self, request: bytes) -> tuple[int, bytes]:
        try:
            return DONE, self._do(request)
        except _Broken:
            raise
        except DynarecError as error:
            return REFUSED, str(error).encode()
        except Exception as error:  # a mistake of ours must not end the thread
            return REFUSED, f"internal error: {type(error).__name__}: {error}".encode()

    def _do(self, request: bytes) -> bytes:
        match _parsed(request):
            case {"protocol": int(number)} if number != PROTOCOL:
                raise DynarecError(f"speaks protocol {PROTOCOL}, not {number}: use the same dynarec")
            case {"do": "record"}:
                return dump.encode(self._source.record())
            case {"do": "erase", "serial": int(serial)}:
                self._source.erase(serial)
            case {"do": "retranslate", "serial": int(serial), "without": [*names]}:
                self._source.retranslate(serial, [name for name in names if isinstance(name, str)])
            case _:
                raise _Broken
        return b""


def _parsed(request: bytes) -> object:
    try:
        return json.loads(request)
    except (ValueError, RecursionError):
        raise _Broken from None


def _remove_stale(folder: Path) -> None:
    """Remove sockets of processes that have ended without doing it."""
    for path in folder.glob(f"*{SUFFIX}"):
        pid = path.name.removesuffix(SUFFIX)
        if pid.isdecimal() and not _exists(int(pid)):
            path.unlink(missing_ok=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def serve(source: Source, pid: int | None = None) -> Server:
    """Let other processes of this user inspect a source as that of process `pid` (None: this one). DynarecError."""
    return Server(source, os.getpid() if pid is None else pid)


# -- the process that inspects ----------------------------------------------------------------------------------------


class AttachedSource:
    """The machine of another process."""

    live = True

    def __init__(self, pid: int) -> None:
        """Raises DynarecError when there is no such process, or it cannot be inspected."""
        self.name = f"process {pid}"
        self._pid = pid
        self._check()

    def record(self) -> Recording:
        return dump.decode(self._ask({"do": "record"}))

    def erase(self, serial: int) -> None:
        self._ask({"do": "erase", "serial": serial})

    def retranslate(self, serial: int, without: Collection[str] = ()) -> None:
        self._ask({"do": "retranslate", "serial": serial, "without": list(without)})

    def close(self) -> None:
        """Nothing is held."""

    def _check(self) -> None:
        try:
            if self._pid <= 0:
                raise ProcessLookupError
            os.kill(self._pid, 0)
        except (ProcessLookupError, OverflowError):
            raise DynarecError(f"there is no process {self._pid}") from None
        except PermissionError:
            raise DynarecError(f"{self.name} is another user's, who alone may inspect it") from None
        self._connect().close()

    def _connect(self) -> socket.socket:
        path = _socket_of(self._pid)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _check_directory(path.parent)
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise DynarecError(f"{path}: is no socket: remove it")
            connection.settimeout(PATIENCE)
            connection.connect(os.fspath(path))
            if _user_of(connection) != os.getuid():
                raise DynarecError(f"{path}: another user answers there: remove it")
        except OSError:
            connection.close()
            raise DynarecError(
                f"{self.name} cannot be inspected: it has ended, or was not started with dynarec run --inspect"
            ) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(self, request: dict[str, object]) -> bytes:
        data = json.dumps({"protocol": PROTOCOL, **request}).encode()
        deadline = time.monotonic() + PATIENCE
        with self._connect() as connection:
            try:
                connection.sendall(REQUEST.pack(len(data)) + data)
                status, size = REPLY.unpack(_receive(connection, REPLY.size, deadline))
                if size > MOST_REPLY:
                    raise _Broken
                reply = _receive(connection, size, deadline)
            except (OSError, _Broken):
                raise DynarecError(f"{self.name} gives no answer: it has ended, or another dynarec runs it") from None
        if status != DONE:
            raise DynarecError(f"{self.name}: {shown(reply[:MOST_REQUEST].decode(errors='replace'))}")
        return reply
