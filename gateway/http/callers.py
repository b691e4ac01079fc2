"""Who calls: (client, organisation, role) from a bearer token whose hash stands in the configuration (RFC 6750 §2.1).

With no clients configured there is the one `demo` caller; HTTP is loopback only until access control exists (gateway/config.py).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from gateway.config import ClientConfig, token_hash

DEMO_ROLE = "demo"


@dataclass(frozen=True, slots=True)
class Caller:
    """The client system, the organisation it acts for, and its role."""

    client: str
    organisation: str
    role: str


DEMO = Caller("demo", "", DEMO_ROLE)


class Unauthorized(Exception):
    """No token, or one that nobody has."""


def identify(clients: list[ClientConfig], authorization: str | None) -> Caller:
    """The caller behind an Authorization header; Unauthorized when clients are configured and none fits. Every hash is compared, in
    constant time, so that the time taken says nothing about which."""
    if not clients:
        return DEMO
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    digest = token_hash(token.strip())
    found = [c for c in clients if hmac.compare_digest(c.token_sha256, digest)]
    if not found:
        raise Unauthorized
    return Caller(found[0].name, found[0].organisation, found[0].role)
