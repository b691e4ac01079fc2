"""What is R4 passes, what is not is told with its place (https://hl7.org/fhir/R4/validation.html)."""

from __future__ import annotations

import contextlib
import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.fhir import json, xml
from gateway.fhir.primitives import EXPECTED, fits
from gateway.fhir.structure import LIMIT, check
from tests.fhir.generated import PRIMITIVES, resources

ROOT = Path(__file__).resolve().parents[2]
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "收缩压"}}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
SLOW = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


def found(resource: dict[str, Any]) -> list[tuple[str, str]]:
    """(code, target) of each finding."""
    return [(f.code, f.target) for f in check(resource)]


def of(inside: dict[str, Any]) -> list[tuple[str, str]]:
    """What is found in a Patient with these elements."""
    return found({"resourceType": "Patient"} | inside)


@given(resources())
@SLOW
@pytest.mark.slow
def test_what_the_table_allows_passes(resource: dict[str, Any]) -> None:
    assert [f for f in check(resource) if f.severity != "note"] == []


def objects(value: Any) -> list[dict[str, Any]]:
    """Every object in a value."""
    if isinstance(value, dict):
        return [value, *(o for v in value.values() for o in objects(v))]
    return [o for v in value for o in objects(v)] if isinstance(value, list) else []


@given(resources(), st.data())
@SLOW
@pytest.mark.slow
def test_an_unknown_element_is_found_wherever_it_stands(resource: dict[str, Any], data: st.DataObject) -> None:
    data.draw(st.sampled_from(objects(resource)))["colour"] = "red"
    codes = [(code, target) for code, target in found(resource) if code == "unknown-element"]
    assert len(codes) == 1 and codes[0][1].endswith(".colour") and codes[0][1].startswith(resource["resourceType"])


@given(resources(), st.data())
@SLOW
@pytest.mark.slow
def test_an_empty_object_or_list_is_found_wherever_it_stands(resource: dict[str, Any], data: st.DataObject) -> None:
    holder = data.draw(st.sampled_from(objects(resource)))
    name = data.draw(st.sampled_from([n for n in holder if n != "resourceType"] or ["extension"]))
    holder[name] = data.draw(st.sampled_from([{}, [], None, [[]]]))
    assert [f for f in check(resource) if f.severity == "refuse"]


JUNK: list[Any] = [
    *(None, True, -1, 2**70, Decimal("NaN"), "", "x", "\x00", "\ufffe", "<div>", [], {}, [None], [[]], [{}], ["a"], {"resourceType": "Patient"}),
    *(
        {"resourceType": []},
        {"id": {}},
        [{"resourceType": "Basic", "id": []}],
        {"extension": 5},
        {"reference": "#x"},
        {"reference": 5},
        {"coding": "a"},
    ),
]


@given(resources(), st.data())
@SLOW
@pytest.mark.slow
def test_junk_is_judged_without_stumbling_and_what_passes_survives_xml(resource: dict[str, Any], data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        holder = data.draw(st.sampled_from(objects(resource)))
        name = data.draw(st.sampled_from([*holder, *(f"_{n}" for n in holder), "extension", "contained", "id", "url", "text", "colour"]))
        holder[name] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    if any(f.severity == "refuse" for f in check(resource)):
        with contextlib.suppress(Refused):  # what XML cannot carry is refused, never a bug
            xml.encode(resource)
    else:
        assert xml.decode(xml.encode(resource)) == resource


@pytest.mark.parametrize("path", sorted(ROOT.glob("mappings/*/*/examples/*.out.json")), ids=lambda p: p.stem)
def test_what_the_maps_write_passes(path: Path) -> None:
    assert check(json.decode(path.read_bytes()), "Bundle") == []


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ({"colour": "red"}, [("unknown-element", "Patient.colour")]),
        ({"name": [{"nick": "a"}]}, [("unknown-element", "Patient.name[0].nick")]),
        ({"_name": [{"id": "1"}]}, [("unknown-element", "Patient._name")]),
        ({"deceasedString": "a"}, [("unknown-element", "Patient.deceasedString")]),
        ({"deceased[x]": True}, [("unknown-element", "Patient.deceased[x]")]),
        ({"name": {"text": "a"}}, [("wrong-shape", "Patient.name")]),
        ({"name": ["a"]}, [("wrong-shape", "Patient.name[0]")]),
        ({"name": [None]}, [("wrong-shape", "Patient.name[0]")]),
        ({"name": []}, [("wrong-cardinality", "Patient.name")]),
        ({"name": [{}]}, [("missing-element", "Patient.name[0]")]),
        ({"name": [{"given": ["a", None]}]}, [("wrong-shape", "Patient.name[0].given[1]")]),
        ({"name": [{"given": ["a", 1]}]}, [("wrong-shape", "Patient.name[0].given[1]")]),
        ({"name": [{"given": "a"}]}, [("wrong-shape", "Patient.name[0].given")]),
        ({"birthDate": ["1960"]}, [("wrong-shape", "Patient.birthDate")]),
        ({"birthDate": None}, [("wrong-shape", "Patient.birthDate")]),
        ({"birthDate": "1960-02-30"}, [("bad-value", "Patient.birthDate")]),
        ({"birthDate": "1960-2-3"}, [("bad-value", "Patient.birthDate")]),
        ({"birthDate": ""}, [("bad-value", "Patient.birthDate")]),
        ({"active": "true"}, [("wrong-shape", "Patient.active")]),
        ({"active": 1}, [("wrong-shape", "Patient.active")]),
        ({"multipleBirthInteger": True}, [("wrong-shape", "Patient.multipleBirth.ofType(integer)")]),
        ({"multipleBirthInteger": Decimal("1.0")}, [("wrong-shape", "Patient.multipleBirth.ofType(integer)")]),
        ({"multipleBirthInteger": 2**31}, [("bad-value", "Patient.multipleBirth.ofType(integer)")]),
        ({"gender": "女"}, [("code-not-allowed", "Patient.gender")]),
        ({"id": "a b"}, [("bad-value", "Patient.id")]),
        ({"deceasedBoolean": True, "deceasedDateTime": "2026"}, [("wrong-cardinality", "Patient")]),
        ({"communication": [{"preferred": True}]}, [("missing-element", "Patient.communication[0].language")]),
        ({"contained": [{"resourceType": "Shoe"}]}, [("unknown-type", "Patient.contained[0].resourceType")]),
        ({"contained": [{"resourceType": "Patient", "colour": 1}]}, [("unknown-element", "Patient.contained[0].colour")]),
        (
            {"contained": [{"resourceType": "Patient", "contained": []}]},
            [("wrong-cardinality", "Patient.contained[0].contained"), ("wrong-shape", "Patient.contained[0].contained")],
        ),
        ({"extension": [{"valueCode": "a"}]}, [("missing-element", "Patient.extension[0].url")]),
        ({"extension": [{"url": "urn:x"}]}, [("missing-element", "Patient.extension[0]")]),
        (
            {"extension": [{"url": "urn:x", "valueCode": "a", "extension": [{"url": "urn:y", "valueCode": "b"}]}]},
            [("wrong-cardinality", "Patient.extension[0]")],
        ),
        ({"extension": [{"_url": {"id": "a"}, "url": "urn:x", "valueCode": "a"}]}, [("unknown-element", "Patient.extension[0]._url")]),
        ({"resourceType": "Shoe"}, [("unknown-type", "Resource.resourceType")]),
        ({"resourceType": "DomainResource"}, [("unknown-type", "Resource.resourceType")]),
    ],
)
def test_what_r4_does_not_allow_is_found_with_its_place(inside: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert of(inside) == expected


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ({"given": [None, "b"], "_given": [{"id": "1"}, None]}, []),
        ({"_given": [{"id": "1"}, {"id": "2"}]}, []),
        ({"_given": [{"id": "1"}, None]}, [("wrong-shape", "Patient.name[0].given[1]")]),
        ({"given": ["a"], "_given": [{"id": "1"}, {"id": "2"}]}, [("wrong-shape", "Patient.name[0].given")]),
        ({"given": [None], "_given": [None]}, [("wrong-shape", "Patient.name[0].given[0]")]),
        ({"given": ["a"], "_given": {"id": "1"}}, [("wrong-shape", "Patient.name[0].given")]),
        ({"given": ["a"], "_given": [{"colour": "1"}]}, [("unknown-element", "Patient.name[0].given[0].colour")]),
        ({"family": "a", "_family": {"extension": [{"url": "urn:x"}]}}, [("missing-element", "Patient.name[0].family.extension[0]")]),
        ({"_family": {}}, [("missing-element", "Patient.name[0].family")]),
    ],
)
def test_extensions_of_primitives_stand_beside_their_values(inside: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert of({"name": [inside]}) == expected


def test_required_elements_may_be_extensions_alone() -> None:
    absent = {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}
    assert found({k: v for k, v in OBSERVATION.items() if k != "status"}) == [("missing-element", "Observation.status")]
    assert found({k: v for k, v in OBSERVATION.items() if k != "status"} | {"_status": absent}) == []


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Patient/1"}, []),
        ({"reference": "Patient/1/_history/2"}, []),
        ({"reference": "https://example.org/fhir/Patient/1"}, []),
        ({"reference": "https://example.org/person?id=1"}, []),
        ({"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}, []),
        ({"reference": "Patient?identifier=urn:x|1"}, []),
        ({"identifier": {"value": "1"}, "type": "Patient"}, []),
        ({"display": "江岚"}, []),
        ({"reference": "#p"}, []),
        ({"reference": "#"}, []),
        ({"reference": "#q"}, [("unresolved-fragment", "Observation.subject.reference")]),
        ({"reference": "Shoe/1"}, [("bad-reference", "Observation.subject.reference")]),
        ({"reference": "Shoe?size=1"}, [("bad-reference", "Observation.subject.reference")]),
        ({"reference": "江岚"}, [("bad-reference", "Observation.subject.reference")]),
        ({"reference": "Patient/a_b"}, [("bad-reference", "Observation.subject.reference")]),
        ({"reference": ""}, [("bad-value", "Observation.subject.reference")]),
        ({"reference": "Patient/1", "type": "Group"}, [("bad-reference", "Observation.subject.type")]),
        ({"reference": "Account/1"}, [("bad-reference", "Observation.subject.reference")]),
        ({"reference": "https://example.org/fhir/Account/1"}, [("bad-reference", "Observation.subject.reference")]),
        ({"identifier": {"value": "1"}, "type": "Account"}, [("bad-reference", "Observation.subject.type")]),
    ],
)
def test_references_name_what_they_may(reference: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    contained = [{"resourceType": "Patient", "id": "p"}]
    assert found(OBSERVATION | {"contained": contained, "subject": reference}) == expected


def test_a_reference_to_another_type_than_r4_names_is_remarked_and_kept() -> None:
    wrong = check(OBSERVATION | {"subject": {"reference": "Account/1"}})
    assert [(f.severity, f.target) for f in wrong] == [("note", "Observation.subject.reference")]
    assert "Device、Group、Location、Patient" in wrong[0].message


def test_fragments_of_a_bundle_are_looked_for_in_their_own_resource() -> None:
    inner = OBSERVATION | {"subject": {"reference": "#p"}}
    whole = inner | {"contained": [{"resourceType": "Patient", "id": "p"}]}
    entries = [{"resource": whole}, {"resource": inner}]
    assert found({"resourceType": "Bundle", "type": "collection", "entry": entries}) == [
        ("unresolved-fragment", "Bundle.entry[1].resource.subject.reference")
    ]


def test_a_required_concept_has_a_code_of_its_list() -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    assert found(condition | {"clinicalStatus": {"coding": [{"system": "urn:x", "code": "1"}, {"system": system, "code": "active"}]}}) == []
    for concept in ({"coding": [{"system": "urn:x", "code": "active"}]}, {"text": "active"}, {"coding": [{"system": system, "code": "Active"}]}):
        assert found(condition | {"clinicalStatus": concept}) == [("code-not-allowed", "Condition.clinicalStatus.coding")]


@pytest.mark.parametrize(
    ("inner", "severities"),
    [
        ("a<br/>&#160;<b>c</b>", []),
        ('<img src="#x"/>', []),
        ("a turn on = off", []),
        ("<blink>a</blink>", ["note"]),
        ("", ["note"]),
        ("<script>a</script>", ["refuse"]),
        ("<p onclick='x'>a</p>", ["refuse"]),
        ("<a href='java&#115;cript:x'>a</a>", ["refuse"]),
        ("<form>a</form>", ["refuse"]),
        ("a&nbsp;b", ["refuse"]),
        ("<p>a", ["refuse"]),
    ],
)
def test_the_narrative_is_harmless_xhtml(inner: str, severities: list[str]) -> None:
    findings = check({"resourceType": "Patient", "text": {"status": "generated", "div": DIV.format(inner)}})
    assert [f.severity for f in findings] == severities
    assert all(f.code == "bad-narrative" and f.target == "Patient.text.div" for f in findings)


def test_a_narrative_names_its_namespace() -> None:
    assert of({"text": {"status": "generated", "div": "<div>a</div>"}}) == [("bad-narrative", "Patient.text.div")]
    assert of({"text": {"status": "generated", "div": 1}}) == [("wrong-shape", "Patient.text.div")]


def test_the_type_is_the_one_that_was_asked_for() -> None:
    (finding,) = check(OBSERVATION, "Patient")
    assert (finding.code, finding.target) == ("wrong-type", "Patient.resourceType")
    assert check(OBSERVATION, "Observation") == []
    assert [f.code for f in check([])] == ["wrong-shape"]
    assert [f.code for f in check({})] == ["unknown-type"]
    assert [f.code for f in check({"resourceType": ["Patient"]})] == ["unknown-type"]


def test_many_faults_are_told_up_to_a_limit_and_endless_nesting_once() -> None:
    assert len(check({"resourceType": "Patient", "name": [{"nick": "a"}] * (LIMIT + 1)})) == LIMIT
    endless: dict[str, Any] = {"url": "urn:x", "valueCode": "a"}
    for _ in range(5000):
        endless = {"url": "urn:x", "extension": [endless]}
    assert of({"extension": [endless]}) == [("too-deep", "Patient")]


def test_a_message_says_where_what_and_what_was_expected() -> None:
    (finding,) = check(OBSERVATION | {"status": "完成"})
    assert finding.message.startswith("Observation.status: “完成”") and "final" in finding.message
    assert finding.severity == "refuse"


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("date", ["2026", "2026-02", "2024-02-29"], ["2026-02-29", "26", "2026-13", "2026-02-28T08:00:00Z", "0000"]),
        (
            "dateTime",
            ["2026-02-28T23:59:59.123+08:00", "2026"],
            ["2026-02-28T08:30", "2026-02-28T08:30:00", "2026-02-30T08:30:00Z", "2026-02-28 08:30:00Z"],
        ),
        ("instant", ["2026-02-28T08:30:00Z"], ["2026-02-28", "2026-02-28T08:30:00", "2026-02-28T08:30:00+15:00"]),
        ("time", ["08:30:00", "23:59:59.999"], ["24:00:00", "08:30", "8:30:00"]),
        ("code", ["a", "a b", "收"], [" a", "a  b", "", "a\x00"]),
        ("id", ["a.-1", "A" * 64], ["a_b", "A" * 65, "", "收"]),
        ("uri", ["urn:x", "江"], ["a b", "", "a\x01"]),
        ("oid", ["urn:oid:1.2.3"], ["1.2.3", "urn:oid:3.1", "urn:oid:1.02"]),
        ("uuid", ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"], ["c757873d-ec9a-4326-a141-556f43239520"]),
        ("base64Binary", ["AAAA", "AA\nAA", "YQ=="], ["A", "%%%2@", "YQ=", "AA==AA", ""]),
        ("string", ["a", "收缩压\u3000\u00a0 mmHg", "a\tb\n"], ["", "a\x00", "\x0b", "\ufffe", "\ud800", "a" * (1024 * 1024 + 1)]),
        ("markdown", ["# a"], ["", "\x1b"]),
        ("positiveInt", [1], [0, -1, 2**31]),
        ("unsignedInt", [0], [-1]),
        ("integer", [-(2**31)], [-(2**31) - 1]),
        ("decimal", [1, Decimal("5.60")], [Decimal("NaN"), Decimal("Infinity")]),
    ],
)
def test_formats_of_primitives(type_: str, good: list[Any], bad: list[Any]) -> None:
    assert [v for v in good if not fits(type_)(v)] == []
    assert [v for v in bad if fits(type_)(v)] == []


def test_every_primitive_can_be_told_to_a_person() -> None:
    assert EXPECTED.keys() == PRIMITIVES.keys() - {"boolean", "xhtml"}


def test_base64_of_a_megabyte_is_quick() -> None:
    assert not fits("base64Binary")("A " * 500_000 + "%")
