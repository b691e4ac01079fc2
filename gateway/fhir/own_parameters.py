"""A site's own search parameters: SearchParameter resources as JSON files in its `profiles` folder.

https://hl7.org/fhir/R4/searchparameter.html. They lie over those of R4: one with the code of a parameter of R4 takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from gateway.fhir import json
from gateway.fhir.elements import R4
from gateway.fhir.parameters import SearchParameter, branches
from gateway.fhir.path import Extractor, PathError

__all__ = ["own_parameters"]

SERVED = ("token", "reference", "date", "string", "quantity", "number", "uri")


def own_parameters(folder: Path | None, r4: R4) -> tuple[SearchParameter, ...]:
    """The parameters of `SearchParameter-*.json` in a folder, by file name; none without a folder. Raises ConfigError with every fault, one
    a line: the file, what is wrong, what is expected."""
    found: list[SearchParameter] = []
    faults: list[str] = []
    for path in sorted(folder.glob("SearchParameter-*.json")) if folder is not None else ():
        try:
            body = json.decode(path.read_bytes())
        except (OSError, ValueError) as e:
            faults.append(f"{path}: 读不出 JSON({e})")
            continue
        said = list(_faults(body, r4))
        faults += [f"{path}: {fault}" for fault in said]
        if not said:
            found.append(_parameter(body))
    if faults:
        raise ConfigError("\n".join(faults))
    return tuple(found)


def _parameter(body: dict[str, Any]) -> SearchParameter:
    return SearchParameter(
        code=body["code"],
        type=body["type"],
        base=tuple(body["base"]),
        expression=body["expression"],
        targets=tuple(body.get("target", ())),
        url=body.get("url", ""),
    )


def _faults(body: Any, r4: R4) -> Iterable[str]:
    """What keeps a resource from being a search parameter here."""
    if not isinstance(body, dict) or body.get("resourceType") != "SearchParameter":
        yield "应是 resourceType 为 SearchParameter 的资源"
        return
    code, type_, base, expression = (body.get(name) for name in ("code", "type", "base", "expression"))
    if not isinstance(code, str) or not code.replace("-", "").replace("_", "").isalnum() or code.startswith("_"):
        yield "code 应是字母、数字、- 组成的参数名, 不以 _ 开头"
    if type_ not in SERVED:
        yield f"type 应是 {'、'.join(SERVED)} 之一; composite 与 special 不支持"
    if not isinstance(base, list) or not base or not all(isinstance(b, str) and r4.is_resource(b) for b in base):
        yield "base 应列出一个以上 FHIR R4 资源类型"
    elif not isinstance(expression, str) or not expression.strip():
        yield "expression 应是 FHIRPath, 例如 Patient.contact.telecom"
    else:
        yield from _uncompiled(expression, base, r4)


def _uncompiled(expression: str, base: list[str], r4: R4) -> Iterable[str]:
    """Branches that the index cannot follow (gateway/fhir/path.py says which FHIRPath it does)."""
    for type_ in base:
        narrowed = SearchParameter("", "", (), expression).narrowed(type_, r4.ancestors(type_)).expression
        if not narrowed:
            yield f"expression 没有以 {type_} 开头的分支"
        for branch in branches(narrowed):
            try:
                Extractor(r4, type_, [("", branch)])
            except (PathError, KeyError) as e:
                yield f"expression 的 `{branch}` 不能用于检索: {e}"
