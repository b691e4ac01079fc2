"""Accepted examples of a dataset, for tests: what goes in, the Bundle that came out, its findings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from gateway.builtin import MAPPINGS


@dataclass(frozen=True, slots=True)
class Golden:
    """One example. resources: those of the accepted Bundle, in its order; findings: one text a line."""

    name: str
    profile: str
    fields: dict[str, Any]
    resources: tuple[dict[str, Any], ...]
    findings: tuple[str, ...]

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        """The resources of one type."""
        return [r for r in self.resources if r["resourceType"] == type_]

    def coded(self, code: str) -> list[dict[str, Any]]:
        """The resources whose `code` carries this code in any system."""
        return [r for r in self.resources if any(c["code"] == code for c in r.get("code", {}).get("coding", ()))]


def folder(dataset: str) -> Path:
    """The folder of a built-in dataset."""
    return next(p.parent for p in MAPPINGS.glob(f"*/{dataset}/fields.csv"))


def goldens(dataset: str) -> dict[str, Golden]:
    """All examples of a dataset, by name."""
    found = {}
    for path in sorted((folder(dataset) / "examples").glob("*.in.json")):
        name = path.name.removesuffix(".in.json")
        given = json.loads(path.read_text("utf-8"))
        bundle = json.loads(path.with_name(f"{name}.out.json").read_text("utf-8"), parse_float=Decimal)
        findings = path.with_name(f"{name}.findings.txt")
        lines = findings.read_text("utf-8").splitlines() if findings.exists() else []
        resources = tuple(e["resource"] for e in bundle.get("entry", ()))
        found[name] = Golden(name, given["profile"], given.get("fields", {}), resources, tuple(lines))
    return found


def check_r4b(resource: dict[str, Any]) -> None:
    """Raises when the resource does not pass the R4B models."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
