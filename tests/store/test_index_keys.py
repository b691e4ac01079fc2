"""What a resource can be found by: shared slots, selective values, intervals; and that the index is written from nothing else."""

from __future__ import annotations

import ast
import inspect
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway.fhir.elements import load
from gateway.fhir.time import MIN, interval
from gateway.store import search
from gateway.store.index.folding import normalised
from gateway.store.index.keys import Indexer, default_indexer
from gateway.store.index.match.asked import Asked, NoTerms
from gateway.store.index.match.criterion import compile_criterion
from gateway.store.index.spans import implied, pack, sortable, unpack

INDEXER = default_indexer()
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o",
    "identifier": [{"system": "urn:i", "value": "7"}],
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2026-01-31T08:00:00+08:00",
    "valueQuantity": {"value": Decimal("5.60"), "unit": "g/L", "system": "http://unitsofmeasure.org", "code": "g/L"},
}


def keys_of(blob: bytes) -> list[int]:
    return [key for (key,) in struct.iter_unpack(KEY_FORMAT, blob)]


KEY_FORMAT = "<q"


def slot_names(type_: str, code: str) -> list[str]:
    return [slot.name for slot, _ in INDEXER.plan(type_).fields[code].slots]


def test_parameters_that_share_an_expression_share_their_keys() -> None:
    assert slot_names("Observation", "patient") == slot_names("Observation", "subject")
    assert slot_names("Observation", "combo-code")[0] == slot_names("Observation", "code")[0]
    assert slot_names("Patient", "phonetic") == slot_names("Patient", "name")


def test_what_few_have_is_posted_and_workflow_posts_every_status() -> None:
    def posted(type_: str, code: str) -> bool:
        return all(slot.posted for slot, _ in INDEXER.plan(type_).fields[code].slots)

    assert posted("Observation", "code") and posted("Observation", "subject")
    assert not posted("Observation", "category") and not posted("Patient", "gender")
    assert status_posted("Observation", "corrected") and status_posted("Task", "requested") and status_posted("Task", "completed")
    assert not status_posted("Observation", "final") and not status_posted("Encounter", "finished")


def status_posted(type_: str, status: str) -> bool:
    """Whether resources of this status are found by it."""
    return INDEXER.key(slot_names(type_, "status")[0], "code", status) in INDEXER.entries(type_, {"resourceType": type_, "status": status}).posted


def test_entries_of_an_observation() -> None:
    entries = INDEXER.entries("Observation", OBSERVATION)
    keys = keys_of(entries.keys)
    assert len(keys) == len(set(keys)) and not any(key & 1 for key in keys)
    assert keys[: len(entries.posted)] == entries.posted
    assert INDEXER.key(slot_names("Observation", "subject")[0], "to", "Patient/p") in entries.posted
    assert INDEXER.key(slot_names("Observation", "status")[0], "both", "http://hl7.org/fhir/observation-status", "final") in keys
    assert [(first, last) for _, first, last in unpack(entries.spans)] == [interval("2026-01-31T08:00:00+08:00")]
    assert [(system, value) for _, system, value in entries.identifiers] == [("urn:i", "7")]
    assert {(low, high) for _, low, high in unpack(entries.amounts)} == {(sortable(Decimal(n)),) * 2 for n in ("5.60", "5600")}  # g/m3
    assert (entries.t, entries.long) == ((interval("2026-01-31T08:00:00+08:00") or (0, 0))[0], False)


def test_extraction_is_pure_and_the_same_for_every_indexer_with_the_same_key() -> None:
    again = Indexer(load()).entries("Observation", OBSERVATION)
    first = INDEXER.entries("Observation", OBSERVATION)
    assert (again.keys, again.spans, again.amounts, again.posted) == (first.keys, first.spans, first.amounts, first.posted)
    other = Indexer(load(), key=b"another deployment").entries("Observation", OBSERVATION)
    assert not set(keys_of(other.keys)) & set(keys_of(first.keys))


def test_a_long_main_date_has_odd_posting_keys() -> None:
    stay = {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, "period": {"start": "2026-01-01", "end": "2026-01-20"}}
    entries = INDEXER.entries("Encounter", stay)
    assert entries.long and all(key & 1 for key in entries.posting_keys) and not any(key & 1 for key in entries.posted)
    assert INDEXER.entries("Encounter", {"status": "planned"}).t == MIN


@pytest.mark.parametrize(
    "body",
    [
        {"code": "718-7", "subject": "Patient/p", "effectiveDateTime": 5, "valueQuantity": "5.6", "identifier": [None]},
        {"code": {"coding": [None, "x", {"code": 5}]}, "subject": {"reference": 7}, "effectivePeriod": ["2026"], "status": ["final"]},
        {"effectiveTiming": {"event": "2026"}, "valueRange": {"low": 3}, "component": {"code": []}, "identifier": {"value": "1"}},
        {"valueQuantity": {"value": True}, "category": [[{"coding": []}]], "performer": [{"identifier": "x"}]},
    ],
)
def test_values_that_are_not_what_r4_says_stop_nothing(body: dict[str, Any]) -> None:
    entries = INDEXER.entries("Observation", body | {"resourceType": "Observation"})
    assert INDEXER.plan("Observation").type_key in entries.posted


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["2026-01", "Patient/p", "#x", "", "汉"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "coding",
                    "code",
                    "system",
                    "value",
                    "reference",
                    "identifier",
                    "start",
                    "end",
                    "event",
                    "repeat",
                    "boundsPeriod",
                    "text",
                    "given",
                    "low",
                    "unit",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(["Observation", "Patient", "Task", "MedicationRequest"]), st.data())
def test_no_json_whatever_it_holds_stops_the_index(type_: str, data: st.DataObject) -> None:
    elements = INDEXER.r4.types[type_].elements.values()
    names = sorted({e.json_name(t) for e in elements for t in e.types})
    body = data.draw(st.dictionaries(st.sampled_from(names), JSON_VALUES, max_size=4))
    assert len(INDEXER.entries(type_, body).keys) % 8 == 0


def test_every_type_of_r4_has_a_plan_and_every_parameter_compiles() -> None:
    from gateway.fhir.query import Criterion

    for type_ in load().resource_types():
        plan = INDEXER.plan(type_)
        for code in plan.fields:
            condition = compile_criterion(Asked(INDEXER, plan, NoTerms()), Criterion(code, "missing", "", ("true",)))
            assert condition.driver is None


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9), min_size=2, max_size=2))
def test_sortable_numbers_sort_as_the_numbers(pair: list[Decimal]) -> None:
    one, other = pair
    if float(one) != float(other):
        assert (sortable(one) < sortable(other)) == (one < other)
    else:
        assert sortable(one) == sortable(other)


def test_a_number_stands_for_the_range_of_its_digits() -> None:
    assert implied(Decimal("5.40")) == (Decimal("5.395"), Decimal("5.405"))
    assert implied(Decimal("100")) == (Decimal("99.5"), Decimal("100.5"))
    assert implied(Decimal("1e2")) == (Decimal(50), Decimal(150))


def test_spans_come_back_as_they_were_packed() -> None:
    spans = [(2, -(2**62), 2**62), (-4, 0, -1)]
    assert list(unpack(pack(spans))) == spans


def test_text_is_compared_without_case_width_accent_and_blanks() -> None:
    assert normalised(" Ｊosé\u3000 GARCÍA ") == "jose garcia"
    assert normalised("欧阳澄澈") == "欧阳澄澈"


def test_every_read_of_the_store_takes_a_scope() -> None:
    """Public functions and methods that are handed a connection to read resources by also take the caller's Scope."""
    readers: list[Callable[..., Any]] = [search.search, search.holders, search.Searcher.search]
    for reader in readers:
        assert "scope" in inspect.signature(reader).parameters
    missing = []
    for path in (Path(gateway.__file__).parent / "store").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                names = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
                if {"connection", "type_"} <= names and "scope" not in names:
                    missing.append(f"{path.name}:{node.lineno} {node.name}")
    assert missing == []


@pytest.mark.parametrize("type_", ["Patient", "Observation", "Location", "Group", "Bundle", "ValueSet"])
@pytest.mark.parametrize(
    "junk", [None, True, -1, Decimal("1E+400"), "", "\x00", "Patient?", [], {}, [[]], [None], [{"system": [], "use": {}}]], ids=repr
)
def test_junk_never_stops_the_index(type_: str, junk: Any) -> None:
    """What stands in the store may be older than the rules of today: the index takes of it what it can."""
    inner = ("system", "use", "value", "code", "coding", "reference", "identifier", "start", "low")
    values = [junk, [junk], *({name: junk} for name in inner), *([{name: junk}] for name in inner)]
    for name, element in load().types[type_].elements.items():
        for own in [element.json_name(t) for t in element.types] if element.choice else [name]:
            made = [INDEXER.entries(type_, {"resourceType": type_, "id": "junk", own: value}) for value in values]
            assert all(INDEXER.plan(type_).type_key in entries.posted for entries in made)
