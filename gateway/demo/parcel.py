"""What a system of the county hands over in one go: a message, a file, a request, or rows that its front-end database gets in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.demo.vendor import Vendor
from gateway.record import Fields

__all__ = ["Parcel", "Rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is put into a front-end database in one transaction: records of each vendor's views, newer versions replacing older ones."""

    tables: tuple[tuple[Vendor, tuple[Fields, ...]], ...]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing sent. source: name of the feed; name: file name, control id or a word for people; broken: the gateway is expected to refuse
    it, or never to see its end, so the sender does not insist on an accepting answer; late: rows whose stamps are older than what the gateway
    has read of their view by then."""

    source: str
    name: str
    content: bytes | Rows
    broken: bool = False
    late: bool = False
