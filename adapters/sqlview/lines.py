"""A batch of rows as it is kept: JSON lines, one record each with the rows of its child views, values as exact text.

The batch is the original message; what was read once is mapped again from it without asking the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import msgspec
import orjson

from adapters.sqlview.join import Child, Node, children_of, nested, own_layout
from adapters.sqlview.options import SqlViewProfileOptions
from gateway.adapter import Extract, Layout
from gateway.errors import Finding, Refused
from gateway.record import Row
from gateway.tabular import FlatRow, Table, compile_table

__all__ = ["Line", "Plan", "compile_plans", "extractor"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One compiled profile: the table of its view and its child views."""

    layout: Layout
    options: SqlViewProfileOptions
    table: Table
    children: Mapping[str, Child]

    @property
    def name(self) -> str:
        """`dataset/profile`."""
        return self.layout.profile

    def row(self, line: Line, number: int) -> Row:
        """The record of one line of a batch."""
        rows = [FlatRow(cells, number, self.options.view) for cells in line.rows]
        fields, findings = self.table.fields(rows)
        fields |= nested(self.children, Node({}, line.children))
        return Row(self.layout.dataset, fields, line.unit(), f"{self.options.view}!第{number}行", findings)


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a batch: its row (its rows in a spread profile) and the rows of its child views by group."""

    profile: str
    rows: Sequence[dict[str, str]]
    children: dict[str, list[Node]]

    def encode(self) -> bytes:
        """The line's bytes, without line break."""
        return orjson.dumps({"profile": self.profile, "rows": list(self.rows), "children": self.children})

    @classmethod
    def decode(cls, text: bytes) -> Line:
        """The line of its bytes. Raises msgspec.ValidationError or DecodeError when they are none."""
        found = _decode(text)
        return cls(found.profile, found.rows, {name: [_node(n) for n in nodes] for name, nodes in found.children.items()})

    def unit(self) -> bytes:
        """Canonical JSON of all columns of the row and of its child rows (`@group` says of which group a child row is)."""
        parts: list[dict[str, str]] = [*self.rows, *_flat(self.children)]
        if len(parts) == 1:
            return orjson.dumps(parts[0], option=orjson.OPT_SORT_KEYS)
        return b"[" + b",".join(sorted(orjson.dumps(part, option=orjson.OPT_SORT_KEYS) for part in parts)) + b"]"

    def digest(self) -> str:
        """64 bits that tell one state of the row from another."""
        return hashlib.sha256(self.unit()).hexdigest()[:16]


class _Node(msgspec.Struct):
    cells: dict[str, str]
    children: dict[str, list[_Node]]


class _Line(msgspec.Struct):
    profile: str
    rows: list[dict[str, str]]
    children: dict[str, list[_Node]]


_decode = msgspec.json.Decoder(_Line).decode
"""Made while one thread imports this: msgspec finds out about a Struct's fields at its first use, and crashes the process when a second thread
uses it meanwhile."""


def _node(raw: _Node) -> Node:
    return Node(raw.cells, {name: [_node(n) for n in nodes] for name, nodes in raw.children.items()})


def _flat(children: Mapping[str, Iterable[Node]], path: str = "") -> Iterator[dict[str, str]]:
    for name, nodes in children.items():
        for node in nodes:
            yield {"@group": path + name, **node.cells}
            yield from _flat(node.children, f"{path}{name}/")


def compile_plans(layouts: Sequence[Layout]) -> list[Plan]:
    """Compiles all profiles of a source. Raises ConfigError when a group cannot be read from views."""
    return [
        Plan(layout, SqlViewProfileOptions.model_validate(dict(layout.options)), compile_table(own_layout(layout)), children_of(layout))
        for layout in layouts
    ]


def extractor(layouts: Sequence[Layout]) -> Extract:
    """The adapter's compiled function: JSON lines of a batch to rows."""
    plans = {plan.name: plan for plan in compile_plans(layouts)}

    def extract(content: bytes | BinaryIO) -> Iterator[Row]:
        lines: Iterable[bytes] = content.splitlines() if isinstance(content, bytes) else content
        for number, text in enumerate(lines, 1):
            if text.strip():
                yield _row(plans, text, number)

    return extract


def _row(plans: Mapping[str, Plan], text: bytes, number: int) -> Row:
    try:
        line = Line.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Refused(_not_a_batch(number)) from fault
    plan = plans.get(line.profile)
    if plan is None or not line.rows:
        raise Refused(_not_a_batch(number))
    return plan.row(line, number)


def _not_a_batch(number: int) -> Finding:
    text = f"第{number}行不是该来源视图读取的数据(应为每行一个 JSON 对象)。请核对消息与来源配置是否对应"
    return Finding("not-a-batch", "refuse", text, source=f"第{number}行")


def batch(lines: Sequence[Line]) -> bytes:
    """The message of some lines."""
    return b"".join(line.encode() + b"\n" for line in lines)
