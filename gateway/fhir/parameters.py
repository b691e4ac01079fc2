"""Search parameters of R4 and the branches of their expressions (https://hl7.org/fhir/R4/searchparameter.html)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["SearchParameter", "branches", "parameters_by_type"]

_ROOT = re.compile(r"[\s(]*([A-Z][A-Za-z]*)\b")


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter. type: token | reference | date | string | quantity | number | uri | composite | special.

    expression: FHIRPath, "" where R4 gives none (`_text`). targets: types a reference may point at. components: (definition URL,
    expression below `expression`) of a composite.
    """

    code: str
    type: str
    base: tuple[str, ...]
    expression: str
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    url: str = ""

    def narrowed(self, type_: str, bases: Sequence[str]) -> SearchParameter:
        """The same parameter with only the branches of its expression that start at this type or one it specialises."""
        kept = []
        for branch in branches(self.expression):
            root = _ROOT.match(branch)
            if root is None or root.group(1) in bases:
                kept.append(branch if root else f"{type_}.{branch}")  # `name | alias` of InsurancePlan has no root
        return replace(self, base=(type_,), expression=" | ".join(kept))


def branches(expression: str) -> list[str]:
    """The parts of a FHIRPath expression between its outermost `|`; parentheses and strings are respected."""
    parts, depth, start, quoted = [], 0, 0, False
    for i, letter in enumerate(expression):
        if letter == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "|" and depth == 0:
            parts.append(expression[start:i].strip())
            start = i + 1
    last = expression[start:].strip()
    return [*parts, last] if last else parts


def parameters_by_type(rows: Iterable[dict[str, Any]]) -> dict[str, list[SearchParameter]]:
    """Search parameters by base type, from the rows of `profiles/r4/search.json.gz`."""
    found: dict[str, list[SearchParameter]] = {}
    for row in rows:
        parameter = SearchParameter(
            code=row["c"],
            type=row["t"],
            base=tuple(row["b"]),
            expression=row.get("x", ""),
            targets=tuple(row.get("r", ())),
            components=tuple((d, x) for d, x in row.get("p", ())),
            url=row["u"],
        )
        for base in parameter.base:
            found.setdefault(base, []).append(parameter)
    return found
