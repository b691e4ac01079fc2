"""Bundles whose resources are bytes already, so that decimals keep their digits (https://hl7.org/fhir/R4/bundle.html)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.fhir.json import encode

__all__ = ["Entry", "bundle", "delete_entry", "put_entry", "searchset"]

Entry = bytes
"""One encoded Bundle.entry."""


def bundle(type_: str, entries: Sequence[Entry], **head: Any) -> bytes:
    """A Bundle of encoded entries. head: further elements before them, those that are None are left out (`total`, `link`, `timestamp`)."""
    text = encode({"resourceType": "Bundle", "type": type_} | {k: v for k, v in head.items() if v is not None})
    return text[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else text


def put_entry(url: str, content: bytes, if_match: str = "") -> Entry:
    """PUT of one resource at `Type/id`. if_match: ETag of the version that must stand there, "" for none."""
    return b'{"resource":' + content + b"," + _request("PUT", url, if_match) + b"}"


def delete_entry(url: str, if_match: str = "") -> Entry:
    """DELETE of `Type/id`. if_match: as in `put_entry`."""
    return b"{" + _request("DELETE", url, if_match) + b"}"


def _request(method: str, url: str, if_match: str) -> bytes:
    return b'"request":' + encode({"method": method, "url": url, "ifMatch": if_match} if if_match else {"method": method, "url": url})


def searchset(base: str, rows: Iterable[tuple[str, str, bytes]], links: Sequence[tuple[str, str]], total: int | None = None) -> bytes:
    """A searchset of (type, id, content) matches. base: FHIR base without trailing slash; links: (relation, URL)."""
    entries = [
        b'{"fullUrl":' + encode(f"{base}/{type_}/{id_}") + b',"resource":' + content + b',"search":{"mode":"match"}}' for type_, id_, content in rows
    ]
    return bundle("searchset", entries, total=total, link=[{"relation": relation, "url": url} for relation, url in links])
