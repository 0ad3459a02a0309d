"""Prints a guest's interpreter in C: the same meanings as everywhere, run on a builder whose values are C expressions.

The result is a `const struct dr_guest dr_guest_<guest>` (native/guest.h): above all a function for each instruction,
one that executes the instruction at `core->cpu.pc` by them, and one that only tells which of them would; for a guest
with a machine mode, also the functions that deliver traps and interrupts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import and_

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.semantics import Register, Semantics, Value
from dynarec.ir.state import Field
from guest_isa.guest import Guest
from guest_isa.isa import InsnSpec, StateIndex
from guest_isa.privileged import Privileged

INDENT = "    "


class CPrinter(Semantics):
    """Collects the C statements of one instruction. Values are C variables, C expressions or Python integers."""

    def __init__(self, guest: Guest, length: int) -> None:
        self.guest = guest
        self.length = length
        self.pc = "pc"
        self.next_pc = f"(pc + {length}u)"
        self.encoding = "w"
        self.lines: list[str] = []
        self.ended = False
        self._names = (f"v{n}" for n in itertools.count())
        self._wrote = False
        self._branched = False

    def _c(self, value: Value) -> str:
        return f"{value & ops.MASK32:#x}u" if isinstance(value, int) else str(value)

    def _let(self, expression: str) -> str:
        name = next(self._names)
        self.lines.append(f"uint32_t {name} = {expression};")
        return name

    def _fail(self, cause: int, value: str) -> str:
        return f"return dr_raise(core, {cause}, {value}, {self.length});"

    def op(self, kind: OpKind, *args: Value, attr: object = None) -> Value:
        if kind in ops.LOADS:
            return self._load(kind, attr, *args)
        if kind in ops.STORES:
            return self._store(kind, None, *args)
        if kind is ops.STORE32_IF:
            return self._store(ops.STORE32, *args)
        if kind is ops.CALL:
            return self._let(f"(uint32_t)(dr_counter_{attr}(core) >> {self._c(args[0])})")
        return self._let(f"dr_op_{kind.name}({', '.join(map(self._c, args))})")

    def _address(self, base: Value, offset: Value) -> str:
        return self._let(f"{self._c(base)} + {self._c(offset)}")

    def _load(self, kind: OpKind, attr: object, base: Value, offset: Value) -> str:
        self._check_order(kind)
        address = self._address(base, offset)
        name = next(self._names)
        causes = self.guest.access_causes
        suffix, cause = ("_to_write", causes.write) if attr == ops.AS_WRITE else ("", causes.read)
        self.lines.append(f"uint32_t {name};")
        self.lines.append(f"if (!dr_{kind.name}{suffix}(core, {address}, &{name}))")
        self.lines.append(INDENT + self._fail(cause, address))
        return name

    def _store(self, kind: OpKind, condition: Value | None, base: Value, offset: Value, value: Value) -> None:
        self._check_order(kind)
        address = self._address(base, offset)
        guard = "" if condition is None else f"{self._c(condition)} && "
        self.lines.append(f"if ({guard}!dr_{kind.name}(core, {address}, {self._c(value)}))")
        self.lines.append(INDENT + self._fail(self.guest.access_causes.write, address))

    def _check_order(self, kind: OpKind) -> None:
        if self._wrote:
            raise ValueError(f"{kind.name} comes after a set: if it faults, the state is no longer exact")

    def _word(self, register: Register) -> str:
        if isinstance(register, Field):
            return f"state[{register.index}]"
        assert isinstance(register, StateIndex)
        return f"state[{register.expression}]"

    def get(self, field: Register) -> Value:
        # A copy: a later `set` of the same register must not change what was read.
        return 0 if field is None else self._let(self._word(field))

    def set(self, field: Register, value: Value) -> None:
        self._wrote = True
        if field is None:
            return
        if isinstance(field, Field) and field.bits != ops.WORD_BITS:
            value = self.op(ops.AND, value, (1 << field.bits) - 1)
        guarded = isinstance(field, StateIndex) and field.zero is not None
        guard = f"if (({field.expression}) != {field.zero}) " if guarded else ""
        self.lines.append(f"{guard}{self._word(field)} = {self._c(value)};")

    def trap_if(self, condition: Value, cause: int, value: Value) -> None:
        self._check_order(ops.EXIT_IF)
        self.lines.append(f"if ({self._c(condition)})")
        self.lines.append(INDENT + self._fail(cause, self._c(value)))

    def jump(self, target: Value) -> None:
        self._end(f"cpu->pc = {self._c(target)};", "return DR_JUMPED;")

    def branch(self, condition: Value, target: Value) -> None:
        self.lines += [f"if ({self._c(condition)}) {{", f"{INDENT}cpu->pc = {self._c(target)};"]
        self.lines += [f"{INDENT}return DR_JUMPED;", "}"]
        self._branched = True

    def trap(self, cause: int, value: Value) -> None:
        self._end(self._fail(cause, self._c(value)))

    def sync_code(self) -> None:
        self._end(f"cpu->pc = {self.next_pc};", "return DR_SYNC;")

    def wait(self) -> None:
        self._end(f"cpu->pc = {self.next_pc};", "return DR_WAITING;")

    def _end(self, *lines: str) -> None:
        self.lines += lines
        self.ended = True

    def finish(self) -> list[str]:
        """The statements, with the way to the next instruction at their end."""
        if not self.ended:
            self._end(f"cpu->pc = {self.next_pc};", f"return {'DR_FELL' if self._branched else 'DR_STEPPED'};")
        return self.lines


def _run(guest: Guest, spec: InsnSpec, fixed: dict[str, int]) -> list[str]:
    printer = CPrinter(guest, spec.length)
    arguments = [fixed.get(name, kind.c(name)) for name, kind in spec.operands.items()]
    spec.meaning(printer, *arguments)
    return printer.finish()


def _body(guest: Guest, spec: InsnSpec) -> list[str]:
    """The statements of an instruction; one case each where its meaning looks at an operand's number itself."""
    chosen = next((name for name, kind in spec.operands.items() if kind.choices), None)
    if chosen is None:
        return _run(guest, spec, {})
    kind = spec.operands[chosen]
    lines = [f"switch ({chosen}) {{"]
    for number in kind.choices:
        lines += [f"case {number:#x}: {{", *_indented(_run(guest, spec, {chosen: number})), "}"]
    return [*lines, "default: {", *_indented(_run(guest, spec, {chosen: kind.other})), "}", "}"]


def _indented(lines: list[str], depth: int = 1) -> Iterator[str]:
    return (INDENT * depth + line for line in lines)


def _excluded(spec: InsnSpec) -> str:
    return " || ".join(f"{name} == {number:#x}u" for name, numbers in spec.unless.items() for number in numbers)


def _operands(spec: InsnSpec, names: Iterable[str]) -> list[str]:
    return [f"uint32_t {name} = (uint32_t){spec.expression(name)};" for name in names]


def _handler_name(spec: InsnSpec) -> str:
    """Instructions may have a name in common."""
    name = "".join(each if each.isalnum() else "_" for each in spec.name)
    return f"do_{name}_{spec.mask:x}_{spec.match:x}"


def _case(spec: InsnSpec, found: str) -> list[str]:
    handler = found.format(_handler_name(spec))
    if not spec.unless:
        return [f"case {spec.match:#x}:", INDENT + handler]
    lines = [*_operands(spec, spec.unless), f"if ({_excluded(spec)})", INDENT + "break;", handler]
    return [f"case {spec.match:#x}: {{", *_indented(lines), "}"]


def _switch(mask: int, by_match: Mapping[int, list[InsnSpec]], found: str) -> list[str]:
    lines = [f"switch (w & {mask:#x}) {{"]
    for specs in by_match.values():
        if len(specs) > 1:
            raise ValueError(f"{[spec.name for spec in specs]} differ only in their exclusions")
        lines += _case(specs[0], found)
    return [*lines, "}"]


def _decode(guest: Guest, length: int, found: str) -> list[str]:
    """A switch over the literal bits that all have, and in it those of the most specific patterns first.

    Falls through when none matches.
    """
    candidates = guest.isa.candidates(length)
    shared = reduce(and_, (mask for mask, _ in candidates))
    lines = [f"switch (w & {shared:#x}) {{"]
    for major in sorted({match & shared for _, by_match in candidates for match in by_match}):
        lines.append(f"case {major:#x}:")
        for mask, by_match in candidates:
            if own := {match: specs for match, specs in by_match.items() if match & shared == major}:
                lines += _indented(_switch(mask, own, found))
        lines.append(f"{INDENT}break;")
    return [*lines, "}"]


def _fetch(guest: Guest) -> list[str]:
    parcel = guest.isa.parcel
    fail = f"return (void)dr_raise(core, {guest.access_causes.fetch}, pc, {parcel}), false;"
    lines = ["uint32_t w;", f"if (!dr_fetch(core, pc, {parcel}, &w))", INDENT + fail]
    lines.append(f"uint32_t length = {guest.isa.length_expression};")
    lines += [f"if (length != {parcel} && !dr_fetch(core, pc, length, &w))"]
    # The manual gives the address of the part that cannot be fetched.
    page_end = "(pc | (DR_PAGE - 1)) + 1"
    lines.append(f"{INDENT}return (void)dr_raise(core, {guest.access_causes.fetch}, {page_end}, length), false;")
    lines += ["*insn = (struct dr_guest_insn){w, length};", "return true;"]
    return _function("inline bool read_insn(struct dr_core *core, struct dr_guest_insn *insn)", lines)


PROLOGUE = ("struct dr_cpu *cpu = &core->cpu;", "uint32_t *state = cpu->state;", "uint32_t pc = cpu->pc;")


def _function(head: str, lines: list[str]) -> list[str]:
    unused = "(void)state, (void)pc;"
    return [f"static {head} {{", *_indented([*PROLOGUE, unused, *lines]), "}", ""]


HANDLER = "enum dr_status {name}(struct dr_core *core, uint32_t w)"


def _handlers(guest: Guest) -> list[str]:
    """A function for each instruction, and one for what is none."""
    lines: list[str] = []
    for spec in guest.isa:
        unused = [f"(void){name};" for name in ("w", *spec.operands)]
        body = [f"/* {spec.name} */", *_operands(spec, spec.operands), *unused, *_body(guest, spec)]
        lines += _function(HANDLER.format(name=_handler_name(spec)), body)
    illegal = f"return dr_raise(core, {guest.illegal}, w, {guest.isa.length_expression});"
    return [*lines, *_function(HANDLER.format(name="do_undefined"), [illegal])]


def _find(guest: Guest, found: str) -> list[str]:
    lines = ["uint32_t w = insn->word;"]
    for length in sorted({spec.length for spec in guest.isa}):
        lines += [f"if (insn->length == {length}) {{", *_indented(_decode(guest, length, found)), "}"]
    return [*lines, found.format("do_undefined")]


def _step(guest: Guest) -> list[str]:
    """What executes the instruction at pc, and what tells which function does."""
    lines = ["struct dr_guest_insn read, *insn = &read;", "if (!read_insn(core, insn))", INDENT + "return DR_TRAPPED;"]
    fetch = ["if (!read_insn(core, insn))", INDENT + "return NULL;", *_find(guest, "return {};")]
    return [
        *_fetch(guest),
        *_function("enum dr_status step(struct dr_core *core)", lines + _find(guest, "return {}(core, w);")),
        *_function("dr_handler *fetch(struct dr_core *core, struct dr_guest_insn *insn)", fetch),
    ]


def _privileged(guest: Guest, privileged: Privileged) -> list[str]:
    """What delivers traps and interrupts."""
    trap, pending, wakes = (CPrinter(guest, 0) for _ in range(3))
    privileged.take_trap(trap, "cause", "value")
    lines, cause = privileged.pending(pending)
    wake = privileged.wakes(wakes)
    chosen = [*pending.lines, f"*cause = {cause};", f"return {lines} != 0;"]
    return [
        *_function("enum dr_status take_trap(struct dr_core *core, uint32_t cause, uint32_t value)", trap.finish()),
        *_function("bool pending(struct dr_core *core, uint32_t *cause)", chosen),
        *_function("bool wakes(struct dr_core *core)", [*wakes.lines, f"return {wake} != 0;"]),
    ]


def generate(guest: Guest) -> str:
    """The interpreter of `guest` as one C file."""
    head = f"/* {guest.title}: generated by guest_isa/interpreter.py from the guest's table; changes belong there. */"
    lines = [head, '#include "interp.h"', "", *_handlers(guest), *_step(guest)]
    functions = ["step", "fetch"]
    if guest.privileged is not None:
        lines += _privileged(guest, guest.privileged)
        functions += ["take_trap", "pending", "wakes"]
    table = f"const struct dr_guest dr_guest_{guest.name}"
    members = ", ".join(f".{name} = {name}" for name in functions)
    return "\n".join([*lines, f"extern {table};", f"{table} = {{{members}}};", ""])


def generate_registry(guests: list[Guest]) -> str:
    """The C file that finds a generated interpreter by its guest's name."""
    lines = ['#include "core.h"', "#include <string.h>", ""]
    lines += [f"extern const struct dr_guest dr_guest_{guest.name};" for guest in guests]
    lines += ["", "const struct dr_guest *dr_interpreter(const char *guest) {"]
    for guest in guests:
        lines += [f'{INDENT}if (strcmp(guest, "{guest.name}") == 0)', f"{INDENT * 2}return &dr_guest_{guest.name};"]
    return "\n".join([*lines, f"{INDENT}return NULL;", "}", ""])
