"""Everything the gateway makes arrives on a real HAPI FHIR R4 server with referential integrity on, once in effect."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from sqlalchemy import text

from gateway.fhir.json import decode
from gateway.outbox import owed
from gateway.outbox.bundle import Name
from gateway.store.tables import delivered
from tests.hapi.goldens import DESTINATION, Site

pytestmark = [pytest.mark.hapi, pytest.mark.slow]


def here(site: Site, type_: str, where: str = "") -> list[dict[str, Any]]:
    """Current resources of a type in the gateway."""
    with site.database.engine.connect() as c:
        rows = c.execute(text(f"SELECT content FROM resource WHERE type = :t AND NOT deleted {where} ORDER BY rid"), {"t": type_})
        return [decode(bytes(r[0])) for r in rows]


def there(site: Site, type_: str, id_: str) -> dict[str, Any]:
    """A resource on the server; it must be there."""
    found = site.server.read(type_, id_)
    assert found is not None, f"{type_}/{id_}"
    body: dict[str, Any] = decode(found[1])
    return body


def versions_there(site: Site, type_: str, id_: str) -> int:
    return int(there(site, type_, id_)["meta"]["versionId"])


def faults(site: Site) -> list[Any]:
    with site.database.engine.connect() as c:
        return list(c.execute(text("SELECT type, id, kind, error FROM delivery_fault")))


def whole(site: Site) -> None:
    """Both sides agree about everything."""
    assert faults(site) == []
    report = site.reconciled()
    assert (report.lost, report.different, report.waiting, report.unsettled) == ([], [], 0, 0)
    assert report.equal == report.held > 0


def test_the_outputs_of_all_golden_examples_arrive_once_and_what_is_lost_there_is_told(site: Site) -> None:
    for example in site.examples:
        site.send(example)
    site.drain()
    whole(site)
    with site.database.engine.connect() as c:
        delivered_before = sorted(c.execute(delivered.select()).all())
    assert {t for _, t, *_ in delivered_before} >= {
        "Patient",
        "Organization",
        "Observation",
        "DiagnosticReport",
        "MedicationRequest",
        "Task",
        "Binary",
    }

    for example in reversed(site.examples):
        site.send(example)
    site.drain()
    with site.database.engine.connect() as c:
        assert sorted(c.execute(delivered.select()).all()) == delivered_before, "the second run delivered something"

    referred = {r for body in (here(site, "DiagnosticReport") + here(site, "Observation")) for r in _references(body)}
    gone, other = [r for r in here(site, "Observation") if f"Observation/{r['id']}" not in referred][:2]
    assert requests.delete(f"{site.destination.url}/Observation/{gone['id']}", timeout=30).ok
    changed = {**there(site, "Observation", other["id"]), "status": "unknown"}
    body = site.sender.server.destination.url + f"/Observation/{other['id']}"
    assert requests.put(body, json=_plain(changed), headers={"Content-Type": "application/fhir+json"}, timeout=30).ok
    report = site.reconciled()
    lost: list[Name] = [("Observation", gone["id"])]
    different: list[Name] = [("Observation", other["id"])]
    assert (report.lost, report.different, report.equal) == (lost, different, report.held - 2)
    owed.again(site.database, DESTINATION, lost + different, site.clock.now(), forget=True)
    site.drain()
    whole(site)


def _plain(body: dict[str, Any]) -> Any:
    """A body that `json` can write; the value of its numbers does not matter here."""
    import json

    return json.loads(json.dumps(body, default=float))


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {r for x in node for r in _references(x)}
    if not isinstance(node, dict):
        return set()
    own = {node["reference"]} if isinstance(node.get("reference"), str) else set()
    return own.union(*(_references(v) for v in node.values())) if node else own


def test_a_correction_taken_back_is_three_versions_there_too(site: Site) -> None:
    reading = site.example("village_reading", "ordinary")

    def said(value: str, stamp: str) -> Any:
        return lambda fields: fields.update({"脉率": value, "更新时间": stamp})

    site.send(reading, said("72", "2026-04-01T08:31:10+08:00"))
    site.drain()
    [pulse] = [r for r in here(site, "Observation") if r.get("valueQuantity", {}).get("value") == 72]
    for value, stamp in (("75", "2026-04-01T09:00:00+08:00"), ("72", "2026-04-01T10:00:00+08:00")):
        site.send(reading, said(value, stamp))
        site.drain()
        assert there(site, "Observation", pulse["id"])["valueQuantity"]["value"] == int(value)
    assert versions_there(site, "Observation", pulse["id"]) == 3
    site.send(reading, said("90", "2026-03-31T10:00:00+08:00"))
    site.drain()
    assert versions_there(site, "Observation", pulse["id"]) == 3, "an older stamp changes nothing"
    whole(site)


def test_decimals_keep_their_digits_there(site: Site) -> None:
    site.send(site.example("village_reading", "ordinary"))
    site.drain()
    [glucose] = [r for r in here(site, "Observation") if str(r.get("valueQuantity", {}).get("value")) == "6.80"]
    found = site.server.read("Observation", glucose["id"])
    assert found is not None
    assert b'"value":6.80' in found[1].replace(b" ", b"")


def test_a_medicine_struck_out_is_entered_in_error_there(site: Site) -> None:
    prescription = site.example("prescription", "ordinary")
    site.send(prescription)
    site.drain()

    def struck(fields: dict[str, Any]) -> None:
        del fields["药品"][1]
        fields["更新时间"] = "2026-03-10 11:00:00"

    site.send(prescription, struck)
    site.drain()
    assert sorted(there(site, "MedicationRequest", r["id"])["status"] for r in here(site, "MedicationRequest"))[-1] == "entered-in-error"
    whole(site)


def test_link_and_unlink_are_followed_there(site: Site) -> None:
    reading = site.example("village_reading", "ordinary")

    def other_person(fields: dict[str, Any]) -> None:
        fields.update({"读数编号": "R20260401-0099", "姓名": "司空图南", "出生日期": "1961-07-02"})
        del fields["身份证号"], fields["健康档案编号"]
        fields["身份证号"] = "39012119610702024X"

    site.send(reading)
    site.send(reading, other_person)
    site.drain()
    patients = [p["id"] for p in here(site, "Patient")]
    assert len(patients) == 2
    subject = {r["id"]: r["subject"]["reference"] for r in here(site, "Observation")}
    survivor = site.gateway.link(patients[0], patients[1], "tester")
    site.drain()
    assert {there(site, "Observation", i)["subject"]["reference"] for i in subject} == {f"Patient/{survivor}"}
    [away] = set(patients) - {survivor}
    assert there(site, "Patient", away)["link"][0]["other"]["reference"] == f"Patient/{survivor}"
    whole(site)
    site.gateway.unlink(away, "tester")
    site.drain()
    assert {i: there(site, "Observation", i)["subject"]["reference"] for i in subject} == subject
    whole(site)


def test_a_target_that_comes_late_is_referred_to_as_soon_as_it_is_there(site: Site) -> None:
    site.send(site.example("village_reading", "ordinary"))
    site.drain()
    early = [r for r in here(site, "Observation") if any(p["reference"].startswith("Organization/") for p in r["performer"])]
    assert early
    for r in early:
        [performer] = [p for p in there(site, "Observation", r["id"])["performer"] if p.get("type") == "Organization"]
        assert "reference" not in performer
        assert performer["identifier"]["value"] == "390121103101"
    whole(site)
    site.send(site.example("organisation", "village_clinic"), lambda fields: fields.update({"机构代码": "390121103101"}))
    site.drain()
    [clinic] = [o for o in here(site, "Organization") if any(i["value"] == "390121103101" for i in o["identifier"])]
    for r in early:
        assert f"Organization/{clinic['id']}" in {p.get("reference") for p in there(site, "Observation", r["id"])["performer"]}
    whole(site)
