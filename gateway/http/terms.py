"""Terminology that operations answer from: resources that clients wrote, the tables of the active mapping set, and R4's own code lists.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.fhir.json import decode, encode
from gateway.fhir.query import escape, parse_query
from gateway.http.backend import Backend
from gateway.http.call import Call, Reply
from gateway.http.parameters import given, named_values
from gateway.http.problems import Problem
from gateway.http.stored import current
from gateway.store.search.terms import StoredTerms
from gateway.terminology.published import Json, published
from gateway.terminology.tables import read_terms
from gateway.validation.definitions import shipped

__all__ = ["Asked", "Concept", "Terminology", "answer", "asked_codes", "asked_url", "concepts"]


@dataclass(frozen=True, slots=True)
class Concept:
    """One code of a system, with what its definition says of it. body: the concept as the CodeSystem has it."""

    system: str
    code: str
    display: str
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A code as an operation is given it. display: "" when none was given."""

    system: str
    code: str
    display: str = ""


class Terminology:
    """What one request asks. Reads through the caller's scope."""

    def __init__(self, call: Call, connection: Connection) -> None:
        self._call = call
        self._connection = connection
        self._tables = _tables(call.backend)
        self._sets = StoredTerms(call.backend.site.indexer.r4, self.find)

    def find(self, type_: str, url: str) -> Json | None:
        """The resource of this type with this canonical URL (a version after `|` is not looked at): one that a client wrote, else that of the
        tables; None when there is neither."""
        wanted = url.partition("|")[0]
        query = parse_query([("url", escape(wanted)), ("_sort", "-_lastUpdated"), ("_count", "1")])
        rows = self._call.backend.searcher.search(self._connection, type_, query, self._call.scope).rows
        return dict(decode(rows[0].content)) if rows else self._tables.get((type_, wanted))

    def concept_maps(self) -> Iterator[Json]:
        """All concept maps: those that clients wrote, then those of the tables."""
        cursor: str | None = None
        query = parse_query([("_count", "100")])
        while True:
            page = self._call.backend.searcher.search(self._connection, "ConceptMap", query, self._call.scope, cursor)
            yield from (dict(decode(row.content)) for row in page.rows)
            cursor = page.next
            if cursor is None:
                break
        yield from (resource for (type_, _), resource in self._tables.items() if type_ == "ConceptMap")

    def lookup(self, system: str, code: str) -> Concept | None:
        """The concept; None when the system does not have this code, or is not known here."""
        held = self.find("CodeSystem", system)
        if held is None:
            known = shipped().code_known(system, code)
            return Concept(system, code, "", system.rpartition("/")[2], {"code": code}) if known else None
        name = str(held.get("title") or held.get("name") or system)
        return next((c for c in concepts(system, name, held.get("concept")) if c.code == code), None)

    def lists(self, system: str) -> bool:
        """Whether all codes of the system are known here, so that one that is not found does not exist."""
        held = self.find("CodeSystem", system)
        return held.get("content") == "complete" if held is not None else shipped().code_known(system, "") is False

    def members(self, valueset: str) -> frozenset[tuple[str, str]] | None:
        """(system, code) of a value set; None when it, or something that it includes, is not here."""
        return self._sets.members(valueset)

    def needed(self, valueset: str) -> frozenset[tuple[str, str]]:
        """The same; Problem 404 when it is not here."""
        members = self.members(valueset) if valueset else None
        if members is None:
            zh = f"这里没有值集 {valueset or '(未给出 url)'}, 或它包含的内容不全; 请把 ValueSet 资源写入网关"
            en = f"The value set {valueset or '(no url given)'} is not known here, or not all that it includes; write the ValueSet to the gateway"
            raise Problem(404, "not-found", zh, en, "url")
        return members

    def displays(self, valueset: str) -> Mapping[tuple[str, str], str]:
        """What the value set itself calls its codes."""
        held = self.find("ValueSet", valueset) or {}
        rules = held.get("compose", {}).get("include", ())
        return {
            (str(rule.get("system")), c["code"]): c["display"] for rule in rules for c in rule.get("concept", ()) if "code" in c and "display" in c
        }


def concepts(system: str, name: str, listed: Any) -> Iterator[Concept]:
    """All concepts of a code system, those below others too."""
    for body in listed if isinstance(listed, list) else ():
        if isinstance(body, dict) and isinstance(body.get("code"), str):
            yield Concept(system, body["code"], str(body.get("display", "")), name, body)
            yield from concepts(system, name, body.get("concept"))


def _tables(backend: Backend) -> Mapping[tuple[str, str], Json]:
    """The resources of the mapping set that is active, made once a set."""
    catalogue = backend.site.gateway.catalogue
    if catalogue.version not in backend.terms:
        backend.terms = {catalogue.version: published(read_terms(catalogue.files), backend.site.config.base)}
    return backend.terms[catalogue.version]


async def asked_url(call: Call) -> str:
    """The canonical URL that the operation is asked of: of the instance, else of the parameter `url`; "" when there is none."""
    if not call.id:
        return dict(given(call)).get("url", "")
    _, _, content = await current(call)
    return str(decode(content).get("url") or f"{call.type}/{call.id}")


def asked_codes(call: Call) -> list[Asked]:
    """The codes that the request gives: `code` with `system` (or `url` of a code system) and `display`, a `coding`, or a `codeableConcept`.
    Problem 400 when there is none."""
    plain = dict(given(call))
    objects = [value for name, value in named_values(call) if name in ("coding", "codeableConcept") and isinstance(value, dict)]
    found = [_asked(coding) for value in objects for coding in value.get("coding", [value])]
    if plain.get("code"):
        found.append(Asked(plain.get("system", ""), plain["code"], plain.get("display", "")))
    if not found:
        zh, en = (
            f"${call.operation} 需要 code(和 system)、coding 或 codeableConcept",
            f"${call.operation} needs code (with system), coding or codeableConcept",
        )
        raise Problem(400, "required", zh, en, "Parameters.parameter")
    return found


def _asked(coding: Any) -> Asked:
    text = {name: value for name, value in coding.items() if isinstance(value, str)} if isinstance(coding, dict) else {}
    return Asked(text.get("system", ""), text.get("code", ""), text.get("display", ""))


def answer(parameters: Iterable[tuple[str, str, Any]]) -> Reply:
    """200 with Parameters: (name, type, value); a value of type `part` is a list of the same."""
    return Reply(200, encode({"resourceType": "Parameters", "parameter": _parameters(parameters)}))


def _parameters(parameters: Iterable[tuple[str, str, Any]]) -> list[Json]:
    """Those that have a value."""
    return [
        {"name": name, "part": _parameters(value)} if type_ == "part" else {"name": name, f"value{type_}": value}
        for name, type_, value in parameters
        if value not in ("", None, [])
    ]
