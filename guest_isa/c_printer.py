"""The builder whose values are C expressions: it prints what an instruction means as the statements of a function."""

from __future__ import annotations

import itertools

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.semantics import Register, Semantics, Value
from dynarec.ir.state import Field
from guest_isa.guest import Guest
from guest_isa.isa import StateIndex

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
