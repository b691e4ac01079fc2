"""A ViewDefinition compiled once to closures that give the rows of a resource.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#processing-algorithm
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.errors import Finding
from gateway.fhir.shape import type_shape
from gateway.validation.fhirpath.items import Item, Items, plain, resource_item
from gateway.validation.fhirpath.scope import Env, Function
from gateway.views.columns import checked
from gateway.views.definition import Column, Select, ViewError, fault, read_definition
from gateway.views.expression import environment, expression, spelled
from gateway.views.functions import subject
from gateway.views.kinds import Kinds, Say, kinds_below, kinds_of

__all__ = ["Row", "View", "compile_view"]

Row = tuple[Any, ...]
Rows = Callable[[Items, Env], list[Row]]


@dataclass(frozen=True, slots=True)
class View:
    """A compiled view. name, title: as the definition says; type: of its resources; columns: in the order of its rows; remarks: what can be
    run and is hardly meant."""

    name: str
    title: str
    type: str
    columns: tuple[Column, ...]
    remarks: tuple[Finding, ...]
    _where: Callable[[Items, Env], bool]
    _rows: Rows

    def rows(self, resource: dict[str, Any]) -> list[Row]:
        """The rows of one resource; none of a resource of another type. Raises ViewError when it gives what the view does not allow."""
        if resource.get("resourceType") != self.type:
            return []
        focus = resource_item(resource)
        env = environment(focus)
        return self._rows(focus, env) if self._where(focus, env) else []


def compile_view(body: Any) -> View:
    """The view of a ViewDefinition's JSON. Raises ViewError with every fault."""
    definition = read_definition(body)
    root: Kinds = frozenset({type_shape(definition.resource)})
    compiler = _Compiler(definition.constants, root)
    wheres = [(compiler.function(path, place, root)[0], path, place) for path, place in definition.wheres]
    rows = compiler.select(definition.select, root)
    if compiler.findings:
        raise ViewError(compiler.findings)
    columns = tuple(compiler.columns[c.name] for c in definition.select.outputs())
    return View(definition.name, definition.title, definition.resource, columns, tuple(compiler.remarks), partial(_passes, wheres), rows)


def _passes(wheres: list[tuple[Function, str, str]], focus: Items, env: Env) -> bool:
    """Whether every condition is true; one that is empty is not, one that is no boolean is a fault."""
    for function, path, place in wheres:
        found = function(focus, env)
        if not found:
            return False
        value = plain(found[0][0])
        if len(found) > 1 or type(value) is not bool:
            raise fault(place, f"`{path}` 应得到 true 或 false, 在 {subject(env)} 上得到的不是", "view-evaluation")
        if not value:
            return False
    return True


class _Compiler:
    """Compiles selects; faults and remarks are collected. columns: by name, with the type that R4 says where the view says none."""

    def __init__(self, constants: Mapping[str, str], root: Kinds) -> None:
        self.constants = constants
        self.root = root
        self.columns: dict[str, Column] = {}
        self.findings: list[Finding] = []
        self.remarks: list[Finding] = []

    def function(self, path: str, place: str, focus: Kinds) -> tuple[Function, Kinds]:
        """The function of an expression, and what it gives."""
        try:
            function = expression(path, self.constants, place)
        except ViewError as e:
            self.findings += e.findings
            return lambda focus, env: [], None
        return function, kinds_of(spelled(path, self.constants), focus, self.root, self.remark(place))

    def remark(self, place: str) -> Say:
        return lambda text: self.remarks.append(Finding("view-remark", "note", text, place))

    def select(self, select: Select, focus: Kinds) -> Rows:
        """The rows of a select: of each thing it goes over, every combination of the rows of its parts."""
        each, inner = self.iteration(select, focus)
        parts: list[Rows] = []
        if select.columns:
            parts.append(_values([self.column(c, inner) for c in select.columns]))
        parts += [self.select(s, inner) for s in select.selects]
        if select.unions:
            parts.append(_union([self.select(s, inner) for s in select.unions]))
        product = _product(parts)
        return product if each is None else _iterated(each, product, [_blank(select)] if select.each == "forEachOrNull" else [])

    def iteration(self, select: Select, focus: Kinds) -> tuple[Function | None, Kinds]:
        """What a select goes over, and of which kinds that is; the focus when it goes over nothing."""
        if not select.each:
            return None, focus
        place = f"{select.place}.{select.each}"
        if select.each != "repeat":
            return self.function(select.paths[0], place, focus)
        functions = [self.function(path, f"{place}[{n}]", None)[0] for n, path in enumerate(select.paths)]
        if self.findings:
            return functions[0], None
        return partial(_descended, functions), kinds_below([spelled(p, self.constants) for p in select.paths], focus, self.root, self.remark(place))

    def column(self, column: Column, focus: Kinds) -> Callable[[Items, Env], Any]:
        function, kinds = self.function(column.path, f"{column.place}.path", focus)
        self.columns.setdefault(column.name, column if column.type else replace(column, type=_only(kinds)))
        return checked(column, function)


def _only(kinds: Kinds) -> str:
    """The one primitive type among the kinds; "" otherwise."""
    names = list(kinds or ())
    return names[0] if len(names) == 1 and isinstance(names[0], str) else ""


def _values(columns: list[Callable[[Items, Env], Any]]) -> Rows:
    return lambda focus, env: [tuple([column(focus, env) for column in columns])]


def _union(branches: list[Rows]) -> Rows:
    return lambda focus, env: [row for branch in branches for row in branch(focus, env)]


def _product(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]

    def product(focus: Items, env: Env) -> list[Row]:
        rows: list[Row] = [()]
        for part in parts:
            found = part(focus, env)
            rows = [left + right for left in rows for right in found]
        return rows

    return product


def _iterated(each: Function, product: Rows, blank: list[Row]) -> Rows:
    def iterated(focus: Items, env: Env) -> list[Row]:
        found = each(focus, env)
        if not found:
            return blank
        return [row for number, item in enumerate(found) for row in product([item], environment(env.resource, number))]

    return iterated


def _blank(select: Select) -> Row:
    """The row of a forEachOrNull that found nothing: all null, but its own `%rowIndex` is 0."""
    return tuple(0 if index else None for index in _indexes(select))


def _indexes(select: Select) -> Iterator[bool]:
    """Whether each column is the place in what this select goes over."""
    yield from (c.path.strip() == "%rowIndex" for c in select.columns)
    for below in [*select.selects, *select.unions[:1]]:
        yield from (False for _ in below.outputs()) if below.each else _indexes(below)


def _descended(functions: list[Function], focus: Items, env: Env) -> Items:
    """Everything that the paths find below, at any depth: each thing before what is below it."""
    found: Items = []
    waiting: list[Item] = [item for function in functions for item in function(focus, env)][::-1]
    while waiting:
        item = waiting.pop()
        found.append(item)
        waiting += [below for function in functions for below in function([item], env)][::-1]
    return found
