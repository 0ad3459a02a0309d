"""HTIF, the host-target interface of bare test programs: commands stored to the 64-bit word at symbol `tohost`.

A command is device (8 bits), command (8 bits) and payload (48 bits). Device 0 is the system proxy: an odd payload ends
the program with status payload >> 1; an even one is the address of eight 64-bit words, a system-call number and its
arguments. Device 1 is the console: command 1 writes the payload's character, command 0 reads one. An answer is stored
to `fromhost`.

A 32-bit guest stores the two halves one after the other, in either order, and some programs store only the low one.
"""

from __future__ import annotations

from dynarec.machine.base import Continue, Exited, Outcome
from dynarec.machine.linux_errno import GuestError
from dynarec.machine.recognise import TOHOST
from dynarec.machine.state import Fields, State
from dynarec.machine.syscalls import perform
from dynarec.machine.system import System

FROMHOST = "fromhost"
WORD_SIZE = 8
HALF_SIZE = 4
DEVICE_SHIFT, COMMAND_SHIFT = 56, 48
BYTE = 0xFF
PAYLOAD_MASK = (1 << COMMAND_SHIFT) - 1
SYSTEM_DEVICE, CONSOLE_DEVICE = 0, 1
CONSOLE_READ, CONSOLE_WRITE = 0, 1
CHARACTER_READ = 0x100
"""Marks the answer of a console read as one."""
PROXY_WORDS = 8
ANSWERED = 1
SUCCESS = 1
LOW_MASK = (1 << 32) - 1


class Htif:
    """The interface of one program."""

    def __init__(self, system: System, tohost: int) -> None:
        self.system = system
        self.tohost = tohost
        symbols = system.machine.program.symbols
        self.fromhost = symbols.lookup(FROMHOST)
        symbol = symbols.find(TOHOST)
        self._is_half = symbol is not None and symbol.size == HALF_SIZE
        self._half_seen = False
        self.ended_with = 0
        """The number that ended the program, of which its status has eight bits."""

    def stored(self, address: int, size: int) -> Outcome:
        """The guest has stored to the word. Raises Interrupted when a console read is given up."""
        value = self._value()
        if not value:
            self._half_seen = address < self.tohost + HALF_SIZE and size < WORD_SIZE
            return Continue()
        if self._must_wait(address, size, value):
            self._half_seen = True
            return Continue()
        self._half_seen = False
        outcome = self._perform(value)
        self._clear()
        return outcome

    def save(self) -> State:
        return {"half seen": int(self._half_seen)}

    def restore(self, state: State) -> None:
        self._half_seen = Fields(state, "htif").flag("half seen")
        self.ended_with = 0

    def _value(self) -> int:
        size = HALF_SIZE if self._is_half else WORD_SIZE
        return int.from_bytes(self.system.machine.memory.read(self.tohost, size), "little")

    def _clear(self) -> None:
        self.system.machine.memory.write(self.tohost, bytes(HALF_SIZE if self._is_half else WORD_SIZE))

    def _must_wait(self, address: int, size: int, value: int) -> bool:
        """Whether the other half of the word may still come.

        A low half alone that fits a character can be the first half of a console write. It counts as the whole
        command when it is stored again, when the high half is stored, or when it cannot be a character's: 1 (success)
        and larger values are acted on at once. A high half alone always waits for its low half.
        """
        is_low = address < self.tohost + HALF_SIZE
        if size >= WORD_SIZE or self._is_half:
            return False
        if not is_low:
            return not self._half_seen
        small = value <= BYTE and value != SUCCESS
        return small and not self._half_seen

    def _perform(self, value: int) -> Outcome:
        device, command = value >> DEVICE_SHIFT, value >> COMMAND_SHIFT & BYTE
        payload = value & PAYLOAD_MASK
        if device == SYSTEM_DEVICE and command == 0:
            return self._end(payload >> 1) if payload & 1 else self._proxy(payload)
        if device == CONSOLE_DEVICE and command == CONSOLE_WRITE:
            self._write_character(payload)
        elif device == CONSOLE_DEVICE and command == CONSOLE_READ:
            self._answer(CONSOLE_DEVICE, CHARACTER_READ | self._read_character())
        return Continue()

    def _end(self, number: int) -> Exited:
        self.ended_with = number
        return Exited(number & BYTE)

    def _write_character(self, payload: int) -> None:
        try:
            self.system.files[1].write(bytes([payload & BYTE]))
        except (GuestError, OSError):
            return  # a console that is closed swallows the character

    def _read_character(self) -> int:
        try:
            data = self.system.files[0].read(1)
        except (GuestError, OSError):
            data = b""
        return data[0] if data else 0

    def _proxy(self, address: int) -> Outcome:
        """One system call; the result replaces its number. A pointer to no memory is ignored."""
        try:
            words = self.system.unpack(address & LOW_MASK, f"<{PROXY_WORDS}Q")
            result = perform(self.system, words[0] & LOW_MASK, tuple(w & LOW_MASK for w in words[1:]))
            if not isinstance(result, int):
                return result
            self.system.pack(address & LOW_MASK, "<q", result)
        except GuestError:
            return Continue()
        self._answer(SYSTEM_DEVICE, ANSWERED)
        return Continue()

    def _answer(self, device: int, payload: int) -> None:
        if self.fromhost is None:
            return
        try:
            self.system.pack(self.fromhost, "<Q", device << DEVICE_SHIFT | payload)
        except GuestError:
            return  # the program has no memory there: nobody waits for the answer
