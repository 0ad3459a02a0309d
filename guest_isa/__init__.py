"""Guest CPUs as declarations. `load_guests` finds the bundled ones and those of other packages.

A package offers a guest through the entry point group `dynarec.guests`: the name is the guest's, the object a
`guest_isa.guest.Guest`.
"""

from __future__ import annotations

from guest_isa.guest import Guest

ENTRY_POINT_GROUP = "dynarec.guests"


def bundled_guests() -> list[Guest]:
    """The guests of this package."""
    from guest_isa.rv32 import GUEST as RV32

    return [RV32]


def load_guests() -> dict[str, Guest]:
    """Every installed guest by name."""
    from importlib.metadata import entry_points  # takes a while, and most programs need bundled guests only

    guests = {guest.name: guest for guest in bundled_guests()}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        guest = point.load()
        if not isinstance(guest, Guest):
            raise TypeError(f"entry point {point.name} in {ENTRY_POINT_GROUP} is not a guest_isa.guest.Guest")
        guests.setdefault(guest.name, guest)
    return guests
