"""design/records.md, "Identity": who reads one Patient misses nothing of the person, whoever wrote it; unlink gives back exactly what was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.store.api.asks import Ask, Wrote
from gateway.store.api.mentions import Rids
from gateway.store.api.writes import Writes
from gateway.store.work import Work
from tests.records.county import ID_CARD, County, form, observation
from tests.records.test_written_by_api import ORIGIN, ask, put

T1 = "2026-01-01T08:00:00.000000Z"
LI = {"id": ["390000198001010010"], "name": "李甲"}


@pytest.fixture
def two(county: County) -> tuple[str, str]:
    """Two Patients of one person."""
    return patients(county)


def patients(county: County) -> tuple[str, str]:
    """Ids of two Patients: one that records speak of, which survives a link, and one that a client made."""
    county.send(form("1", T1, [observation("1", "甲")], person=LI))
    put(county, "Patient/mine", {"identifier": [{"system": ID_CARD, "value": "390000198001010029"}], "name": [{"text": "李甲"}]})
    return county.one("Observation")["subject"]["reference"].removeprefix("Patient/"), "mine"


def said(patient: str, **more: Any) -> dict[str, Any]:
    """A client's Observation."""
    return {"status": "final", "code": {"text": "接口"}, "subject": {"reference": f"Patient/{patient}"}, **more}


def subject(county: County, name: str) -> str:
    """Whom a resource is about."""
    return str(county.current()[name]["subject"]["reference"]).removeprefix("Patient/")


def resident(county: County, name: str) -> str:
    """Id of the Patient whose resource the store takes it for: its lane, its access."""
    type_, id_ = name.split("/")
    query = "SELECT p.id FROM resource r JOIN resource p ON p.rid = r.resident WHERE r.type = :type AND r.id = :id"
    return str(county.rows(query, type=type_, id=id_)[0][0])


def test_a_client_s_references_follow_a_link_and_come_back(new_county: Callable[..., County]) -> None:
    county = new_county(destinations=["upstream"])
    survivor, other = patients(county)
    performers = [{"reference": "Practitioner/x"}, {"reference": f"Patient/{other}"}, {"reference": f"Patient/{other}/_history/1"}]
    put(county, "Observation/a", said(other, performer=performers, note=[{"authorReference": {"reference": f"Patient/{other}"}, "text": "记"}]))
    before = county.current()
    owed = len(county.rows("SELECT id FROM delivery"))
    assert county.gateway.link(other, survivor, "张医生") == survivor
    now = county.current()["Observation/a"]
    assert now["subject"] == now["note"][0]["authorReference"] == {"reference": f"Patient/{survivor}"}
    assert [p["reference"] for p in now["performer"]] == ["Practitioner/x", f"Patient/{survivor}", f"Patient/{other}/_history/1"]
    assert resident(county, "Observation/a") == survivor
    assert county.rows("SELECT version FROM resource WHERE id = 'a'") == [(2,)], "a re-pointed resource is a new version"
    sent = "".join(items for (items,) in county.rows("SELECT items FROM delivery ORDER BY id")[owed:])
    assert '["Observation","a"]' in sent
    county.gateway.unlink(other, "张医生")
    after = county.current()
    assert {n: after[n] for n in before} == before
    assert resident(county, "Observation/a") == other
    assert county.rows("SELECT version FROM resource WHERE id = 'a'") == [(3,)]


def test_who_writes_about_a_patient_that_was_linked_away_writes_about_the_person(county: County, two: tuple[str, str]) -> None:
    survivor, other = two
    county.gateway.link(*two, "张医生")
    wrote = put(county, "Observation/late", said(other))
    assert isinstance(wrote, Wrote) and f"Patient/{survivor}".encode() in wrote.content
    assert (subject(county, "Observation/late"), resident(county, "Observation/late")) == (survivor, survivor)
    county.gateway.unlink(other, "张医生")
    assert (subject(county, "Observation/late"), resident(county, "Observation/late")) == (other, other)


def test_what_a_client_reads_after_the_link_and_sends_back_is_of_the_same_person(county: County, two: tuple[str, str]) -> None:
    survivor, other = two
    put(county, "Observation/a", said(other))
    put(county, "Observation/b", said(survivor))
    county.gateway.link(*two, "张医生")
    for name in ("Observation/a", "Observation/b"):
        put(county, name, county.current()[name] | {"status": "amended"})
    county.gateway.unlink(other, "张医生")
    assert (subject(county, "Observation/a"), subject(county, "Observation/b")) == (other, survivor)
    assert county.current()["Observation/a"]["status"] == "amended"


def test_a_reference_that_the_client_changed_or_deleted_follows_nobody_it_named_before(county: County, two: tuple[str, str]) -> None:
    survivor, other = two
    for name in ("Observation/changed", "Observation/again"):
        put(county, name, said(other))
    put(county, "Observation/changed", said(survivor))
    ask(county, "delete", "Observation/again")
    put(county, "Observation/again", said(survivor))
    county.gateway.link(*two, "张医生")
    county.gateway.unlink(other, "张医生")
    assert [subject(county, n) for n in ("Observation/changed", "Observation/again")] == [survivor, survivor]
    assert county.rows("SELECT count(*) FROM resource_history h JOIN resource r ON r.rid = h.rid WHERE r.id = 'changed'") == [(1,)]


def test_a_client_s_word_on_a_record_s_resource_follows_too(county: County, two: tuple[str, str]) -> None:
    survivor, other = two
    name = f"Observation/{county.one('Observation')['id']}"
    put(county, name, said(other))  # the client says that it is the other's
    assert (subject(county, name), resident(county, name)) == (other, other)
    county.gateway.link(*two, "张医生")
    assert (subject(county, name), resident(county, name)) == (survivor, survivor)
    put(county, name, said(survivor, status="amended"))
    county.gateway.unlink(other, "张医生")
    assert (subject(county, name), county.current()[name]["status"]) == (other, "amended")


def test_a_resource_that_a_record_joins_keeps_whom_it_follows(county: County, two: tuple[str, str]) -> None:
    survivor, other = two
    name = f"Observation/{IdScheme(TEST_KEY, county.config.base).derive('Observation', 'x', ['9'])}"
    put(county, name, said(other))
    county.send(form("9", T1, [observation("9", "甲", compose="merge", subject=False)]))
    assert "identifier" in county.current()[name], "the record's word is there"
    county.gateway.link(*two, "张医生")
    assert (subject(county, name), resident(county, name)) == (survivor, survivor)
    county.gateway.unlink(other, "张医生")
    assert (subject(county, name), resident(county, name)) == (other, other)


def test_a_transaction_may_bring_the_patient_with_what_is_about_it(county: County, two: tuple[str, str]) -> None:
    survivor, _ = two
    asks = [Ask("create", "Observation", "t1", said("p9"), minted=True), Ask("update", "Patient", "p9", {"name": [{"text": "欧阳柏"}]})]
    wrote = county.gateway.writer.submit(Work(command=Writes(asks, ORIGIN, county.config.base, Rids()), joins=True)).result(30).value
    assert [w.id for w in wrote] == ["t1", "p9"]
    assert resident(county, "Observation/t1") == "p9"
    assert county.gateway.link(survivor, "p9", "张医生") == survivor
    assert subject(county, "Observation/t1") == survivor
