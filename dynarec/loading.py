"""What a machine is made of: the guest a program is for, the profile that runs it, the core and its translator."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.core import Core, CoreConfig, Tier, policies
from dynarec.errors import BadProgram, DynarecError
from dynarec.guest_state import PAGE
from dynarec.machine import PROFILES, profile_class
from dynarec.machine.base import Profile
from dynarec.program import Program, load_program
from guest_isa import bundled_guests, load_guests

if TYPE_CHECKING:
    from dynarec.translate import Translator
    from guest_isa.guest import Guest

AUTO = "auto"
TIERS = {"auto": Tier.AUTO, "jit": Tier.JIT, "interp": Tier.INTERP}
MAX_HOT = 255
"""The core counts executions in a byte."""
MAX_CACHE_SIZE = 1 << 30


@dataclass(frozen=True, slots=True)
class Setup:
    """How to run: see `Machine.load`."""

    tier: str
    wx: str
    cache_size: int
    hot: int

    def __post_init__(self) -> None:
        _known("tier", self.tier, TIERS)
        _known("W^X policy", self.wx, [AUTO, *policies()])
        if not PAGE <= self.cache_size <= MAX_CACHE_SIZE:
            raise DynarecError(f"a code cache of {self.cache_size} bytes: choose {PAGE} to {MAX_CACHE_SIZE}")
        if not 1 <= self.hot <= MAX_HOT:
            raise DynarecError(f"hot is {self.hot}: choose 1 to {MAX_HOT}")


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


def read_program(source: Path | str | bytes, guest: str | Guest | None) -> tuple[Program, Guest]:
    """The program, and the guest it is for. Raises BadProgram or DynarecError."""
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
        profile = profile_class(name)
        return profile, profile.recognise(program, guest) or f"unknown to machine {name}, which was asked for"
    for candidate in PROFILES:
        if candidate in guest.machines:
            profile = profile_class(candidate)
            convention = profile.recognise(program, guest)
            if convention is not None:
                return profile, convention
    raise DynarecError(f"{program.name}: no machine recognises it: name one of {', '.join(guest.machines)}")


def connect_device(core: Core, profile: Profile) -> None:
    """Map the register page of a profile that has one."""
    base = getattr(profile, "mmio_base", None)
    if base is None:
        return
    from dynarec.machine.console import AccessFault

    core.bus.refusals = (AccessFault,)
    core.memory.device(base, profile.mmio_size, profile)  # type: ignore[attr-defined, arg-type]


def make_core(guest: Guest, setup: Setup) -> tuple[Core, Translator | None]:
    """The core, and the translator unless everything is interpreted. Raises DynarecError."""
    if TIERS[setup.tier] is not Tier.INTERP:
        try:
            return _translating_core(guest, setup)
        except DynarecError as error:
            if setup.tier != AUTO or setup.wx != AUTO:
                raise
            print(f"dynarec: running interpreted: {error}", file=sys.stderr)
    config = CoreConfig(guest.name, _jump_shift(guest), _causes(guest))
    return Core(config, guest.layout), None


def _translating_core(guest: Guest, setup: Setup) -> tuple[Core, Translator]:
    from dynarec.host import make_native_host
    from dynarec.translate import Translator

    host = make_native_host(guest)
    config = CoreConfig(
        guest.name,
        _jump_shift(guest),
        _causes(guest),
        TIERS[setup.tier],
        setup.wx,
        setup.cache_size,
        setup.hot,
        host.home_fields,
    )
    core = Core(config, guest.layout)
    return core, Translator(guest, host, core.memory.code)


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
