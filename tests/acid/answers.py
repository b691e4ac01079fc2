"""What an answer looks like, whoever gave it: status, essential headers, and the shape of the body, with what a server chooses left out."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import httpx
from lxml import etree

from gateway.fhir.json import decode

__all__ = ["Aspects", "aspects", "at", "named"]

Aspects = dict[str, Any]
"""Name of an aspect -> what it is; `body.…` for what stands at a place of the body."""
_NAME = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(/_history/[0-9]+)?$")


def named(url: str, run: str) -> str:
    """`Type/id` (and version) at the end of a URL: the id without the run's mark, `?` for one that the server allotted."""
    found = _NAME.search(url)
    if found is None:
        return url
    id_ = found[2].replace(run, "") if run in found[2] else "?"
    return f"{found[1]}/{id_}{found[3] or ''}"


def aspects(answer: httpx.Response, run: str) -> Aspects:
    """Everything in which two servers' answers to one request are compared. run: the mark in every id that the scenario chose."""
    body = body_of(answer)
    made: Aspects = {
        "status": answer.status_code,
        "etag": answer.headers.get("etag", ""),
        "last-modified": "last-modified" in answer.headers,
        "location": named(answer.headers.get("location", ""), run),
        "media": answer.headers.get("content-type", "").partition(";")[0] if answer.content else "",
        "resource": body.get("resourceType", ""),
    }
    if made["resource"] == "OperationOutcome":
        made["code"] = at(body, "issue.0.code")
    if made["resource"] == "Bundle":
        made |= _bundle(body, run)
    return made


def body_of(answer: httpx.Response) -> dict[str, Any]:
    """The body as JSON; of XML the name of its root; empty for anything else."""
    media = answer.headers.get("content-type", "")
    if answer.content and "json" in media:
        found = decode(answer.content)
        return found if isinstance(found, dict) else {}
    if answer.content and "xml" in media:
        return {"resourceType": etree.QName(etree.fromstring(answer.content)).localname}
    return {}


def _bundle(body: dict[str, Any], run: str) -> Aspects:
    entries = body.get("entry", [])
    by_mode: dict[str, list[str]] = {}
    for e in entries:
        resource = e.get("resource", {})
        name = named(f"{resource.get('resourceType', '?')}/{resource.get('id', '?')}", run)
        by_mode.setdefault(at(e, "search.mode") or "", []).append(name)
    return {
        "bundle": body.get("type"),
        "total": body.get("total"),
        "links": sorted(link["relation"] for link in body.get("link", [])),
        "matches": sorted(by_mode.get("match", [])),
        "includes": sorted(by_mode.get("include", [])),
        "responses": [
            [at(e, "response.status"), at(e, "response.etag"), named(at(e, "response.location") or "", run)] for e in entries if "response" in e
        ],
    }


def at(value: Any, path: str) -> Any:
    """What stands at a path: names, positions, `*` for each of a list, `link(next)` for the URL of a relation. None where nothing stands;
    a decimal as its digits."""
    if not path:
        return f"{value}" if isinstance(value, Decimal) else value
    step, _, rest = path.partition(".")
    if step == "*":
        return [at(v, rest) for v in value or []]
    if step.startswith("link("):
        return next((link["url"] for link in value.get("link", []) if link["relation"] == step[5:-1]), None)
    if step.isdecimal():
        return at(value[int(step)], rest) if isinstance(value, list) and len(value) > int(step) else None
    return at(value[step], rest) if isinstance(value, dict) and step in value else None
