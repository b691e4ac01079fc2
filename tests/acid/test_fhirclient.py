"""fhirclient (SMART), unmodified, against the gateway (https://pypi.org/project/fhirclient). Conditional requests and patches go through its
own session: it has no words for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirsearch import FHIRSearch
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException

SYSTEM = "urn:acid:fhirclient"


@pytest.fixture(scope="module")
def server(base: str) -> Iterator[Any]:
    """The gateway as fhirclient sees it."""
    smart = FHIRClient(settings={"app_id": "acid", "api_base": base})
    smart.prepare()
    yield smart.server
    smart.server.session.close()


def patient(value: str, **more: Any) -> Patient:
    """A Patient with an identifier, not created yet."""
    return Patient({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more})


def observation(subject: str, value: float) -> Observation:
    """A reading of a Patient."""
    return Observation(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            "subject": {"reference": f"Patient/{subject}"},
            "valueQuantity": {"value": value, "unit": "mmHg"},
        }
    )


def test_the_capability_statement_is_understood(server: Any) -> None:
    assert server.capabilityStatement.fhirVersion == "4.0.1"
    assert {"Patient", "Observation"} <= {r.type for r in server.capabilityStatement.rest[0].resource}


def test_create_read_update_history_delete(server: Any) -> None:
    id_ = patient("crud", name=[{"text": "欧阳桐"}]).create(server)["id"]
    read = Patient.read(id_, server)
    assert read.name[0].text == "欧阳桐"
    read.gender = "female"
    assert read.update(server)["meta"]["versionId"] == "2"
    history = Bundle.read_from(f"Patient/{id_}/_history", server)
    assert (history.type, [e.resource.meta.versionId for e in history.entry]) == ("history", ["2", "1"])
    assert Patient.read_from(f"Patient/{id_}/_history/1", server).gender is None
    Patient.read(id_, server).delete(server)
    assert list(FHIRSearch(Patient, {"_id": id_}).perform_resources_iter(server)) == []
    with pytest.raises(FHIRNotFoundException):
        Patient.read("acid-never", server)


def test_search_pages_and_includes(server: Any) -> None:
    id_ = patient("search").create(server)["id"]
    for n in range(7):
        observation(id_, 120 + n).create(server)
    found = FHIRSearch(Observation, {"patient": id_, "code": "http://loinc.org|8480-6", "_count": "3"})
    pages = list(found.perform_iter(server))
    assert [len(p.entry) for p in pages] == [3, 3, 1]
    values = [o.valueQuantity.value for o in found.perform_resources_iter(server)]
    assert sorted(values) == [120.0 + n for n in range(7)]
    above = FHIRSearch(Observation, {"patient": id_, "value-quantity": "gt124||mmHg"}).perform_resources_iter(server)
    assert sorted(o.valueQuantity.value for o in above) == [125.0, 126.0]
    both = FHIRSearch(Observation, {"patient": id_, "value-quantity": "126"}).include("subject").perform_resources_iter(server)
    assert sorted(r.resource_type for r in both) == ["Observation", "Patient"]
    back = FHIRSearch(Patient, {"_id": id_}).include("subject", Observation, reverse=True).perform_resources_iter(server)
    assert len(list(back)) == 8


def test_transaction_with_placeholders(server: Any) -> None:
    urn = "urn:uuid:5b7a9f35-4f0f-4a38-9f0c-7a2f3a0a4001"
    seen = observation("x", 1).as_json() | {"subject": {"reference": urn}}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": seen, "request": {"method": "POST", "url": "Observation"}},
            {"fullUrl": urn, "resource": patient("tx").as_json(), "request": {"method": "POST", "url": "Patient"}},
        ],
    }
    answer = Bundle(server.post_json("", Bundle(bundle).as_json()).json())
    assert [e.response.status for e in answer.entry] == ["201 Created", "201 Created"]
    (made,) = FHIRSearch(Observation, {"patient.identifier": f"{SYSTEM}|tx"}).perform_resources_iter(server)
    assert made.subject.reference == answer.entry[1].response.location.partition("/_history")[0]


def test_conditional_create_and_patch_through_its_session(server: Any) -> None:
    url, headers = f"{server.base_uri}Patient", {"Content-Type": "application/fhir+json", "If-None-Exist": f"identifier={SYSTEM}|cond"}
    answers = [server.session.post(url, json=patient("cond").as_json(), headers=headers) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 200]
    id_ = Patient(answers[1].json()).id
    change = [{"op": "add", "path": "/birthDate", "value": "1950-01-01"}]
    patched = server.session.patch(
        f"{url}/{id_}", json=change, headers={"Content-Type": "application/json-patch+json", "If-Match": answers[0].headers["ETag"]}
    )
    assert (patched.status_code, Patient(patched.json()).birthDate.isostring) == (200, "1950-01-01")
