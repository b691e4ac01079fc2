"""FHIRPath as invariants use it (http://hl7.org/fhirpath/N1/)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.fhir.shape import type_shape
from gateway.validation.definitions import shipped
from gateway.validation.fhirpath.compile import compiled, environment, is_true
from gateway.validation.fhirpath.items import plain
from gateway.validation.fhirpath.scope import PathTypeError
from gateway.validation.fhirpath.syntax import PathSyntaxError, parse
from gateway.validation.presence import quick

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "name": [{"use": "official", "family": "张", "given": ["三", "小三"]}, {"use": "nickname", "given": ["阿三"]}],
    "_birthDate": {"extension": [{"url": "http://x.org/e", "valueString": "secret"}]},
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "contained": [{"resourceType": "Organization", "id": "o", "name": "县医院"}],
    "managingOrganization": {"reference": "#o"},
}


def value(expression: str, resource: dict[str, Any] = PATIENT) -> list[Any]:
    """What an expression gives for a resource."""
    env = environment(resource)
    return [plain(v) for v, _ in compiled(expression)(env.resource, env)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("name.given", ["三", "小三", "阿三"]),
        ("Patient.name.family", ["张"]),
        ("name.where(use = 'nickname').given", ["阿三"]),
        ("name.given.count() + 1", [4]),
        ("name[1].use", ["nickname"]),
        ("name.first().given.last()", ["小三"]),
        ("multipleBirth is integer", [True]),
        ("multipleBirth as boolean", []),
        ("deceased = false", [True]),
        ("active and deceased", [False]),
        ("{} and false", [False]),
        ("{} or true", [True]),
        ("false implies {}", [True]),
        ("{} = 1", []),
        ("birthDate.exists()", [True]),
        ("birthDate.hasValue()", [False]),
        ("birthDate.extension('http://x.org/e').value", ["secret"]),
        ("name.select(use & '!')", ["official!", "nickname!"]),
        ("name.given.isDistinct()", [True]),
        ("'a' in ('a' | 'b')", [True]),
        ("'abc'.substring(1)", ["bc"]),
        ("'2026-05' .matches('[0-9]{4}-[0-9]{2}')", [True]),
        ("@2026-05-01 < @2026-05-02", [True]),
        ("@2026 < @2026-05-02", []),
        ("1.5 * 2 = 3", [True]),
        ("7 mod 2 + 7 div 2", [4]),
        ("iif(active, 'on', 'off')", ["on"]),
        ("contained.is(Organization)", [True]),
        ("contained.ofType(Organization).name", ["县医院"]),
        ("descendants().where(reference = '#o').exists()", [True]),
        ("%resource.id = %rootResource.id", [True]),
        ("name.all(given.exists())", [True]),
        ("%`vs-administrative-gender`", ["http://hl7.org/fhir/ValueSet/administrative-gender"]),
        ("name.repeat(given).count()", [3]),
        ("(1 | 2 | 2).count()", [2]),
        ("-1 + 2", [1]),
    ],
)
def test_an_expression_gives(expression: str, expected: list[Any]) -> None:
    assert value(expression) == expected


def test_decimals_are_exact() -> None:
    assert value("0.1 + 0.2 = 0.3") == [True]
    assert value("5.0 / 2") == [Decimal("2.5")]


@pytest.mark.parametrize("text", ["name.", "name.where(", "1 +", "a b", "'open", "%"])
def test_what_is_no_fhirpath_is_refused(text: str) -> None:
    with pytest.raises(PathSyntaxError):
        parse(text)


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(PathTypeError, match="banana"):
        compiled("name.banana()")


def test_every_invariant_of_r4_compiles() -> None:
    rows = [c for path in shipped().invariant_paths() for c in shipped().invariants(path)]
    assert len(rows) > 200
    for constraint in rows:
        if constraint.key not in ("txt-1", "txt-2"):
            compiled(constraint.expression)


OBJECTS: list[dict[str, Any]] = [
    {},
    {"status": "final"},
    {"status": "registered", "valueString": "x"},
    {"dataAbsentReason": {"text": "x"}, "valueQuantity": {"value": 1}},
    {"_status": {"id": "a"}, "dataAbsentReason": {"text": "x"}},
]


@pytest.mark.parametrize("value", OBJECTS, ids=str)
@pytest.mark.parametrize(
    "expression",
    [
        "dataAbsentReason.empty() or value.empty()",
        "value.exists() and status = 'final'",
        "status != 'final' implies dataAbsentReason.exists()",
        "value.exists() xor dataAbsentReason.exists()",
        "(value.exists() and value.empty()).not()",
        "Observation.status.exists()",
        "dataAbsentReason.text.exists()",
        "status.startsWith('fin')",
        "status.contains('gist').not() or value.exists()",
    ],
)
def test_a_look_up_answers_as_fhirpath_does(expression: str, value: dict[str, Any]) -> None:
    shape = type_shape("Observation")
    test = quick(expression, shape)
    resource = {"resourceType": "Observation", **value}
    env = environment(resource)
    assert bool(test(resource)) is is_true(compiled(expression)(env.resource, env))
