"""The tree of .debug_info (DWARF 4 and 5, chapters 2 and 7): units, entries, their attributes and address ranges.

Entries are read where they are asked for and not kept: what a unit takes in memory does not depend on its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from elftools.dwarf import enums

from dynarec.debug.sections import BadDwarf, Budget, Reader, Sections

ADDRESS_SIZE = 4
VERSIONS = range(2, 6)
MAX_ATTRIBUTES = 256
"""Attributes of one entry; compilers write about twenty."""
MAX_REFERENCES = 8
"""From an inlined copy to what it is a copy of, to its declaration: compilers need three."""
ADDRESS_MASK = 0xFFFF_FFFF
UT_TYPE, UT_SKELETON, UT_SPLIT_COMPILE, UT_SPLIT_TYPE = 2, 4, 5, 6

TAGS = {number: name for name, number in enums.ENUM_DW_TAG.items() if isinstance(number, int)}
ATTRIBUTES = {number: name for name, number in enums.ENUM_DW_AT.items() if isinstance(number, int)}
FORMS = {number: name for name, number in enums.ENUM_DW_FORM.items() if isinstance(number, int)}

# Forms by how they are encoded. None: as large as an offset of the unit.
FIXED: dict[str, int | None] = {
    **{f"DW_FORM_{name}": 1 for name in ("data1", "ref1", "flag", "strx1", "addrx1")},
    **{f"DW_FORM_{name}": 2 for name in ("data2", "ref2", "strx2", "addrx2")},
    **{f"DW_FORM_{name}": 3 for name in ("strx3", "addrx3")},
    **{f"DW_FORM_{name}": 4 for name in ("data4", "ref4", "strx4", "addrx4", "ref_sup4")},
    **{f"DW_FORM_{name}": 8 for name in ("data8", "ref8", "ref_sig8", "ref_sup8")},
    **{f"DW_FORM_{name}": None for name in ("strp", "line_strp", "sec_offset", "ref_addr", "strp_sup")},
    **{f"DW_FORM_{name}": None for name in ("GNU_ref_alt", "GNU_strp_alt")},
    "DW_FORM_data16": 16,
    "DW_FORM_addr": ADDRESS_SIZE,
    "DW_FORM_flag_present": 0,
    "DW_FORM_implicit_const": 0,
}
BLOCKS = {"DW_FORM_block1": 1, "DW_FORM_block2": 2, "DW_FORM_block4": 4}
LONG_BLOCKS = frozenset({"DW_FORM_block", "DW_FORM_exprloc"})
INDICES = frozenset({f"DW_FORM_{name}" for name in ("udata", "ref_udata", "strx", "addrx", "loclistx", "rnglistx")})
UNIT_REFERENCES = frozenset({f"DW_FORM_{name}" for name in ("ref1", "ref2", "ref4", "ref8", "ref_udata")})

Value = int | bytes
Spec = tuple[str, str, int]
"""An attribute's name and form, and its value where the form has it in the abbreviation."""
Range = tuple[int, int]
"""The first address, and the first one after."""


def read_form(reader: Reader, form: str, constant: int, offset_size: int) -> Value:
    """The value as it is encoded: a number, an offset (for a string in place: where it is), or the bytes of a block."""
    if form in FIXED:
        if form == "DW_FORM_implicit_const":
            return constant
        if form == "DW_FORM_flag_present":
            return 1
        size = FIXED[form]
        return reader.unsigned(offset_size if size is None else size)
    if form in INDICES:
        return reader.uleb()
    if form in LONG_BLOCKS:
        return reader.take(reader.uleb())
    if form in BLOCKS:
        return reader.take(reader.unsigned(BLOCKS[form]))
    if form == "DW_FORM_sdata":
        return reader.sleb()
    if form == "DW_FORM_string":
        start = reader.at
        reader.skip_string()
        return start
    if form == "DW_FORM_indirect":
        return read_form(reader, _direct(reader), 0, offset_size)
    raise BadDwarf(f"a form that is not known: {form}")


def _direct(reader: Reader) -> str:
    form = FORMS.get(reader.uleb(), "")
    if form in ("DW_FORM_indirect", "DW_FORM_implicit_const"):
        raise BadDwarf("a form behind two others")
    return form


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """What entries of one code have in common. size: bytes of the attributes, None when they vary."""

    tag: str
    children: bool
    specs: tuple[Spec, ...]
    size: int | None


def read_abbreviations(data: bytes, at: int, offset_size: int, budget: Budget) -> dict[int, Abbreviation]:
    """A table of .debug_abbrev, by code."""
    reader = Reader(data, at)
    found: dict[int, Abbreviation] = {}
    while code := reader.uleb():
        tag = TAGS.get(reader.uleb(), "")
        children = reader.unsigned(1) != 0
        specs = tuple(_specs(reader))
        budget.spend(8 + len(specs))
        found[code] = Abbreviation(tag, children, specs, _size(specs, offset_size))
    return found


def _specs(reader: Reader) -> Iterator[Spec]:
    for _ in range(MAX_ATTRIBUTES):
        name, form = reader.uleb(), FORMS.get(reader.uleb(), "")
        if not name and not form.removeprefix("DW_FORM_null"):
            return
        constant = reader.sleb() if form == "DW_FORM_implicit_const" else 0
        yield ATTRIBUTES.get(name, ""), form, constant
    raise BadDwarf("an entry with too many attributes")


def _size(specs: tuple[Spec, ...], offset_size: int) -> int | None:
    total = 0
    for _, form, _ in specs:
        if form not in FIXED:
            return None
        size = FIXED[form]
        total += offset_size if size is None else size
    return total


class Die:
    """An entry of the tree: a function, a variable, a type."""

    def __init__(self, unit: Unit, offset: int, abbreviation: Abbreviation, at: int) -> None:
        self.unit = unit
        self.offset = offset
        self.tag = abbreviation.tag
        self.abbreviation = abbreviation
        self._at = at

    @cached_property
    def _values(self) -> tuple[dict[str, tuple[str, Value]], int]:
        reader = self.unit.reader(self._at)
        found = {}
        for name, form, constant in self.abbreviation.specs:
            if form == "DW_FORM_indirect":
                form = _direct(reader)
            found[name] = form, read_form(reader, form, constant, self.unit.offset_size)
        return found, reader.at

    @property
    def end(self) -> int:
        """Where the next entry is: the first child, or what comes after."""
        size = self.abbreviation.size
        return self._values[1] if size is None else self._at + size

    def __contains__(self, name: str) -> bool:
        return any(spec[0] == name for spec in self.abbreviation.specs)

    def form(self, name: str) -> str:
        """How an attribute is encoded; "" when there is none."""
        return self._values[0].get(name, ("", 0))[0] if name in self else ""

    def value(self, name: str) -> Value | None:
        """An attribute as it is encoded, or None."""
        return self._values[0].get(name, ("", None))[1] if name in self else None

    def number(self, name: str) -> int | None:
        """An attribute that is a number."""
        value = self.value(name)
        return value if isinstance(value, int) else None

    def flag(self, name: str) -> bool:
        """An attribute that says yes or no."""
        return bool(self.value(name))

    def address(self, name: str) -> int | None:
        """An attribute that is an address."""
        value = self.number(name)
        if value is None or self.form(name) == "DW_FORM_addr":
            return value
        return self.unit.indexed_address(value) if self.form(name).startswith("DW_FORM_addrx") else None

    def string(self, name: str) -> str:
        """An attribute that is text; "" when there is none, or nothing that can be shown."""
        value = self.number(name)
        return "" if value is None else self.unit.string(self.form(name), value)

    def reference(self, name: str) -> Die | None:
        """The entry an attribute refers to; None when there is none, or none of this file."""
        value = self.number(name)
        if value is None:
            return None
        form = self.form(name)
        if form in UNIT_REFERENCES:
            return self.unit.die(self.unit.offset + value)
        return self.unit.info.die(value) if form == "DW_FORM_ref_addr" else None

    def origins(self) -> Iterator[Die]:
        """The entry, what it is a copy of, and what that declares: attributes are looked for in this order."""
        die: Die | None = self
        for _ in range(MAX_REFERENCES):
            if die is None:
                return
            yield die
            die = die.reference("DW_AT_abstract_origin") or die.reference("DW_AT_specification")

    def having(self, name: str) -> Die | None:
        """The entry among `origins` that has an attribute."""
        return next((die for die in self.origins() if name in die), None)

    @property
    def name(self) -> str:
        """Its name in the source; "" when it has none, or a damaged one."""
        try:
            die = self.having("DW_AT_name")
            return die.string("DW_AT_name") if die else ""
        except BadDwarf:
            return ""

    def ranges(self, budget: Budget) -> list[Range]:
        """The addresses of its code; they are not empty and within the address space."""
        low, high = self.address("DW_AT_low_pc"), self.number("DW_AT_high_pc")
        found = []
        if low is not None and high is not None:
            end = high if self.form("DW_AT_high_pc") == "DW_FORM_addr" else low + high
            found = [(low, end)]
        elif (start := self.number("DW_AT_ranges")) is not None:
            found = list(self.unit.range_list(start, self.form("DW_AT_ranges"), budget))
        return [(low, high) for low, high in found if 0 <= low < high <= ADDRESS_MASK + 1]


@dataclass(eq=False)
class Unit:
    """A unit of .debug_info: mostly, what was compiled from one file.

    offset, end: in the section; first: where the entries begin. offset_size: 4, or 8 for 64-bit DWARF.
    """

    info: Info
    offset: int
    end: int
    version: int
    offset_size: int
    abbreviations_at: int
    first: int

    def reader(self, at: int) -> Reader:
        """The bytes of the unit from an offset in the section."""
        if not self.first <= at <= self.end:
            raise BadDwarf("a reference out of its unit")
        return Reader(self.info.data, at, self.end)

    def die(self, offset: int) -> Die:
        """The entry at an offset in the section."""
        die = self._die(self.reader(offset))
        if die is None:
            raise BadDwarf("a reference to nothing")
        return die

    def _die(self, reader: Reader) -> Die | None:
        offset = reader.at
        code = reader.uleb()
        if not code:
            return None
        abbreviation = self.abbreviations.get(code)
        if abbreviation is None:
            raise BadDwarf("an entry of no known code")
        return Die(self, offset, abbreviation, reader.at)

    @cached_property
    def abbreviations(self) -> dict[int, Abbreviation]:
        """By code."""
        return self.info.abbreviations(self.abbreviations_at, self.offset_size)

    @cached_property
    def has_location_lists(self) -> bool:
        """Whether places of variables depend on the pc: then they hold everywhere, also where a function begins."""
        lists = ("DW_FORM_sec_offset", "DW_FORM_loclistx")
        specs = (spec for each in self.abbreviations.values() for spec in each.specs)
        return any(name == "DW_AT_location" and form in lists for name, form, _ in specs)

    @cached_property
    def top(self) -> Die:
        """The entry of the unit itself."""
        return self.die(self.first)

    def children(self, die: Die, budget: Budget) -> Iterator[Die]:
        """The entries directly below one."""
        return (child for depth, child in self.walk(die, budget, nested=False))

    def walk(self, die: Die, budget: Budget, nested: bool = True) -> Iterator[tuple[int, Die]]:
        """The entries below one, in order, each with its depth (0 for children).

        nested: False leaves out those below children, and mostly does not read them either.
        """
        if not die.abbreviation.children:
            return
        depth = 0
        reader = self.reader(die.end)
        while reader.at < self.end:
            budget.spend()
            child = self._die(reader)
            if child is None:
                depth -= 1
                if depth < 0:
                    return
                continue
            budget.spend(len(child.abbreviation.specs) if child.abbreviation.size is None else 1)
            if nested or not depth:
                yield depth, child
            reader.at = child.end
            if child.abbreviation.children:
                sibling = None if nested or depth else child.number("DW_AT_sibling")
                if sibling is not None and child.end < self.offset + sibling <= self.end:
                    reader.at = self.offset + sibling
                else:
                    depth += 1
            if reader.at > self.end:
                raise BadDwarf("an entry beyond its unit")

    def string(self, form: str, value: int) -> str:
        """The text of an attribute."""
        sections = self.info.sections
        if form == "DW_FORM_string":
            return sections.string(".debug_info", value)
        if form == "DW_FORM_strp":
            return sections.string(".debug_str", value)
        if form == "DW_FORM_line_strp":
            return sections.string(".debug_line_str", value)
        if form.startswith("DW_FORM_strx"):
            at = self._base("DW_AT_str_offsets_base", 2 * self.offset_size) + value * self.offset_size
            return sections.string(".debug_str", self._entry(".debug_str_offsets", at, self.offset_size))
        return ""

    def indexed_address(self, index: int) -> int:
        """An address of .debug_addr."""
        return self._entry(".debug_addr", self._base("DW_AT_addr_base", 8) + index * ADDRESS_SIZE, ADDRESS_SIZE)

    def _entry(self, section: str, at: int, size: int) -> int:
        return Reader(self.info.sections.data(section), at).unsigned(size)

    def _base(self, name: str, default: int) -> int:
        value = self.top.number(name)
        return default if value is None else value

    @cached_property
    def low(self) -> int:
        """What addresses in lists are relative to, until they say otherwise."""
        return self.top.address("DW_AT_low_pc") or 0

    def _list(self, section: str, base: str, value: int, form: str) -> Reader:
        """A list of ranges or locations: an offset of its section, or an index in the unit's table of offsets."""
        if form in ("DW_FORM_rnglistx", "DW_FORM_loclistx"):
            start = self._base(base, 12 if self.offset_size == 4 else 20)
            value = start + self._entry(section, start + value * self.offset_size, self.offset_size)
        return Reader(self.info.sections.data(section), value)

    def range_list(self, value: int, form: str, budget: Budget) -> Iterator[Range]:
        """A list of address ranges; value and form of the attribute."""
        if self.version < 5:
            reader = self._list(".debug_ranges", "", value, form)
            for low, high, _ in self._old_list(reader, budget, False):
                yield low, high
            return
        reader = self._list(".debug_rnglists", "DW_AT_rnglists_base", value, form)
        for low, high, _ in self._new_list(reader, budget, False):
            yield low, high

    def location_list(self, value: int, form: str, budget: Budget) -> Iterator[tuple[int, int, bytes]]:
        """A list of expressions, each with its address range; value and form of the attribute."""
        if self.version < 5:
            yield from self._old_list(self._list(".debug_loc", "", value, form), budget, True)
        else:
            reader = self._list(".debug_loclists", "DW_AT_loclists_base", value, form)
            yield from self._new_list(reader, budget, True)

    def _old_list(self, reader: Reader, budget: Budget, located: bool) -> Iterator[tuple[int, int, bytes]]:
        """DWARF 4, 2.6.2 and 2.17.3."""
        base = self.low
        while True:
            budget.spend()
            low, high = reader.unsigned(ADDRESS_SIZE), reader.unsigned(ADDRESS_SIZE)
            if low == ADDRESS_MASK:
                base = high
            elif low == high == 0:
                return
            else:
                yield base + low, base + high, reader.take(reader.unsigned(2)) if located else b""

    def _new_list(self, reader: Reader, budget: Budget, located: bool) -> Iterator[tuple[int, int, bytes]]:
        """DWARF 5, 7.7.3 and 7.25: both kinds have the same codes, but for a default location in between."""
        base = self.low
        while kind := reader.unsigned(1):
            budget.spend()
            if located and kind >= LLE_DEFAULT:
                kind -= 1
                if kind == LLE_DEFAULT - 1:
                    yield 0, ADDRESS_MASK + 1, reader.take(reader.uleb())
                    continue
            if kind in (RLE_BASE_INDEX, RLE_BASE):
                base = self.indexed_address(reader.uleb()) if kind == RLE_BASE_INDEX else reader.unsigned(ADDRESS_SIZE)
                continue
            low, high = self._bounds(reader, kind, base)
            yield low, high, reader.take(reader.uleb()) if located else b""

    def _bounds(self, reader: Reader, kind: int, base: int) -> Range:
        if kind == RLE_INDEX_INDEX:
            return self.indexed_address(reader.uleb()), self.indexed_address(reader.uleb())
        if kind == RLE_INDEX_LENGTH:
            low = self.indexed_address(reader.uleb())
            return low, low + reader.uleb()
        if kind == RLE_OFFSETS:
            return base + reader.uleb(), base + reader.uleb()
        if kind == RLE_START_END:
            return reader.unsigned(ADDRESS_SIZE), reader.unsigned(ADDRESS_SIZE)
        if kind == RLE_START_LENGTH:
            low = reader.unsigned(ADDRESS_SIZE)
            return low, low + reader.uleb()
        raise BadDwarf("a list entry of no known kind")


RLE_BASE_INDEX, RLE_INDEX_INDEX, RLE_INDEX_LENGTH, RLE_OFFSETS, RLE_BASE, RLE_START_END, RLE_START_LENGTH = range(1, 8)
LLE_DEFAULT = 5


class Info:
    """The units of one program. Damaged ones are left out, and with them what can no longer be found."""

    def __init__(self, sections: Sections) -> None:
        self.sections = sections
        self._abbreviations: dict[tuple[int, int], dict[int, Abbreviation]] = {}

    @cached_property
    def data(self) -> bytes:
        """The section."""
        return self.sections.data(".debug_info")

    @cached_property
    def units(self) -> list[Unit]:
        """In the order of the file."""
        return list(self._units())

    @cached_property
    def _abbreviation_budget(self) -> Budget:
        return Budget(len(self.sections.data(".debug_abbrev")))

    def abbreviations(self, at: int, offset_size: int) -> dict[int, Abbreviation]:
        """The table at an offset; units share them."""
        key = at, offset_size
        if key not in self._abbreviations:
            data = self.sections.data(".debug_abbrev")
            self._abbreviations[key] = read_abbreviations(data, at, offset_size, self._abbreviation_budget)
        return self._abbreviations[key]

    def die(self, offset: int) -> Die:
        """The entry at an offset of the section, in whichever unit it is."""
        for unit in self.units:
            if unit.first <= offset < unit.end:
                return unit.die(offset)
        raise BadDwarf("a reference out of the section")

    def _units(self) -> Iterator[Unit]:
        at = 0
        while at < len(self.data):
            try:
                unit = self._unit(at)
            except BadDwarf:
                return
            at = unit.end
            if unit.version in VERSIONS:
                yield unit

    def _unit(self, at: int) -> Unit:
        reader = Reader(self.data, at)
        end, offset_size = reader.initial_length()
        reader.end = end
        version = reader.unsigned(2)
        if version >= 5:
            kind, address_size = reader.unsigned(1), reader.unsigned(1)
            abbreviations = reader.unsigned(offset_size)
            reader.skip(_extra_header(kind, offset_size))
        else:
            abbreviations, address_size = reader.unsigned(offset_size), reader.unsigned(1)
        return Unit(
            self, at, end, version if address_size == ADDRESS_SIZE else 0, offset_size, abbreviations, reader.at
        )


def _extra_header(kind: int, offset_size: int) -> int:
    """Bytes that come after the header which all units have (DWARF 5, 7.5.1)."""
    if kind in (UT_TYPE, UT_SPLIT_TYPE):
        return 8 + offset_size
    return 8 if kind in (UT_SKELETON, UT_SPLIT_COMPILE) else 0
