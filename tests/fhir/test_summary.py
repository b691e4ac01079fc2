"""`_summary` and `_elements` (https://hl7.org/fhir/R4/search.html#summary, https://hl7.org/fhir/R4/search.html#elements)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.fhir.elements import load
from gateway.fhir.structure import check
from gateway.fhir.summary import SUBSETTED, pick_elements, summarise, unknown_elements
from tests.fhir.generated import resources

SLOW = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
META = {"versionId": "2", "tag": [{"system": "urn:x", "code": "a"}]}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "meta": META,
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">江岚</div>'},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "清溪卫生院"}],
    "extension": [{"url": "urn:x", "valueCode": "a"}],
    "modifierExtension": [{"url": "urn:y", "valueCode": "b"}],
    "identifier": [{"use": "official", "value": "1", "assigner": {"display": "a"}}],
    "name": [{"family": "江", "given": ["岚"], "extension": [{"url": "urn:x", "valueCode": "a"}]}, {"text": "江岚"}],
    "birthDate": "1960-02-28",
    "_birthDate": {"id": "b"},
    "deceasedBoolean": False,
    "maritalStatus": {"text": "已婚"},
    "photo": [{"contentType": "image/png", "data": "AAAA"}],
    "contact": [{"name": {"family": "河"}, "gender": "female"}],
    "communication": [{"language": {"text": "zh"}, "preferred": True}],
    "link": [{"id": "l", "other": {"reference": "Patient/q"}, "type": "seealso"}],
}
DOCUMENT: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [{"attachment": {"contentType": "text/plain", "data": "AAAA", "title": "出院小结"}, "format": {"code": "a"}}],
    "context": {"period": {"start": "2026"}, "facilityType": {"text": "a"}},
    "relatesTo": [{"code": "appends", "target": {"reference": "DocumentReference/1"}}],
}


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("true", ["resourceType", "id", "meta", "modifierExtension", "identifier", "name", "birthDate", "_birthDate", "deceasedBoolean", "link"]),
        ("text", ["resourceType", "id", "meta", "text"]),
        ("data", [n for n in PATIENT if n != "text"]),
    ],
)
def test_each_summary_keeps_what_r4_says(mode: str, kept: list[str]) -> None:
    before = copy.deepcopy(PATIENT)
    made = summarise(PATIENT, mode)
    assert list(made) == kept
    assert made["meta"] == {"versionId": "2", "tag": [*META["tag"], SUBSETTED]}
    assert before == PATIENT
    assert {n: made[n] for n in kept if n != "meta"} == {n: PATIENT[n] for n in kept if n != "meta"}


def test_no_summary_changes_nothing() -> None:
    assert summarise(PATIENT, "false") is PATIENT


@pytest.mark.parametrize("mode", ["count", "yes", "", "TRUE"])
def test_another_word_is_refused(mode: str) -> None:
    with pytest.raises(Refused) as caught:
        summarise(PATIENT, mode)
    assert caught.value.finding.code == "bad-summary"


def test_backbone_elements_are_thinned_and_data_types_are_whole_but_for_attachment_data() -> None:
    made = summarise(DOCUMENT, "true")
    assert made["content"] == [{"attachment": {"contentType": "text/plain", "title": "出院小结"}, "format": {"code": "a"}}]
    assert made["context"] == {"period": {"start": "2026"}} and made["relatesTo"] == DOCUMENT["relatesTo"]
    assert DOCUMENT["content"][0]["attachment"]["data"] == "AAAA"
    questionnaire = {"resourceType": "Questionnaire", "status": "active", "code": [{"code": "a"}], "item": [{"linkId": "1", "type": "group"}]}
    assert list(summarise(questionnaire, "true")) == ["resourceType", "meta", "status", "code"]


def test_text_keeps_mandatory_elements_with_their_extensions() -> None:
    observation = {"resourceType": "Observation", "_status": {"id": "s"}, "code": {"text": "a"}, "issued": "2026"}
    assert list(summarise(observation, "text")) == ["resourceType", "meta", "_status", "code"]


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["birthDate"], {"birthDate", "_birthDate"}),
        (["Patient.name", "deceased"], {"name", "deceasedBoolean"}),
        (["deceasedBoolean"], {"deceasedBoolean"}),
        (["deceased[x]"], {"deceasedBoolean"}),
        (["deceasedDateTime"], set()),
        (["Observation.name", "colour"], set()),
        (["text", "contained"], {"text", "contained"}),
        ([], set()),
    ],
)
def test_only_the_elements_that_were_asked_for(names: list[str], kept: set[str]) -> None:
    before = copy.deepcopy(PATIENT)
    made = pick_elements(PATIENT, names)
    assert set(made) - {"resourceType", "id", "meta"} == kept
    assert made["meta"]["tag"][-1] == SUBSETTED and list(made)[:3] == ["resourceType", "id", "meta"]
    assert before == PATIENT


def test_mandatory_elements_stay_on_every_level() -> None:
    assert set(pick_elements(DOCUMENT, ["description"])) == {"resourceType", "meta", "status", "content"}
    made = pick_elements(PATIENT, ["link.id", "name.family", "communication.preferred", "contact.name", "contact.name.family"])
    assert made["link"] == PATIENT["link"]
    assert made["name"] == [{"family": "江"}]
    assert made["communication"] == PATIENT["communication"]
    assert made["contact"] == [{"name": {"family": "河"}}]


def test_a_name_alone_wins_over_paths_into_it() -> None:
    assert pick_elements(PATIENT, ["name.family", "name"])["name"] == PATIENT["name"]
    assert pick_elements(PATIENT, ["contact.gender", "contact.name.family"])["contact"] == PATIENT["contact"]


def test_names_that_no_element_has_are_told() -> None:
    names = ["name", "nick", "name.nick", "Patient.colour", "Observation.colour", "deceased", "deceasedBoolean", "value", "contact.name.family", "id"]
    assert unknown_elements("Patient", names) == ["nick", "name.nick", "Patient.colour", "value"]
    assert unknown_elements("Observation", ["value.unit", "value.colour", "valueQuantity.unit"]) == ["value.colour"]


def test_a_resource_that_is_marked_already_is_not_marked_twice() -> None:
    once = summarise(PATIENT, "true")
    assert summarise(once, "true") == once


def test_a_mandatory_element_that_a_summary_would_leave_nothing_of_stays_whole() -> None:
    media = {"resourceType": "Media", "status": "completed", "content": {"data": "AAAA"}}
    assert summarise(media, "true")["content"] == {"data": "AAAA"}
    assert summarise(media | {"content": {"data": "AAAA", "title": "t"}}, "true")["content"] == {"title": "t"}


@given(resources(), st.sampled_from(["true", "text", "data"]))
@SLOW
@pytest.mark.slow
def test_a_summary_is_a_valid_resource(resource: dict[str, Any], mode: str) -> None:
    before = copy.deepcopy(resource)
    made = summarise(resource, mode)
    assert [f for f in check(made) if f.severity == "refuse"] == []
    assert resource == before
    assert set(made) <= set(resource) | {"meta"}


@given(resources(), st.data())
@SLOW
@pytest.mark.slow
def test_what_is_picked_is_a_valid_resource_with_the_values_that_were_there(resource: dict[str, Any], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(list(load().types[resource["resourceType"]].elements)), max_size=4))
    made = pick_elements(resource, names)
    assert [f for f in check(made) if f.severity == "refuse"] == []
    assert {n: v for n, v in made.items() if n != "meta"} == {n: resource[n] for n in made if n != "meta"}
    assert all(n in made for n in resource if n in names)
