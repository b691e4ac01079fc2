"""Clients of other makers, unmodified: fhirpy and fhirclient from PyPI, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from fhirclient import client as smart
from fhirclient.models import bundle as smart_bundle
from fhirclient.models import observation as smart_observation
from fhirclient.models import patient as smart_patient
from fhirclient.server import FHIRNotFoundException
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from tests.http.conftest import Front, listening

LOINC = "http://loinc.org"


@pytest.fixture(scope="module")
def base(front: Front) -> Iterator[str]:
    """Address of a gateway that listens."""
    with listening(front) as url:
        yield url


def glucose(patient: str, day: int, value: float = 5.6) -> dict[str, Any]:
    """An Observation."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2339-0"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"2026-03-{day:02d}",
        "valueQuantity": {"value": value, "unit": "mmol/L"},
    }


def test_fhirpy_creates_reads_changes_and_deletes(base: str) -> None:
    client = SyncFHIRClient(base)
    patient = client.resource("Patient", name=[{"family": "欧阳", "given": ["柏"]}], birthDate="1960-02-03")
    patient.save()
    assert patient["meta"]["versionId"] == "1"
    read = client.reference("Patient", patient["id"]).to_resource()
    assert read["birthDate"] == "1960-02-03"
    read["birthDate"] = "1960-02-04"
    read.save()
    assert read["meta"]["versionId"] == "2"
    history = client.execute(f"Patient/{patient['id']}/_history", method="get")
    assert [e["resource"]["birthDate"] for e in history["entry"]] == ["1960-02-04", "1960-02-03"]
    read.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        client.reference("Patient", patient["id"]).to_resource()


def test_fhirpy_searches_pages_and_includes(base: str) -> None:
    client = SyncFHIRClient(base)
    client.resource("Patient", id="fp1", name=[{"text": "欧阳桦"}]).save()
    for day in range(1, 8):
        client.execute("Observation", data=glucose("fp1", day))
    found = client.resources("Observation").search(patient="fp1", date__ge="2026-03-03").sort("date").limit(2).fetch_all()
    assert [o["effectiveDateTime"] for o in found] == [f"2026-03-0{d}" for d in range(3, 8)]
    assert client.resources("Observation").search(patient="fp1").count() == 7
    raw = client.resources("Observation").search(patient="fp1").include("Observation", "subject").limit(3).fetch_raw()
    assert [e["resource"]["id"] for e in raw["entry"] if e["search"]["mode"] == "include"] == ["fp1"]
    only = client.resources("Observation").search(patient="fp1", date="2026-03-05").elements("status").get()
    assert "valueQuantity" not in only
    with pytest.raises(MultipleResourcesFound):
        client.resources("Observation").search(patient="fp1").get()


def test_fhirpy_conditions_transactions_and_patches(base: str) -> None:
    client = SyncFHIRClient(base)
    device = {"resourceType": "Device", "identifier": [{"system": "urn:fp", "value": "1"}]}
    once = SyncFHIRClient(base, extra_headers={"If-None-Exist": "identifier=urn:fp|1"})
    ids = {once.execute("Device", data=device)["id"] for _ in range(3)}
    assert len(ids) == 1
    changed, created = (
        client.resources("Device").search(identifier="urn:fp|1").update(client.resource("Device", identifier=device["identifier"], lotNumber="7"))
    )
    assert (created, changed["lotNumber"], {changed["id"]} == ids) == (False, "7", True)
    entries = [
        {"fullUrl": "urn:uuid:9d1b54c4-7f57-4b28-9e4f-6cf25f1f8c3b", "resource": {"resourceType": "Patient", "name": [{"text": "欧阳榆"}]},
         "request": {"method": "POST", "url": "Patient"}},
        {"resource": glucose("x", 1) | {"subject": {"reference": "urn:uuid:9d1b54c4-7f57-4b28-9e4f-6cf25f1f8c3b"}},
         "request": {"method": "POST", "url": "Observation"}},
    ]  # fmt: skip
    answer = client.execute("", data={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    patient = answer["entry"][0]["response"]["location"].split("/")[1]
    assert client.resources("Observation").search(patient=patient).count() == 1
    parts = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Device.lotNumber"}, {"name": "value", "valueString": "8"}]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    assert client.execute(f"Device/{changed['id']}", method="patch", data=patch)["lotNumber"] == "8"
    with pytest.raises(OperationOutcome) as fault:
        client.execute("Device", data={"resourceType": "Device", "colour": "red"})
    assert "colour" in str(fault.value)


@pytest.fixture
def server(base: str) -> Any:
    """fhirclient's connection."""
    connected = smart.FHIRClient(settings={"app_id": "yifang-test", "api_base": base})
    connected.prepare()
    return connected.server


def test_fhirclient_creates_reads_changes_and_deletes(server: Any) -> None:
    made = smart_patient.Patient({"name": [{"family": "欧阳", "given": ["枫"]}], "birthDate": "1970-01-02"}).create(server)
    patient = smart_patient.Patient.read(made["id"], server)
    assert (patient.birthDate.isostring, patient.name[0].family) == ("1970-01-02", "欧阳")
    patient.gender = "female"
    assert patient.update(server)["meta"]["versionId"] == "2"
    patient.delete(server)
    with pytest.raises(requests.HTTPError) as gone:
        smart_patient.Patient.read(made["id"], server)
    assert "410" in str(gone.value)
    with pytest.raises(FHIRNotFoundException):
        smart_patient.Patient.read("nobody", server)


def test_fhirclient_searches_and_walks_the_pages(server: Any) -> None:
    patient = smart_patient.Patient({"name": [{"text": "欧阳桑"}]}).create(server)["id"]
    for day in range(1, 6):
        smart_observation.Observation(glucose(patient, day)).create(server)
    search = smart_observation.Observation.where({"patient": patient, "code": f"{LOINC}|2339-0", "_count": "2"})
    found = list(search.perform_resources_iter(server))
    assert sorted(o.effectiveDateTime.isostring[:10] for o in found) == [f"2026-03-0{d}" for d in range(1, 6)]
    assert len(list(search.perform_iter(server))) == 3


def test_fhirclient_reads_the_capability_statement_and_a_transaction(server: Any) -> None:
    assert server.capabilityStatement.fhirVersion == "4.0.1"
    entry = {"resource": glucose("nobody-yet", 9), "request": {"method": "POST", "url": "Observation"}}
    sent = smart_bundle.Bundle({"type": "transaction", "entry": [entry]})
    answer = smart_bundle.Bundle(server.post_json("", sent.as_json()).json())
    assert answer.entry[0].response.status == "201 Created"
