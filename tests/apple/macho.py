"""Runs a Mach-O executable for arm64 under Unicorn, with as much of libSystem modelled as the Apple policies call.

What the executable calls is noted in order. The region that it maps with MAP_JIT is executable or writable, never
both, as the calls say; Unicorn faults on what is not allowed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lief
import unicorn
from unicorn import arm64_const as reg
from unicorn.unicorn import Uc

PAGE = 0x4000  # of Apple silicon
STACK, STACK_SIZE = 0x2_0000_0000, 0x10_0000
STUBS = 0x3_0000_0000  # what imports are bound to
STUB_SIZE = 32
STOP = STUBS + 0x8000  # where `main` returns to
REGION = 0x4_0000_0000
MAP_JIT, MAP_FLAGS, MAP_ALL = 0x0800, 0x1802, 7  # <sys/mman.h>: MAP_PRIVATE | MAP_ANON | MAP_JIT; read, write, execute
MAP_FAILED = (1 << 64) - 1
STEPS = 1_000_000
WORD_MASK = (1 << 64) - 1

RET, NOP = 0xD65F03C0, 0xD503201F
# stp x29, x30, [sp, #-16]!; (before); blr x16; (behind); ldp x29, x30, [sp], #16; ret
CALL_BACK = (0xA9BF7BFD, NOP, 0xD63F0200, NOP, 0xA8C17BFD, RET)
BEFORE, BEHIND = 4, 12

READ_EXECUTE = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
READ_WRITE = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE

WITNESS = "_be_memory_inline_jit_restrict_{}"


def symbol_name(symbol: lief.MachO.Symbol | None) -> str:
    assert symbol is not None
    return str(symbol.name)


class RuleError(AssertionError):
    """The executable did what the system does not allow."""


@dataclass(slots=True)
class Process:
    """What the system knows of the process. entitlements: the parts of their names behind com.apple.security.cs."""

    entitlements: frozenset[str] = frozenset()
    macos: tuple[int, int] = (15, 2)
    supported: bool = True
    witness: bool = False


@dataclass(slots=True)
class Mac:
    """An executable, loaded. calls: what it called so far, with the arguments that matter."""

    path: Path
    process: Process
    calls: list[str] = field(default_factory=list)
    callbacks: tuple[int, ...] = ()
    _uc: Any = field(init=False)
    _names: dict[int, str] = field(default_factory=dict)
    _strings: dict[int, str] = field(default_factory=dict)
    _main: int = 0
    _size: int = 0
    _open: bool = False
    _in_callback: bool = False

    def __post_init__(self) -> None:
        self._uc = Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)  # type: ignore[no-untyped-call]
        binary = lief.parse(str(self.path))
        assert isinstance(binary, lief.MachO.Binary)
        self._load(binary)
        self._uc.mem_map(STACK, STACK_SIZE)
        self._uc.mem_map(STUBS, 0x10000)
        self._uc.mem_write(STOP, struct.pack("<I", RET))
        self._bind(binary)
        self._uc.hook_add(unicorn.UC_HOOK_CODE, self._on_stub, begin=STUBS, end=STOP - 1)
        self._watch_callbacks(binary)

    def run(self, *arguments: int) -> int:
        """Calls `main`; what it returns."""
        for number, value in enumerate(arguments):
            self._uc.reg_write(reg.UC_ARM64_REG_X0 + number, value)
        self._uc.reg_write(reg.UC_ARM64_REG_SP, STACK + STACK_SIZE)
        self._uc.reg_write(reg.UC_ARM64_REG_X30, STOP)
        self._uc.emu_start(self._main, STOP, count=STEPS)
        assert self._uc.reg_read(reg.UC_ARM64_REG_PC) == STOP
        return int(self._uc.reg_read(reg.UC_ARM64_REG_W0))

    # -- loading

    def _load(self, binary: lief.MachO.Binary) -> None:
        self._main = binary.entrypoint
        for segment in binary.segments:
            if segment.name == "__PAGEZERO":
                continue
            size = -(-max(segment.virtual_size, segment.file_size) // PAGE) * PAGE
            self._uc.mem_map(segment.virtual_address, size, READ_EXECUTE if segment.name == "__TEXT" else READ_WRITE)
            self._uc.mem_write(segment.virtual_address, bytes(segment.content))

    def _bind(self, binary: lief.MachO.Binary) -> None:
        """Each import is a stub that returns; a missing weak one is NULL."""
        stubs: dict[str, int] = {}
        for binding in binary.bindings:
            name = symbol_name(binding.symbol)
            if name not in stubs:
                stubs[name] = 0 if self._is_missing(name) else self._add_stub(name)
            self._uc.mem_write(binding.address, struct.pack("<Q", stubs[name]))

    def _is_missing(self, name: str) -> bool:
        needs = {"_pthread_jit_write_with_callback_np": (11, 4), "_pthread_jit_write_freeze_callbacks_np": (12, 1)}
        if name.startswith(WITNESS.format("")):
            return not self.process.witness
        return self.process.macos < needs.get(name, (0, 0))

    def _add_stub(self, name: str) -> int:
        address = STUBS + STUB_SIZE * (1 + len(self._names))
        code = CALL_BACK if name in ("_pthread_jit_write_with_callback_np", "_pthread_once") else (RET,)
        self._uc.mem_write(address, struct.pack(f"<{len(code)}I", *code))
        self._names[address] = name
        return address

    def _watch_callbacks(self, binary: lief.MachO.Binary) -> None:
        """The list of the image, and a note of every call of what it lists."""
        section = binary.get_section("__DATA_CONST", "__pth_jit_func")
        assert section is not None
        listed = struct.unpack(f"<{section.size // 8}Q", bytes(section.content))
        self.callbacks = tuple(address for address in listed if address)
        for address in self.callbacks:
            self._uc.hook_add(unicorn.UC_HOOK_CODE, self._on_callback, begin=address, end=address)

    # -- calls

    def _argument(self, number: int) -> int:
        return int(self._uc.reg_read(reg.UC_ARM64_REG_X0 + number))

    def _text(self, address: int) -> str:
        return bytes(self._uc.mem_read(address, 128)).split(b"\0")[0].decode()

    def _on_callback(self, *_: object) -> None:
        if not self._in_callback:
            raise RuleError("the callback was called by something else than pthread_jit_write_with_callback_np")
        self.calls.append("callback")

    def _on_stub(self, _uc: object, address: int, _size: int, _data: object) -> None:
        name, offset = self._names[address // STUB_SIZE * STUB_SIZE], address % STUB_SIZE
        if name == "_pthread_jit_write_with_callback_np":
            self._with_callback(offset)
        elif name == "_pthread_once":
            self._once(offset)
        elif offset == 0:
            handler: Callable[[], int | None] = getattr(self, "do" + name)
            result = handler()
            if result is not None:
                self._uc.reg_write(reg.UC_ARM64_REG_X0, result & WORD_MASK)

    def _protect(self, enabled: bool) -> None:
        if self._open is not enabled:
            raise RuleError("a nested toggle")
        self._open = not enabled
        if self._size:
            self._uc.mem_protect(REGION, self._size, READ_EXECUTE if enabled else READ_WRITE)

    def _with_callback(self, offset: int) -> None:
        if offset == BEFORE:
            callback, context = self._argument(0), self._argument(1)
            if callback not in self.callbacks:
                raise RuleError("a callback that is not listed")
            if "jit-write-allowlist-freeze-late" in self.process.entitlements and "freeze" not in self.calls:
                raise RuleError("a write before the freeze")
            self.calls.append("with_callback")
            self._protect(False)
            self._in_callback = True
            self._uc.reg_write(reg.UC_ARM64_REG_X16, callback)
            self._uc.reg_write(reg.UC_ARM64_REG_X0, context)
        elif offset == BEHIND:
            self._in_callback = False
            self._protect(True)
            self.calls.append("with_callback returns")

    def _once(self, offset: int) -> None:
        """Each executable here calls it once."""
        if offset == BEFORE:
            self._uc.reg_write(reg.UC_ARM64_REG_X16, self._argument(1))

    def do_mmap(self) -> int:
        address, length, protection, flags, file = (self._argument(number) for number in range(5))
        self.calls.append(
            f"mmap(length={length:#x}, protection={protection}, flags={flags:#x}, file={file & 0xFFFFFFFF:#x})"
        )
        if (address, protection, flags, file & 0xFFFFFFFF) != (0, MAP_ALL, MAP_FLAGS, 0xFFFFFFFF):
            raise RuleError("a region that is not private, anonymous, anywhere, MAP_JIT")
        if "hardened" in self.process.entitlements and "allow-jit" not in self.process.entitlements:
            return MAP_FAILED
        self._uc.mem_map(REGION, length, READ_EXECUTE)
        self._size = length
        return REGION

    def do_munmap(self) -> int:
        self.calls.append(f"munmap(+{self._argument(0) - REGION:#x}, {self._argument(1):#x})")
        if self._open:
            raise RuleError("unmapped in write mode")
        self._uc.mem_unmap(self._argument(0), self._argument(1))
        self._size = 0
        return 0

    def do_sys_icache_invalidate(self) -> None:
        self.calls.append(f"flush(+{self._argument(0) - REGION:#x}, {self._argument(1)})")
        if self._open:
            raise RuleError("flushed in write mode")
        self._uc.ctl_remove_cache(self._argument(0), self._argument(0) + self._argument(1))  # else it runs the old code

    def do_pthread_jit_write_protect_supported_np(self) -> int:
        self.calls.append("supported")
        return int(self.process.supported)

    def do_pthread_jit_write_protect_np(self) -> None:
        enabled = self._argument(0) & 0xFFFFFFFF
        self.calls.append(f"protect({enabled})")
        if "jit-write-allowlist" in self.process.entitlements:
            raise RuleError("the plain toggle in a process with the entitlement jit-write-allowlist")
        self._protect(bool(enabled))

    def do_pthread_jit_write_freeze_callbacks_np(self) -> None:
        if "freeze" in self.calls:
            raise RuleError("a second freeze")
        self.calls.append("freeze")

    def do_pthread_mutex_lock(self) -> int:
        return 0

    do_pthread_mutex_unlock = do_pthread_mutex_lock

    def do_memcpy(self) -> None:
        self._uc.mem_write(self._argument(0), bytes(self._uc.mem_read(self._argument(1), self._argument(2))))

    do_memmove = do_memcpy

    def do__availability_version_check(self) -> int:
        """struct { uint32_t platform, version; } versions[count]; as libdispatch and compiler-rt know it."""
        count, versions = self._argument(0) & 0xFFFFFFFF, self._argument(1)
        wanted = struct.unpack(f"<{2 * count}I", self._uc.mem_read(versions, 8 * count))
        return int(all((word >> 16, word >> 8 & 0xFF) <= self.process.macos for word in wanted[1::2]))

    # -- Security, CoreFoundation: an object is the number of a string

    def do_dlopen(self) -> int:
        return self._string(self._text(self._argument(0)))

    def _string(self, text: str) -> int:
        self._strings[0x1000 + len(self._strings)] = text
        return 0x1000 + len(self._strings) - 1

    def do_dlsym(self) -> int:
        return self._add_stub("_" + self._text(self._argument(1)))

    def do_CFStringCreateWithCString(self) -> int:  # noqa: N802 - the system's name
        return self._string(self._text(self._argument(1)))

    def do_SecTaskCreateFromSelf(self) -> int:  # noqa: N802
        return self._string("task")

    def do_SecTaskCopyValueForEntitlement(self) -> int:  # noqa: N802
        name = self._strings[self._argument(1)].removeprefix("com.apple.security.cs.")
        return self._string("true") if name in self.process.entitlements else 0

    def do_CFGetTypeID(self) -> int:  # noqa: N802
        return int(self._strings[self._argument(0)] == "true")

    def do_CFBooleanGetTypeID(self) -> int:  # noqa: N802
        return 1

    do_CFBooleanGetValue = do_CFGetTypeID  # noqa: N815

    def do_CFRelease(self) -> None:  # noqa: N802
        self._strings.pop(self._argument(0), None)

    # -- BrowserEngineCore

    def do_be_memory_inline_jit_restrict_with_witness_supported(self) -> int:
        self.calls.append("witness supported")
        return 1

    def do_be_memory_inline_jit_restrict_rwx_to_rw_with_witness_impl(self) -> None:
        """The header passes the address behind the call as the witness, and a tag."""
        if self._argument(0) != self._uc.reg_read(reg.UC_ARM64_REG_X30):
            raise RuleError("a witness that is not where the call returns to")
        self.calls.append("rw_with_witness")
        self._protect(False)

    def do_be_memory_inline_jit_restrict_rwx_to_rx_with_witness_impl(self) -> None:
        self.calls.append("rx_with_witness")
        self._protect(True)
