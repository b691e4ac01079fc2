"""Search query strings as R4 writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.fhir.query import DEFAULT_COUNT, MAX_COUNT, Criterion, Include, SortKey, parse_query, prefixed, split, unescape
from gateway.fhir.references import parse_reference

PLAIN = st.text(alphabet="ab汉\\,|$", max_size=8)


def test_repeats_are_and_commas_are_or() -> None:
    query = parse_query("code=a,b&code=c&date=ge2026")
    assert query.criteria == (Criterion("code", "", "", ("a", "b")), Criterion("code", "", "", ("c",)), Criterion("date", "", "", ("ge2026",)))
    assert query.count == DEFAULT_COUNT


@pytest.mark.parametrize(
    ("name", "code", "modifier", "chain"),
    [
        ("name:exact", "name", "exact", ""),
        ("subject:Patient.name:exact", "subject", "Patient", "name:exact"),
        ("subject.organization.name", "subject", "", "organization.name"),
        ("_has:Observation:patient:code", "_has", "Observation:patient:code", ""),
    ],
)
def test_modifiers_and_chains(name: str, code: str, modifier: str, chain: str) -> None:
    (criterion,) = parse_query([(name, "x")]).criteria
    assert (criterion.code, criterion.modifier, criterion.chain) == (code, modifier, chain)
    assert criterion.name == name


def test_what_shapes_the_answer_is_no_criterion() -> None:
    query = parse_query("_count=5&_sort=-date,_id&_total=accurate&_include=Observation:subject&_summary=text&x=,&y=")
    assert (query.count, query.total, query.criteria) == (5, "accurate", ())
    assert query.sort == (SortKey("date", True), SortKey("_id", False))
    assert query.controls == (("_summary", "text"),)
    assert query.includes == (Include(False, "Observation", "subject", "", False, "_include=Observation:subject"),)
    assert parse_query("_summary=count").count == 0
    assert parse_query("_type=Patient,Group&_type=Group").types == ("Patient", "Group")


def test_includes_name_type_parameter_and_target() -> None:
    query = parse_query("_revinclude:iterate=Observation:has-member:Observation&_include=*")
    assert query.includes == (
        Include(True, "Observation", "has-member", "Observation", True, "_revinclude:iterate=Observation:has-member:Observation"),
        Include(False, "*", "*", "", False, "_include=*"),
    )


def test_a_page_has_a_greatest_size() -> None:
    assert parse_query("_count=999999").count == MAX_COUNT


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("_count=-1", "bad-count"),
        ("_count=x", "bad-count"),
        ("_total=all", "bad-total"),
        (":x=1", "bad-parameter"),
        ("_include=Observation", "bad-include"),
    ],
)
def test_controls_that_say_nothing_are_refused(query: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_query(query)
    assert refused.value.finding.code == code


@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_escaped_separators_do_not_separate(values: list[str]) -> None:
    def escape(text: str) -> str:
        return "".join("\\" + c if c in "\\,|$" else c for c in text)

    assert [unescape(part) for part in split(",".join(map(escape, values)), ",")] == values


@pytest.mark.parametrize(
    ("text", "prefix", "rest"),
    [("ge2026", "ge", "2026"), ("2026", "eq", "2026"), ("lt-3", "lt", "-3"), ("sa.5", "sa", ".5"), ("xx3", "eq", "xx3"), ("gelb", "eq", "gelb")],
)
def test_prefixes_stand_before_numbers_and_dates(text: str, prefix: str, rest: str) -> None:
    assert prefixed(text) == (prefix, rest)


def test_references_have_parts() -> None:
    relative = parse_reference("Patient/p1/_history/2")
    assert (relative.base, relative.local, relative.version) == ("", "Patient/p1", "2")
    absolute = parse_reference("https://other.example/fhir/Patient/p1")
    assert (absolute.base, absolute.local) == ("https://other.example/fhir", "Patient/p1")
    assert parse_reference("https://here.example/fhir/Patient/p1", "https://here.example/fhir").base == ""
    for opaque in ("#p1", "urn:uuid:1", "patient/1", "Patient/", "Patient/a/b"):
        assert parse_reference(opaque).local == ""
