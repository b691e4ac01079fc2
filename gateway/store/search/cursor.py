"""Where a page ended, signed and bound to caller, query and order."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, NamedTuple

import msgspec

from gateway.errors import Finding, Refused

__all__ = ["Place", "Seal", "Value"]

Value = int | str | None
"""A sort value; None: the resource has none."""


class Place(NamedTuple):
    """Sort values, in the order of the sort keys, and rid."""

    values: tuple[Value, ...]
    rid: int


class Seal:
    """Signs places. secret: the deployment's key. said: what the search was asked, by whom; a cursor of another search is refused."""

    def __init__(self, secret: bytes, said: Any) -> None:
        self._secret = secret
        self._said = msgspec.json.encode(said)

    def cursor(self, place: Place) -> str:
        """The place as text for a URL."""
        body = msgspec.json.encode(place)
        return base64.urlsafe_b64encode(self._sign(body) + body).decode().rstrip("=")

    def place(self, cursor: str) -> Place:
        """The place of a cursor. Raises Refused for one that was not given to this caller for this search."""
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            if hmac.compare_digest(text[:16], self._sign(text[16:])):
                values, rid = msgspec.json.decode(text[16:])
                return Place(tuple(values), rid)
        except (ValueError, TypeError):
            pass
        raise Refused(Finding("bad-cursor", "refuse", "翻页标记无效或不属于这次检索; 请从第一页重新检索", source="_cursor"))

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, self._said + b"\0" + body, hashlib.sha256)[:16]
