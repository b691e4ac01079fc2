"""Lineage: for every element that a map wrote, the line, source fields, raw values, locators and functions behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.mapping import plan


@dataclass(frozen=True, slots=True)
class Origin:
    """One field that an element came from. raw: as the sender wrote it; value: in national codes; locator: the sender's own address."""

    field: str
    label: str
    locator: str
    raw: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Lineage:
    """How one element came about. path: FHIR path below the resource; line: `file.map:line:column`; no origins: a constant of the map."""

    type: str
    id: str
    block: str
    path: str
    line: str
    origins: tuple[Origin, ...]
    functions: tuple[str, ...]
    result: Any

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        origins = [{"field": o.field, "label": o.label, "locator": o.locator, "raw": o.raw, "value": o.value} for o in self.origins]
        made = {"resource": f"{self.type}/{self.id}" if self.id else self.type, "block": self.block, "path": self.path, "line": self.line}
        return made | {"origins": origins, "functions": list(self.functions), "result": self.result}


@dataclass(slots=True)
class Trace:
    """What the explaining build reports while it runs. Rows written for an element or block that was given up are cut again."""

    rows: list[tuple[int, str, Any, tuple[tuple[str, str, Any, Any], ...]]] = field(default_factory=list)
    owners: list[tuple[int, int, str, str, str]] = field(default_factory=list)  # from, to, block, type, id

    def add(self, line: int, path: str, result: Any, reads: tuple[tuple[str, str, Any, Any], ...]) -> None:
        """An element was written."""
        self.rows.append((line, path, result, reads))

    def mark(self) -> int:
        """The present position."""
        return len(self.rows)

    def cut(self, mark: int) -> None:
        """What was reported since the mark was not written after all."""
        del self.rows[mark:]

    def close(self, mark: int, block: str, type_: str, id_: str) -> None:
        """The rows since the mark belong to this resource."""
        self.owners.append((mark, len(self.rows), block, type_, id_))

    def lineage(self, made: plan.MapPlan, locators: Mapping[str, str], ids: set[tuple[str, str]]) -> list[Lineage]:
        """The lineage of the drafts with these (type, id)."""
        labels = {f.path: f for f in made.dataset.all_fields()}
        found = []
        for start, end, block, type_, id_ in self.owners:
            if (type_, id_) not in ids:
                continue
            for line, path, result, reads in self.rows[start:end]:
                info = made.lines[line]
                origins = tuple(_origin(r, labels, locators) for r in reads if r[2] is not None or r[0] in (r[3] or ()))
                found.append(Lineage(type_, id_, block, path, str(info.place), origins, tuple(info.functions), result))
        return found


def _origin(read: tuple[str, str, Any, Any], fields: Mapping[str, Any], locators: Mapping[str, str]) -> Origin:
    path, component, value, raws = read
    known = fields.get(path)
    name = path.rsplit("/", 1)[-1]
    raw = (raws or {}).get(name, value)
    locator = locators.get(path, known.label if known else path)
    if component:
        locator, value = f"{locator}.{component}", value.get(component) if isinstance(value, dict) else value
        raw = value
    return Origin(path, known.label if known else path, locator, raw, value)


class Silent:
    """A trace that keeps nothing: inside fragments, whose result the calling line reports."""

    @staticmethod
    def add(line: int, path: str, result: Any, reads: object) -> None:
        """Nothing."""

    @staticmethod
    def mark() -> int:
        """Always the beginning."""
        return 0

    @staticmethod
    def cut(mark: int) -> None:
        """Nothing."""
