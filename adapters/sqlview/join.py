"""Child views of a profile: `each = "v_result on report_no=report_no"` (child column = parent column, several with `and`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapters.sqlview.options import NAME
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError
from gateway.record import Fields
from gateway.tabular import ROWS, FlatRow, Table, compile_table

__all__ = ["Child", "Node", "children_of", "own_layout", "parse_each"]

_EACH = re.compile(r"\s*(\S+)\s+on\s+(.+?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Child:
    """A child view. on: (child column, parent column) pairs; table: what is read of it; inner: its own child views."""

    view: str
    on: tuple[tuple[str, str], ...]
    table: Table
    inner: Mapping[str, Child]

    def fields(self, node: Node) -> Fields:
        """One row of the group, with the groups inside it."""
        found, _ = self.table.fields((FlatRow(node.cells, 1),))
        return found | nested(self.inner, node)


@dataclass(frozen=True, slots=True)
class Node:
    """A row with the rows of its child views, by group."""

    cells: dict[str, str]
    children: dict[str, list[Node]]


def nested(children: Mapping[str, Child], node: Node) -> Fields:
    """The groups of a row that come from child views."""
    found = {name: [fields for inner in node.children.get(name, ()) if (fields := child.fields(inner))] for name, child in children.items()}
    return {name: rows for name, rows in found.items() if rows}


def parse_each(each: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """View and pairs of columns; None when the text is not of that shape."""
    found = _EACH.fullmatch(each)
    if found is None or not NAME.fullmatch(found[1]):
        return None
    pairs = []
    for condition in re.split(r"\s+and\s+", found[2], flags=re.IGNORECASE):
        child, equals, parent = (part.strip() for part in condition.partition("="))
        if not equals or not NAME.fullmatch(child) or not NAME.fullmatch(parent):
            return None
        pairs.append((child, parent))
    return found[1], tuple(pairs)


def children_of(layout: Layout) -> dict[str, Child]:
    """The child views of a profile by group. Raises ConfigError naming profile and group when `each` cannot be understood."""
    return {name: _child(layout, layout.groups[name], name) for name in layout.groups if not _flat(layout.groups[name])}


def own_layout(layout: Layout) -> Layout:
    """The profile without its child views."""
    return replace(layout, groups={name: group for name, group in layout.groups.items() if _flat(group)})


def _flat(group: GroupLayout) -> bool:
    return bool(group.rows) or group.each == ROWS


def _child(layout: Layout, group: GroupLayout, path: str) -> Child:
    parsed = parse_each(group.each)
    if parsed is None:
        raise ConfigError(
            f'{layout.profile}: [groups.{path}] each = "{group.each}" 应写作 "子视图 on 子列=父列", 例如 "v_result on report_no=report_no"; '
            '一条记录占多行时写 each = "rows"'
        )
    prefix = f"{path}/"
    here = replace(
        layout,
        fields=group.fields,
        groups=group.groups,
        split={name.removeprefix(prefix): pattern for name, pattern in layout.split.items() if name.startswith(prefix)},
        repeats=frozenset(name.removeprefix(prefix) for name in layout.repeats if name.startswith(prefix)),
        key=(),
        stamp="",
    )
    return Child(*parsed, compile_table(own_layout(here)), children_of(here))
