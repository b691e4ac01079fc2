"""A ViewDefinition as read: every fault is found at once, each with its element.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import Finding, YifangError
from gateway.fhir.elements import R4, load
from gateway.views.constants import CONSTANTS, constant_text

__all__ = ["Column", "Definition", "Select", "ViewError", "fault", "read_definition"]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
ANSI_TYPE = re.compile(r"[A-Za-z]+(?: [A-Za-z]+){0,4}(?: ?\(\d{1,2}(?:, ?\d{1,2})?\))?(?: [A-Za-z]+){0,3}")
DEEPEST = 32
"""Selects in selects; the reader and the compiled view go down as deep."""
EACH = ("forEach", "forEachOrNull", "repeat")
BACKBONE = frozenset({"id", "extension", "modifierExtension"})
SELECT_KEYS = BACKBONE | {"column", "select", "unionAll", *EACH}
WHERE_KEYS = BACKBONE | {"path", "description"}
COLUMN_KEYS = BACKBONE | {"name", "path", "type", "collection", "description", "tag"}
VALUES = frozenset(f"value{ending}" for ending in CONSTANTS)
METADATA = (
    "resourceType id meta implicitRules language text contained extension modifierExtension url identifier version versionAlgorithmString "
    "versionAlgorithmCoding name title status experimental date publisher contact description useContext jurisdiction purpose copyright "
    "copyrightLabel profile fhirVersion"
)
VIEW_KEYS = frozenset(METADATA.split()) | {"resource", "constant", "select", "where"}
NAME_RULE = "应以字母开头, 只含英文字母、数字和下划线"


class ViewError(YifangError):
    """A ViewDefinition cannot be used, or a resource gives what it does not allow. `findings` name the elements."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(f"{f.target}: {f.message}" if f.target else f.message for f in findings))
        self.findings = tuple(findings)


def fault(target: str, message: str, code: str = "bad-view") -> ViewError:
    """A single fault of one element."""
    return ViewError([Finding(code, "refuse", message, target)])


@dataclass(frozen=True, slots=True)
class Column:
    """One column. type: name of a FHIR type, "" when it is not said. sql: the type of the tag `ansi/type`, "" without one."""

    name: str
    path: str
    type: str
    collection: bool
    sql: str
    place: str


@dataclass(frozen=True, slots=True)
class Select:
    """Columns, selects and a union that make rows together. each: forEach | forEachOrNull | repeat | ""; paths: its expressions."""

    columns: tuple[Column, ...]
    selects: tuple[Select, ...]
    unions: tuple[Select, ...]
    each: str
    paths: tuple[str, ...]
    place: str

    def outputs(self) -> Iterator[Column]:
        """The columns of its rows: its own, those of its selects, those of its union."""
        yield from self.columns
        for below in self.selects:
            yield from below.outputs()
        if self.unions:
            yield from self.unions[0].outputs()


@dataclass(frozen=True, slots=True)
class Definition:
    """A view. constants: FHIRPath literals by name. wheres: (expression, element)."""

    name: str
    title: str
    resource: str
    constants: dict[str, str]
    wheres: tuple[tuple[str, str], ...]
    select: Select


def read_definition(body: Any) -> Definition:
    """The view of a ViewDefinition's JSON. Raises ViewError with every fault."""
    return _Reader(load()).view(body)


@dataclass(slots=True)
class _Reader:
    """Collects the faults of one ViewDefinition."""

    r4: R4
    findings: list[Finding] = field(default_factory=list)

    def say(self, place: str, message: str) -> None:
        self.findings.append(Finding("bad-view", "refuse", message, place))

    def view(self, body: Any) -> Definition:
        if not isinstance(body, dict) or body.get("resourceType", "ViewDefinition") != "ViewDefinition":
            raise fault("ViewDefinition", "不是 ViewDefinition; 应为一个 JSON 对象, resourceType 为 ViewDefinition")
        self.known(body, VIEW_KEYS, "ViewDefinition")
        name = self.name(body, "ViewDefinition") if "name" in body else ""
        resource = body.get("resource")
        if not isinstance(resource, str) or not self.r4.is_resource(resource):
            self.say("ViewDefinition.resource", "应为一种 R4 资源的类型名, 例如 Patient")
        versions = body.get("fhirVersion", ["4.0.1"])
        if not isinstance(versions, list) or not any(isinstance(v, str) and v.startswith("4.0") for v in versions):
            self.say("ViewDefinition.fhirVersion", "视图不是为 FHIR R4 (4.0.1) 写的")
        constants = self.constants(body)
        wheres = [
            (self.text(w, "path", p), f"{p}.path") for w, p in self.objects(body, "where", "ViewDefinition", BACKBONE | {"path", "description"})
        ]
        selects = tuple(self.select(s, p, 1) for s, p in self.objects(body, "select", "ViewDefinition", SELECT_KEYS))
        if not selects:
            self.say("ViewDefinition.select", "至少要有一个 select")
        whole = Select((), selects, (), "", (), "ViewDefinition")
        self.columns(whole)
        if self.findings:
            raise ViewError(self.findings)
        return Definition(name, str(body.get("title", "")), str(resource), constants, tuple(wheres), whole)

    def known(self, body: dict[str, Any], names: frozenset[str], place: str) -> None:
        for name in body:
            if name.removeprefix("_") not in names:
                self.say(f"{place}.{name}", "ViewDefinition 没有这个元素; 请检查拼写")

    def objects(self, body: dict[str, Any], name: str, place: str, names: frozenset[str]) -> list[tuple[dict[str, Any], str]]:
        """The objects of a list with their places."""
        held = body.get(name, [])
        if not isinstance(held, list):
            self.say(f"{place}.{name}", "应为列表")
            return []
        found = []
        for number, item in enumerate(held):
            if isinstance(item, dict):
                self.known(item, names, f"{place}.{name}[{number}]")
                found.append((item, f"{place}.{name}[{number}]"))
            else:
                self.say(f"{place}.{name}[{number}]", "应为对象")
        return found

    def text(self, body: dict[str, Any], name: str, place: str) -> str:
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            return value
        self.say(f"{place}.{name}", "应为不空的文字" if name in body else "缺少这一项")
        return ""

    def name(self, body: dict[str, Any], place: str, otherwise: str = "") -> str:
        value = body.get("name")
        if isinstance(value, str) and NAME.fullmatch(value):
            return value
        self.say(f"{place}.name", NAME_RULE)
        return otherwise

    def constants(self, body: dict[str, Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for constant, place in self.objects(body, "constant", "ViewDefinition", BACKBONE | VALUES | {"name"}):
            name = self.name(constant, place)
            values = [k for k in constant if k in VALUES]
            if len(values) != 1:
                self.say(place, "应有且只有一个 value[x], 例如 valueString")
                continue
            literal = constant_text(values[0].removeprefix("value"), constant[values[0]])
            if literal is None:
                self.say(f"{place}.{values[0]}", "不是这种类型的值")
            elif name in found:
                self.say(f"{place}.name", f"常量 {name} 定义了两次")
            else:
                found[name] = literal
        return found

    def select(self, body: dict[str, Any], place: str, depth: int) -> Select:
        if depth > DEEPEST:
            raise fault(place, f"select 套得太深; 最多 {DEEPEST} 层")
        each = [k for k in EACH if k in body]
        if len(each) > 1:
            self.say(place, f"{'、'.join(each)} 只能写一个")
        columns = tuple(self.column(c, p) for c, p in self.objects(body, "column", place, COLUMN_KEYS))
        selects = tuple(self.select(s, p, depth + 1) for s, p in self.objects(body, "select", place, SELECT_KEYS))
        unions = tuple(self.select(s, p, depth + 1) for s, p in self.objects(body, "unionAll", place, SELECT_KEYS))
        kind = each[0] if each else ""
        made = Select(columns, selects, unions, kind, self.paths(body, kind, place), place)
        self.alike(made)
        if not (columns or selects or unions):
            self.say(place, "没有 column、select 或 unionAll, 不产生任何列")
        return made

    def paths(self, body: dict[str, Any], each: str, place: str) -> tuple[str, ...]:
        if not each:
            return ()
        if each != "repeat":
            return (self.text(body, each, place),)
        held = body[each]
        if isinstance(held, list) and held and all(isinstance(p, str) and p.strip() for p in held):
            return tuple(held)
        self.say(f"{place}.repeat", "应为不空的 FHIRPath 列表")
        return ()

    def column(self, body: dict[str, Any], place: str) -> Column:
        type_, collection = body.get("type", ""), body.get("collection", False)
        if not isinstance(type_, str):
            self.say(f"{place}.type", "应为 FHIR 类型名, 例如 string")
        if not isinstance(collection, bool):
            self.say(f"{place}.collection", "应为 true 或 false")
        named = str(type_).removeprefix("http://hl7.org/fhir/StructureDefinition/")
        if named and not self.is_type(named):
            self.say(f"{place}.type", f"R4 没有类型 {named}")
        name = self.name(body, place, place)
        return Column(name, self.text(body, "path", place), named, collection is True, self.sql(body, place), place)

    def is_type(self, name: str) -> bool:
        """Whether there is such a type: of R4, of FHIRPath (`System.String`), `integer64`, or a backbone element (`Observation.component`)."""
        system = name.removeprefix("System.")
        if system != name:
            return system in ("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time")
        return name == "integer64" or name.partition(".")[0] in self.r4.types

    def sql(self, body: dict[str, Any], place: str) -> str:
        """The SQL type that the column's tags ask for."""
        for tag, at in self.objects(body, "tag", place, BACKBONE | {"name", "value"}):
            if tag.get("name") == "ansi/type":
                value = self.text(tag, "value", at)
                if ANSI_TYPE.fullmatch(value):
                    return value
                self.say(f"{at}.value", "应为 SQL 类型, 例如 DECIMAL(18, 4)")
        return ""

    def alike(self, select: Select) -> None:
        """The branches of a union give the same columns in the same order."""
        if not select.unions:
            return
        first = [(c.name, c.type, c.collection) for c in select.unions[0].outputs()]
        for branch in select.unions[1:]:
            if [(c.name, c.type, c.collection) for c in branch.outputs()] != first:
                self.say(branch.place, f"unionAll 的各支应有相同的列, 次序和类型也相同; 第一支是 {'、'.join(n for n, _, _ in first)}")

    def columns(self, whole: Select) -> None:
        """Each name is given once."""
        seen: set[str] = set()
        for column in whole.outputs():
            if column.name.lower() in seen:
                self.say(f"{column.place}.name", f"列名 {column.name} 出现了两次; 大小写不算不同")
            seen.add(column.name.lower())
