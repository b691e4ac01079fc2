"""Search through the one way in, on both engines (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from gateway.errors import Refused
from gateway.fhir.query import parse_query
from gateway.store.scope import Scope
from gateway.store.search import Limits, Searcher, holders
from gateway.store.search.guard import Guard
from tests.store.index_harness import SCOPE, Store
from tests.store.search_samples import LOINC, observation, patient, store

__all__ = ["store"]


def test_tokens_by_code_by_system_and_code_and_by_system(store: Store) -> None:
    store.put(observation("a"), observation("b", code="4548-4"), observation("c", code="718-7", status="amended"))
    assert store.ids("Observation", "code=718-7") == ["c", "a"]
    assert store.ids("Observation", f"code={LOINC}|4548-4") == ["b"]
    assert store.ids("Observation", "code=urn:other|4548-4") == []
    assert store.ids("Observation", "code=|4548-4") == []
    assert store.ids("Observation", f"code={LOINC}|") == ["c", "b", "a"]
    assert store.ids("Observation", "code=718-7,4548-4&status=final") == ["b", "a"]
    assert store.ids("Observation", "status=http://hl7.org/fhir/observation-status|amended") == ["c"]
    assert store.ids("Observation", "status:not=final") == ["c"]
    assert store.ids("Observation", "category=laboratory&code:not=718-7") == ["b"]
    assert store.ids("Observation", "combo-code=4548-4") == ["b"]


def test_references_by_id_by_type_and_id_and_by_identifier(store: Store) -> None:
    card = {"system": "urn:card", "value": "39|1"}
    store.put(
        observation("a"), observation("b", "p2"), observation("g", subject={"reference": "Group/p1"}), observation("u", subject={"identifier": card})
    )
    assert store.ids("Observation", "subject=p1") == ["g", "a"]
    assert store.ids("Observation", "patient=p1") == ["a"]
    assert store.ids("Observation", "patient=Patient/p1,Patient/p2") == ["b", "a"]
    assert store.ids("Observation", "patient=Group/p1") == []
    assert store.ids("Observation", "subject:Group=p1") == ["g"]
    assert store.ids("Observation", r"subject:identifier=urn:card|39\|1") == ["u"]
    assert store.ids("Observation", r"subject:identifier=39\|1") == ["u"]
    assert store.ids("Observation", "patient:missing=true") == ["u", "g"]


def test_identifiers_with_and_without_system(store: Store) -> None:
    store.put(
        patient("p1", identifier=[{"system": "urn:a", "value": "1"}]),
        patient("p2", identifier=[{"system": "urn:b", "value": "1"}, {"value": "2"}]),
    )
    assert store.ids("Patient", "identifier=1") == ["p2", "p1"]
    assert store.ids("Patient", "identifier=urn:a|1") == ["p1"]
    assert store.ids("Patient", "identifier=|2") == ["p2"]
    assert store.ids("Patient", "identifier=|1") == []
    with store.engine.connect() as connection:
        assert holders(connection, "Patient", "urn:b", "1", SCOPE) == [store.rids["Patient", "p2"]]
        assert holders(connection, "Patient", None, "1", SCOPE) == [1, 2]
        assert holders(connection, "Observation", None, "1", SCOPE) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("date=2026-01", ["late", "noon", "month"]),
        ("date=2026-01-31", ["late", "noon"]),
        ("date=ge2026-01-31", ["feb", "late", "noon", "stay"]),
        ("date=gt2026-01-31", ["feb", "stay"]),
        ("date=lt2026-01-31", ["month", "stay"]),
        ("date=le2026-01-31", ["late", "noon", "month", "stay"]),
        ("date=ge2026-01-30&date=lt2026-02", ["late", "noon", "month", "stay"]),
        ("date=sa2026-01-31T12:00:00%2B08:00", ["feb", "late"]),
        ("date=eb2026-01-31", []),
        ("date=ap2026-01-31", ["late", "noon", "month", "stay"]),
        ("date=ne2026-01", ["feb", "stay"]),
        ("date=2026-01-31T12:00:00+08:00", ["noon"]),
    ],
)
def test_dates_are_intervals(store: Store, query: str, expected: list[str]) -> None:
    stay = observation("stay", effectivePeriod={"start": "2025-12-20", "end": "2026-02-10"})
    del stay["effectiveDateTime"]
    store.put(
        observation("month", when="2026-01"),
        observation("noon", when="2026-01-31T12:00:00+08:00"),
        observation("late", when="2026-01-31T23:59:59+08:00"),
        observation("feb", when="2026-02-03"),
        stay,
    )
    assert store.ids("Observation", query) == expected
    store.merge()
    assert store.ids("Observation", query + "&code=718-7") == expected


def test_quantities_by_value_unit_and_precision(store: Store) -> None:
    def measured(id_: str, value: str, unit: str = "mmol/L", **more: str) -> dict[str, Any]:
        quantity = {"value": Decimal(value), "system": "http://unitsofmeasure.org", "code": unit, "unit": unit} | more
        return observation(id_, valueQuantity=quantity)

    store.put(measured("a", "5.60"), measured("b", "5.4"), measured("c", "5.6", "mg/dL"), measured("d", "28.4", comparator=">"), measured("e", "-3"))
    ucum = "http://unitsofmeasure.org|mmol/L"
    assert store.ids("Observation", f"value-quantity=5.6|{ucum}") == ["a"]
    assert store.ids("Observation", "value-quantity=5.6") == ["c", "a"]
    assert store.ids("Observation", "value-quantity=5.6||mg/dL") == ["c"]
    assert store.ids("Observation", f"value-quantity=gt5.4|{ucum}") == ["d", "a"]
    assert store.ids("Observation", f"value-quantity=ge5.4|{ucum}") == ["d", "b", "a"]
    assert store.ids("Observation", "value-quantity=lt0") == ["e"]
    assert store.ids("Observation", "value-quantity=5") == ["b"]  # 4.5 to 5.5
    assert store.ids("Observation", "value-quantity=ap5.5||mmol/L") == ["b", "a"]


def test_strings_by_prefix_whatever_their_case_and_width(store: Store) -> None:
    store.put(
        patient("p1", name=[{"text": "欧阳澄澈", "family": "欧阳", "given": ["澄澈"]}]),
        patient("p2", name=[{"text": "José Ｗang"}]),
        patient("p3", address=[{"text": "清溪镇柳树村", "city": "清溪"}]),
    )
    assert store.ids("Patient", "name=欧阳") == ["p1"]
    assert store.ids("Patient", "name=澄") == ["p1"]
    assert store.ids("Patient", "family=澄") == []
    assert store.ids("Patient", "name=jose wang") == ["p2"]
    assert store.ids("Patient", "name:contains=WANG") == ["p2"]
    assert store.ids("Patient", "name:exact=jose wang") == []
    assert store.ids("Patient", "name:exact=欧阳澄澈") == ["p1"]
    assert store.ids("Patient", "address=清溪镇&gender=female") == ["p3"]
    assert store.ids("Patient", "name:missing=true") == ["p3"]
    assert store.ids("Patient", "birthdate=1958-03&gender=female&name:missing=false") == ["p2", "p1"]


def test_uris_profiles_and_ids(store: Store) -> None:
    store.put(
        observation("a", meta={"profile": ["https://county.example/bp"]}),
        observation("b"),
        {"resourceType": "ValueSet", "id": "v", "status": "draft", "url": "https://county.example/vs/a"},
    )
    assert store.ids("Observation", "_profile=https://county.example/bp") == ["a"]
    assert store.ids("Observation", "_id=b,nobody") == ["b"]
    assert store.ids("Observation", "_id=a,b&_id=a") == ["a"]
    assert store.ids("ValueSet", "url:below=https://county.example/") == ["v"]
    assert store.ids("ValueSet", "url:above=https://county.example/vs/a/b") == ["v"]
    assert store.ids("ValueSet", "url=https://county.example/vs") == []


def test_last_updated_and_both_orders(store: Store) -> None:
    store.put(*(observation(str(n), when=f"2026-01-{30 - n:02}") for n in range(10)))
    written = {row.id: row.time for row in store.page("Observation").rows}
    assert store.ids("Observation") == [str(n) for n in range(10)]
    assert store.ids("Observation", "_sort=date&_count=3") == [str(n) for n in reversed(range(10))]
    assert store.ids("Observation", "_sort=-_lastUpdated&_count=3") == [str(n) for n in reversed(range(10))]
    assert store.ids("Observation", "_sort=_lastUpdated&_count=4") == [str(n) for n in range(10)]
    moment = f"2023-11-14T22:13:{(written['5'] // 1_000_000) % 60:02}Z"
    assert store.ids("Observation", f"_lastUpdated=gt{moment}&_sort=_lastUpdated") == ["6", "7", "8", "9"]
    assert store.ids("Observation", f"_lastUpdated=le{moment}&_lastUpdated=ge{moment}") == ["5"]


def test_a_new_version_is_found_by_what_it_says_now(store: Store) -> None:
    store.put(observation("a"), observation("b"))
    store.merge(steps=1)
    store.put(observation("a", "p2", "4548-4", "2026-02-01", status="amended"))
    store.put(observation("a", "p2", "4548-4", "2026-02-01", status="amended"))
    for _ in range(2):
        assert store.ids("Observation", "patient=p1") == ["b"]
        assert store.ids("Observation", "patient=p2&status=amended") == ["a"]
        assert store.ids("Observation", "_sort=-_lastUpdated") == ["a", "b"]
        assert store.ids("Observation", "date=2026-02-01") == ["a"]
        assert store.ids("Observation") == ["a", "b"]
        store.merge()
    assert store.rows("index_fresh") == 0


def test_very_long_strings_and_systems_are_found(store: Store) -> None:
    long = "甲" * 3000
    store.put(patient("p1", name=[{"text": long + "x"}], identifier=[{"system": "urn:" + long, "value": long}]))
    assert store.ids("Patient", f"identifier=urn:{long}|{long}") == ["p1"]
    assert store.ids("Patient", f"name={long}") == ["p1"]
    assert store.ids("Patient", f"name={long}y") == []
    store.delete("Patient", "p1")
    assert store.rows("index_string") == 0


def test_a_deleted_resource_leaves_nothing_in_the_index(store: Store) -> None:
    store.put(patient("p1", name=[{"text": "欧阳澄澈"}], identifier=[{"system": "urn:a", "value": "1"}]))
    store.merge(steps=1)
    store.delete("Patient", "p1")
    assert store.ids("Patient") == []
    for table in ("index_posting", "index_fresh", "index_row", "index_string"):
        assert store.rows(table) == 0, table


def test_every_resource_stands_on_exactly_one_page_while_others_are_written_and_merged(store: Store) -> None:
    store.put(*(observation(f"o{n}", f"p{n % 2}", when=f"2026-01-{n % 28 + 1:02}") for n in range(120)))
    for query in ("_count=7", "patient=p1&_count=7", "code=718-7&_sort=date&_count=9", "_sort=_lastUpdated&_count=7"):
        found: list[str] = []
        cursor = None
        for n in range(1000):
            page = store.page("Observation", query, cursor)
            found += [row.id for row in page.rows if row.id.startswith("o")]
            cursor = page.next
            if cursor is None:
                break
            store.put(observation(f"new-{query}-{n}".replace("&", "."), "p1", when=f"2026-01-{n % 28 + 1:02}"))
            store.merge(rows=50, steps=1)
        expected = {f"o{n}" for n in range(120) if "patient" not in query or n % 2}
        assert len(found) == len(expected)
        assert set(found) == expected


def test_streams_and_gathered_candidates_agree(store: Store) -> None:
    store.put(*(observation(f"o{n}", f"p{n % 3}", "718-7" if n % 4 else "4548-4", f"2026-0{n % 9 + 1}-0{n % 7 + 1}") for n in range(90)))
    store.merge(rows=100, steps=1)
    queries = (
        "code=718-7",
        "patient=p1",
        "patient=p1&code=718-7",
        "date=ge2026-03&code=718-7",
        "status=final&date=lt2026-05",
        "patient:missing=true",
    )
    for query in queries:
        streamed = store.ids("Observation", query + "&_count=11")
        store.searcher = Searcher(store.searcher.indexer, limits=Limits(few=100_000))
        gathered = store.ids("Observation", query + "&_count=11")
        store.searcher = Searcher(store.searcher.indexer, limits=Limits(few=20))
        assert streamed == gathered
        assert store.page("Observation", query + "&_count=0&_total=accurate").total == len(gathered)


def test_a_cursor_belongs_to_its_caller_and_its_search(store: Store) -> None:
    store.put(*(observation(str(n)) for n in range(5)))
    cursor = store.page("Observation", "code=718-7&_count=2").next
    assert cursor is not None
    assert [r.id for r in store.page("Observation", "code=718-7&_count=3", cursor).rows] == ["2", "1", "0"]
    for query, scope in (("code=4548-4", SCOPE), ("code=718-7", Scope.all("someone else"))):
        with pytest.raises(Refused) as refused:
            store.page("Observation", query, cursor, scope)
        assert refused.value.finding.code == "bad-cursor"
    with pytest.raises(Refused):
        store.page("Observation", "code=718-7", "nonsense")


def test_the_total_of_few_is_known_and_zero_rows_can_be_asked_for(store: Store) -> None:
    store.put(*(observation(str(n), "p1" if n < 5 else "p2") for n in range(60)))
    page = store.page("Observation", "patient=p1&_count=2")
    assert (page.total, len(page.rows)) == (5, 2)
    assert store.page("Observation", "patient=p2&_count=2").total is None
    assert store.page("Observation", "patient=p2&_count=2&_total=accurate").total == 55
    page = store.page("Observation", "_count=0")
    assert (page.total, page.rows, page.next) == (60, [], None)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("date=2026-13", "bad-date"),
        ("date=yesterday", "bad-date"),
        ("value-quantity=high", "bad-number"),
        ("code:below=http://county.example/cs|1", "unknown-codesystem"),
        ("code:in=http://county.example/vs", "unknown-valueset"),
        ("code:exact=1", "unsupported-modifier"),
        ("_id:not=1", "unsupported-modifier"),
        ("code.name=x", "bad-chain"),
        ("subject.colour=x", "bad-chain"),
        ("subject:Person.colour=x", "bad-chain"),
        ("_has:Observation:code=x", "bad-has"),
        ("_has:Observation:colour:code=x", "bad-has"),
        ("code-value-quantity=718-7", "bad-value"),
        ("code=a|b|c", "bad-value"),
        ("subject:identifier=a|b|c", "bad-value"),
        ("name:missing=perhaps", "bad-value"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_parameter(store: Store, query: str, code: str) -> None:
    type_ = "Patient" if query.startswith("name") else "Observation"
    with pytest.raises(Refused) as refused:
        store.page(type_, query)
    assert refused.value.finding.code == code
    assert query.partition("=")[0] in refused.value.finding.message


def test_unknown_parameters_are_named_and_types_refused(store: Store) -> None:
    store.put(observation("a"))
    page = store.page("Observation", "colour=red&code=718-7&_sort=colour")
    assert [r.id for r in page.rows] == ["a"]
    assert page.ignored == ("_sort=colour", "colour")
    with pytest.raises(Refused):
        store.page("Observations", "")


def test_a_search_that_looks_at_too_much_says_so(store: Store) -> None:
    store.put(*(observation(str(n)) for n in range(60)))
    narrow = Searcher(store.searcher.indexer, limits=Limits(rows=50, few=10))
    with store.engine.connect() as connection, pytest.raises(Refused) as refused:
        narrow.search(connection, "Observation", parse_query("category=vital-signs"), SCOPE)
    assert refused.value.finding.code == "too-costly"


def test_a_search_that_takes_too_long_says_so(store: Store) -> None:
    store.put(*(observation(str(n)) for n in range(60)))
    hours = iter(range(1000))
    slow = Searcher(store.searcher.indexer, limits=Limits(few=10), now=lambda: 3600.0 * next(hours))
    with store.engine.connect() as connection, pytest.raises(Refused) as refused:
        slow.search(connection, "Observation", parse_query("status=final"), SCOPE)
    assert refused.value.finding.code == "too-costly"


def test_a_statement_that_takes_too_long_is_stopped_and_the_connection_goes_on(store: Store) -> None:
    endless = text("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c")
    with store.engine.connect() as connection:
        guard = Guard(Limits(seconds=0.2))
        with pytest.raises(Refused) as refused, guard.watching(connection):
            connection.execute(endless)
        assert refused.value.finding.code == "too-costly"
        connection.rollback()
        with Guard(Limits(seconds=5)).watching(connection):
            assert connection.execute(text("SELECT 1")).scalar() == 1
        assert connection.execute(text("SELECT 2")).scalar() == 2
