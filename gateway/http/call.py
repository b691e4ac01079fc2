"""One FHIR request as an interaction sees it, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.http.callers import Caller
from gateway.store.scope import Scope

if TYPE_CHECKING:
    from gateway.http.backend import Backend

__all__ = ["ADDRESS", "FHIR_JSON", "FHIR_XML", "Call", "Reply"]

FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"
ADDRESS = "_async"
"""Below the base, where an asynchronous request tells how it stands."""


@dataclass(slots=True)
class Call:
    """One request, of a client or of an entry in a Bundle.

    root: absolute FHIR base without trailing slash, as the client reaches it. path: segments below it. query: pairs of the URL. headers: by
    lower-case name. resource: of an entry, instead of a body. type, id, version, operation, shape (its
    pattern): from the path.
    """

    backend: Backend
    caller: Caller
    method: str
    root: str
    path: tuple[str, ...]
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""
    request_id: str = ""
    resource: dict[str, Any] | None = None
    type: str = ""
    id: str = ""
    version: str = ""
    operation: str = ""
    shape: str = "?"

    @property
    def scope(self) -> Scope:
        """Whose reads these are."""
        return Scope.all(self.caller.client)

    @property
    def language(self) -> str:
        """`en` when Accept-Language puts English first, else `zh`."""
        return "en" if self.headers.get("accept-language", "").strip().lower().startswith("en") else "zh"

    @property
    def here(self) -> str:
        """Absolute address without query."""
        return "/".join((self.root, *self.path))

    def header(self, name: str) -> str:
        """A header's value, "" when it is absent."""
        return self.headers.get(name, "")

    def asked(self, name: str) -> str:
        """The first value of a parameter, "" when it is absent."""
        return next((v for k, v in self.query if k == name), "")

    @property
    def respond_async(self) -> bool:
        """Whether the client would rather fetch the answer later (RFC 7240 §4.1: `Prefer: respond-async`)."""
        wishes = self.headers.get("prefer")
        return wishes is not None and "respond-async" in (part.strip().lower() for part in wishes.replace(";", ",").split(","))

    def prefers(self, name: str) -> str:
        """A preference's value (RFC 7240): `minimal` of `Prefer: return=minimal`."""
        for part in self.header("prefer").replace(";", ",").split(","):
            key, _, value = part.strip().partition("=")
            if key.strip().lower() == name:
                return value.strip().strip('"')
        return ""


@dataclass(slots=True)
class Reply:
    """An answer. content: FHIR JSON, or anything else when `media` names its type. moment: when the version was written (µs).
    shaped: `_summary` and `_elements` were applied already."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    media: str = ""
    moment: int = 0
    shaped: bool = False
