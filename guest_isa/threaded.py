"""Prints a guest's threaded loop in C: one function that executes decoded instructions (native/decoded.h) in turn.

Each instruction that translations do not leave to the interpreter has its own place in the loop, with its own jump to
the next one; its operands are taken out of its word once, when it is decoded. The others are called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.semantics import Register, Value
from guest_isa.c_decoder import find, handler_name, indented, operands
from guest_isa.c_printer import INDENT, CPrinter
from guest_isa.guest import Guest
from guest_isa.isa import InsnSpec, StateIndex

SLOTS = 5
"""Narrow operands of a decoded instruction (DR_DECODED_SLOTS)."""
NARROW_BITS = 8
WIDE = "insn->wide"
DISTANT = f"(pc + {WIDE})"


class DoesNotFitError(Exception):
    """An instruction that cannot stand in the loop: it is called."""


class ThreadedPrinter(CPrinter):
    """Prints the statements of one instruction in the loop, and those that decode it."""

    def __init__(self, guest: Guest, spec: InsnSpec) -> None:
        super().__init__(guest, spec.length)
        self.spec = spec
        self.decoding: list[str] = []
        self.profile = "NONE"
        self._slots: dict[str, int] = {}
        self._has_wide = False
        self._constant = {self.pc, self.next_pc, DISTANT}

    def run(self) -> None:
        """Print all of it. Raises DoesNotFitError."""
        if self.spec.interpreted or any(kind.choices for kind in self.spec.operands.values()):
            raise DoesNotFitError
        self.spec.meaning(self, *(self._operand(name) for name in self.spec.operands))
        self.lines = self.finish()
        if _names(str(self.encoding), self.lines):
            raise DoesNotFitError  # the word is gone

    # -- operands -----------------------------------------------------------------------------------------------------

    def _operand(self, name: str) -> str | StateIndex:
        kind = self.spec.operands[name]
        value = kind.c(name)
        if isinstance(value, StateIndex):
            return value
        if kind.bits <= NARROW_BITS and not kind.signed:
            where = self._slot(value)
        elif not self._has_wide:
            where = WIDE
            self._has_wide = True
            self.decoding.append(f"to->wide = {value};")
        else:
            raise DoesNotFitError
        self._constant.add(where)
        return where

    def _slot(self, expression: str) -> str:
        if expression not in self._slots:
            if len(self._slots) == SLOTS:
                raise DoesNotFitError
            self._slots[expression] = len(self._slots)
            self.decoding.append(f"to->slots[{self._slots[expression]}] = (uint8_t)({expression});")
        return f"insn->slots[{self._slots[expression]}]"

    def _word(self, register: Register) -> str:
        indexed = isinstance(register, StateIndex)
        return f"state[{self._slot(register.expression)}]" if indexed else super()._word(register)

    def set(self, field: Register, value: Value) -> None:
        """A register that is never written has another word for it."""
        if isinstance(field, StateIndex) and field.zero is not None:
            number = field.expression
            field = StateIndex(f"({number}) == {field.zero} ? DR_SINK_WORD : ({number})")
        super().set(field, value)

    # -- ops ----------------------------------------------------------------------------------------------------------

    def op(self, kind: OpKind, *args: Value, attr: object = None) -> Value:
        if kind is ops.CALL:
            raise DoesNotFitError
        if kind is ops.ADD and args == (self.pc, WIDE):
            return DISTANT
        value = super().op(kind, *args, attr=attr)
        if kind not in ops.LOADS and all(isinstance(arg, int) or arg in self._constant for arg in args):
            self._constant.add(value)
        return value

    def _load(self, kind: OpKind, attr: object, base: Value, offset: Value) -> str:
        self._check_order(kind)
        address = self._address(base, offset)
        name = next(self._names)
        causes = self.guest.access_causes
        access, cause = ("DR_READ | DR_WRITE", causes.write) if attr == ops.AS_WRITE else ("DR_READ", causes.read)
        self.lines.append(f"uint32_t {name};")
        self.lines.append(f"DR_LOAD_PLAIN({C_TYPES[kind]}, {access}, {cause}, {self.length}, {address}, {name});")
        return name

    def _store(self, kind: OpKind, condition: Value | None, base: Value, offset: Value, value: Value) -> None:
        self._check_order(kind)
        address = self._address(base, offset)
        cause = self.guest.access_causes.write
        guard = "" if condition is None else f"if ({self._c(condition)}) "
        self.lines.append(
            f"{guard}DR_STORE_PLAIN({C_TYPES[kind]}, {cause}, {self.length}, {address}, {self._c(value)});"
        )

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _fail(self, cause: int, value: str) -> str:
        return f"DR_FAIL({cause}, {value}, {self.length});"

    def jump(self, target: Value) -> None:
        if not isinstance(target, int) and target not in self._constant:
            self.profile = "JUMP"
            if len(self._slots) == SLOTS:
                raise DoesNotFitError  # the last slot is the profile's
            self.decoding.append(f"to->slots[{SLOTS - 1}] = 0;")
            self.lines.append(f"dr_note_target(insn, {target});")
        self._end(self._go(target))

    def _go(self, target: Value) -> str:
        """To a place that is a constant distance away, if it can be told when the instruction is decoded."""
        if target != DISTANT:
            return f"DR_JUMP({self._c(target)});"
        self.decoding += ["if (to->wide % DR_PARCEL)", f"{INDENT}return LOOK;"]
        return f"DR_JUMP_BY({WIDE});"

    def branch(self, condition: Value, target: Value) -> None:
        self.profile = "BRANCH"
        self.lines += [f"if ({self._c(condition)}) {{", f"{INDENT}dr_saturate(&insn->taken);"]
        self.lines += [INDENT + self._go(target), "}", "dr_saturate(&insn->fell);"]
        self._branched = True

    def sync_code(self) -> None:
        self._end(f"DR_END({self.next_pc}, DR_SYNC);")

    def wait(self) -> None:
        self._end(f"DR_END({self.next_pc}, DR_WAITING);")

    def finish(self) -> list[str]:
        if not self.ended:
            self._end(f"DR_NEXT({self.length}, {'DR_FELL' if self._branched else 'DR_STEPPED'});")
        return [*(["const uint32_t pc = DR_PC;"] if _names(self.pc, self.lines) else []), *self.lines]


C_TYPES = {
    ops.LOAD8U: "uint8_t", ops.LOAD8S: "int8_t", ops.LOAD16U: "uint16_t", ops.LOAD16S: "int16_t",
    ops.LOAD32: "uint32_t", ops.STORE8: "uint8_t", ops.STORE16: "uint16_t", ops.STORE32: "uint32_t",
}  # fmt: skip


def _names(variable: str, lines: list[str]) -> bool:
    return any(re.search(rf"\b{variable}\b", line) for line in lines)


@dataclass(frozen=True, slots=True)
class Place:
    """An instruction: in the loop, its statements; those that decode it. lines: None if it is called."""

    spec: InsnSpec
    lines: list[str] | None
    decoding: list[str]
    profile: str = "NONE"


def _place(guest: Guest, spec: InsnSpec, called: int) -> Place:
    printer = ThreadedPrinter(guest, spec)
    try:
        printer.run()
    except DoesNotFitError:
        return Place(spec, None, ["to->word = w;", f"to->wide = {called};"])
    return Place(spec, printer.lines, printer.decoding, printer.profile)


def _places(guest: Guest) -> list[Place]:
    places: list[Place] = []
    for spec in guest.isa:
        places.append(_place(guest, spec, sum(place.lines is None for place in places)))
    return places


def _handler(place: Place) -> str:
    return "CALLED" if place.lines is None else f"IN_{handler_name(place.spec)}"


def _decoder(place: Place) -> list[str]:
    """A function that fills in `to` from the word."""
    used = [name for name in place.spec.operands if _names(name, place.decoding)]
    body = ["(void)to, (void)w;", *operands(place.spec, used), *place.decoding]
    end = [f"to->profile = DR_PROFILE_{place.profile};", f"return {_handler(place)};"]
    head = f"static enum handler decode_{handler_name(place.spec)}(struct dr_decoded *to, uint32_t w) {{"
    return [head, *indented([*body, *end]), "}", ""]


UNDEFINED = """
static enum handler decode_undefined(struct dr_decoded *to, uint32_t w) {
    (void)to, (void)w;
    return LOOK;
}
"""


def _decoders(guest: Guest, places: list[Place]) -> list[str]:
    """A function for each instruction, and the one that finds which it is."""
    handlers = ", ".join(_handler(place) for place in places if place.lines is not None)
    lines = [f"enum handler {{ LOOK, CALLED, {handlers} }};", "", *_lines(UNDEFINED), ""]
    for place in places:
        lines += _decoder(place)
    head = "static enum handler find_handler(const struct dr_guest_insn *insn, struct dr_decoded *to) {"
    return [*lines, head, *indented(find(guest, "return decode_{}(to, w);")), "}", ""]


def _lines(text: str) -> list[str]:
    return text.strip("\n").splitlines()


# What crosses into another page is executed by itself: decoded code is trusted page by page. So is a branch at the end
# of one: that it was not taken has to be known behind it.
DECODE = """
DR_RARE static bool decode(struct dr_core *core, uint32_t pc, struct dr_decoded *to) {{
    uint32_t w;
    if (!dr_fetch(core, pc, DR_PARCEL, &w))
        return false;
    struct dr_guest_insn insn = {{w, {length}}};
    uint32_t end = (pc & (DR_PAGE - 1)) + insn.length;
    if (end > DR_PAGE || !dr_fetch(core, pc, insn.length, &insn.word))
        return false;
    struct dr_decoded found = {{0}};
    found.handler = (uint16_t)find_handler(&insn, &found);
    if (!found.handler || (end == DR_PAGE && found.profile == DR_PROFILE_BRANCH))
        return false;
    dr_decoded_set(core, to, &found);
    return true;
}}
"""

LOOK = """
look:
    if (insn == page->insns + DR_PAGE / DR_PARCEL) {
        struct dr_decoded_page *other = dr_decoded_page(core, DR_PC, DR_PARCEL);
        if (!other)
            return dr_leave(core, core->at, DR_PC, start - left - 1, DR_STEPPED);
        page = other;
        insn = page->insns;
        DR_DISPATCH;
    }
    if (start != left && dr_blocks_find(&core->blocks, DR_PC))
        return dr_leave(core, core->at, DR_PC, start - left - 1, DR_JUMPED);
    if (decode(core, DR_PC, insn))
        DR_DISPATCH;
    dr_pause(core, DR_PC, start - left);
    return step(core);
called:
    dr_pause(core, DR_PC, start - left);
    return called[insn->wide](core, insn->word);
"""

HEAD = """
static enum dr_status run(struct dr_core *core, uint32_t steps, bool heats) {
    uint32_t *const state = core->cpu.state;
    uint8_t *const base = core->memory.base;
    const uint16_t *const pages = core->memory.access;
    uint32_t start = steps, left = steps;
    struct dr_decoded_page *page = dr_decoded_page(core, core->cpu.pc, DR_PARCEL);
    if (!page)
        return step(core);
    struct dr_decoded *insn = page->insns + (core->cpu.pc & (DR_PAGE - 1)) / DR_PARCEL;
    DR_DISPATCH;
"""


def _tables(places: list[Place]) -> list[str]:
    """The places in the loop, in the order of enum handler, and the functions that are called."""
    labels = ["&&look", "&&called", *(f"&&{_handler(place)}" for place in places if place.lines is not None)]
    called = [f"do_{handler_name(place.spec)}" for place in places if place.lines is None] or ["NULL"]
    return [
        f"static const void *const handlers[] = {{{', '.join(labels)}}};",
        f"static dr_handler *const called[] = {{{', '.join(called)}}};",
    ]


def loop(guest: Guest) -> list[str]:
    """The loop and what decodes for it, as lines of C."""
    places = _places(guest)
    head, *body = _lines(HEAD)
    lines = [*_decoders(guest, places), *_lines(DECODE.format(length=guest.isa.length_expression)), ""]
    lines += [head, *indented(_tables(places)), *body, *_lines(LOOK)]
    for place in places:
        if place.lines is not None:
            lines += [f"{_handler(place)}: {{", *indented(place.lines), "}"]
    return [*lines, "}", ""]
