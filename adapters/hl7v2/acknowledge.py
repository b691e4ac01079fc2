"""Acknowledgements (original mode): what the sender is told, and how its version says it.

HL7 v2.5.1 2.9.2 and 2.15.8 (MSA), 2.15.5 (ERR); design rule: AA when the message is durable, mapped or held; AR when it cannot be taken
and is kept all the same; AE only when it could not be stored. 2.5 and later carry ERR-3/4/8, earlier versions ERR-1 and MSA-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from adapters.hl7v2.escape import escape
from adapters.hl7v2.header import STANDARD, Header
from gateway.errors import Finding
from gateway.record import Receipt

Code = Literal["AA", "AE", "AR"]

_TABLE_0357 = {
    "unknown-message-type": ("200", "Unsupported message type"),
    "not-hl7v2": ("100", "Segment sequence error"),
    "wrong-sender": ("207", "Application internal error"),
    "not-stored": ("207", "Application internal error"),
    "unknown-code": ("103", "Table value not found"),
    "no-person-number": ("101", "Required field missing"),
    "missing-key": ("101", "Required field missing"),
    "unknown-key": ("204", "Unknown key identifier"),
    "segment-misplaced": ("100", "Segment sequence error"),
}
_OTHER = ("207", "Application internal error")
ACCEPTED = "报文已存储, 随后映射; 结果见网关的消息和待处理列表"
"""MSA-3 of a message that was answered before it was mapped."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Acknowledgement code and the reason that goes with it, if any; or a word for MSA-3 where there is no fault."""

    code: Code
    reason: Finding | None = None
    word: str = ""


def answer(receipt: Receipt) -> Answer:
    """The answer that a receipt means: the message is durable, so AA unless it was refused."""
    if receipt.state == "accepted":
        return Answer("AA", word=ACCEPTED)
    reason = receipt.reason
    if reason is None:
        grave = [f for f in receipt.findings if f.severity in ("hold", "refuse")]
        reason = grave[0] if grave else None
    return Answer("AR" if receipt.state == "refused" else "AA", reason)


def acknowledge(head: Header | None, reply: Answer, *, name: str, now: datetime, zone: str, control_id: str, charset: str) -> bytes:
    """Bytes of the ACK message, in the sender's version, separators and charset. head None: not even MSH could be read."""
    marks = head.separators if head else STANDARD
    version = head.version if head else "2.3.1"
    trigger = head.type.partition("^")[2] if head else ""
    modern = _at_least(version, (2, 5))
    kind = marks.component.join(["ACK", *([trigger] if trigger else []), *(["ACK"] if trigger and modern else [])])
    text = escape(_reason(reply.reason) if reply.reason else reply.word, marks)
    application, facility = (head.field(3), head.field(4)) if head else ("", "")
    own = head.field(6) if head else ""
    msh = ["MSH", f"{marks.component}{marks.repetition}{marks.escape}{marks.sub}", name, own, application, facility]
    msh += [now.astimezone(ZoneInfo(zone)).strftime("%Y%m%d%H%M%S"), "", kind, control_id, (head.field(11) if head else "") or "P", version]
    if head and head.field(18):
        msh += ["", "", "", "", "", head.field(18)]
    msa = ["MSA", reply.code, head.control_id if head else ""]
    lines = [msh, msa]
    if text:
        msa.append(text)
    if reply.reason is not None:
        lines.append(_err(reply, marks.component, text, modern))
    body = "".join(marks.field.join(line) + "\r" for line in lines)
    return _encode(body, charset)


def _err(reply: Answer, component: str, text: str, modern: bool) -> list[str]:
    finding = reply.reason
    assert finding is not None
    code, meaning = _TABLE_0357.get(finding.code, _OTHER)
    segment, _, field = finding.source.partition("-")
    place = field.partition(".")[0].partition("[")[0]
    known = len(segment) == 3 and segment.isalnum() and segment.isascii() and place.isdigit()
    if not modern:
        where = [segment, "1", place] if known else ["", "", ""]
        return ["ERR", component.join([*where, code]) + f"&{meaning}&HL70357" if component == "^" else component.join([*where, code])]
    location = component.join([segment, "1", place]) if known else ""
    severity = {"AA": "W", "AE": "E", "AR": "E"}[reply.code]
    local = component.join([finding.code, "", "L"])
    return ["ERR", "", location, component.join([code, meaning, "HL70357"]), severity, local, "", "", text]


def _reason(finding: Finding | None) -> str:
    """Code and message, and the place where the message does not name it itself."""
    if finding is None:
        return ""
    place = f" [{finding.source}]" if finding.source and finding.source not in finding.message and finding.source != "MLLP" else ""
    return f"{finding.code}: {finding.message}{place}"


def _at_least(version: str, wanted: tuple[int, int]) -> bool:
    parts = [int(p) if p.isdigit() else 0 for p in version.split(".")[:2]]
    return tuple(parts) >= wanted


def _encode(text: str, charset: str) -> bytes:
    """In the sender's charset; characters it does not have are spelled in ASCII, so that the answer always goes out."""
    try:
        return text.encode(charset or "utf-8", "backslashreplace")
    except LookupError:
        return text.encode("utf-8")
