"""fhirpy, unmodified, against the gateway (https://pypi.org/project/fhirpy)."""

from __future__ import annotations

from typing import Any

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

SYSTEM = "urn:acid:fhirpy"


@pytest.fixture(scope="module")
def client(base: str) -> Any:
    """A client of the gateway."""
    return SyncFHIRClient(base)


def patient(client: Any, value: str, **more: Any) -> Any:
    """A Patient with an identifier, not saved yet."""
    return client.resource("Patient", identifier=[{"system": SYSTEM, "value": value}], **more)


def test_create_read_update_delete(client: Any) -> None:
    made = patient(client, "crud", name=[{"text": "欧阳桐"}])
    made.save()
    assert (made.id, made["meta"]["versionId"]) != (None, None)
    read = client.reference("Patient", made.id).to_resource()
    assert read["name"] == [{"text": "欧阳桐"}]
    read["birthDate"] = "1950-01-01"
    read.save()
    assert (read["meta"]["versionId"], client.get("Patient", made.id)["birthDate"]) == ("2", "1950-01-01")
    history = client.execute(f"Patient/{made.id}/_history", method="get")
    assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["2", "1"]
    read.delete()
    with pytest.raises(ResourceNotFound):
        client.get("Patient", made.id)


def test_search_sort_page_count_and_elements(client: Any) -> None:
    for n in range(7):
        patient(client, f"page-{n}", birthDate=f"195{n}-01-01", active=True).save()
    found = client.resources("Patient").search(identifier=f"{SYSTEM}|", active=True).sort("-birthdate")
    assert [p["birthDate"][:4] for p in found.limit(3).fetch()] == ["1956", "1955", "1954"]
    assert [p["birthDate"][:4] for p in found.limit(2).fetch_all()] == ["1956", "1955", "1954", "1953", "1952", "1951", "1950"]
    assert found.count() == 7
    assert [p["birthDate"] for p in found.search(birthdate__ge="1955-01-01").fetch()] == ["1956-01-01", "1955-01-01"]
    (thin,) = found.search(identifier=f"{SYSTEM}|page-3").elements("birthDate").fetch()
    assert "active" not in thin and thin["birthDate"] == "1953-01-01"
    with pytest.raises(MultipleResourcesFound):
        found.get()
    with pytest.raises(OperationOutcome):
        client.resources("Patient").search(birthdate="yesterday").fetch()


def test_include_revinclude_chain_and_has(client: Any) -> None:
    who = patient(client, "inc", name=[{"family": "Linghu"}])
    who.save()
    seen = client.resource("Observation", status="final", code={"coding": [{"system": SYSTEM, "code": "seen"}]}, subject=who.to_reference())
    seen.save()
    both = client.resources("Observation").search(_id=seen.id).include("Observation", "subject").fetch_raw()
    assert sorted(e["resource"]["resourceType"] for e in both["entry"]) == ["Observation", "Patient"]
    back = client.resources("Patient").search(_id=who.id).revinclude("Observation", "subject").fetch_raw()
    assert [e["search"]["mode"] for e in back["entry"]] == ["match", "include"]
    assert [o.id for o in client.resources("Observation").search(patient__Patient__family="linghu").fetch()] == [seen.id]
    assert [p.id for p in client.resources("Patient").has("Observation", "patient", code=f"{SYSTEM}|seen").fetch()] == [who.id]
    assert seen["subject"].to_resource().id == who.id


def test_conditional_create_update_and_delete(client: Any) -> None:
    careful = SyncFHIRClient(client.url, extra_headers={"If-None-Exist": f"identifier={SYSTEM}|cond"})
    first, second = patient(careful, "cond"), patient(careful, "cond")
    first.save()
    second.save()
    assert first.id == second.id
    found = client.resources("Patient").search(identifier=f"{SYSTEM}|cond")
    changed, created = found.update(patient(client, "cond", gender="female"))
    assert (changed.id, changed["gender"], bool(created)) == (first.id, "female", False)
    found.delete()
    assert found.fetch() == []


def test_transaction(client: Any) -> None:
    urn = "urn:uuid:5b7a9f35-4f0f-4a38-9f0c-7a2f3a0a3001"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": urn, "resource": patient(client, "tx").serialize(), "request": {"method": "POST", "url": "Patient"}},
            {
                "resource": {"resourceType": "Observation", "status": "final", "code": {"text": "收缩压"}, "subject": {"reference": urn}},
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    answer = client.execute("", method="post", data=bundle)
    assert [e["response"]["status"] for e in answer["entry"]] == ["201 Created", "201 Created"]
    assert len(client.resources("Observation").search(patient__identifier=f"{SYSTEM}|tx").fetch()) == 1
    bundle["entry"][1]["resource"]["status"] = "no-such-status"  # type: ignore[index]  # the literal is of mixed shape
    before = client.resources("Patient").search(identifier=f"{SYSTEM}|tx").count()
    with pytest.raises(OperationOutcome):
        client.execute("", method="post", data=bundle)
    assert client.resources("Patient").search(identifier=f"{SYSTEM}|tx").count() == before


def test_patch_by_fhirpath(client: Any) -> None:
    made = patient(client, "patch", birthDate="1950-01-01")
    made.save()
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.birthDate"},
        {"name": "value", "valueDate": "1951-02-03"},
    ]
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    assert client.execute(f"Patient/{made.id}", method="patch", data=change)["birthDate"] == "1951-02-03"
    made.refresh()
    assert made["meta"]["versionId"] == "2"


def test_get_or_create_and_changes_by_criteria(client: Any) -> None:
    search = client.resources("Patient").search(identifier=f"{SYSTEM}|once")
    made, created = search.get_or_create(patient(client, "once", active=True))
    again, twice = search.get_or_create(patient(client, "once"))
    assert (again.id, created, twice, search.count()) == (made.id, True, False, 1)
    assert search.patch(birthDate="1960-01-02")["birthDate"] == "1960-01-02"
    assert search.update(patient(client, "once", active=False))[0]["active"] is False
    search.delete()
    assert search.count() == 0


def test_patch_and_saving_some_fields(client: Any) -> None:
    who = patient(client, "patched", active=True, gender="female")
    who.save()
    who.patch(gender="male", active=None)
    assert (who["gender"], "active" in client.get("Patient", who.id)) == ("male", False)
    who["birthDate"] = "1961-05-06"
    who.save(fields=["birthDate"])
    held = client.get("Patient", who.id)
    assert (held["birthDate"], held["gender"], held["meta"]["versionId"]) == ("1961-05-06", "male", "3")
