"""From a source profile's layout to a plan: which segment of which group is read into which field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.hl7v2 import locator
from adapters.hl7v2.locator import Locator, Path
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError

_WHOLE = frozenset({""})


@dataclass(frozen=True, slots=True)
class Cell:
    """One field read from one segment. components: those that the map uses, "" among them = all; only composites have any."""

    name: str
    path: Path
    composite: bool
    repeats: bool
    components: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """A field put together when its row is complete: the first of `parts` that is wholly there, unless `unless` is; then the grafts.
    A part of several cells is joined with `-`."""

    name: str
    parts: tuple[tuple[str, ...], ...]
    unless: str = ""
    grafts: tuple[tuple[str, str], ...] = ()
    plain: str = ""  # the one cell that the field is, when nothing else is asked


@dataclass(slots=True)
class Scope:
    """A segment group (the whole message at the top). cells: by segment. leading: segments that may stand before `segment`.

    late: takes its segment only when the enclosing group has one of the same already (OBX after SPM: results come first).
    promoted: fields of an outer row that are read here, hidden name -> name.
    """

    name: str
    segment: str
    leading: tuple[str, ...] = ()
    late: bool = False
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    children: dict[str, Scope] = field(default_factory=dict)
    promoted: dict[str, str] = field(default_factory=dict)
    leads: frozenset[str] = frozenset()  # segments that may stand before one of the children
    giving: tuple[Scope, ...] = ()  # children that hand fields up
    readers: dict[str, Any] = field(default_factory=dict)  # segment -> compiled reader

    def every(self) -> Iterator[Scope]:
        """This scope and all inside it."""
        yield self
        for child in self.children.values():
            yield from child.every()


def plan(layout: Layout) -> Scope:
    """Plans a layout. Raises ConfigError naming profile, field and locator."""
    top = Scope("", "")
    _groups(top, layout.groups, layout)
    _fields(top, layout.fields, "", layout)
    _inner(top, layout.groups, "", layout)
    for scope in top.every():
        scope.leads = frozenset(segment for child in scope.children.values() for segment in child.leading)
        scope.giving = tuple(child for child in scope.children.values() if child.promoted)
    return top


def _groups(scope: Scope, groups: Mapping[str, GroupLayout], layout: Layout) -> None:
    for name, group in groups.items():
        if group.rows:
            raise ConfigError(f'{layout.profile}: 段组 {name} 不能写固定重复(rows); HL7 v2 的段组用 each = "段名"')
        try:
            segment, leading = locator.parse_each(group.each or name)
        except ValueError as e:
            raise ConfigError(f"{layout.profile}: 段组 {name}: {e}") from e
        child = Scope(name, segment, leading, bool(group.options.get("late", False)))
        scope.children[segment] = child
        _groups(child, group.groups, layout)


def _inner(scope: Scope, groups: Mapping[str, GroupLayout], path: str, layout: Layout) -> None:
    for name, group in groups.items():
        child = next(c for c in scope.children.values() if c.name == name)
        inner = f"{path}/{name}" if path else name
        _fields(child, group.fields, inner, layout)
        _inner(child, group.groups, inner, layout)


def _fields(scope: Scope, given: Mapping[str, str], path: str, layout: Layout) -> None:
    used = _used(layout, path)
    locators = {name: name for name in used if locator.NAME.fullmatch(name)} | dict(given)
    for name, text in locators.items():
        try:
            parsed = locator.parse(text)
        except ValueError as e:
            raise ConfigError(f"{layout.profile}: 字段 {name} 的位置 `{text}` 看不懂: {e}") from e
        full = f"{path}/{name}" if path else name
        composite = name in layout.composites or full in layout.composites
        repeats = name in layout.repeats or full in layout.repeats
        _place(scope, name, parsed, (composite, repeats, used.get(name, _WHOLE)))


def _used(layout: Layout, path: str) -> dict[str, frozenset[str]]:
    """Fields of this scope that the map reads, each with the components it reads; "" = the whole composite."""
    found: dict[str, set[str]] = {}
    for entry in layout.used:
        group, _, last = entry.rpartition("/")
        if group != path:
            continue
        name, _, component = last.partition(".")
        found.setdefault(name, set()).add(component)
    return {name: frozenset(parts) for name, parts in found.items()}


def _place(scope: Scope, name: str, parsed: Locator, shape: tuple[bool, bool, frozenset[str]]) -> None:
    composite, repeats, components = shape
    if not parsed.alternatives:
        return
    if len(parsed.alternatives) == 1 == len(parsed.alternatives[0]) and not parsed.grafts and parsed.unless is None:
        _cell(scope, Cell(name, parsed.alternatives[0][0], composite, repeats, components))
        return
    parts = tuple(tuple(f"@{name}/{i}.{j}" for j in range(len(paths))) for i, paths in enumerate(parsed.alternatives))
    for names, paths in zip(parts, parsed.alternatives, strict=True):
        for part, path in zip(names, paths, strict=True):
            _cell(scope, Cell(part, path, composite, repeats, components) if len(paths) == 1 else Cell(part, path, False, False))
    grafts = tuple((number, f"@{name}/+{number}") for number, _ in parsed.grafts)
    for (_, part), (_, path) in zip(grafts, parsed.grafts, strict=True):
        _cell(scope, Cell(part, path, False, False))
    unless = f"@{name}/unless" if parsed.unless is not None else ""
    if parsed.unless is not None:
        _cell(scope, Cell(unless, parsed.unless, False, False))
    plain = parts[0][0] if [len(cells) for cells in parts] == [1] and not unless and not grafts else ""
    scope.choices.append(Choice(name, parts, unless, grafts, plain))


def _cell(scope: Scope, cell: Cell) -> None:
    """Puts a cell where its segment is read: in the scope itself, or in the inner group whose first row then hands it up."""
    owner = _owner(scope, cell.path.segment)
    if owner is not None and owner is not scope:
        hidden = f"^{cell.name}"
        owner.promoted[hidden] = cell.name
        owner.cells.setdefault(cell.path.segment, []).append(Cell(hidden, cell.path, cell.composite, cell.repeats, cell.components))
        return
    scope.cells.setdefault(cell.path.segment, []).append(cell)


def _owner(scope: Scope, segment: str) -> Scope | None:
    if segment == scope.segment or segment in scope.leading:
        return scope
    for child in scope.children.values():
        if (segment == child.segment and not child.late) or segment in child.leading:
            return child
    return None
