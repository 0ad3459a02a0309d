"""Guest memory on x86-64.

It is reached through gs with 32-bit addresses (the window's base is in gs): addresses wrap at 4 GiB by themselves and
no register is spent.
"""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host.x86_64.conditions import Conditions
from dynarec.host.x86_64.encode import Assembler, Mem, invert
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op, Operand

_LOADS = {
    ops.LOAD8U: Assembler.movzx8_rm,
    ops.LOAD8S: Assembler.movsx8_rm,
    ops.LOAD16U: Assembler.movzx16_rm,
    ops.LOAD16S: Assembler.movsx16_rm,
    ops.LOAD32: Assembler.mov_rm,
}
_STORES = {
    ops.STORE8: (Assembler.mov8_mr, Assembler.mov8_mi),
    ops.STORE16: (Assembler.mov16_mr, Assembler.mov16_mi),
    ops.STORE32: (Assembler.mov_mr, Assembler.mov_mi),
}


class Memory(Conditions):
    """Loads and stores."""

    def _address(self, op: Op, base: Operand, offset: Operand) -> Mem:
        value = self.regs.value(base)
        assert isinstance(offset, int)
        if isinstance(value, int):
            return Mem(None, (value + offset) & ops.MASK32, guest=True)
        parts = self.scaled.accesses.get(op)
        if parts is not None:
            registers = self.regs.in_register(parts.base), self.regs.in_register(parts.index)
            self.regs.release(parts.base)
            self.regs.release(parts.index)
            if registers[0] is not None and registers[1] is not None:
                self.regs.lock(registers[0])
                self.regs.lock(registers[1])
                return Mem(registers[0], offset, registers[1], 1 << parts.shift, guest=True)
        return Mem(self.regs.register(base), offset, guest=True)

    def load(self, op: Op) -> None:
        address = self._address(op, op.args[0], op.args[1])
        self.regs.done(op)
        moves = self.regs.moves(op.deferred)
        to = self.regs.result(op)
        self._site(op, moves)
        _LOADS[op.kind](self.asm, to, address)

    def store(self, op: Op) -> None:
        base, offset, operand = op.args
        address = self._address(op, base, offset)
        value = self.regs.value(operand)
        by_register, by_constant = _STORES[op.kind]
        if isinstance(value, int):
            self._site(op)
            by_constant(self.asm, address, value & ((1 << op.kind.bits) - 1))
        else:
            source = self.regs.register(operand)
            self._site(op)
            by_register(self.asm, address, source)
        self.regs.done(op)

    def store_if(self, op: Op) -> None:
        condition, base, offset, operand = op.args
        address = self._address(op, base, offset)
        source = self.regs.register(operand)
        over = self.asm.label()
        self.asm.jcc_short(invert(self._condition(condition)), over)
        self._site(op)
        self.asm.mov_mr(address, source)
        self.asm.bind(over)
        self.regs.done(op)


MEMORY: dict[OpKind, Callable[[Memory, Op], None]] = {
    **dict.fromkeys(_LOADS, Memory.load),
    **dict.fromkeys(_STORES, Memory.store),
    ops.STORE32_IF: Memory.store_if,
}
"""The method that emits an op of this module."""
