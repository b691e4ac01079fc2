"""How a vendor writes a record: the inverse of a source profile, read from its TOML file, so that generator and profile cannot drift.

`Vendor.load("hypertension_followup", "vendor_c_xlsx")`; `rows(fields)` turns a record in national codes into the vendor's flat rows,
`tree(fields)` into the vendor's JSON object, `children(fields)` into the rows of its child views.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.builtin import MAPPINGS
from gateway.record import Fields

__all__ = ["Vendor"]

_SEPARATORS = (",", "、", "|", ";", "，", "/", " ")
_FACTORS = {("kg", "斤"): Decimal(2), ("mmHg", "kPa"): Decimal("0.133322"), ("mmol/L", "mg/dL"): Decimal("18.018")}
"""(unit of the form, unit of the vendor) -> factor; 1 斤 = 0.5 kg, 1 mmHg = 0.133322 kPa."""

Flat = dict[str, str]


@dataclass(frozen=True, slots=True)
class Vendor:
    """One source profile and the units of its form."""

    dataset: str
    name: str
    profile: Mapping[str, Any]
    units: Mapping[str, str]

    @classmethod
    @lru_cache(maxsize=64)
    def load(cls, dataset: str, name: str) -> Vendor:
        """Reads the built-in profile. Raises LookupError when there is none of that name."""
        found = sorted(MAPPINGS.glob(f"*/{dataset}/sources/{name}.toml"))
        if not found:
            raise LookupError(f"no source profile {dataset}/{name}")
        with (found[0].parent.parent / "fields.csv").open(encoding="utf-8-sig", newline="") as table:
            units = {row["name"]: row["unit"] for row in csv.DictReader(table)}
        return cls(dataset, name, tomllib.loads(found[0].read_text("utf-8")), units)

    @property
    def options(self) -> Mapping[str, Any]:
        """[options] of the profile."""
        options: Mapping[str, Any] = self.profile.get("options", {})
        return options

    def columns(self) -> list[str]:
        """All columns of the vendor's table, the deliberately unread ones too, in the order of the profile."""
        own = list(self.profile["fields"].values())
        own += [column for group in self.profile.get("groups", {}).values() if self._flat(group) for column in _columns(group)]
        return list(dict.fromkeys([*own, *self.profile.get("ignored", {})]))

    def rows(self, fields: Fields) -> list[Flat]:
        """The vendor's flat rows of a record: one, or several where a group is spread over rows."""
        head = self._own(self.profile["fields"], fields)
        rows = [head]
        for name, group in self.profile.get("groups", {}).items():
            items = fields.get(name, [])
            if "rows" in group:
                for mapping, item in zip(group["rows"], items, strict=False):
                    head.update(self._own(mapping, item))
            elif group.get("each") == "rows":
                spread = [row for item in items for row in self._spread(group, item)]
                rows = [head | row for row in spread] or rows
        return rows

    def children(self, fields: Fields) -> dict[str, list[Flat]]:
        """Rows of the vendor's child views, by view."""
        found: dict[str, list[Flat]] = {}
        parent = self._own(self.profile["fields"], fields)
        joins = self.joins()
        for name, group in self.profile.get("groups", {}).items():
            view = str(group.get("each", "")).partition(" on ")[0].strip()
            if view in joins:
                joined = {child: parent.get(column, "") for child, column in joins[view][1]}
                found[view] = [joined | self._own(group["fields"], item) for item in fields.get(name, [])]
        return found

    def joins(self) -> dict[str, tuple[list[str], list[tuple[str, str]]]]:
        """Child views: name -> (their columns, pairs of child column and parent column)."""
        found = {}
        for group in self.profile.get("groups", {}).values():
            view, on, condition = str(group.get("each", "")).partition(" on ")
            if on:
                pairs = [(c.strip(), p.strip()) for c, _, p in (part.partition("=") for part in re.split(r"\s+and\s+", condition))]
                found[view.strip()] = ([*(c for c, _ in pairs), *group["fields"].values()], pairs)
        return found

    def tree(self, fields: Fields) -> dict[str, Any]:
        """The vendor's JSON object of a record."""
        found = self._object(self.profile["fields"], fields)
        for name, group in self.profile.get("groups", {}).items():
            items = [self._object(group["fields"], item) for item in fields.get(name, [])]
            if items:
                _put(found, group["each"], items)
        return found

    def _flat(self, group: Mapping[str, Any]) -> bool:
        return "rows" in group or group.get("each") == "rows"

    def _spread(self, group: Mapping[str, Any], item: Fields) -> list[Flat]:
        own = self._own(group["fields"], item)
        inner = [row for name, g in group.get("groups", {}).items() for each in item.get(name, []) for row in self._spread(g, each)]
        return [own | row for row in inner] or [own]

    def _own(self, mapping: Mapping[str, str], fields: Fields) -> Flat:
        return {column: text for name, column in mapping.items() if (text := self.text(name, fields.get(name)))}

    def _object(self, mapping: Mapping[str, str], fields: Fields) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, pointer in mapping.items():
            value = fields.get(name)
            if isinstance(value, list) and name not in self.profile.get("split", {}):
                _put(found, pointer, [self.text(name, v) for v in value])
            elif text := self.text(name, value):
                _put(found, pointer, text)
        return found

    def text(self, name: str, value: Any) -> str:
        """A national value as the vendor writes it: its code, its unit, the number without prefix, several joined; "" when absent."""
        if value is None:
            return ""
        if isinstance(value, list):
            pattern = self.profile.get("split", {}).get(name, ",")
            separator = next(s for s in _SEPARATORS if re.fullmatch(pattern, s))
            return separator.join(self.text(name, v) for v in value)
        codes = self.profile.get("codes", {}).get(name)
        if codes is not None:
            return next((str(vendor) for vendor, national in codes.items() if str(national) == value), str(value))
        if name in self.profile.get("prefix", {}):
            return str(value)[9:]
        unit = self.profile.get("units", {}).get(name)
        if unit is not None and (factor := _FACTORS.get((self.units.get(name, ""), unit))) is not None:
            return format((Decimal(value) * factor).quantize(Decimal("0.1")), "f")
        return str(value)


def _columns(group: Mapping[str, Any]) -> list[str]:
    own = [column for mapping in group.get("rows", [group.get("fields", {})]) for column in mapping.values()]
    return own + [column for inner in group.get("groups", {}).values() for column in _columns(inner)]


def _put(tree: dict[str, Any], pointer: str, value: Any) -> None:
    """Sets what a locator of restjson points to."""
    steps = pointer[1:].split("/") if pointer.startswith("/") else [pointer]
    for step in steps[:-1]:
        tree = tree.setdefault(step, {})
    tree[steps[-1]] = value
