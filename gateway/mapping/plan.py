"""A map with every name resolved: fields, rows, R4 elements, functions. The checker reads it, both builds are made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.fhir.elements import Element
from gateway.mapping.fields import Dataset, Field
from gateway.mapping.functions import Function
from gateway.mapping.model import Place


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a line writes: R4 element, its JSON name (stem for `value[x]`), FHIR type ("" while `[x]` is open), path from the type."""

    element: Element
    key: str
    type: str
    path: str

    @property
    def many(self) -> bool:
        """Whether JSON carries a list."""
        return self.element.many

    @property
    def open(self) -> bool:
        """Whether the type is only known at run time (`value[x]`)."""
        return not self.type


@dataclass(frozen=True, slots=True)
class Value:
    """What stands right of `=`. type: FHIR type, "text", "any", "choice", "row" or "resident". many: it may be a list."""

    type: str
    many: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Const(Value):
    """A constant; `{base}` in its texts is the deployment's base URL."""

    value: Any


@dataclass(frozen=True, slots=True)
class Read(Value):
    """A field of the row at `depth` (0 = the record itself), or a component of it (`19.4`)."""

    field: Field
    depth: int
    component: str


@dataclass(frozen=True, slots=True)
class Item(Value):
    """One value of a repeating field, or the input of a fragment (variable `x`), or a component of it."""

    variable: str
    field: Field | None
    component: str


@dataclass(frozen=True, slots=True)
class LetRead(Value):
    """The value of a `let`."""

    index: int


@dataclass(frozen=True, slots=True)
class Link(Value):
    """The reference of a block. how: "same" (that of this row, at `depth`) or "inner" (all below this row)."""

    block: str
    how: str
    depth: int


@dataclass(frozen=True, slots=True)
class Applied(Value):
    """A function on a piped value."""

    function: Function
    source: Value
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Translate(Value):
    """`source | table(name)`."""

    table: str
    source: Value
    required: bool  # bound as required, or a `code`: no translation is a hold


@dataclass(frozen=True, slots=True)
class CodeIn(Value):
    """`source | code_in(system)`."""

    system: str
    source: Value


@dataclass(frozen=True, slots=True)
class AuthorityOf(Value):
    """`authority`, or `source | authority`: the URI of an assigner, the sender's own where it names none."""

    source: Value | None


@dataclass(frozen=True, slots=True)
class OrElse(Value):
    """`source | or_else(other)`."""

    source: Value
    other: Value


@dataclass(frozen=True, slots=True)
class InFragment(Value):
    """`source | FRAGMENT`."""

    fragment: str
    source: Value


@dataclass(frozen=True, slots=True)
class Person(Value):
    """`person(a, b, ...)`: numbers in order of strength."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class RefTo(Value):
    """`ref(type, namespace, parts...)`."""

    target: str
    namespace: str
    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """`identifier = key(namespace, parts...)` or `id = key(...)`; `was` the text of `was key(...)`, `former` its namespace and parts."""

    namespace: str
    parts: tuple[Value, ...]
    slot: Slot | None  # identifier element; None for `id =`
    line: int
    text: str
    was: str
    place: Place
    former: tuple[str, tuple[Value, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """One test of a condition; values are constants or reads."""

    source: Value
    op: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class All:
    """`and`."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """`or`."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`not`."""

    part: Condition


Condition = Compare | All | Either | Not


@dataclass(frozen=True, slots=True)
class Rows:
    """`each`: what is repeated and the variable of one repetition. group: path of a group (rows), else of a repeating field."""

    source: Value
    path: tuple[str, ...]
    variable: str
    is_group: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Set:
    """One line that writes a value."""

    slot: Slot
    value: Value
    when: Condition | None
    line: int


@dataclass(slots=True)
class Sub:
    """An element with lines below it. explicit: it has its own line; else it collects dotted lines (`period.end`). base: the line that
    gives the whole element first (`code = x | table(...)` before `code.text = ...`)."""

    slot: Slot
    body: Body
    rows: Rows | None
    when: Condition | None
    explicit: bool
    line: int
    base: Set | None = None


@dataclass(slots=True)
class Body:
    """The lines of a block, element or fragment, in order. type: FHIR type or backbone path; elements: what may stand here."""

    type: str
    elements: dict[str, Element]
    path: str
    entries: list[Set | Sub | BlockPlan] = field(default_factory=list)


@dataclass(slots=True)
class BlockPlan:
    """One resource block. chain: paths of what is repeated around it, outermost first; rows: its own `each`."""

    index: int
    type: str
    name: str
    rows: Rows | None
    chain: tuple[tuple[str, ...], ...]
    compose: str
    by: Value | None
    when: Condition | None
    body: Body
    key: Key | None
    resident: int | None  # Patient: index of its person(...) let
    profiles: list[str]
    line: int
    place: Place
    parent: BlockPlan | None = None


@dataclass(slots=True)
class FragmentPlan:
    """A fragment: one data type out of one composite, text or row."""

    name: str
    takes: tuple[str, ...]
    type: str
    body: Body
    place: Place
    used: bool = False


@dataclass(slots=True)
class LetPlan:
    """A name for a value of the record."""

    index: int
    name: str
    value: Value
    line: int
    place: Place
    used: bool = False


@dataclass(slots=True)
class LineInfo:
    """What a line of the map reads and writes, for findings and lineage. fields: what it reads; functions: what it applies, in order."""

    place: Place
    target: str
    block: str
    fields: list[Field] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    constant: bool = True


@dataclass(slots=True)
class MapPlan:
    """A whole map, resolved. used: (group path + name, component) of everything it reads; ignored: field path -> reason."""

    name: str
    file: str
    dataset: Dataset
    lets: list[LetPlan] = field(default_factory=list)
    fragments: dict[str, FragmentPlan] = field(default_factory=dict)
    blocks: list[BlockPlan] = field(default_factory=list)  # top-level, in order
    all_blocks: list[BlockPlan] = field(default_factory=list)  # nested ones too, parents first
    lines: list[LineInfo] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    ignored: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[Translate]] = field(default_factory=dict)

    def block(self, name: str) -> BlockPlan:
        """The block of that name; KeyError when there is none."""
        for b in self.all_blocks:
            if b.name == name:
                return b
        raise KeyError(name)
