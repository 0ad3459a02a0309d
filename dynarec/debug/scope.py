"""What expressions are about: a stopped machine and a frame of it, or the place of a hook before the guest is there."""

from __future__ import annotations

from dynarec.conditions import Insn, Op
from dynarec.debug.compiled import Located, NotStaticError
from dynarec.debug.expression import InMemory, InRegister
from dynarec.debug.language import Access
from dynarec.debug.source import Frame, Source
from dynarec.debug.state import Memory
from dynarec.debug.storage import Storage
from dynarec.debug.values import Variable
from dynarec.engine import Machine
from dynarec.errors import DynarecError, GuestMemoryError
from dynarec.guest_state import PC
from guest_isa.profile import DwarfRegisters

ADDRESS_MASK = 0xFFFF_FFFF
PROBES = (0, 1 << 24, 5 << 22)
"""By how much registers differ from each other when a place is asked for that is relative to one of them."""


class NumberedRegisters:
    """The registers of a machine by DWARF number."""

    def __init__(self, machine: Machine, numbers: DwarfRegisters) -> None:
        self._machine = machine
        self._names = numbers.names

    def __getitem__(self, number: int) -> int:
        name = self._name(number)
        return 0 if name is None else self._machine.regs[name]

    def __setitem__(self, number: int, value: int) -> None:
        name = self._name(number)
        if name is not None:
            self._machine.regs[name] = value

    def _name(self, number: int) -> str | None:
        if not 0 <= number < len(self._names):
            raise KeyError(number)
        return self._names[number]


class Scope:
    """A machine that does not run, seen from a frame (see `Context`)."""

    def __init__(
        self,
        machine: Machine,
        source: Source | None = None,
        frame: Frame | None = None,
        access: Access | None = None,
    ) -> None:
        """frame: None: registers are what they are now, and there are no variables of functions."""
        self.access = access
        self._machine = machine
        self._source = source
        self._frame = frame
        numbers = machine.guest.dwarf
        self._names = numbers.names if numbers else ()
        self._registers = NumberedRegisters(machine, numbers) if numbers else None

    @property
    def memory(self) -> Memory:
        """The guest's."""
        return self._machine.memory

    def register(self, name: str) -> int | None:
        """Its value in the frame; None when there is no such register. Raises DynarecError when it is lost."""
        layout = self._machine.guest.layout
        if self._frame is None or (name != PC and name not in layout):
            return self._machine.regs[name] if name == PC or name in layout else None
        if name == PC:
            return self._frame.pc
        number = self._number(name)
        if number is None:
            return self._machine.regs[name]
        if number not in self._frame.activation.registers:
            raise DynarecError(f"the register {name} is lost in this frame")
        return self._frame.activation.registers[number]

    def _number(self, name: str) -> int | None:
        """The DWARF number of a register; None when it has none."""
        plain = self._machine.guest.layout[name].name
        return self._names.index(plain) if plain in self._names else None

    def set_register(self, name: str, value: int) -> None:
        """Change it in the frame: where it is saved, if it is. Raises DynarecError when it cannot be changed."""
        number = None if name == PC else self._number(name)
        if self._frame is not None and number is not None:
            storage = Storage(InRegister(number), self._frame.activation, self.memory, self._registers)
            storage.write(0, value.to_bytes(4, "little"))
            return
        if name == PC and self._frame is not None and self._frame.activation.called:
            raise DynarecError(
                "the pc of a frame that has called another one cannot be changed: select the innermost one"
            )
        try:
            self._machine.regs[name] = value
        except ValueError as error:
            raise DynarecError(str(error)) from None

    def variable(self, name: str) -> Variable | None:
        """The variable of a name that the frame can see."""
        if self._source is None:
            return None
        return self._source.variable(name, self._frame, self.memory, self._registers)

    def symbol(self, name: str) -> int | None:
        """The address of a symbol."""
        return self._machine.symbols.lookup(name)


class _Nowhere:
    """Memory where nothing is known yet."""

    def read(self, address: int, size: int) -> bytes:
        raise GuestMemoryError(address, size, "read")

    def write(self, address: int, data: bytes) -> None:
        raise GuestMemoryError(address, len(data), "write")


class _Probe:
    """Registers from whose values one can tell which one an address is relative to."""

    def __init__(self, unit: int) -> None:
        self._unit = unit

    def __getitem__(self, number: int) -> int:
        return number * self._unit & ADDRESS_MASK

    def __setitem__(self, number: int, value: int) -> None:
        raise KeyError(number)


class HookSite:
    """The place of a hook (see `StaticContext`)."""

    def __init__(
        self, machine: Machine, source: Source | None = None, pc: int | None = None, has_access: bool = False
    ) -> None:
        """pc: where the guest is when the hook is hit, if that is known: the variables are those of its function."""
        self.has_access = has_access
        self._machine = machine
        self._source = source
        self._pc = pc
        self._numbers = machine.guest.dwarf

    def register(self, name: str) -> Insn | None:
        """How the core reads a register; None when there is no such one."""
        layout = self._machine.guest.layout
        if name == PC:
            return Insn(Op.PC)
        return Insn(Op.REGISTER, layout[name].index) if name in layout else None

    def symbol(self, name: str) -> int | None:
        """The address of a symbol."""
        return self._machine.symbols.lookup(name)

    def variable(self, name: str) -> Located | None:
        """Where a variable is, whatever the registers are; NotStaticError when that is not to be said."""
        found = [self._probe(name, unit) for unit in PROBES]
        variable = found[0]
        if variable is None:
            return None
        places = [each.storage.location for each in found if each is not None and each.storage is not None]
        if len(places) != len(PROBES) or variable.bits is not None or variable.at:
            raise NotStaticError
        if isinstance(places[0], InRegister) and places[0] == places[1] == places[2]:
            return Located(variable, self._index(places[0].number), in_memory=False)
        return self._relative(variable, [_address(place) for place in places])

    def _probe(self, name: str, unit: int) -> Variable | None:
        """The variable, as a guest sees it whose registers have these values."""
        if self._source is None:
            return None
        frames = self._source.frames(self._pc, _Probe(unit), _Nowhere(), 1) if self._pc is not None else []
        return self._source.variable(name, next(iter(frames), None), _Nowhere())

    def _relative(self, variable: Variable, addresses: list[int]) -> Located:
        """The offset from the register whose values explain the addresses."""
        number, rest = divmod(addresses[1] - addresses[0] & ADDRESS_MASK, PROBES[1])
        if rest or (addresses[2] - addresses[0] - number * PROBES[2]) & ADDRESS_MASK:
            raise NotStaticError
        return Located(variable, self._index(number) if number else None, addresses[0])

    def _index(self, number: int) -> int:
        """The number in the guest's state of a register with a DWARF number."""
        names = self._numbers.names if self._numbers else ()
        name = names[number] if 0 <= number < len(names) else None
        if name is None:
            raise NotStaticError
        return self._machine.guest.layout[name].index


def _address(place: object) -> int:
    if not isinstance(place, InMemory):
        raise NotStaticError
    return place.address
