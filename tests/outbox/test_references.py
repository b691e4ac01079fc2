"""References changed in the bytes read as references changed by walking the parsed resource."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.fhir.json import decode, encode
from gateway.outbox import references as module
from gateway.outbox.references import Rewriter, local_id, references, upstream_id
from gateway.store.names import Name

TARGETS: list[Name] = [("Patient", "p1"), ("Patient", "39"), ("Organization", "o-1"), ("Encounter", "7"), ("Device", "d.x")]
BASE = "http://b"

texts = st.text(st.sampled_from('ab"\\{}[]:,/ \n京é\u2028'), max_size=8) | st.sampled_from(
    ['"reference":"Patient/p1"', '{"reference":"Patient/p1"}', "Patient/p1", "\\", 'x","reference":"Patient/p1', "reference"]
)
literals = st.sampled_from(
    [f"{t}/{i}" for t, i in TARGETS] + ["#x", "urn:uuid:1", "http://other/Patient/p1", "Patient/p1/_history/2", "Patient", "x/y/z"]
)
flat = st.dictionaries(st.sampled_from(["system", "value", "use", "reference"]), texts | literals, max_size=3)
nested = st.fixed_dictionaries({"system": texts, "assigner": st.fixed_dictionaries({"reference": literals})})
Pairs = list[tuple[str, Any]]


@st.composite
def reference(draw: st.DrawFn) -> dict[str, Any]:
    """A Reference in the form that maps write, or in another order, with other elements."""
    parts: Pairs = [("reference", draw(literals))]
    for name, values in (("identifier", flat | nested), ("display", texts), ("type", st.just("Patient")), ("extension", st.lists(flat, max_size=1))):
        if draw(st.booleans()):
            parts.append((name, draw(values)))
    return dict(draw(st.permutations(parts)) if draw(st.booleans()) else parts)


leaves = texts | reference() | st.integers(0, 99) | st.booleans() | st.decimals(0, 9, places=2)
elements = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "id", "reference"]), inner, max_size=3),
    max_leaves=9,
)


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    head = {"resourceType": draw(st.sampled_from(["Observation", "Patient"])), "id": draw(st.sampled_from(["x1", "123", "39010000001"]))}
    return head | draw(st.dictionaries(st.sampled_from(["subject", "text", "contained", "reference", "performer"]), elements, max_size=4))


def equal(one: Any, other: Any) -> bool:
    """The same JSON, the digits of numbers too."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(v, other[k]) for k, v in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and str(one) == str(other)


@given(st.lists(resources(), min_size=1, max_size=3), st.sets(st.sampled_from(TARGETS)), st.sampled_from(["compact", "spaced"]))
@example(
    [{"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/p1", "display": 'a"reference":"Patient/p1"'}}],
    {TARGETS[0]},
    "compact",
)
def test_bytes_changed_in_place_read_as_the_walked_resource(several: list[dict[str, Any]], absent: set[Name], form: str) -> None:
    rewriter = Rewriter(BASE)
    for resource in several:  # with what was learnt of one, the next is changed
        content = encode(resource) if form == "compact" else json.dumps(resource, ensure_ascii=False, default=str).encode()
        there = references(content)
        digits = resource["id"].isdigit() or any(id_.isdigit() for _, id_ in there)
        walked = module._walked(content, absent, BASE)
        assert equal(decode(rewriter.rewritten(content, absent & there, digits=digits)), decode(walked))
        replaced = rewriter._replaced(content, absent & there)
        assert digits or replaced is None or equal(decode(replaced), decode(walked))
        assert references(walked).isdisjoint(absent)


@given(resources())
def test_every_reference_that_the_walk_would_change_is_found_by_the_scan(resource: dict[str, Any]) -> None:
    content = encode(resource)
    found = references(content)
    assert {t for t in TARGETS if module._walked(content, {t}, BASE) != module._walked(content, set(), BASE)} <= found


def test_the_form_that_maps_write_needs_no_parsing() -> None:
    performer = [
        {"reference": "Organization/o-1", "identifier": {"system": "s", "value": '机构 "一"'}, "display": "a}b"},
        {"reference": "Encounter/e7"},
    ]
    resource = {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/p1"}, "performer": performer, "n": Decimal("5.60")}
    content = encode(resource)
    absent = frozenset({("Patient", "p1"), ("Organization", "o-1")})
    assert Rewriter(BASE)._replaced(content, absent) == module._walked(content, absent, BASE)


def test_ids_of_digits_can_be_told_back() -> None:
    assert (upstream_id("123"), local_id("yifang-123")) == ("yifang-123", "123")
    assert (upstream_id("a1"), local_id("a1"), local_id("yifang-x")) == ("a1", "a1", "yifang-x")
    assert len(upstream_id("1" * 64)) <= 64
