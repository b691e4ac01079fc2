"""design/records.md, "Identity": link and unlink re-point exactly what came from one source."""

from __future__ import annotations

import pytest

from gateway.errors import Conflict, NotFound
from tests.records.county import County, form, observation

T1 = "2026-01-01T08:00:00.000000Z"
LI = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
LI_OLD = {"local": ["L-9"], "name": "李甲"}


def subjects(county: County) -> dict[str, str]:
    """Code of each Observation -> its Patient id."""
    return {b["code"]["text"]: b["subject"]["reference"].split("/")[1] for n, b in county.current().items() if n.startswith("Observation/")}


def test_a_local_number_is_linked_when_a_strong_one_arrives(county: County) -> None:
    county.send(form("1", T1, [observation("a", "甲")], person={"local": ["L-1"], "name": "李甲"}))
    county.send(form("2", T1, [observation("b", "乙")], person={**LI, "local": ["L-1"]}))
    assert len(set(subjects(county).values())) == 1
    assert {i["value"] for i in county.one("Patient")["identifier"]} == {"L-1", "39000019800101001X"}


def test_two_patients_become_one_when_a_claim_joins_them(county: County) -> None:
    county.send(form("1", T1, [observation("a", "甲")], person=LI))
    county.send(form("2", T1, [observation("b", "乙")], person={"local": ["L-1"], "name": "李甲"}))
    assert len(set(subjects(county).values())) == 2
    county.send(form("3", T1, [observation("c", "丙")], person={**LI, "local": ["L-1"]}))
    assert len(set(subjects(county).values())) == 1
    [away] = [b for n, b in county.current().items() if n.startswith("Patient/") and b.get("active") is False]
    assert away["link"] == [{"other": {"reference": f"Patient/{subjects(county)['甲']}"}, "type": "replaced-by"}]


def test_link_moves_and_unlink_restores_exactly_the_earlier_references(county: County) -> None:
    county.send(form("1", T1, [observation("a", "甲")], person=LI), form("2", T1, [observation("b", "乙")], person=LI_OLD))
    patient_draft = {"type": "Patient", "body": {"address": [{"text": "东村"}]}}
    county.send(form("3", T1, [patient_draft, observation("c", "丙")], person=LI_OLD))
    before, former = county.current(), subjects(county)
    survivor = county.gateway.link(former["甲"], former["乙"], "张医生")
    assert set(subjects(county).values()) == {survivor}
    assert county.current()[f"Patient/{survivor}"]["address"] == [{"text": "东村"}]
    other = next(p for p in former.values() if p != survivor)
    assert county.current()[f"Patient/{other}"]["active"] is False
    county.send(form("4", T1, [observation("d", "丁")], person=LI_OLD))
    assert subjects(county)["丁"] == survivor
    county.gateway.unlink(other, "张医生")
    after = county.current()
    assert {n: after[n] for n in before} == before
    assert subjects(county)["丁"] == former["乙"]


def test_who_was_linked_away_follows_the_one_it_was_linked_to(county: County) -> None:
    people = [LI, LI_OLD, {"local": ["L-2"], "name": "王乙"}]
    county.send(*(form(str(n), T1, [observation(str(n), str(n))], person=person) for n, person in enumerate(people)))
    oldest, *younger = sorted(subjects(county).values(), key=lambda p: county.rows("SELECT rid FROM resource WHERE id = :id", id=p)[0][0])
    county.gateway.link(*younger, "张医生")
    assert county.gateway.link(oldest, younger[0], "张医生") == oldest
    assert [county.current()[f"Patient/{p}"]["link"][0]["other"]["reference"] for p in younger] == [f"Patient/{oldest}"] * 2
    county.gateway.unlink(younger[0], "张医生")
    county.gateway.unlink(younger[1], "张医生")
    assert set(subjects(county).values()) == {oldest, *younger}
    assert not [n for n, b in county.current().items() if n.startswith("Patient/") and b.get("active") is False]


def test_link_of_what_is_one_already_is_a_conflict(county: County) -> None:
    county.send(form("1", T1, [observation("a", "甲")], person=LI))
    patient = county.one("Patient")["id"]
    with pytest.raises(Conflict):
        county.gateway.link(patient, patient, "张医生")
    with pytest.raises(NotFound):
        county.gateway.link(patient, "unknown", "张医生")
    with pytest.raises(Conflict):
        county.gateway.unlink(patient, "张医生")
