"""Whatever stands in a ViewDefinition, it is a view or it is refused; whatever a view asks, it gives rows or a fault that names the element."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.views.definition import ViewError
from gateway.views.view import compile_view

VIEW: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "v",
    "resource": "Patient",
    "fhirVersion": ["4.0.1"],
    "constant": [{"name": "c", "valueString": "a"}],
    "where": [{"path": "active"}],
    "select": [
        {"column": [{"name": "id", "path": "id", "type": "id", "collection": False, "tag": [{"name": "ansi/type", "value": "VARCHAR"}]}]},
        {"forEachOrNull": "name", "select": [{"column": [{"name": "a", "path": "family"}]}]},
        {"repeat": ["link"], "unionAll": [{"column": [{"name": "b", "path": "type"}]}, {"column": [{"name": "b", "path": "%c"}]}]},
    ],
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "birthDate": "1958-03",
    "name": [{"family": "张", "given": ["三", "四"]}],
    "multipleBirthInteger": 2,
    "link": [{"type": "seealso", "other": {"reference": "Patient/q"}}],
}
TYPES = ["name", "System.", "System.Foo", "Patient.contact", "integer64"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(TYPES),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "path", "select", "column", "type"]), inner, max_size=2),
    max_leaves=4,
)
WORDS = (
    "name given family active birthDate id link other multipleBirth $this $index %rowIndex %resource ( ) [ ] { } . , | & + - "
    "* / = != < > ~ and or not() implies in contains is as first() where( exists() length() select( iif( matches( replace( "
    "substring( toInteger() lowBoundary( getReferenceKey( getResourceKey() join( ofType( Patient integer string 1 2.5 'a' '(' "
    "@2026 @T08 true %c 1 year div mod repeat( aggregate( $total extension( resolve()"
).split(" ")


def places(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside."""
    below = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [path, *(p for key, value in below for p in places(value, (*path, key)))]


def run(body: Any) -> None:
    """Compiles, and runs what compiles. Anything raised but ViewError fails the test."""
    try:
        view = compile_view(body)
        for row in view.rows(PATIENT):
            assert len(row) == len(view.columns)
    except ViewError as e:
        assert str(e)


@given(st.sampled_from(places(VIEW)[1:]), JSON)
@example(("fhirVersion",), 4)
@example(("select", 0, "column", 0, "type"), "System.")
def test_a_value_that_is_something_else(place: tuple[Any, ...], value: Any) -> None:
    body = copy.deepcopy(VIEW)
    holder: Any = body
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    run(body)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map("".join) | st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join))
@example("(" * 5000)
@example("name" + ".where(active)" * 3000)
@example("id.matches('(')")
@example("-name")
@example("name['a']")
def test_any_expression(path: str) -> None:
    run({"resource": "Patient", "select": [{"column": [{"name": "a", "path": path, "collection": True}]}]})
    run({"resource": "Patient", "where": [{"path": path}], "select": [{"forEach": path, "column": [{"name": "a", "path": "$this"}]}]})
