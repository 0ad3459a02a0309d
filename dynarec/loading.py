"""What a machine is made of: the guest a program is for, the profile that runs it, the core and its translator."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.core import ELSEWHERE, Core, CoreConfig, Tier, has_interpreter, passed_over, policies, probe_policy
from dynarec.errors import BadProgram, DynarecError
from dynarec.guest_state import PAGE
from dynarec.host.base import Hardening
from dynarec.machine import PROFILES, profile_class
from dynarec.machine.base import AccessFault, Profile
from dynarec.machine.recognise import CONVENTIONS
from dynarec.profiles import ProfileGuide
from dynarec.program import ELF_MAGIC, Program, load_program
from guest_isa import bundled_guests, load_guests

if TYPE_CHECKING:
    from dynarec.translate import Translator
    from guest_isa.guest import Guest

AUTO = "auto"
REFUSALS = (AccessFault,)
"""What a device raises to refuse an access."""
POLICY_VARIABLE = "DYNAREC_WX"
HARDENING_BITS = {"bti": 1, "pac": 2}
"""enum dr_harden"""
TIERS = {"auto": Tier.AUTO, "jit": Tier.JIT, "interp": Tier.INTERP}
MAX_HOT = 255
"""The core counts executions in a byte."""
MAX_CACHE_SIZE = 1 << 27
"""As far as a direct branch of arm64 reaches."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How to run: see `Machine.load`."""

    tier: str
    wx: str
    cache_size: int
    hot: int
    harden: frozenset[Hardening]

    def __post_init__(self) -> None:
        _known("tier", self.tier, TIERS)
        if self.wx in ELSEWHERE and self.wx not in policies():
            raise DynarecError(f"W^X policy {self.wx} is for {ELSEWHERE[self.wx]}; here is {', '.join(policies())}")
        _known("W^X policy", self.wx, [AUTO, *policies()])
        if not PAGE <= self.cache_size <= MAX_CACHE_SIZE:
            raise DynarecError(f"a code cache of {self.cache_size} bytes: choose {PAGE} to {MAX_CACHE_SIZE}")
        if not 1 <= self.hot <= MAX_HOT:
            raise DynarecError(f"hot is {self.hot}: choose 1 to {MAX_HOT}")


def hardening(names: Collection[str]) -> frozenset[Hardening]:
    """Hardening by name. Raises DynarecError for an unknown one."""
    for name in names:
        _known("hardening", name, HARDENING_BITS)
    return frozenset(Hardening(name) for name in names)


def wanted_policy(name: str) -> str:
    """The W^X policy that is asked for: by name, or by the environment."""
    return os.environ.get(POLICY_VARIABLE, AUTO) if name == AUTO else name


def disk_folder() -> Path | None:
    """Where translations are kept; None: nowhere."""
    from dynarec.disk.places import VARIABLE, cache_folder

    try:
        return cache_folder()
    except OSError as error:
        print(f"dynarec: translations are not kept: {error}: set {VARIABLE}", file=sys.stderr)
        return None


def _known(what: str, name: str, names: object) -> None:
    """Raise DynarecError with the known names, unless `name` is one of them."""
    known = list(names)  # type: ignore[call-overload]
    if name not in known:
        raise DynarecError(f"unknown {what} {name!r}: choose one of {', '.join(known)}")


def find_guest(name: str) -> Guest:
    """The installed guest of that name. Raises DynarecError."""
    guests = load_guests()
    _known("guest", name, guests)
    return guests[name]


def read_kernel(path: Path) -> Program:
    """A kernel for machine `virt`: an ELF file, or else bytes for the guest with a machine mode. DynarecError."""
    from dynarec.machine.virt import raw_program

    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(len(ELF_MAGIC)) == ELF_MAGIC:
            return read_program(path, None)[0]
    guests = (guest for guest in load_guests().values() if guest.privileged and guest.elf_machine is not None)
    guest = next(guests, None)
    if guest is None or guest.elf_machine is None:
        raise DynarecError(f"{path}: no installed guest has a machine mode")
    return raw_program(path, guest.elf_machine)


def read_program(source: Path | str | bytes | Program, guest: str | Guest | None) -> tuple[Program, Guest]:
    """The program, and the guest it is for. Raises BadProgram or DynarecError."""
    if isinstance(source, Program):
        return source, next(each for each in load_guests().values() if each.elf_machine == source.machine_id)
    if guest is not None:
        return _read(source, [find_guest(guest) if isinstance(guest, str) else guest])
    try:
        return _read(source, bundled_guests())
    except BadProgram:
        # Looking for the guests of other packages takes time, so only a program that needs one pays for it.
        others = list(load_guests().values())
        if len(others) == len(bundled_guests()):
            raise
        return _read(source, others)


def _read(source: Path | str | bytes, guests: list[Guest]) -> tuple[Program, Guest]:
    by_machine = {guest.elf_machine: guest for guest in guests if guest.elf_machine is not None}
    program = load_program(source, {number: guest.name for number, guest in by_machine.items()})
    return program, by_machine[program.machine_id]


def choose_profile(program: Program, guest: Guest, name: str) -> tuple[type[Profile], str]:
    """The profile, and the program's convention in words. Raises DynarecError for an unknown or unfit one."""
    if name != AUTO:
        _known("machine", name, [AUTO, *PROFILES])
        convention = CONVENTIONS[name](program, guest)
        return profile_class(name), convention or f"unknown to machine {name}, which was asked for"
    for candidate, convention_of in CONVENTIONS.items():
        if candidate in guest.machines and (convention := convention_of(program, guest)) is not None:
            return profile_class(candidate), convention
    raise DynarecError(f"{program.name}: no machine recognises it: name one of {', '.join(guest.machines)}")


def connect_devices(core: Core, profile: Profile) -> None:
    """Map the devices of a profile."""
    for where, device in profile.devices():
        core.add_device(where, device, REFUSALS)


def make_core(guest: Guest, setup: Setup) -> tuple[Core, Translator | None]:
    """The core, and the translator unless everything is interpreted. Raises DynarecError."""
    if TIERS[setup.tier] is not Tier.INTERP:
        try:
            return _translating_core(guest, setup)
        except DynarecError as error:
            if setup.tier != AUTO or setup.wx != AUTO or setup.harden:
                raise
            print(f"dynarec: running interpreted: {error}", file=sys.stderr)
    config = CoreConfig(guest.name, _jump_shift(guest), _causes(guest))
    return Core(config, guest.layout, _evaluated(guest)), None


def _translating_core(guest: Guest, setup: Setup) -> tuple[Core, Translator]:
    from dynarec.host import make_native_host
    from dynarec.translate import Translator

    host = make_native_host(guest, setup.harden)
    config = CoreConfig(
        guest.name,
        _jump_shift(guest),
        _causes(guest),
        TIERS[setup.tier] if has_interpreter(guest.name) else Tier.JIT,
        setup.wx,
        setup.cache_size,
        setup.hot,
        host.home_fields,
        sum(HARDENING_BITS[each.value] for each in setup.harden),
        by_byte=guest.code_policy == "byte",
    )
    core = Core(config, guest.layout, _evaluated(guest))
    if setup.wx == AUTO:
        _announce_fallback(core.policy)
    guide = ProfileGuide(core)
    return core, Translator(
        guest, host, core.memory.code, is_mixed=core.is_mixed, is_hooked=core.is_hooked, guide=guide
    )


def _evaluated(guest: Guest) -> Guest | None:
    """The guest, if nothing was generated for it: of a package that dynarec was built without."""
    return None if has_interpreter(guest.name) else guest


def _announce_fallback(chosen: str) -> None:
    for name in passed_over(chosen):
        print(f"dynarec: W^X policy {chosen} instead of {name}: {probe_policy(name)}", file=sys.stderr)


def _jump_shift(guest: Guest) -> int:
    return guest.isa.parcel.bit_length() - 1


def _causes(guest: Guest) -> tuple[int, int, int]:
    return guest.access_causes.fetch, guest.access_causes.read, guest.access_causes.write


def address_of(program: Program, where: int | str) -> int:
    """An address, or that of a symbol. Raises DynarecError for a symbol that the program lacks."""
    if isinstance(where, int):
        return where
    address = program.symbols.lookup(where)
    if address is None:
        raise DynarecError(f"{program.name}: has no symbol {where!r}: give an address, or a symbol of the program")
    return address
