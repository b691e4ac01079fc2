"""What R4's prose says of single values beyond format: links, URNs, attachments, identifiers, codes of complete code systems.

https://hl7.org/fhir/R4/datatypes.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any

from gateway.fhir.structure import One
from gateway.fhir.structure_values import Faults, fault, shown

__all__ = ["attachment", "canonical", "coding", "concept", "identifier", "language", "quantity", "string", "uri"]

Known = Callable[[str, str], bool | None]
"""Whether a code system has a code; None when it is not here."""

_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s+[^<>]*)?/?>")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*)){3,}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_UCUM = "http://unitsofmeasure.org"


def string(value: str) -> Faults:
    """Text that looks like a tag of HTML would be run by a careless reader (https://hl7.org/fhir/R4/security.html#narrative)."""
    if "<" in value and _TAG.search(value):
        return fault("unsafe-text", "文字里有像 HTML 标签的内容, 不安全; 请删去标签, 或写成 &lt;")
    return None


def language(value: str) -> Faults:
    """A language tag (BCP 47, https://www.rfc-editor.org/rfc/rfc5646)."""
    if _LANGUAGE.fullmatch(value) is None:
        return fault("code-not-allowed", f"{shown(value)} 不是语言代码; 例如 zh-CN")
    return None


def uri(value: str) -> Faults:
    """A urn:uuid or urn:oid must be one."""
    if value.startswith("urn:uuid:") and _UUID.fullmatch(value.partition("#")[0].partition("|")[0]) is None:
        return fault("bad-urn", f"{shown(value)} 不是有效的 UUID; 应是小写的 urn:uuid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
    if value.startswith("urn:oid:") and _OID.fullmatch(value.partition("|")[0]) is None:
        return fault("bad-urn", f"{shown(value)} 不是有效的 OID; 应是 urn:oid: 加点分数字")
    return None


def canonical(value: str) -> Faults:
    """A canonical is absolute, or a fragment of what is contained (https://hl7.org/fhir/R4/references.html#canonical)."""
    if value[0] != "#" and _ABSOLUTE.match(value) is None:
        return fault("bad-canonical", f"{shown(value)} 不是绝对网址; canonical 应是绝对网址或 #片段")
    return uri(value)


def attachment(value: dict[str, Any]) -> Faults:
    """Size and hash tell of the data (https://hl7.org/fhir/R4/datatypes.html#Attachment)."""
    data = value.get("data")
    if type(data) is not str or not ("size" in value or "hash" in value):
        return None
    try:
        content = base64.b64decode(data)
    except binascii.Error:
        return None
    size, digest = value.get("size"), value.get("hash")
    if size is not None and size != len(content):
        return fault("wrong-size", f"size 是 {size}, data 却有 {len(content)} 字节; 请改正", ".size")
    if type(digest) is str and base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode() != digest.strip():
        return fault("wrong-hash", "hash 不是 data 的 SHA-1; 请改正", ".hash")
    return None


def identifier(value: dict[str, Any]) -> Faults:
    """With the system of URIs the value is one (https://hl7.org/fhir/R4/identifier-registry.html)."""
    own, system = value.get("value"), value.get("system")
    if type(system) is str and _ABSOLUTE.match(system) is None:
        return fault("bad-system", f"system {shown(system)} 应是绝对网址", ".system")
    if system == "urn:ietf:rfc:3986" and type(own) is str and _ABSOLUTE.match(own) is None:
        return fault("bad-identifier", "system 是 urn:ietf:rfc:3986 时, value 应是完整的 URI(带 scheme)", ".value")
    return None


def coding(known: Known) -> One:
    """Check of a Coding: the code is one of its system, when that is complete here; the system is absolute."""

    def check(value: dict[str, Any]) -> Faults:
        system, code = value.get("system"), value.get("code")
        if type(system) is not str:
            return None
        if _ABSOLUTE.match(system) is None:
            return fault("bad-system", f"system {shown(system)} 应是绝对网址", ".system")
        if type(code) is str:
            return fault("unknown-code", f"代码系统 {system} 没有代码 {shown(code)}", ".code") if known(system, code) is False else None
        return [(".code", "missing-element", f"给出了代码系统 {system}, 却没有代码", "drop")] if known(system, "") is False else None

    return check


def concept(known: Known) -> One:
    """`coding` for each coding of a CodeableConcept, where one without code is an error."""
    check = coding(known)

    def check_concept(value: dict[str, Any]) -> Faults:
        faults: Faults = None
        for number, item in enumerate(value.get("coding", ())):
            for path, code, message, _ in check(item) or ():
                faults = [*(faults or []), (f".coding[{number}]{path}", code, message, "refuse")]
        return faults

    return check_concept


def quantity(known: Known) -> One:
    """Check of a Quantity: its code is one of its system, when that is complete here."""

    def check(value: dict[str, Any]) -> Faults:
        system, code = value.get("system"), value.get("code")
        if type(system) is str and type(code) is str and system != _UCUM and known(system, code) is False:
            return fault("unknown-code", f"代码系统 {system} 没有代码 {shown(code)}", ".code")
        return None

    return check
