"""Transaction Bundles that a server with referential integrity can accept."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.bundle import bundle
from gateway.outbox.bundle import Item, closure, components, entry, packed
from gateway.outbox.references import Rewriter, references, upstream_id
from gateway.store.names import Name


def item(type_: str, id_: str, *targets: str, etag: str = "", **more: Any) -> Item:
    body = {"resourceType": type_, "id": id_, "links": [{"reference": t} for t in targets], **more}
    return Item(type_, id_, 1, json.dumps(body).encode(), etag)


names = st.tuples(st.just("T"), st.integers(0, 12).map(str))
graphs = st.dictionaries(names, st.sets(names, max_size=4), min_size=1, max_size=13)


@given(graphs)
def test_components_put_targets_first_and_keep_cycles_together(graph: dict[Name, set[Name]]) -> None:
    order = components(list(graph), graph)
    place = {name: i for i, part in enumerate(order) for name in part}
    assert sorted(place) == sorted(graph)
    for name, targets in graph.items():
        for target in targets & graph.keys():
            assert place[target] <= place[name]
            assert (place[target] == place[name]) == reaches(graph, target, name)


def reaches(graph: dict[Name, set[Name]], start: Name, goal: Name) -> bool:
    seen, todo = set(), [start]
    while todo:
        node = todo.pop()
        if node == goal:
            return True
        if node not in seen:
            seen.add(node)
            todo.extend(graph.get(node, set()) & graph.keys())
    return False


@given(st.lists(st.integers(1, 7), max_size=20), st.integers(1, 10))
def test_packing_keeps_order_and_splits_no_component(sizes: list[int], limit: int) -> None:
    parts: list[list[Name]] = [[(str(i), str(k)) for k in range(n)] for i, n in enumerate(sizes)]
    sets = packed(parts, limit)
    assert [n for s in sets for n in s] == [n for p in parts for n in p]
    for s in sets:
        assert len(s) <= limit or len({n[0] for n in s}) == 1


def test_references_are_found_in_the_bytes() -> None:
    content = b'{"subject":{"reference":"Patient/y1"},"a":[{"reference" : "Organization/o-1/_history/3"}],"b":{"reference":"urn:uuid:1"}}'
    content = content[:-1] + b',"c":{"reference":"#x"}}'
    assert references(content) == {("Patient", "y1"), ("Organization", "o-1")}


def test_closure_brings_what_the_server_lacks_and_names_what_nobody_holds() -> None:
    held = {i.name: i for i in (item("Patient", "p", "Organization/o"), item("Organization", "o", "Organization/top"))}
    there = {("Practitioner", "known")}
    got = closure(
        [item("Observation", "x", "Patient/p", "Practitioner/known", "Encounter/gone")],
        lambda names: {n: held[n] for n in names if n in held},
        lambda names: names & there,
    )
    assert set(got.items) == {("Observation", "x"), ("Patient", "p"), ("Organization", "o")}
    assert got.absent == {("Encounter", "gone"), ("Organization", "top")}
    missing = {name: got.missing(name) for name in got.items}
    assert missing == {("Observation", "x"): {("Encounter", "gone")}, ("Organization", "o"): {("Organization", "top")}, ("Patient", "p"): set()}
    assert got.sets(10) == [[("Organization", "o"), ("Patient", "p"), ("Observation", "x")]]


def test_deletions_come_last() -> None:
    gone = Item("Condition", "c", 2, None)
    got = closure([gone, item("Patient", "p")], lambda names: {}, lambda names: names)
    assert [n for s in got.sets(1) for n in s] == [("Patient", "p"), ("Condition", "c")]


def test_an_absent_target_keeps_its_business_identifier() -> None:
    subject = {"reference": "Patient/p", "identifier": {"system": "s", "value": "1"}, "display": "d"}
    body = {"resourceType": "Observation", "id": "x", "subject": subject, "focus": [{"reference": "Device/d"}], "value": {"value": "@"}}
    content = json.dumps(body).replace('"@"', "5.60").encode()
    got = Rewriter("http://b").rewritten(content, [("Patient", "p"), ("Device", "d")])
    assert b"5.60" in got
    made = json.loads(got)
    assert made["subject"] == {"type": "Patient", "identifier": {"system": "s", "value": "1"}, "display": "d"}
    assert made["focus"] == [{"type": "Device", "identifier": {"system": "http://b/ids/logical", "value": "Device/d"}}]


def test_ids_of_digits_get_a_derived_id_and_references_follow() -> None:
    assert upstream_id("123") == "yifang-123"
    assert upstream_id("a123") == "a123"
    got = closure([item("Observation", "77", "Patient/123")], lambda names: {("Patient", "123"): item("Patient", "123")}, lambda names: set())
    entries = got.entries(got.sets(9)[0], Rewriter("http://b"))
    made = [json.loads(e) for e in entries]
    assert [m["request"]["url"] for m in made] == ["Patient/yifang-123", "Observation/yifang-77"]
    assert made[1]["resource"]["id"] == "yifang-77"
    assert made[1]["resource"]["links"] == [{"reference": "Patient/yifang-123"}]


def test_the_bundle_is_one_json_text_with_if_match_where_the_etag_is_known() -> None:
    known, fresh, gone = item("Patient", "a", etag="4"), item("Patient", "b"), Item("Patient", "c", 2, None, "7")
    text = bundle("transaction", [entry(known, known.content), entry(fresh, fresh.content), entry(gone, None)])
    made = json.loads(text)
    assert (made["resourceType"], made["type"]) == ("Bundle", "transaction")
    assert [e["request"] for e in made["entry"]] == [
        {"method": "PUT", "url": "Patient/a", "ifMatch": 'W/"4"'},
        {"method": "PUT", "url": "Patient/b"},
        {"method": "DELETE", "url": "Patient/c", "ifMatch": 'W/"7"'},
    ]
