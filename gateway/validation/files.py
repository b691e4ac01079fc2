"""Validation of files: JSON or XML, each with what was found (https://hl7.org/fhir/R4/validation.html)."""

from __future__ import annotations

import json as text_json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError, Finding, Refused
from gateway.fhir import json, xml
from gateway.fhir.outcome import issue_type
from gateway.validation.definitions import Definitions, ProfileDefinition, from_structure_definition
from gateway.validation.validator import Validator, is_valid

__all__ = ["Verdict", "definitions_in", "files_below", "validate"]

SEVERITIES = {"refuse": "error", "hold": "error", "drop": "warning", "note": "information"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a file."""

    file: Path
    findings: Sequence[Finding]

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return is_valid(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The line of `--json`."""
        issues = [{"severity": SEVERITIES[f.severity], "code": issue_type(f.code), "expression": f.target, "text": f.message} for f in self.findings]
        return {"file": str(self.file), "valid": self.valid, "issues": issues}


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """The files themselves, and every .json and .xml below a folder, in order."""
    for path in paths:
        yield from sorted(p for p in path.rglob("*") if p.suffix in (".json", ".xml") and p.is_file()) if path.is_dir() else (path,)


def validate(validator: Validator, path: Path, profiles: Sequence[str] = ()) -> Verdict:
    """The verdict on one file."""
    try:
        resource, findings = _read(path)
    except Refused as refused:
        return Verdict(path, [refused.finding])
    return Verdict(path, findings if resource is None else [*findings, *validator.check(resource, profiles)])


def _read(path: Path) -> tuple[Any, list[Finding]]:
    """The resource of a file and what is wrong with the file; no resource when it cannot be read."""
    content = path.read_bytes()
    if path.suffix == ".xml":
        return xml.decode(content), []
    try:
        resource = json.decode(content)
    except ValueError as fault:
        return None, [Finding("not-json", "refuse", f"不是 JSON: {fault}")]
    return resource, [
        Finding("wrong-shape", "refuse", f"名字 {name[:64]} 在一个对象里出现两次; JSON 的名字不能重复", target=name[:64])
        for name in _repeated(content)
    ]


def _repeated(content: bytes) -> list[str]:
    """Names that one JSON object has twice: a reader keeps only one of the values."""
    found: list[str] = []

    def pairs(held: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in held]
        if len(set(names)) != len(names):
            found.extend(sorted({n for n in names if names.count(n) > 1}))

    text_json.loads(content, object_pairs_hook=pairs)
    return found


def definitions_in(paths: Iterable[Path], base: str, over: Definitions) -> Definitions:
    """The definitions with the profiles of the files and folders; `{base}` in them is the canonical base. ConfigError for what is no profile."""
    found: list[ProfileDefinition] = []
    for path in files_below(paths):
        text = path.read_text("utf-8").replace("{base}", base.rstrip("/"))
        try:
            resource = json.decode(text)
            if resource.get("resourceType") == "StructureDefinition":
                found.append(from_structure_definition(resource))
        except (ValueError, KeyError, AttributeError, TypeError) as fault:
            raise ConfigError(f"{path}: 不是可用的 StructureDefinition({type(fault).__name__}: {fault})") from fault
    return over.extended(found)
