"""The code cache of an emulated host: installing, linking and their exact inverses, as native/link.c has them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from dynarec.emulated.cpu import EmulatedCpu, find_site
from dynarec.errors import DynarecError
from dynarec.features import EDGES
from dynarec.host import layout
from dynarec.host.base import Exit, ExitKind, HostCode, Site
from dynarec.translate import Translation

ALIGNMENT = 16


@dataclass(eq=False, slots=True)
class Link:
    """An exit of a block, and the block that it is linked to."""

    block: Block
    exit: Exit
    to: Block | None = None

    @property
    def kind(self) -> ExitKind:
        """Why its exit call is reached; linked, because the budget does not suffice."""
        return self.exit.kind if self.to is None else ExitKind.BUDGET

    @property
    def owed(self) -> int:
        """What was charged and not executed; linked, it has charged for the other block."""
        return self.exit.owed if self.to is None else self.to.translation.unit.retired


@dataclass(eq=False, slots=True)
class Block:
    """A unit in the cache. source: the guest bytes it was made from. incoming: the exits linked to it."""

    start: int
    translation: Translation
    source: list[bytes]
    links: list[Link] = field(default_factory=list)
    incoming: list[Link] = field(default_factory=list)

    @property
    def key(self) -> int:
        return self.translation.unit.key


class CodeCache:
    """The blocks of one machine, alive by key, and all by the place of their code."""

    def __init__(self, cpu: EmulatedCpu) -> None:
        self._cpu = cpu
        self._dirty_slots = {0}
        self.flush()

    def flush(self) -> None:
        """Forget everything."""
        self._alive: dict[int, Block] = {}
        self._starts: list[int] = []
        self._blocks: list[Block] = []
        self._by_return: dict[int, Link] = {}
        self._end = 0
        self._jumps: dict[int, Block] = {}
        self._cpu.clear_jumps(self._dirty_slots)
        self._dirty_slots = set()

    # -- looking ------------------------------------------------------------------------------------------------------

    def find(self, key: int) -> Block | None:
        """The block with that key."""
        return self._alive.get(key)

    def exit_before(self, offset: int) -> Link:
        """The exit whose call returns to `offset`."""
        link = self._by_return.get(offset)
        if link is None:
            raise DynarecError(f"generated code left at {offset:#x}, through an exit that is not recorded")
        return link

    def site_at(self, offset: int) -> tuple[HostCode, Site]:
        """The access to guest memory at `offset`, and the unit it is in."""
        block = self._blocks[bisect_right(self._starts, offset) - 1]
        code = block.translation.code
        site = find_site(code.sites, offset - block.start)
        if site is None:
            raise DynarecError(f"generated code faulted at {offset:#x}, where it has no access to guest memory")
        return code, site

    # -- changing -----------------------------------------------------------------------------------------------------

    def install(self, translation: Translation) -> Block:
        """Put a translation into the cache; everything goes when it is full. Raises DynarecError if it never fits."""
        old = self._alive.get(translation.unit.key)
        if old is not None:
            self.invalidate(old)
        code = translation.code
        if self._end + len(code.code) > self._cpu.code_size:
            self.flush()
        if len(code.code) > self._cpu.code_size:
            raise DynarecError("a unit is larger than the code cache")
        source = [self._cpu.memory.read(*each) for each in translation.ranges]
        block = Block(self._end, translation, source)
        self._cpu.write_code(block.start, code.code)
        block.links = [Link(block, each) for each in code.exits]
        self._by_return.update((block.start + link.exit.ret, link) for link in block.links)
        self._starts.append(block.start)
        self._blocks.append(block)
        self._alive[block.key] = block
        self._end += -(-len(code.code) // ALIGNMENT) * ALIGNMENT
        return block

    def link(self, link: Link, block: Block) -> None:
        """Let the exit branch to the block, if it is an exit that can, of a block that lives."""
        if not link.exit.link or link.to is not None or self._alive.get(link.block.key) is not link.block:
            return
        code = block.translation.code
        charge = block.translation.unit.retired - link.exit.refund
        at = link.block.start + link.exit.link
        reaches = self._cpu.target.reaches(charge, block.start + code.body - at)
        if reaches and EDGES.name not in block.translation.unit.without:
            self._patch(link, block.start + code.body, charge)
        else:
            self._patch(link, block.start, -link.exit.refund)
        link.to = block
        block.incoming.append(link)

    def _unlink(self, link: Link) -> None:
        behind = link.block.start + link.exit.ret - self._cpu.target.exit_call_size
        self._patch(link, behind, -link.exit.refund)
        link.to = None

    def _patch(self, link: Link, target: int, charge: int) -> None:
        at = link.block.start + link.exit.link
        self._cpu.write_code(at, self._cpu.target.branch(charge, target - at))

    def invalidate(self, block: Block) -> None:
        """Take a block out of everything that leads to it."""
        slot = self._slot(block.key)
        if self._jumps.get(slot) is block:
            del self._jumps[slot]
            self._cpu.clear_jumps([slot])
        for link in block.links:
            if link.to is not None:
                link.to.incoming.remove(link)
                link.to = None
        for link in block.incoming:
            self._unlink(link)
        block.incoming.clear()
        del self._alive[block.key]

    def invalidate_changed(self) -> None:
        """Invalidate the blocks whose guest bytes are no longer what they were."""
        for block in list(self._alive.values()):
            pieces = zip(block.translation.ranges, block.source, strict=True)
            if any(self._cpu.memory.code(*place) != source for place, source in pieces):
                self.invalidate(block)

    # -- indirect jumps -----------------------------------------------------------------------------------------------

    def add_jump(self, block: Block) -> None:
        """Let indirect jumps find the block, if it can have a slot."""
        if block.key % 2:
            return
        slot = self._slot(block.key)
        self._jumps[slot] = block
        self._dirty_slots.add(slot)
        self._cpu.set_jump(slot, block.key, block.start)

    def _slot(self, key: int) -> int:
        return key // 2 % layout.JUMP_SLOTS
