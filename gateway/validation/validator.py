"""Validation of a resource against R4 and profiles, as findings with their place (https://hl7.org/fhir/R4/validation.html)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.errors import Finding
from gateway.fhir.shape import resource_shape
from gateway.fhir.structure import run
from gateway.validation.checker import Checker
from gateway.validation.definitions import Definitions, shipped
from gateway.validation.scope import WHOLE, Whole, environment

__all__ = ["Validator", "is_valid"]


class Validator:
    """Compiled once for a set of definitions; checks are made when a type or profile is first met."""

    def __init__(self, definitions: Definitions | None = None) -> None:
        self.definitions = shipped() if definitions is None else definitions
        self._checker = Checker(self.definitions)

    def check(self, resource: Any, profiles: Sequence[str] = ()) -> list[Finding]:
        """What is wrong with a decoded resource, by R4, by the profiles that its `meta.profile` names and are known, and by `profiles`.

        Severities: `refuse` an error, `drop` a warning, `note` a remark; target is a FHIRPath expression. A profile of `profiles` that is
        not known is an error.
        """
        before = WHOLE.set(Whole(resource))
        try:
            found = run(self._checker, resource)
            return [*found, *self._by_profiles(resource, profiles)] if profiles and is_valid(found) else found
        finally:
            WHOLE.reset(before)

    def _by_profiles(self, resource: dict[str, Any], profiles: Sequence[str]) -> list[Finding]:
        type_ = resource["resourceType"]
        shape = resource_shape(type_)
        found: dict[tuple[str, str], Finding] = {}
        for url in profiles:
            check = self._checker.profiles.check(url)
            if check is None or shape is None:
                found["", url] = Finding("unknown-profile", "refuse", f"没有档案 {url} 的定义; 请用 --profile 给出它的文件或改正网址", target=type_)
                continue
            for path, code, message, severity in check((resource, shape), environment(resource)) or ():
                found.setdefault((path, code), Finding(code, severity, f"{type_}{path}: {message}", target=f"{type_}{path}"))
        return list(found.values())


def is_valid(findings: Sequence[Finding]) -> bool:
    """Whether none of the findings is an error."""
    return not any(f.severity == "refuse" for f in findings)
