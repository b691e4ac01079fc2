"""What a map made, as one transaction Bundle of PUTs (https://hl7.org/fhir/R4/http.html#transaction): `map run`, goldens."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from gateway.record import Draft, MapResult


def transaction(result: MapResult, base: str) -> dict[str, Any]:
    """Bundle with an entry a draft. A Patient stands at its claim's urn:uuid and is put by its strongest identifier; a held record
    writes nothing, so its Bundle has no entries."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction"}
    if result.drafts and not result.held:
        bundle["entry"] = [_entry(draft, base) for draft in result.drafts]
    return bundle


def _entry(draft: Draft, base: str) -> dict[str, Any]:
    if draft.person is not None:
        strongest = draft.person.numbers[0]
        url = f"Patient?identifier={quote(strongest.system, safe=':/.')}|{quote(strongest.value)}"
        return {"fullUrl": draft.person.reference["reference"], "resource": draft.body, "request": {"method": "PUT", "url": url}}
    body = {"resourceType": draft.type, "id": draft.id, **draft.body}
    return {"fullUrl": f"{base}/{draft.type}/{draft.id}", "resource": body, "request": {"method": "PUT", "url": f"{draft.type}/{draft.id}"}}
