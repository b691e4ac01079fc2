"""Everything that is known of a Patient, of all Patients, or of an Encounter: its compartment, and what that refers to; a page at a time.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.fhir.bundle import bundle
from gateway.http.call import Call, Reply
from gateway.http.compartment import Wanted, members, referred, wanted_of
from gateway.http.parameters import given, only_known
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.searching import CURSOR, entry, page_of, query_text
from gateway.http.shaping import cut
from gateway.http.stored import current
from gateway.store.search import Found

KNOWN = frozenset({"start", "end", "_since", "_type", "_count", "_format", "_pretty", "_summary", "_elements", CURSOR})
DEFAULT = "50"
"""Resources of a page, when the client does not say."""
PATIENTS = 200
"""Patients that a page of all of them looks at; when nothing of so many is wanted, the page is short or empty, and has a `next`."""


@operation(
    "everything", "type", "instance", types=("Patient",), definition="http://hl7.org/fhir/OperationDefinition/Patient-everything", lasting=True
)
@operation("everything", "instance", types=("Encounter",), definition="http://hl7.org/fhir/OperationDefinition/Encounter-everything", lasting=True)
async def everything(call: Call) -> Reply:
    """200 with a searchset: on the first page the resource itself, then its compartment by pages; what they refer to comes as `include`.
    404 or 410 when there is no such resource. Of all Patients one comes after the other."""
    call.query = given(call)
    only_known(call, call.query, KNOWN)
    wanted = wanted_of(call)
    if not call.id:
        return Reply(200, await asyncio.to_thread(_all, call, wanted), shaped=True)
    version, time, content = await current(call)
    return Reply(200, await asyncio.to_thread(_one, call, Found(0, call.type, call.id, version, time, content), wanted), shaped=True)


def _one(call: Call, own: Found, wanted: Wanted) -> bytes:
    """A page of what is known of one resource."""
    rows, following = members(call, own, wanted, call.asked("_count") or DEFAULT, call.asked(CURSOR))
    shown = [own, *rows] if not call.asked(CURSOR) and wanted.type(own.type) else rows
    return _searchset(call, shown, {(own.type, own.id)}, wanted, following)


def _all(call: Call, wanted: Wanted) -> bytes:
    """A page of what is known of all Patients. The cursor is that of the Patient it begins with, a dot, and that inside the compartment; none
    inside: the Patient itself was not shown yet."""
    count = _count(call)
    at, _, inside = call.asked(CURSOR).partition(".")
    shown: dict[tuple[str, str], Found] = {}
    owners: set[tuple[str, str]] = set()
    following: str | None = None
    for _ in range(PATIENTS):
        page = page_of(call, "Patient", [("_count", "1")], cursor=at)
        for own in page.rows:
            owners.add((own.type, own.id))
            if not inside and wanted.type("Patient") and own.time >= wanted.since:
                shown[own.type, own.id] = own
            rows, further = members(call, own, wanted, str(max(count - len(shown), 1)), inside)
            shown |= {(row.type, row.id): row for row in rows if row.type != "Patient"}  # those come in their own turn
            if further is not None:
                return _searchset(call, list(shown.values()), owners, wanted, f"{at}.{further}")
        at, inside, following = page.next or "", "", page.next
        if following is None or len(shown) >= count:
            break
    return _searchset(call, list(shown.values()), owners, wanted, following)


def _count(call: Call) -> int:
    text = call.asked("_count") or DEFAULT
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Problem(400, "value", "_count 应为不小于 0 的整数", "_count should be a whole number", "_count")
    return min(int(text), 1000)


def _searchset(call: Call, shown: Sequence[Found], owners: set[tuple[str, str]], wanted: Wanted, following: str | None) -> bytes:
    """The page as a Bundle. owners: whose compartments these are; they are no `include`."""
    thin = cut(call)
    entries = [entry(call.root, row, b"match", thin) for row in shown]
    entries += [entry(call.root, row, b"include", thin) for row in referred(call, shown, owners, wanted)]
    kept = [(k, v) for k, v in call.query if k in KNOWN and k != CURSOR]
    links = [{"relation": "self", "url": call.here + query_text(kept)}]
    if following is not None:
        links.append({"relation": "next", "url": call.here + query_text([*kept, (CURSOR, following)])})
    return bundle("searchset", entries, link=links)
