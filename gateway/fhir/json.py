"""FHIR JSON with exact decimals: `5.60` stays `5.60` (https://hl7.org/fhir/R4/json.html).

Resources are plain dicts; numbers with a point or an exponent are `Decimal`. Below a millionth the text may change to an exponent
(`0.00000010` is written `1.0E-7`): value and precision stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

__all__ = ["Resource", "canonical", "content_digest", "decode", "encode", "encode_pretty"]

Resource = dict[str, Any]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SORTED = msgspec.json.Encoder(decimal_format="number", order="sorted")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)

encode: Callable[[Any], bytes] = _ENCODER.encode
"""Compact UTF-8 JSON in the order of the dict."""


def decode(text: bytes | str) -> Any:
    """Value of JSON text. Raises `msgspec.DecodeError` (a ValueError) when it is not JSON or not UTF-8, and for a number whose exponent no
    decimal can have."""
    try:
        return _DECODER.decode(text)
    except InvalidOperation:
        raise msgspec.DecodeError("a number's exponent is out of range") from None


def encode_pretty(value: object) -> bytes:
    """JSON on several lines, two blanks a level, ending in a line feed."""
    return msgspec.json.format(encode(value), indent=2) + b"\n"


def canonical(resource: Resource) -> bytes:
    """Bytes by which two resources are compared: keys sorted, meta.versionId and meta.lastUpdated left out, decimals as written.

    Order of lists stays: FHIR gives it meaning. A meta that holds nothing else is left out.
    """
    meta = resource.get("meta")
    if meta is not None:
        kept = {k: v for k, v in meta.items() if k not in ("versionId", "lastUpdated")}
        resource = {k: v for k, v in resource.items() if k != "meta"}
        if kept:
            resource["meta"] = kept
    return _SORTED.encode(resource)


def content_digest(resource: Resource) -> bytes:
    """SHA-256 of the canonical bytes."""
    return hashlib.sha256(canonical(resource)).digest()
