"""FHIRPath Patch, case by case as HL7's list of tests goes (https://hl7.org/fhir/R4/fhirpatch.html), and what it must refuse."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import Finding, Refused
from gateway.fhir.patch import apply_fhirpath_patch
from gateway.fhir.patch.steps import Step, parse_steps
from tests.fhir.patch.operations import operation, patch

Json = dict[str, Any]
NUMBERS = {n: {"system": "urn:x", "value": n} for n in ("1", "2", "3", "4")}
PHONE = {"system": "phone", "value": "13900000000"}


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient"} | elements


def identifiers(order: str) -> Json:
    return patient(identifier=[NUMBERS[n] for n in order])


def contact(**elements: Any) -> Json:
    return patient(contact=[elements])


def refused(resource: Json, *operations: Json) -> Finding:
    before = copy.deepcopy(resource)
    with pytest.raises(Refused) as caught:
        apply_fhirpath_patch(resource, patch(*operations))
    assert resource == before
    return caught.value.finding


NAME, MALE = {"text": "江岚"}, {"valueCode": "male"}
CASES: dict[str, tuple[Json, list[Json], Json]] = {
    "no difference": (patient(birthDate="1920"), [], patient(birthDate="1920")),
    "replace primitive": (
        patient(birthDate="1920"),
        [operation("replace", "Patient.birthDate", value={"valueDate": "1930"})],
        patient(birthDate="1930"),
    ),
    "delete primitive": (patient(birthDate="1920", active=True), [operation("delete", "Patient.birthDate")], patient(active=True)),
    "delete what is not there": (patient(active=True), [operation("delete", "Patient.birthDate")], patient(active=True)),
    "add primitive": (patient(), [operation("add", "Patient", "birthDate", {"valueDate": "1930"})], patient(birthDate="1930")),
    "replace nested primitive": (
        contact(name=NAME, gender="male"),
        [operation("replace", "Patient.contact[0].gender", value={"valueCode": "female"})],
        contact(name=NAME, gender="female"),
    ),
    "replace deeper nested primitive": (
        contact(name=NAME, gender="male"),
        [operation("replace", "Patient.contact[0].name.text", value={"valueString": "江河"})],
        contact(name={"text": "江河"}, gender="male"),
    ),
    "delete nested primitive": (contact(name=NAME, gender="male"), [operation("delete", "Patient.contact[0].gender")], contact(name=NAME)),
    "delete the last nested primitive": (
        contact(name=NAME, gender="male"),
        [operation("delete", "Patient.contact[0].name.text")],
        contact(gender="male"),
    ),
    "delete what leaves everything above empty": (contact(name=NAME), [operation("delete", "Patient.contact[0].name.text")], patient()),
    "add nested primitive": (contact(name=NAME), [operation("add", "Patient.contact[0]", "gender", MALE)], contact(name=NAME, gender="male")),
    "add complex": (
        patient(),
        [operation("add", "Patient", "maritalStatus", {"valueCodeableConcept": {"text": "已婚"}})],
        patient(maritalStatus={"text": "已婚"}),
    ),
    "replace complex": (
        patient(maritalStatus={"id": "1", "text": "已婚"}),
        [operation("replace", "Patient.maritalStatus", value={"valueCodeableConcept": {"id": "2", "text": "离异"}})],
        patient(maritalStatus={"id": "2", "text": "离异"}),
    ),
    "delete complex": (patient(maritalStatus={"text": "已婚"}), [operation("delete", "Patient.maritalStatus")], patient()),
    "add anonymous type": (patient(), [operation("add", "Patient", "contact", [{"name": "name", "valueHumanName": NAME}])], contact(name=NAME)),
    "add anonymous type with lists and parts": (
        patient(),
        [
            operation(
                "add",
                "Patient",
                "contact",
                [
                    {"name": "telecom", "valueContactPoint": PHONE},
                    {"name": "telecom", "valueContactPoint": {"value": "2"}},
                    {"name": "extension", "part": [{"name": "url", "valueUri": "urn:x"}, {"name": "value", "valueCode": "a"}]},
                    {"name": "gender", "valueCode": "male", "_valueCode": {"id": "g"}},
                ],
            )
        ],
        contact(telecom=[PHONE, {"value": "2"}], extension=[{"url": "urn:x", "valueCode": "a"}], gender="male", _gender={"id": "g"}),
    ),
    "delete anonymous type": (contact(name=NAME), [operation("delete", "Patient.contact[0]")], patient()),
    "list unchanged": (identifiers("12"), [], identifiers("12")),
    "list unchanged, contents changed": (
        identifiers("12"),
        [
            operation("replace", "Patient.identifier[0].value", value={"valueString": "2"}),
            operation("replace", "Patient.identifier[1].value", value={"valueString": "1"}),
        ],
        identifiers("21"),
    ),
    "add to list": (
        identifiers("12"),
        [operation("insert", "Patient.identifier", value={"valueIdentifier": NUMBERS["3"]}, index=2)],
        identifiers("123"),
    ),
    "append to list": (identifiers("12"), [operation("add", "Patient", "identifier", {"valueIdentifier": NUMBERS["3"]})], identifiers("123")),
    "insert in list": (
        identifiers("12"),
        [operation("insert", "Patient.identifier", value={"valueIdentifier": NUMBERS["3"]}, index=1)],
        identifiers("132"),
    ),
    "insert at the start": (
        identifiers("12"),
        [operation("insert", "Patient.identifier", value={"valueIdentifier": NUMBERS["3"]}, index=0)],
        identifiers("312"),
    ),
    "insert in a list that is not there": (
        patient(),
        [operation("insert", "Patient.identifier", value={"valueIdentifier": NUMBERS["1"]}, index=0)],
        identifiers("1"),
    ),
    "delete the first of a list": (identifiers("123"), [operation("delete", "Patient.identifier[0]")], identifiers("23")),
    "delete the middle of a list": (identifiers("123"), [operation("delete", "Patient.identifier[1]")], identifiers("13")),
    "delete the last of a list": (identifiers("123"), [operation("delete", "Patient.identifier[2]")], identifiers("12")),
    "reorder: 3 to 1": (identifiers("1234"), [operation("move", "Patient.identifier", source=3, destination=1)], identifiers("1423")),
    "reorder: 3 to 0": (identifiers("1234"), [operation("move", "Patient.identifier", source=3, destination=0)], identifiers("4123")),
    "reorder: 3 to 2": (identifiers("1234"), [operation("move", "Patient.identifier", source=3, destination=2)], identifiers("1243")),
    "reorder: 0 to 3": (identifiers("1234"), [operation("move", "Patient.identifier", source=0, destination=3)], identifiers("2341")),
    "reorder twice": (
        identifiers("1234"),
        [operation("move", "Patient.identifier", source=1, destination=0), operation("move", "Patient.identifier", source=2, destination=1)],
        identifiers("2314"),
    ),
    "delete and insert": (
        identifiers("123"),
        [operation("delete", "Patient.identifier[1]"), operation("insert", "Patient.identifier", value={"valueIdentifier": NUMBERS["4"]}, index=0)],
        identifiers("413"),
    ),
    "replace an item": (
        identifiers("123"),
        [operation("replace", "Patient.identifier[1]", value={"valueIdentifier": NUMBERS["4"]})],
        identifiers("143"),
    ),
    "replace the narrative": (
        patient(text={"status": "generated", "div": "a"}),
        [operation("replace", "Patient.text.div", value={"valueString": "b"})],
        patient(text={"status": "generated", "div": "b"}),
    ),
    "replace a choice by another type": (
        {"resourceType": "Observation", "valueString": "a"},
        [operation("replace", "Observation.value", value={"valueQuantity": {"value": Decimal("5.60")}})],
        {"resourceType": "Observation", "valueQuantity": {"value": Decimal("5.60")}},
    ),
    "add a choice": (
        {"resourceType": "Observation"},
        [operation("add", "Observation", "value", {"valueBoolean": False})],
        {"resourceType": "Observation", "valueBoolean": False},
    ),
    "a choice by its type": (
        {"resourceType": "Observation", "valueQuantity": {"value": 1, "unit": "a"}},
        [
            operation("delete", "(Observation.value as Quantity).unit"),
            operation("replace", "Observation.value.ofType(Quantity).value", value={"valueDecimal": 2}),
        ],
        {"resourceType": "Observation", "valueQuantity": {"value": 2}},
    ),
    "add a resource to contained": (
        patient(),
        [operation("add", "Patient", "contained", {"resource": {"resourceType": "Basic", "id": "b"}})],
        patient(contained=[{"resourceType": "Basic", "id": "b"}]),
    ),
    "inside a contained resource": (
        patient(contained=[{"resourceType": "Basic", "id": "b", "created": "2026"}]),
        [operation("replace", "Patient.contained.ofType(Basic).created", value={"valueDate": "2025"})],
        patient(contained=[{"resourceType": "Basic", "id": "b", "created": "2025"}]),
    ),
    "inside an entry": (
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Basic", "created": "2026"}}]},
        [operation("delete", "Bundle.entry[0].resource.created")],
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Basic"}}]},
    ),
    "a path without the type": (
        patient(birthDate="1920"),
        [operation("replace", "birthDate", value={"valueDate": "1930"})],
        patient(birthDate="1930"),
    ),
    "a path from Resource": (patient(language="zh"), [operation("delete", "Resource.language")], patient()),
}


@pytest.mark.parametrize("name", CASES)
def test_cases_of_the_specification(name: str) -> None:
    before, operations, after = CASES[name]
    unchanged = copy.deepcopy(before)
    assert apply_fhirpath_patch(before, patch(*operations)) == after
    assert before == unchanged


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("Patient.identifier.where(value = '2')", "134"),
        ("Patient.identifier.where(value='2' and system='urn:x')", "134"),
        ("Patient.identifier.where(value > '3')", "123"),
        ("Patient.identifier.where(value.startsWith('3') or value.endsWith('3'))", "124"),
        ("Patient.identifier.first()", "234"),
        ("Patient.identifier.last()", "123"),
        ("Patient.identifier.where(system = 'urn:x')[1]", "134"),
        ("Patient.identifier.where(system = 'urn:y')", "1234"),
        ("Patient.identifier.where(trace('a').value = '1')", None),
        ("Patient . identifier [ 0 ]", "234"),
        ("Patient.`identifier`[9]", "1234"),
    ],
)
def test_paths_select_as_fhirpath_does(path: str, left: str | None) -> None:
    if left is None:
        assert refused(identifiers("1234"), operation("delete", path)).code == "bad-patch"
    else:
        assert apply_fhirpath_patch(identifiers("1234"), patch(operation("delete", path))) == identifiers(left)


def test_criteria_see_choices_and_paths() -> None:
    found = patient(
        extension=[{"url": "urn:a", "valueCode": "x"}, {"url": "urn:a", "valueCode": "y"}], contact=[{"relationship": [{"coding": [{"code": "a"}]}]}]
    )
    kept = apply_fhirpath_patch(found, patch(operation("delete", "Patient.extension.where(value = 'x')")))
    assert kept["extension"] == [{"url": "urn:a", "valueCode": "y"}]
    named = operation("add", "Patient.contact.where(relationship.coding.exists(code = 'a'))", "gender", MALE)
    assert apply_fhirpath_patch(found, patch(named))["contact"][0]["gender"] == "male"


def test_extensions_by_url() -> None:
    found = patient(extension=[{"url": "urn:a", "valueCode": "x"}, {"url": "urn:b", "valueCode": "y"}])
    changed = apply_fhirpath_patch(found, patch(operation("replace", "Patient.extension('urn:b').value", value={"valueDecimal": Decimal("1.0")})))
    assert changed["extension"] == [{"url": "urn:a", "valueCode": "x"}, {"url": "urn:b", "valueDecimal": Decimal("1.0")}]
    assert str(changed["extension"][1]["valueDecimal"]) == "1.0"


def test_primitives_and_their_extensions_stay_together() -> None:
    extra = {"extension": [{"url": "urn:a", "valueCode": "x"}]}
    found = patient(birthDate="1920", _birthDate=extra, name=[{"given": ["a", None, "c"], "_given": [None, extra, {"id": "3"}]}])
    assert apply_fhirpath_patch(found, patch(operation("replace", "Patient.birthDate", value={"valueDate": "1930"})))["birthDate"] == "1930"
    assert "_birthDate" not in apply_fhirpath_patch(found, patch(operation("replace", "Patient.birthDate", value={"valueDate": "1930"})))
    gone = apply_fhirpath_patch(found, patch(operation("delete", "Patient.birthDate.extension[0]")))
    assert gone["birthDate"] == "1920" and "_birthDate" not in gone
    shorter = apply_fhirpath_patch(found, patch(operation("delete", "Patient.name[0].given[0]")))
    assert shorter["name"] == [{"given": [None, "c"], "_given": [extra, {"id": "3"}]}]
    moved = apply_fhirpath_patch(found, patch(operation("move", "Patient.name[0].given", source=2, destination=0)))
    assert moved["name"] == [{"given": ["c", "a", None], "_given": [{"id": "3"}, None, extra]}]
    longer = apply_fhirpath_patch(found, patch(operation("insert", "Patient.name[0].given", value={"valueString": "b"}, index=1)))
    assert longer["name"] == [{"given": ["a", "b", None, "c"], "_given": [None, None, extra, {"id": "3"}]}]
    bare = apply_fhirpath_patch(found, patch(operation("delete", "Patient.name.given[1].extension")))
    assert bare["name"] == [{"given": ["a", "c"], "_given": [None, {"id": "3"}]}]


def test_an_extension_is_added_to_a_primitive() -> None:
    given = [{"name": "url", "valueUri": "urn:a"}, {"name": "value", "valueCode": "x"}]
    extension = {"url": "urn:a", "valueCode": "x"}
    found = apply_fhirpath_patch(patient(birthDate="1920"), patch(operation("add", "Patient.birthDate", "extension", given)))
    assert found == patient(birthDate="1920", _birthDate={"extension": [extension]})
    found = apply_fhirpath_patch(patient(name=[{"given": ["a", "b"]}]), patch(operation("add", "Patient.name[0].given[1]", "extension", given)))
    assert found == patient(name=[{"given": ["a", "b"], "_given": [None, {"extension": [extension]}]}])


@pytest.mark.parametrize(
    ("resource", "wrong"),
    [
        (patient(birthDate="1920"), operation("add", "Patient", "birthDate", {"valueDate": "1930"})),
        (patient(deceasedBoolean=True), operation("add", "Patient", "deceased", {"valueDateTime": "2026"})),
        (patient(), operation("replace", "Patient.birthDate", value={"valueDate": "1930"})),
        (patient(), operation("add", "Patient", "colour", {"valueCode": "red"})),
        (patient(), operation("add", "Patient", "birthDate", {"valueHumanName": NAME})),
        (patient(), operation("add", "Patient", "name", {"valueString": "江岚"})),
        (patient(), operation("add", "Patient", "name", {"valueHumanName": "江岚"})),
        (patient(), operation("add", "Patient", "name", {"valueAddress": {"city": "清溪"}})),
        (patient(), operation("add", "Patient", "contact", {"valueHumanName": NAME})),
        (patient(), operation("add", "Patient", "contact", [{"name": "colour", "valueCode": "red"}])),
        (patient(), operation("add", "Patient", "contact", [{"name": "gender", "valueCode": "male"}, {"name": "gender", "valueCode": "male"}])),
        (patient(), operation("add", "Patient", "deceased", {"valueQuantity": {"value": 1}})),
        (patient(), operation("add", "Patient", "contained", {"valueString": "a"})),
        (patient(), operation("add", "Patient", "active", {"valueString": "true"})),
        (patient(name=[NAME]), operation("replace", "Patient.name.text", value={"valueBoolean": True})),
        (patient(name=[NAME | {"id": "n"}]), operation("add", "Patient.name.id", "extension", [{"name": "url", "valueUri": "urn:x"}])),
        (patient(name=[NAME]), operation("add", "Patient.name", "id", {"valueString": "n", "_valueString": {"id": "x"}})),
        (patient(), operation("add", "Patient.contact[0]", "gender", MALE)),
        (patient(name=[NAME, NAME]), operation("delete", "Patient.name")),
        (patient(name=[NAME, NAME]), operation("delete", "Patient.name.single()")),
        (patient(name=[NAME, NAME]), operation("replace", "Patient.name.text", value={"valueString": "a"})),
        (patient(), operation("delete", "Patient")),
        (patient(), operation("delete", "Patient.colour")),
        (patient(), operation("delete", "Observation.status")),
        (patient(), operation("replace", "Patient", value={"valueString": "a"})),
        (identifiers("12"), operation("insert", "Patient.identifier", value={"valueIdentifier": NUMBERS["3"]}, index=3)),
        (patient(), operation("insert", "Patient.birthDate", value={"valueDate": "1930"}, index=0)),
        (identifiers("12"), operation("move", "Patient.identifier", source=2, destination=0)),
        (identifiers("12"), operation("move", "Patient.identifier", source=0, destination=2)),
        (patient(active=True), operation("move", "Patient.active", source=0, destination=0)),
        (identifiers("12"), operation("delete", "Patient.identifier.where(nothing())")),
        (patient(id="1"), operation("replace", "Patient.id", value={"valueId": "2"})),
        (patient(id="1"), operation("delete", "Patient.id")),
    ],
)
def test_an_operation_that_cannot_be_done_fails_and_changes_nothing(resource: Json, wrong: Json) -> None:
    finding = refused(resource, wrong)
    assert finding.code == "patch-failed" and finding.severity == "refuse"


def test_the_failing_operation_is_named() -> None:
    finding = refused(patient(), operation("add", "Patient", "active", {"valueBoolean": True}), operation("replace", "Patient.gender", value=MALE))
    assert (finding.source, finding.target) == ("operation 2", "Patient.gender")
    assert finding.message.startswith("第 2 个操作 (replace Patient.gender): ")


@pytest.mark.parametrize(
    "parameters",
    [
        [],
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": {}},
        {"resourceType": "Parameters", "parameter": ["a"]},
        {"resourceType": "Parameters", "parameter": [{"name": "op", "part": []}]},
        {"resourceType": "Parameters", "parameter": [{"name": "operation"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [1]}]},
        patch({"name": "operation", "part": [{"name": "type", "valueCode": "delete"}]}),
        patch({"name": "operation", "part": [{"name": "type", "valueInteger": 1}]}),
        patch({"name": "operation", "part": [{"name": ["type"], "valueCode": "delete"}]}),
        patch(operation("erase", "Patient.name")),
        patch(operation("delete", "")),
        patch(operation("add", "Patient", "name")),
        patch(operation("add", "Patient", "name", {"valueString": "a", "valueCode": "b"})),
        patch(operation("add", "Patient", "name", {"valueHuman": "a"})),
        patch(operation("add", "Patient", "contact", [])),
        patch(operation("add", "Patient", "contact", [{"valueCode": "a"}])),
        patch(operation("insert", "Patient.name", value={"valueHumanName": NAME})),
        patch(operation("insert", "Patient.name[0]", value={"valueHumanName": NAME}, index=0)),
        patch(operation("insert", "Patient.name", value={"valueHumanName": NAME}, index=-1)),
        patch(operation("move", "Patient.name", source=0)),
        patch({"name": "operation", "part": [*operation("delete", "Patient.name")["part"], {"name": "type", "valueCode": "delete"}]}),
        *[
            patch(operation("delete", p))
            for p in (
                "Patient.name.",
                ".name",
                "Patient..name",
                "Patient.name[",
                "Patient.name[-1]",
                "Patient.name.where(",
                "Patient.name.where()",
                "Patient.name.where(use = )",
                "Patient.name.where(use = 'a' or)",
                "Patient.name.where(use = 'official' usual)",
                "Patient.name.where(use ==== 'a')",
                "Patient.name.where(#)",
                "Patient.generalPractitioner.resolve()",
                "Patient.name.where(resolve().exists())",
                "Patient.name | Patient.contact",
                "%resource.name",
                "(Patient.name",
                "Patient.name)",
                "(Patient.deceased as",
                "'a'",
                "first()",
                "Patient." + "name." * 1000 + "text",
            )
        ],
    ],
)
def test_what_is_no_fhirpath_patch_is_refused_as_such(parameters: Any) -> None:
    with pytest.raises(Refused) as caught:
        apply_fhirpath_patch(patient(name=[NAME]), parameters)
    assert caught.value.finding.code == "bad-patch"


def test_later_operations_see_what_earlier_ones_did_and_share_nothing_with_the_patch() -> None:
    adding = operation("add", "Patient", "name", {"valueHumanName": {"given": ["a"]}})
    sent = patch(adding, operation("insert", "Patient.name[0].given", value={"valueString": "b"}, index=1), adding)
    kept = copy.deepcopy(sent)
    assert apply_fhirpath_patch(patient(), sent) == patient(name=[{"given": ["a", "b"]}, {"given": ["a"]}])
    assert sent == kept


def test_steps_of_a_path() -> None:
    assert parse_steps("(A.b as C).d.where(e = ')' and f(\"x\").g('\\'')).extension('urn:x').last()") == (
        Step("member", "A"),
        Step("member", "b"),
        Step("type", "C"),
        Step("member", "d"),
        Step("where", "e = ')' and f(\"x\").g('\\'')"),
        Step("extension", "urn:x"),
        Step("last"),
    )
