"""Formats: which one the client wants and sends, and how an answer gets there (https://hl7.org/fhir/R4/http.html#mime-type)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from gateway.errors import Refused
from gateway.fhir import xml
from gateway.fhir.json import decode, encode_pretty
from gateway.http.call import FHIR_JSON, FHIR_XML, Call, Reply
from gateway.http.problems import Problem

__all__ = ["accepted", "dressed", "media_of", "parsed", "wanted"]

JSON = frozenset({"json", "application/json", FHIR_JSON, "text/json", "application/json+fhir"})
XML = frozenset({"xml", "application/xml", FHIR_XML, "text/xml", "application/xml+fhir"})
ANY = frozenset({"*/*", "application/*", "text/*", ""})
VERSIONS = frozenset({"", "4.0", "4.0.0", "4.0.1"})


@lru_cache(maxsize=256)
def accepted(accept: str) -> str | None:
    """`json` or `xml` after an Accept header (by quality, then in order; FHIR types count before others); None when neither is in it."""
    best: tuple[float, str] | None = None
    for part in accept.split(","):
        media, *parameters = (p.strip() for p in part.split(";"))
        pairs = {k.strip().lower(): v.strip().strip('"') for k, _, v in (p.partition("=") for p in parameters)}
        try:
            quality = float(pairs.get("q", "1"))
        except ValueError:
            quality = 1.0
        name = media.lower()
        kind = "json" if name in JSON or name in ANY else "xml" if name in XML else None
        if kind is None or quality <= 0 or pairs.get("fhirversion", "") not in VERSIONS:
            continue
        if best is None or quality > best[0]:
            best = (quality, kind)
    return best[1] if best is not None else None


def wanted(call: Call) -> str:
    """`json` or `xml`: `_format` before Accept. Problem 406 when the client takes neither."""
    if call.query:
        format_ = call.asked("_format")
        if format_:
            name = format_.replace(" ", "+").partition(";")[0].strip().lower()  # an unescaped + of a URL is a blank
            if name in JSON:
                return "json"
            if name in XML:
                return "xml"
            raise _unacceptable(f"_format={format_[:40]}")
    found = accepted(call.headers.get("accept", ""))
    if found is None:
        if call.path[:1] == ("Binary",):
            return "json"  # whoever asks for a Binary's own content type takes a fault in JSON
        raise _unacceptable("Accept")
    return found


def _unacceptable(where: str) -> Problem:
    zh = f"只能以 {FHIR_JSON} 或 {FHIR_XML} 应答, 请改 {where}"
    return Problem(406, "not-supported", zh, f"Answers are {FHIR_JSON} or {FHIR_XML}; see {where}")


@lru_cache(maxsize=256)
def media_of(content_type: str) -> str | None:
    """`json`, `xml` or `form` of a Content-Type; None for others."""
    name, _, rest = content_type.partition(";")
    name = name.strip().lower()
    charset = next((p.partition("=")[2].strip('" ').lower() for p in rest.split(";") if p.strip().lower().startswith("charset")), "utf-8")
    if charset not in ("utf-8", "utf8", "us-ascii"):
        return None
    if name == "application/x-www-form-urlencoded":
        return "form"
    return "json" if name in JSON and "/" in name else "xml" if name in XML and "/" in name else None


def parsed(call: Call) -> dict[str, Any]:
    """The resource in the body. Problem 415 for another media type, 400 for what is no resource."""
    if call.resource is not None:
        return call.resource
    kind = media_of(call.headers.get("content-type", ""))
    if kind not in ("json", "xml"):
        zh = f"请求体应为 {FHIR_JSON} 或 {FHIR_XML}(UTF-8), 请写明 Content-Type"
        raise Problem(415, "not-supported", zh, f"The body should be {FHIR_JSON} or {FHIR_XML} in UTF-8; say so in Content-Type")
    if not call.body:
        raise Problem(400, "required", "请求体是空的; 应为一个 FHIR 资源", "The body is empty; it should be a FHIR resource")
    value = _from_xml(call.body) if kind == "xml" else _from_json(call.body)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise Problem(400, "structure", "请求体应为一个带 resourceType 的 FHIR 资源", "The body should be a FHIR resource with a resourceType")
    return value


def _from_json(body: bytes) -> Any:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "structure", "请求体不是合法的 JSON(UTF-8)", "The body is not JSON in UTF-8") from None


def _from_xml(body: bytes) -> Any:
    try:
        return xml.decode(body)
    except Refused as e:
        f = e.finding
        raise Problem(400, "structure", f.message, f"The body is not FHIR XML: {f.code} {f.line}".strip(), f.target) from None


def dressed(call: Call, reply: Reply, format_: str) -> tuple[bytes, str]:
    """Body and Content-Type of an answer."""
    if reply.media:
        return reply.content, reply.media
    if not reply.content:
        return b"", ""
    pretty = bool(call.query) and call.asked("_pretty") == "true"
    if format_ == "xml":
        try:
            value = decode(reply.content)
            return xml.encode_pretty(value) if pretty else xml.encode(value), f"{FHIR_XML}; charset=utf-8"
        except Refused as e:
            zh = f"该资源含有 XML 无法表示的内容({e.finding.target}); 请用 {FHIR_JSON} 读取"
            raise Problem(406, "not-supported", zh, f"This cannot be written as XML; ask for {FHIR_JSON}", e.finding.target) from None
    return encode_pretty(decode(reply.content)) if pretty else reply.content, f"{FHIR_JSON}; charset=utf-8"
