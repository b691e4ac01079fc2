"""What an evaluation of FHIRPath knows beside its focus: `%resource`, `%rootResource`, `%context`, `$index`, `$total`.

https://hl7.org/fhir/R4/fhirpath.html#variables
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.validation.fhirpath.items import Items

__all__ = ["VARIABLES", "Env", "Function", "PathTypeError"]

VARIABLES = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}
"""Variables that stand for a code system."""


class PathTypeError(ValueError):
    """The expression uses a function or variable that is not known, or gives a function what it cannot take."""


def _elsewhere(text: str) -> dict[str, Any] | None:
    return None


@dataclass(slots=True)
class Env:
    """Variables of an evaluation; never changed. resolve: what a reference points at, None when it is not at hand."""

    resource: Items
    root: Items
    context: Items
    index: int = 0
    total: Items | None = None
    resolve: Callable[[str], dict[str, Any] | None] = _elsewhere

    def at(self, index: int, total: Items | None = None) -> Env:
        """The same variables with another `$index` (and `$total`)."""
        return Env(self.resource, self.root, self.context, index, self.total if total is None else total, self.resolve)


Function = Callable[[Items, Env], Items]
