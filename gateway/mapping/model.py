"""The syntax tree of one `.map` file: what stands there, with the place of every word, and nothing of what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a word stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a map, table, fields.csv or profile gets wrong: where, what (Chinese), what was expected, what to do next.

    code: stable kebab-case name of the kind of fault.
    """

    place: Place
    code: str
    message: str
    expected: str = ""
    next_step: str = ""

    def __str__(self) -> str:
        tail = (f"; 应为: {self.expected}" if self.expected else "") + (f"; 下一步: {self.next_step}" if self.next_step else "")
        return f"{self.place}: {self.message}{tail}"

    def as_dict(self) -> dict[str, str | int]:
        """Plain JSON form for `yifang map check --json`."""
        return {
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "code": self.code,
            "message": self.message,
            "expected": self.expected,
            "next": self.next_step,
        }


@dataclass(frozen=True, slots=True)
class Literal:
    """A string or number constant."""

    value: str | Decimal
    place: Place


@dataclass(frozen=True, slots=True)
class Ref:
    """A field, an alias, a let, a block, or a component of one: `项.申请单号`, `PV1-19.4`, `x.1.1`, `$1.1`."""

    parts: tuple[str, ...]
    place: Place

    @property
    def text(self) -> str:
        """As it is written."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Call:
    """`name` or `name(arguments)`: a function, a built-in form or a fragment."""

    name: str
    args: tuple[Expr, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Pipe:
    """`source | call | call`."""

    source: Expr
    calls: tuple[Call, ...]
    place: Place


Expr = Literal | Ref | Call | Pipe


@dataclass(frozen=True, slots=True)
class Test:
    """`ref`, `ref OP value` or `ref [not] in (values)`; op is "present", "=", "!=", "<", "<=", ">", ">=", "in" or "not in"."""

    ref: Ref
    op: str
    values: tuple[Literal | Ref, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Junction:
    """`a and b and c` or `a or b or c`; word is "and" or "or"."""

    word: str
    parts: tuple[Cond, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """`not cond`."""

    cond: Cond


Cond = Test | Junction | Negated


@dataclass(frozen=True, slots=True)
class Each:
    """`each REF as NAME`."""

    ref: Ref
    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Assign:
    """`path = expr [was key(...)] [when cond]`."""

    path: tuple[str, ...]
    expr: Expr
    was: Call | None
    when: Cond | None
    place: Place


@dataclass(frozen=True, slots=True)
class Element:
    """`path [each X as y] [when cond]` with lines below it."""

    path: tuple[str, ...]
    each: Each | None
    when: Cond | None
    items: tuple[Item, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Block:
    """`TYPE NAME [each G as x] [latest by F | merge] [when cond]` with lines below it: one resource a row."""

    type: str
    name: str
    each: Each | None
    compose: str  # one | latest | merge
    by: Ref | None
    when: Cond | None
    items: tuple[Item, ...]
    place: Place


Item = Assign | Element | Block


@dataclass(frozen=True, slots=True)
class Let:
    """`let NAME = expr`."""

    name: str
    expr: Expr
    place: Place


@dataclass(frozen=True, slots=True)
class Fragment:
    """`fragment NAME(WORDS) -> TYPE` with lines below it; `$1.1` is a component of its input."""

    name: str
    takes: tuple[str, ...]
    gives: str
    items: tuple[Item, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Ignore:
    """`ignore A, B because "reason"`."""

    refs: tuple[Ref, ...]
    reason: str
    place: Place


@dataclass(slots=True)
class MapTree:
    """One parsed map file. Blocks stand in the order of the file; nested ones among their parent's items."""

    file: str
    name: str = ""
    dataset: str = ""
    lets: list[Let] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    fragments: list[Fragment] = field(default_factory=list)
    ignores: list[Ignore] = field(default_factory=list)
    place: Place = field(default_factory=lambda: Place("", 1, 1))
