"""What has variables: a frame, its registers, a struct. Editors open them one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from dynarec.debug.dap.evaluation import evaluate
from dynarec.debug.expression import InRegister, Unavailable
from dynarec.debug.sections import BadDwarf
from dynarec.debug.storage import Storage
from dynarec.debug.values import Variable
from dynarec.errors import DynarecError, GuestMemoryError
from dynarec.guest_state import PC

if TYPE_CHECKING:
    from dynarec.debug.dap.session import Session
    from dynarec.debug.source import Frame
    from guest_isa.guest import Guest

Shown = dict[str, object]
MOST = 10_000
"""Variables of one page."""
REGISTER_SIZE = 4
WORD_MASK = 0xFFFF_FFFF
UNREADABLE = (Unavailable, BadDwarf, GuestMemoryError, RecursionError)
"""What reading a variable may raise."""
LOST = "<not known>"


class Container(ABC):
    """Things with names."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    @abstractmethod
    def count(self) -> int:
        """How many there are."""

    @abstractmethod
    def page(self, start: int, most: int) -> Sequence[Shown]:
        """Some of them, as "Variable"s of the protocol."""

    @abstractmethod
    def change(self, name: str, value: str) -> Shown:
        """Give one another value; it, as it is now. Raises DynarecError."""

    def variable(self, name: str) -> Variable | None:
        """One that comes from the source."""
        return None


class OfSource(Container):
    """Variables of the source."""

    @abstractmethod
    def find(self, name: str) -> Variable | None:
        """The one of a name."""

    @abstractmethod
    def expression(self, name: str) -> str:
        """What a user would write for it."""

    @property
    def frame(self) -> Frame | None:
        """The frame that values are evaluated in."""
        return self.session.debugger.selected_frame

    def variable(self, name: str) -> Variable | None:
        return self.find(name)

    def shown(self, variable: Variable) -> Shown:
        return show(self.session, variable, self.expression(variable.name))

    def change(self, name: str, value: str) -> Shown:
        variable = self.find(name)
        if variable is None:
            raise DynarecError(f"there is no variable {name!r} here")
        assign(self.session, variable, value, self.frame)
        return self.shown(variable)


class Locals(OfSource):
    """The parameters and variables of a function."""

    def __init__(self, session: Session, number: int) -> None:
        super().__init__(session)
        self._number = number

    @property
    def frame(self) -> Frame:
        return self.session.look.frame(self.session.debugger, self._number)

    def _all(self) -> list[Variable]:
        return self.session.debugger.view.variables(self.frame)

    @property
    def count(self) -> int:
        return len(self._all())

    def page(self, start: int, most: int) -> list[Shown]:
        return [self.shown(each) for each in self._all()[start : start + most]]

    def find(self, name: str) -> Variable | None:
        return next((each for each in reversed(self._all()) if each.name == name), None)

    def expression(self, name: str) -> str:
        return name


class Globals(OfSource):
    """The variables outside of functions."""

    def _names(self) -> list[str]:
        return self.session.debugger.source.functions.global_names()

    @property
    def count(self) -> int:
        return len(self._names())

    def page(self, start: int, most: int) -> list[Shown]:
        found = (self.find(name) for name in self._names()[start : start + most])
        return [self.shown(each) for each in found if each is not None]

    def find(self, name: str) -> Variable | None:
        with suppress(DynarecError):
            return self.session.debugger.view.variable(name)
        return None

    def expression(self, name: str) -> str:
        return name


class Parts(OfSource):
    """The members of a struct, the elements of an array, or what a pointer points to."""

    def __init__(self, session: Session, whole: Variable, expression: str) -> None:
        super().__init__(session)
        self._whole = whole
        self._expression = expression

    @property
    def count(self) -> int:
        length = _length(self._whole)
        return len(self._whole.children(0, MOST)) if length is None else length

    def page(self, start: int, most: int) -> list[Shown]:
        return [self.shown(each) for each in self._whole.children(start, most)]

    def find(self, name: str) -> Variable | None:
        if name.startswith("[") and name[1:-1].isdecimal():
            return next(iter(self._whole.children(int(name[1:-1]), 1)), None)
        return self._whole.child(name)

    def expression(self, name: str) -> str:
        if name.startswith("["):
            return self._expression + name
        if name.startswith("*"):
            return f"(*{self._expression})"
        return f"{self._expression}.{name}" if name else self._expression


class Registers(Container):
    """Registers that compilers number, with their values in a frame."""

    def __init__(self, session: Session, number: int) -> None:
        """number: of the frame."""
        super().__init__(session)
        self._number = number
        guest = session.debugger.machine.guest
        self._numbers = {_known_as(guest, name): at for at, name in enumerate(_numbered(guest)) if name}

    @property
    def count(self) -> int:
        return 1 + len(self._numbers)

    def page(self, start: int, most: int) -> list[Shown]:
        return [self._shown(name) for name in [PC, *self._numbers][start : start + most]]

    def change(self, name: str, value: str) -> Shown:
        number = whole_number(self.session, value, self._frame)
        if name == PC and self._frame.activation.called:
            raise DynarecError("the pc of a function that has called another cannot be changed")
        if name == PC:
            self.session.debugger.write_register(PC, number)
        elif name in self._numbers:
            data = (number & WORD_MASK).to_bytes(REGISTER_SIZE, "little")
            self._storage(self._numbers[name]).write(0, data)
        else:
            raise DynarecError(f"there is no register {name!r} here")
        self.session.changed()
        return self._shown(name)

    @property
    def _frame(self) -> Frame:
        return self.session.look.frame(self.session.debugger, self._number)

    def _storage(self, number: int) -> Storage:
        debugger = self.session.debugger
        registers = debugger.view.registers
        return Storage(InRegister(number), self._frame.activation, debugger.machine.memory, registers)

    def _shown(self, name: str) -> Shown:
        frame = self._frame
        value = frame.pc if name == PC else frame.activation.registers.get(self._numbers[name])
        return show_register(name, value, _place(self.session, value or 0))


class SystemRegisters(Container):
    """The other registers of the guest."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        guest = session.debugger.machine.guest
        numbered = set(_numbered(guest))
        self._names = [each.name for each in guest.layout if each.name not in numbered]

    @property
    def count(self) -> int:
        return len(self._names)

    def page(self, start: int, most: int) -> list[Shown]:
        regs = self.session.debugger.machine.regs
        return [show_register(name, regs[name], "") for name in self._names[start : start + most]]

    def change(self, name: str, value: str) -> Shown:
        number = whole_number(self.session, value, None)
        if name not in self._names:
            raise DynarecError(f"there is no register {name!r} here")
        self.session.debugger.write_register(name, number & WORD_MASK)
        self.session.changed()
        return show_register(name, self.session.debugger.machine.regs[name], "")


def _numbered(guest: Guest) -> tuple[str | None, ...]:
    """Registers by the numbers of debugging information."""
    return guest.dwarf.names if guest.dwarf else ()


def _known_as(guest: Guest, name: str) -> str:
    """The name that users know a register by: its first alias, if it has one."""
    layout = guest.layout
    return next((alias for alias in layout.names if alias != name and layout[alias].name == name), name)


def show(session: Session, variable: Variable, expression: str) -> Shown:
    """A "Variable" of the protocol. expression: what a user would write for it."""
    shown: Shown = {
        "name": variable.name or "(no name)",
        "value": variable.text,
        "type": variable.type_name,
        "evaluateName": expression,
        "variablesReference": 0,
    }
    if variable.has_children:
        parts = Parts(session, variable, expression)
        shown["variablesReference"] = session.look.keep(parts)
        shown["indexedVariables" if _length(variable) is not None else "namedVariables"] = parts.count
    address = _reference(variable)
    return shown if address is None else shown | {"memoryReference": hex(address)}


def _length(variable: Variable) -> int | None:
    """The elements of an array; None when unknown, and of what is none."""
    with suppress(*UNREADABLE):
        return variable.length() if variable.type.plain.is_array else None
    return None


def _reference(variable: Variable) -> int | None:
    """The memory that an editor is to show for it: what a pointer points to, or else where it is."""
    with suppress(*UNREADABLE):
        if variable.type.plain.is_pointer:
            return variable.number()
    return variable.address


def _place(session: Session, address: int) -> str:
    """A name of an address in code; "" for others."""
    return session.debugger.view.place(address) if session.debugger.source.is_code(address) else ""


def show_register(name: str, value: int | None, place: str) -> Shown:
    """A "Variable" of the protocol. value: None when it is lost. place: a name of the address that it may be."""
    shown: Shown = {"name": name, "value": LOST, "evaluateName": f"${name}", "variablesReference": 0}
    if value is None:
        return shown | {"presentationHint": {"attributes": ["readOnly"]}}
    text = f"{value:#010x}"
    return shown | {"value": f"{text} <{place}>" if place else text, "memoryReference": hex(value)}


def assign(session: Session, variable: Variable, value: str, frame: Frame | None) -> None:
    """Change a variable to what C, or an expression, would write. Raises DynarecError."""
    try:
        variable.assign(value)
    except DynarecError:
        variable.assign(whole_number(session, value, frame))
    session.changed(variable.address, variable.size or 0)


def whole_number(session: Session, text: str, frame: Frame | None) -> int:
    """The value of an expression that is a number. Raises DynarecError."""
    with suppress(ValueError):
        return int(text, 0)
    number = evaluate(session.debugger, text, frame).number
    if number is None:
        raise DynarecError(f"{text}: not a number")
    return number
