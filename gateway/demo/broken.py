"""Parcels that no gateway can read, or that are of nobody: what a county's wires carry besides records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from random import Random

from gateway.demo.containers import delimited
from gateway.demo.documents import TEMPLATE, laboratory_document
from gateway.demo.feeds import FEEDS
from gateway.demo.life import Fact
from gateway.demo.messages import quality_control, standard_laboratory
from gateway.demo.parcel import Parcel

__all__ = ["HALF", "KEYLESS", "broken_parcels"]

HALF = b"\x0b"
"""A parcel of an MLLP feed that begins so is put on the wire as it stands: a frame without its end."""

KEYLESS = "缺列.csv"
"""An export without its key column: its one row waits."""


def broken_parcels(facts: Sequence[Fact], chance: Random) -> Iterator[Parcel]:
    """Quality control, a message that lies about its charset, half a frame, bytes in no charset, XML that is none or hostile, a file
    without its key column, a body that is no JSON."""
    for n in range(4):
        at = datetime(2026, 6, 20 + n, 7, 30)
        content = quality_control(at, f"L{n % 2 + 1}", f"{chance.gauss(5.4, 0.2):.2f}", f"QC{n:04}").encode("gb18030")
        yield Parcel("chinese-analyser", f"QC{n:04}", content)
    report = next((f for f in facts if f.source == "people-lis"), None)
    if report is not None:
        whole = standard_laboratory(report, "LIE0001")
        yield Parcel("people-lis", "LIE0001", whole.encode("gb18030"))
        yield Parcel("people-lis", "HALF001", HALF + whole[: len(whole) // 2].encode("utf-8"), broken=True)
        head = whole.partition("\r")[0].replace("LIE0001", "BAD0001")
        yield Parcel("people-lis", "BAD0001", f"{head}\rPID|1||".encode() + b"\xff\xfe\x81\xff\x80" + b"\r", broken=True)
    yield Parcel("people-documents", "说明.xml", "这不是 XML".encode(), broken=True)
    document = next((f for f in facts if f.source == "people-documents" and f.dataset == "laboratory_report"), None)
    if document is not None:
        text = laboratory_document(document, TEMPLATE).decode("utf-8")
        hostile = text.replace("<ClinicalDocument", '<!DOCTYPE x [<!ENTITY a "aaaa">]>\n<ClinicalDocument', 1)
        yield Parcel("people-documents", "实体.xml", hostile.encode(), broken=True)
        yield Parcel("people-documents", "截断.xml", text[: len(text) // 2].encode(), broken=True)
    yield Parcel("village-posts", "not-json", b'[{"readingId": ', broken=True)
    visits = next((f for f in facts if f.source.startswith("a-visits")), None)
    if visits is not None:
        vendor = FEEDS[visits.source].vendor(visits.dataset)
        text = delimited(vendor, [visits.fields], "gb18030").decode("gb18030").replace("编号", "序", 1)
        yield Parcel(visits.source, KEYLESS, text.encode("gb18030"), broken=True)
