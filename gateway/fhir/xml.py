"""FHIR XML in and out (https://hl7.org/fhir/R4/xml.html): the same dicts as `gateway.fhir.json`, so that the store keeps one form.

Round trips lose and reorder nothing: decimals keep their digits, primitives their ids and extensions, the narrative its characters. Comments and
processing instructions outside the narrative are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.fhir import xml_read, xml_write
from gateway.fhir.json import Resource

__all__ = ["decode", "encode", "encode_pretty"]

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def decode(content: bytes) -> Resource:
    """The resource of an XML document in UTF-8.

    Raises Refused: `not-xml` (not well-formed, not UTF-8, DOCTYPE, stray text), `too-large` (a value above 10 MB, 256 levels), `unknown-type`,
    `unknown-element`, `wrong-cardinality`, `bad-value`; the finding names the expression in `target` and the line in `line`.
    """
    return xml_read.read(content)


def encode(resource: Resource) -> bytes:
    """Compact XML in UTF-8, elements in R4's order.

    Raises Refused: `unknown-type`, `unknown-element`, `wrong-shape`, `bad-value`, `too-deep`, with the expression in `target`.
    """
    return (_HEAD + "".join(xml_write.pieces(resource))).encode()


def encode_pretty(resource: Resource) -> bytes:
    """XML on several lines, two blanks a level, ending in a line feed; the narrative stays as it is. Raises as `encode`."""
    return "".join(f"{line}\n" for line in (_HEAD, *_indented(xml_write.pieces(resource)))).encode()


def _indented(pieces: Iterable[str]) -> Iterable[str]:
    depth = 0
    for piece in pieces:
        if piece.startswith("</"):
            depth -= 1
        yield "  " * depth + piece
        if not piece.startswith(("</", "<div")) and not piece.endswith("/>"):
            depth += 1
