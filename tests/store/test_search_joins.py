"""Searches across references: chains, `_has`, includes, lists, compartments (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import Refused
from gateway.fhir.query import parse_query
from gateway.store.search import Compartment, Limits, Page, Searcher
from tests.store.index_harness import SCOPE, Store
from tests.store.search_samples import observation, patient, refer, resource, store

__all__ = ["store"]


@pytest.fixture
def county(store: Store) -> Store:
    """Two residents of two towns; encounters with one doctor; results; a report; a list; what was written about them."""
    store.put(
        resource("Organization", "county", name="龙潭县人民医院"),
        resource("Organization", "town", name="清溪镇卫生院", partOf=refer("Organization/county")),
        resource("Practitioner", "d1", name=[{"family": "柳"}]),
        patient("p1", name=[{"family": "欧阳"}], managingOrganization=refer("Organization/town")),
        patient("p2", name=[{"family": "司徒"}], gender="male", managingOrganization=refer("Organization/county")),
        resource(
            "Encounter", "e1", status="finished", **{"class": {"code": "AMB"}}, subject=refer("Patient/p1"),
            participant=[{"individual": refer("Practitioner/d1")}],
        ),
        observation("o1", "p1", encounter=refer("Encounter/e1")),
        observation("o2", "p1", "4548-4"),
        observation("o3", "p2", "4548-4", hasMember=[refer("Observation/o4")]),
        observation("o4", "p2", "2339-0", derivedFrom=[refer("Observation/o1")]),
        resource("DiagnosticReport", "r1", status="final", code={"text": "x"}, subject=refer("Patient/p1"), result=[refer("Observation/o1")]),
        resource("Provenance", "v1", target=[refer("Observation/o1")], agent=[{"who": refer("Practitioner/d1")}]),
        resource("List", "board", status="current", mode="working", entry=[
            {"item": refer("Observation/o2")}, {"item": refer("Patient/p2")}, {"item": refer("Observation/o3"), "deleted": True},
        ]),
        resource("Questionnaire", "q", url="https://county.example/q", status="draft"),
        resource("QuestionnaireResponse", "a", questionnaire="https://county.example/q|2", status="completed", subject=refer("Patient/p1")),
    )  # fmt: skip
    return store


def wide(store: Store, **limits: int) -> None:
    """Another search of the same store, with other limits."""
    store.searcher = Searcher(store.searcher.indexer, limits=replace(Limits(few=20), **limits))


CHAINS = [
    ("Observation", "subject:Patient.family=欧阳", ["o2", "o1"]),
    ("Observation", "patient.family=欧阳", ["o2", "o1"]),
    ("Observation", "subject.family=欧阳,司徒&code=4548-4", ["o3", "o2"]),
    ("Observation", "patient.organization.name=清溪", ["o2", "o1"]),
    ("Observation", "patient.organization.partof.name=龙潭", ["o2", "o1"]),
    ("DiagnosticReport", "result.patient.organization.name=清溪", ["r1"]),
    ("Observation", "encounter.participant:Practitioner.family=柳", ["o1"]),
    ("Observation", "patient._id=p2", ["o4", "o3"]),
    ("Observation", "patient.family=nobody", []),
    ("Observation", "subject:Group.code=x", []),
    ("QuestionnaireResponse", "questionnaire.status=draft", ["a"]),
    ("Patient", "_has:Observation:patient:code=718-7", ["p1"]),
    ("Patient", "_has:Observation:patient:code=4548-4", ["p2", "p1"]),
    ("Patient", "_has:Observation:patient:code=4548-4&gender=male", ["p2"]),
    ("Patient", "_has:Observation:patient:_has:Provenance:target:agent=Practitioner/d1", ["p1"]),
    ("Patient", "_has:Observation:patient:encounter.class=AMB", ["p1"]),
    ("Patient", "_has:Observation:subject:code=nothing", []),
    ("Observation", "patient._has:Encounter:patient:status=finished", ["o2", "o1"]),
    ("Organization", "_has:Patient:organization:gender=male", ["county"]),
]


@pytest.mark.parametrize(("type_", "query", "expected"), CHAINS)
def test_chains_and_has_follow_references(county: Store, type_: str, query: str, expected: list[str]) -> None:
    assert sorted(county.ids(type_, query)) == sorted(expected)
    county.merge()
    wide(county, width=0)  # every step is too wide: the candidates' own references are followed
    assert sorted(county.ids(type_, query)) == sorted(expected)


def test_a_wide_step_follows_the_candidates(store: Store) -> None:
    store.put(*(patient(f"p{n}", gender="male" if n % 2 else "female") for n in range(40)))
    store.put(*(observation(f"o{n}", f"p{n}", "718-7" if n < 30 else "4548-4") for n in range(40)))
    for limits in ({"width": 10}, {"width": 100}):
        wide(store, **limits)
        assert sorted(store.ids("Observation", "patient.gender=male&_count=7")) == sorted(f"o{n}" for n in range(1, 40, 2))
        assert sorted(store.ids("Patient", "_has:Observation:patient:code=718-7&_count=7")) == sorted(f"p{n}" for n in range(30))
        assert store.page("Observation", "patient.gender=male&_count=0").total == 20


def test_a_chain_that_is_too_deep_is_too_costly(county: Store) -> None:
    with pytest.raises(Refused) as refused:
        county.page("Observation", "encounter.part-of.part-of.part-of.part-of.part-of.status=finished")
    assert refused.value.finding.code == "too-costly"


def brought(page: Page) -> list[str]:
    return [f"{found.type}/{found.id}" for found in page.included]


@pytest.mark.parametrize(
    ("type_", "query", "expected"),
    [
        ("Observation", "_id=o1&_include=Observation:patient", ["Patient/p1"]),
        ("Observation", "_id=o1&_include=Observation:subject:Group", []),
        ("Observation", "_id=o1,o2&_include=Observation:subject:Patient", ["Patient/p1"]),
        ("Observation", "_id=o1&_include=Observation:*", ["Encounter/e1", "Patient/p1"]),
        ("Observation", "_id=o1&_include=*", ["Encounter/e1", "Patient/p1"]),
        ("Observation", "_id=o1&_include=Observation:patient&_include=Patient:organization", ["Patient/p1"]),
        ("Observation", "_id=o1&_include=Observation:patient&_include:iterate=Patient:organization", ["Organization/town", "Patient/p1"]),
        (
            "Observation",
            "_id=o1&_include=Observation:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
            ["Organization/county", "Organization/town", "Patient/p1"],
        ),
        ("Observation", "_id=o3&_include:iterate=Observation:has-member&_include:iterate=Observation:derived-from",
         ["Observation/o1", "Observation/o4"]),
        ("Observation", "code=718-7&_revinclude=Provenance:target", ["Provenance/v1"]),
        ("Patient", "_id=p1&_revinclude=Observation:patient&_revinclude:iterate=Provenance:target",
         ["Observation/o1", "Observation/o2", "Provenance/v1"]),
        ("Patient", "_id=p1&_revinclude=Observation:*", ["Observation/o1", "Observation/o2"]),
        ("Observation", "_revinclude=Observation:derived-from", []),
        ("QuestionnaireResponse", "_include=QuestionnaireResponse:questionnaire", ["Questionnaire/q"]),
        ("Questionnaire", "_revinclude=QuestionnaireResponse:questionnaire", ["QuestionnaireResponse/a"]),
    ],
)  # fmt: skip
def test_includes_bring_along_what_is_referred_to_or_refers(county: Store, type_: str, query: str, expected: list[str]) -> None:
    assert sorted(brought(county.page(type_, query))) == expected


def test_unknown_includes_are_named_and_not_applied(county: Store) -> None:
    page = county.page("Observation", "_id=o1&_include=Observation:colour&_include=Observation:patient&_revinclude=*")
    assert page.ignored == ("_include=Observation:colour", "_revinclude=*")
    assert page.applied == (("_id", "o1"), ("_include", "Observation:patient"))
    assert brought(page) == ["Patient/p1"]


def test_too_many_includes_are_too_costly(county: Store) -> None:
    wide(county, included=1)
    assert brought(county.page("Observation", "_id=o1&_include=Observation:patient")) == ["Patient/p1"]
    with pytest.raises(Refused) as refused:
        county.page("Patient", "_id=p1&_revinclude=Observation:patient")
    assert refused.value.finding.code == "too-costly"


def test_members_of_a_list(county: Store) -> None:
    assert county.ids("Observation", "_list=board") == ["o2"]
    assert county.ids("Patient", "_list=board&gender=male") == ["p2"]
    assert county.ids("Observation", "_list=nothing") == []


@pytest.mark.parametrize(
    ("within", "type_", "query", "expected"),
    [
        (Compartment("Patient", "p1"), "Observation", "", ["o2", "o1"]),
        (Compartment("Patient", "p1"), "Observation", "code=718-7", ["o1"]),
        (Compartment("Patient", "p1"), "Patient", "", ["p1"]),
        (Compartment("Encounter", "e1"), "Observation", "", ["o1"]),
        (Compartment("Practitioner", "d1"), "Encounter", "", ["e1"]),
        (Compartment("Patient", "nobody"), "Observation", "", []),
    ],
)
def test_a_compartment_keeps_to_what_names_its_owner(county: Store, within: Compartment, type_: str, query: str, expected: list[str]) -> None:
    with county.engine.connect() as connection:
        page = county.searcher.search(connection, type_, parse_query(query), SCOPE, within=within)
    assert [found.id for found in page.rows] == expected


def test_what_is_in_no_compartment_is_refused(county: Store) -> None:
    with county.engine.connect() as connection, pytest.raises(Refused) as refused:
        county.searcher.search(connection, "Organization", parse_query(""), SCOPE, within=Compartment("Patient", "p1"))
    assert refused.value.finding.code == "not-in-compartment"


def test_a_search_over_several_types(county: Store) -> None:
    found = [f"{row.type}/{row.id}" for row in county.page("", "_type=Patient,Encounter&_sort=_id").rows]
    assert found == ["Encounter/e1", "Patient/p1", "Patient/p2"]
    assert len(county.page("", "_count=100").rows) == len(county.rids)
    assert [f.id for f in county.page("", "_type=Observation,DiagnosticReport&patient=p1&_sort=_lastUpdated").rows] == ["o1", "o2", "r1"]
    assert county.page("", "_type=Patient,Encounter&gender=male").ignored == ("gender",)
    with pytest.raises(Refused):
        county.page("", "_type=Patients")
