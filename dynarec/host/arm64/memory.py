"""Guest memory on arm64.

It is `[window, wN, uxtw]`, or `[pointer, #offset]` where the pointer is window + wN: a 32-bit address cannot leave the
window, and a small offset ends in its guards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynarec.host.arm64.conditions import Conditions
from dynarec.host.arm64.encode import Assembler, invert
from dynarec.host.arm64.lower import reaches, signed_offset
from dynarec.host.arm64.regs import POINTER, WINDOW
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Operand, Unit

_LOADS = {
    ops.LOAD8U: Assembler.ldrb_x,
    ops.LOAD8S: Assembler.ldrsb_x,
    ops.LOAD16U: Assembler.ldrh_x,
    ops.LOAD16S: Assembler.ldrsh_x,
    ops.LOAD32: Assembler.ldr_x,
}
_STORES = {
    ops.STORE8: Assembler.strb_x,
    ops.STORE16: Assembler.strh_x,
    ops.STORE32: Assembler.str_x,
}
_POINTED_LOADS = {
    ops.LOAD8U: Assembler.ldrb,
    ops.LOAD8S: Assembler.ldrsb,
    ops.LOAD16U: Assembler.ldrh,
    ops.LOAD16S: Assembler.ldrsh,
    ops.LOAD32: Assembler.ldr,
}
_POINTED_STORES = {
    ops.STORE8: Assembler.strb,
    ops.STORE16: Assembler.strh,
    ops.STORE32: Assembler.str,
}


class Memory(Conditions):
    """Loads and stores."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int]) -> None:
        super().__init__(unit, homes)
        self.pointed: Op | None = None
        """The value that the pointer register counts from."""

    def _address(self, base: Operand, offset: Operand) -> int:
        """A register with the address; an offset is left only where `lower` was switched off."""
        assert isinstance(offset, int)
        value = self.regs.value(base)
        if isinstance(value, int):
            return self.regs.register((value + offset) & ops.MASK32)
        register = self.regs.register(base)
        if offset == 0:
            return register
        address = self.regs.temporary()
        self.asm.mov_ri(address, offset)
        self.asm.add_rr(address, address, register)
        return address

    def _point(self, op: Op) -> bool:
        """Make the pointer hold the access's base, if the access can go through it."""
        base, offset = op.args[:2]
        value = self.regs.value(base)
        if isinstance(value, int) or offset == 0 or not reaches(signed_offset(offset), op.kind.bits):
            return False
        if self.pointed is not value:
            self.asm.add_ext64(POINTER, WINDOW, self.regs.register(base))
            self.pointed = value
        return True

    def load(self, op: Op) -> None:
        pointed = self._point(op)
        address = 0 if pointed else self._address(op.args[0], op.args[1])
        self.regs.done(op)
        moves = self.regs.moves(op.deferred)
        to = self.regs.result(op)
        self._site(op, moves)
        if pointed:
            _POINTED_LOADS[op.kind](self.asm, to, POINTER, signed_offset(op.args[1]))
        else:
            _LOADS[op.kind](self.asm, to, WINDOW, address)

    def store(self, op: Op) -> None:
        base, offset, operand = op.args
        pointed = self._point(op)
        address = 0 if pointed else self._address(base, offset)
        source = self.regs.register(self.regs.value(operand))
        self._site(op)
        if pointed:
            _POINTED_STORES[op.kind](self.asm, source, POINTER, signed_offset(offset))
        else:
            _STORES[op.kind](self.asm, source, WINDOW, address)
        self.regs.done(op)

    def store_if(self, op: Op) -> None:
        condition, base, offset, operand = op.args
        code = self._condition(condition)
        self.regs.unlock()
        address = self._address(base, offset)
        source = self.regs.register(self.regs.value(operand))
        over = self.asm.label()
        self.asm.bcond(invert(code), over)
        self._site(op)
        self.asm.str_x(source, WINDOW, address)
        self.asm.bind(over)
        self.regs.done(op)


MEMORY: dict[OpKind, Callable[[Memory, Op], None]] = {
    **dict.fromkeys(_LOADS, Memory.load),
    **dict.fromkeys(_STORES, Memory.store),
    ops.STORE32_IF: Memory.store_if,
}
"""The method that emits an op of this module."""
