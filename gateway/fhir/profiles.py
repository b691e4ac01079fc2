"""Profiles (StructureDefinition constraints) as rules by path, for the map checker and the validator.

https://hl7.org/fhir/R4/profiling.html. The files stand in `profiles/StructureDefinition-<name>.json`; `{base}` in them is the deployment's
canonical base. Only the differential is read: what it does not say is as in the R4 table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.builtin import PROFILES
from gateway.errors import ConfigError
from gateway.fhir import json

__all__ = ["Profile", "Profiles", "Rule", "matches"]

SPEC = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a profile says of one element. path: `Observation.component.code`; slice: `systolic` when it holds inside that slice of
    `sliced` (`Observation.component`), else "".

    min, max: None when the profile does not narrow them (max 0 = must not be there, `many` True = `*`). fixed, pattern: the value, or
    None. types, targets: empty when not narrowed.
    """

    path: str
    slice: str = ""
    sliced: str = ""
    min: int | None = None
    max: int | None = None
    many: bool = False
    fixed: Any = None
    pattern: Any = None
    types: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    binding: tuple[str, str] | None = None
    short: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile. rules by element id (`Observation.component:systolic.code`); context: types an extension may stand in;
    closed: paths whose slicing allows no other slice."""

    name: str
    url: str
    type: str
    title: str
    rules: Mapping[str, Rule]
    context: tuple[str, ...] = ()
    closed: frozenset[str] = frozenset()

    def rule(self, path: str) -> Rule | None:
        """The rule for an element outside any slice."""
        return self.rules.get(path)

    def slices(self, path: str) -> list[str]:
        """Names of the slices of a repeating element, in order."""
        return [r.slice for i, r in self.rules.items() if r.path == path and i.endswith(":" + r.slice) and r.slice]

    def slice_rules(self, path: str, name: str) -> list[Rule]:
        """Rules that hold inside one slice, the slice's own first."""
        return [r for r in self.rules.values() if r.sliced == path and r.slice == name]

    def required(self) -> list[str]:
        """Paths that must be written, outside slices."""
        return [i for i, r in self.rules.items() if r.min and not r.slice]


class Profiles(Mapping[str, Profile]):
    """Profiles by name (`blood-pressure`), under one canonical base."""

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self._by_name = {p.name: p for p in profiles}
        self._by_url = {p.url: p for p in self._by_name.values()}

    @classmethod
    def from_folder(cls, base: str, folder: Path = PROFILES) -> Profiles:
        """Reads every `StructureDefinition-*.json`. Raises ConfigError that names the file when one is not JSON or lacks a part."""
        return cls(read_profile(path, base) for path in sorted(folder.glob("StructureDefinition-*.json")))

    def __getitem__(self, name: str) -> Profile:
        return self._by_name[name]

    def __iter__(self) -> Any:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def by_url(self, url: str) -> Profile | None:
        """The profile with this canonical URL (`|version` is ignored)."""
        return self._by_url.get(url.partition("|")[0])


def read_profile(path: Path, base: str) -> Profile:
    """One StructureDefinition file as rules."""
    try:
        text = path.read_text("utf-8").replace("{base}", base.rstrip("/"))
        definition = json.decode(text)
        elements = definition["differential"]["element"]
        return Profile(
            name=definition["id"],
            url=definition["url"],
            type=definition["type"],
            title=definition.get("title", definition["id"]),
            rules={e["id"]: _rule(e) for e in elements},
            context=tuple(c["expression"] for c in definition.get("context", ())),
            closed=frozenset(e["path"] for e in elements if e.get("slicing", {}).get("rules") == "closed"),
        )
    except (ValueError, KeyError, TypeError) as fault:
        raise ConfigError(
            f"{path}: 不是可用的 StructureDefinition({type(fault).__name__}: {fault}); 需要 id、url、type 和 differential.element"
        ) from fault


def _rule(element: dict[str, Any]) -> Rule:
    """A differential element as a rule."""
    steps = element["id"].split(".")
    at = next((i for i, s in enumerate(steps) if ":" in s), None)
    maximum = element.get("max")
    types = element.get("type", ())
    bound = element.get("binding")
    return Rule(
        path=element["path"],
        slice="" if at is None else steps[at].partition(":")[2],
        sliced="" if at is None else ".".join(s.partition(":")[0] for s in steps[: at + 1]),
        min=element.get("min"),
        max=None if maximum in (None, "*") else int(maximum),
        many=maximum == "*",
        fixed=next((v for k, v in element.items() if k.startswith("fixed")), None),
        pattern=next((v for k, v in element.items() if k.startswith("pattern")), None),
        types=tuple(t["code"] for t in types),
        targets=tuple(p.removeprefix(SPEC) for t in types for p in t.get("targetProfile", ())),
        binding=None if bound is None else (bound["strength"], bound["valueSet"].partition("|")[0]),
        short=element.get("short", ""),
    )


def matches(value: Any, pattern: Any) -> bool:
    """Whether `value` holds everything that `pattern` says (https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_)."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and matches(value[k], v) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(matches(v, p) for v in value) for p in pattern)
    return bool(value == pattern)
