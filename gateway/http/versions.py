"""Versions and moments in headers: ETag, If-Match, If-None-Match, Last-Modified, If-Modified-Since
(https://hl7.org/fhir/R4/http.html#versions, #concurrency, #cread)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache

from gateway.http.call import Call
from gateway.http.problems import Problem

__all__ = ["asked_version", "etag", "instant", "last_modified", "must_be_absent", "stamped", "unchanged"]

_TAG = re.compile(r'(?:W/)?"?([A-Za-z0-9\-.]{1,64})"?')


def etag(version: int) -> str:
    """The weak ETag of a version."""
    return f'W/"{version}"'


def last_modified(time: int) -> str:
    """A moment (µs since the epoch) as HTTP writes it, to the second."""
    return _http_date(time // 1_000_000)


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def instant(time: int) -> str:
    """µs since the epoch as a FHIR instant."""
    return datetime.fromtimestamp(time // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time // 1000 % 1000:03d}Z"


def stamped(version: int, time: int) -> dict[str, str]:
    """ETag and Last-Modified of a version."""
    return {"ETag": etag(version), "Last-Modified": last_modified(time)}


def asked_version(call: Call) -> int | None:
    """The version that If-Match names, -1 for one that cannot be ours; None without the header. Problem 400 for what is no ETag."""
    text = call.headers.get("if-match", "").strip()
    if not text:
        return None
    found = _TAG.fullmatch(text)
    if found is None:
        zh = 'If-Match 应为一个版本的 ETag, 例如 W/"3"'
        raise Problem(400, "value", zh, 'If-Match should be the ETag of one version, for example W/"3"')
    return int(found[1]) if found[1].isdecimal() and len(found[1]) < 10 else -1


def must_be_absent(call: Call) -> bool:
    """Whether If-None-Match: * says that the resource must not exist."""
    return call.headers.get("if-none-match", "").strip() == "*"


def unchanged(call: Call, version: int, time: int) -> bool:
    """Whether the client has this version already; If-None-Match counts before If-Modified-Since (RFC 9110 §13.2.2)."""
    tags = call.headers.get("if-none-match")
    if tags is not None:
        return any(t.strip() in ("*", etag(version), f'"{version}"', str(version)) for t in tags.split(","))  # fhirpy writes it bare
    since = call.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False
    return time // 1_000_000 <= int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
