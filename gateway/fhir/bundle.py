"""Bundles whose resources are bytes already, so that decimals keep their digits (https://hl7.org/fhir/R4/bundle.html)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.fhir.json import Resource, encode

__all__ = ["Entry", "bundle", "put_entry", "searchset", "transaction"]

Entry = bytes
"""One encoded Bundle.entry."""


def bundle(type_: str, entries: Sequence[Entry], **head: Any) -> bytes:
    """A Bundle of encoded entries. head: further elements before them, those that are None are left out (`total`, `link`, `timestamp`)."""
    text = encode({"resourceType": "Bundle", "type": type_} | {k: v for k, v in head.items() if v is not None})
    return text[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else text


def put_entry(type_: str, id_: str, content: bytes, etag: str = "") -> Entry:
    """PUT of one resource. etag: If-Match of the version that must stand there, "" for none."""
    request = {"method": "PUT", "url": f"{type_}/{id_}"} | ({"ifMatch": etag} if etag else {})
    return b'{"fullUrl":' + encode(f"{type_}/{id_}") + b',"resource":' + content + b',"request":' + encode(request) + b"}"


def transaction(resources: Iterable[Resource]) -> bytes:
    """A transaction that PUTs each resource at its own id. Raises KeyError for a resource without type or id."""
    return bundle("transaction", [put_entry(r["resourceType"], r["id"], encode(r)) for r in resources])


def searchset(base: str, rows: Iterable[tuple[str, str, bytes]], links: Sequence[tuple[str, str]], total: int | None = None) -> bytes:
    """A searchset of (type, id, content) matches. base: FHIR base without trailing slash; links: (relation, URL)."""
    entries = [
        b'{"fullUrl":' + encode(f"{base}/{type_}/{id_}") + b',"resource":' + content + b',"search":{"mode":"match"}}' for type_, id_, content in rows
    ]
    return bundle("searchset", entries, total=total, link=[{"relation": relation, "url": url} for relation, url in links])
