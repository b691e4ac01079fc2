"""Ways to break an invariant, a slice or a narrative; each returns whether it could be done to the resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Break = Callable[[Json], bool]

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
NARRATIVES = (
    f"<div {XHTML}><script>alert(1)</script></div>",
    f'<div {XHTML}><p onclick="run()">x</p></div>',
    f"<div {XHTML}><p>not closed</div>",
    "<div><p>no namespace</p></div>",
    f"<div {XHTML}></div>",
    f"<div {XHTML}>   </div>",
    f'<div {XHTML}><form action="x"><input/></form></div>',
    f"<p {XHTML}>no div</p>",
    f"<div {XHTML}><banana>x</banana></div>",
    f'<div {XHTML}><iframe src="http://example.org"/></div>',
    f"<div {XHTML}>&unknown;</div>",
    f'<div {XHTML}><p banana="x">x</p></div>',
    "just text",
)


def put(**elements: Any) -> Break:
    """Sets elements of the resource, whatever stood there."""

    def change(resource: Json) -> bool:
        resource.update(elements)
        return True

    return change


def drop(*names: str, needs: str = "") -> Break:
    """Takes elements away; only where `needs` is there."""

    def change(resource: Json) -> bool:
        if needs and needs not in resource:
            return False
        found = [resource.pop(n) for n in names if n in resource]
        return bool(found)

    return change


def both(*breaks: Break) -> Break:
    """One after the other."""
    return lambda resource: [b(resource) for b in breaks] == [True] * len(breaks)


PERIOD = {"start": "2026-05-02", "end": "2026-05-01"}
UNSYSTEMATIC = {"value": 1, "code": "mg"}
LOINC = "http://loinc.org"

INVARIANTS: list[tuple[str, Break]] = [
    ("Patient", put(contact=[{"gender": "male"}])),
    ("Patient", put(telecom=[{"value": "123"}])),
    ("Patient", put(identifier=[{"value": "1", "period": PERIOD}])),
    ("Patient", put(photo=[{"data": "aGVsbG8="}])),
    ("Practitioner", put(telecom=[{"value": "123", "use": "work"}])),
    ("Practitioner", put(qualification=[{"code": {"text": "x"}, "period": PERIOD}])),
    ("Organization", drop("identifier", "name")),
    ("Organization", put(address=[{"use": "home", "text": "x"}])),
    ("Organization", put(telecom=[{"use": "home", "system": "phone", "value": "1"}])),
    ("Observation", put(referenceRange=[{"type": {"text": "x"}}])),
    ("Observation", both(put(dataAbsentReason={"text": "x"}), lambda r: any(k.startswith("value") for k in r))),
    ("Observation", put(component=[{"code": {"text": "x"}, "referenceRange": [{"age": {}}]}])),
    ("Condition", both(put(abatementDateTime="2026-01-01"), drop("clinicalStatus"))),
    ("Condition", put(stage=[{"type": {"text": "x"}}])),
    ("Condition", put(evidence=[{"id": "e1"}])),
    ("AllergyIntolerance", drop("clinicalStatus")),
    ("Appointment", drop("end", needs="start")),
    ("Appointment", put(participant=[{"status": "accepted"}])),
    ("AppointmentResponse", drop("participantType", "actor")),
    ("AuditEvent", put(entity=[{"name": "x", "query": "aGVsbG8="}])),
    ("CarePlan", put(activity=[{"reference": {"display": "x"}, "detail": {"status": "scheduled"}}])),
    ("Composition", put(section=[{"title": "empty"}])),
    ("Consent", drop("policy", "policyRule")),
    ("Encounter", put(period=PERIOD)),
    ("EpisodeOfCare", put(period=PERIOD)),
    ("FamilyMemberHistory", put(ageString="x", bornString="y")),
    ("Goal", put(target=[{"detailString": "x"}])),
    ("Group", put(actual=False, member=[{"entity": {"display": "x"}}])),
    ("Immunization", put(education=[{"publicationDate": "2026"}])),
    ("List", put(emptyReason={"text": "x"}, entry=[{"item": {"display": "x"}}])),
    ("List", put(mode="snapshot", entry=[{"item": {"display": "x"}, "deleted": True}])),
    ("MedicationAdministration", put(dosage={"text": "x"})),
    ("MedicationDispense", put(whenPrepared="2026-05-02T08:00:00Z", whenHandedOver="2026-05-01T08:00:00Z")),
    ("MedicationRequest", put(dosageInstruction=[{"timing": {"repeat": {"duration": 1}}}])),
    ("MedicationRequest", put(dosageInstruction=[{"timing": {"repeat": {"period": 1}}}])),
    ("MedicationRequest", put(dosageInstruction=[{"timing": {"repeat": {"when": ["AC"], "timeOfDay": ["08:00:00"]}}}])),
    ("MedicationRequest", put(dosageInstruction=[{"doseAndRate": [{"doseQuantity": UNSYSTEMATIC}]}])),
    ("NamingSystem", put(kind="root", uniqueId=[{"type": "uuid", "value": "x"}])),
    ("Provenance", put(occurredPeriod=PERIOD)),
    ("Questionnaire", put(item=[{"linkId": "1", "type": "group"}])),
    ("Questionnaire", put(item=[{"linkId": "1", "type": "display", "required": True}])),
    ("Questionnaire", put(item=[{"linkId": "1", "type": "string"}, {"linkId": "1", "type": "string"}])),
    ("Questionnaire", put(item=[{"linkId": "1", "type": "choice", "answerValueSet": "http://x.org/v", "answerOption": [{"valueString": "x"}]}])),
    ("QuestionnaireResponse", put(item=[{"linkId": "1", "answer": [{"valueString": "x"}], "item": [{"linkId": "2"}]}])),
    ("RiskAssessment", put(prediction=[{"probabilityDecimal": 101}])),
    ("ServiceRequest", both(put(orderDetail=[{"text": "x"}]), drop("code"))),
    ("Specimen", put(receivedTime="2026-01-01", collection={"quantity": UNSYSTEMATIC})),
    ("StructureDefinition", both(drop("snapshot"), drop("differential"))),
    ("StructureDefinition", put(mapping=[{"identity": "x"}])),
    ("Task", put(authoredOn="2026-05-02T08:00:00Z", lastModified="2026-05-01T08:00:00Z")),
    ("ValueSet", put(compose={"include": [{"version": "1"}]})),
    (
        "ValueSet",
        put(compose={"include": [{"system": "http://x.org/s", "concept": [{"code": "a"}], "filter": [{"property": "p", "op": "=", "value": "v"}]}]}),
    ),
    ("CodeSystem", put(concept=[{"code": "a"}, {"code": "a"}])),
    ("ConceptMap", put(group=[{"element": [{"code": "a", "target": [{"code": "b", "equivalence": "narrower"}]}]}])),
    ("CapabilityStatement", drop("rest", "messaging", "document")),
    ("OperationDefinition", put(parameter=[{"name": "x", "use": "in", "min": 0, "max": "1"}])),
    ("SearchParameter", put(chain=["x"], type="token")),
    ("TestScript", put(variable=[{"name": "x", "expression": "a", "headerField": "b", "path": "c"}])),
    ("Parameters", put(parameter=[{"name": "x"}])),
    ("Bundle", put(total=1, type="collection")),
    ("Linkage", put(item=[{"type": "source", "resource": {"display": "x"}}])),
    ("", put(meta={"extension": [{"url": "http://example.org/x", "valueString": "a", "extension": [{"url": "b", "valueString": "c"}]}]})),
    ("", put(meta={"extension": [{"url": "http://example.org/x"}]})),
]
"""(resource type, "" for any; how it is broken)."""


def vital(code: str, **elements: Any) -> Break:
    """Makes the Observation a vital sign, with the given parts wrong."""
    whole: Json = {
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-01-02",
        "valueQuantity": {"value": 72, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }

    def change(resource: Json) -> bool:
        for name in [n for n in resource if n.startswith(("value", "effective", "component", "hasMember", "dataAbsentReason"))]:
            del resource[name]
        resource.update(whole)
        resource.update(elements)
        for name in [n for n, v in resource.items() if v is None]:
            del resource[name]
        return True

    return change


def pressure(code: str, unit: str = "mm[Hg]") -> Json:
    """One component of a blood pressure."""
    quantity = {"value": 120, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity}


def extended(url: str, **value: Any) -> Break:
    """Adds an extension to the resource."""

    def change(resource: Json) -> bool:
        if resource["resourceType"] in ("Bundle", "Binary", "Parameters"):
            return False
        resource.setdefault("extension", []).append({"url": url, **value})
        return True

    return change


_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
SLICES: list[tuple[str, Break]] = [
    ("Observation", vital("85354-9", valueQuantity=None, component=[pressure("8480-6")])),
    ("Observation", vital("85354-9", valueQuantity=None, component=[pressure("8480-6"), pressure("8480-6"), pressure("8462-4")])),
    ("Observation", vital("85354-9", valueQuantity=None, component=[pressure("8480-6", "kPa"), pressure("8462-4")])),
    ("Observation", vital("85354-9", component=[pressure("8480-6"), pressure("8462-4")])),
    ("Observation", vital("8867-4", category=None)),
    ("Observation", vital("8867-4", category=[{"text": "vital signs"}])),
    ("Observation", vital("8867-4", effectiveDateTime=None)),
    ("Observation", vital("8867-4", subject=None)),
    ("Observation", vital("8867-4", valueQuantity={"value": 72, "unit": "x", "system": "http://unitsofmeasure.org", "code": "kg"})),
    ("Observation", vital("8867-4", valueQuantity=None, valueString="72")),
    ("Observation", vital("8310-5")),
    ("Observation", vital("29463-7", meta={"profile": [_EXTENSION + "bodyweight"]})),
    ("Observation", vital("8302-2", meta={"profile": [_EXTENSION + "bodyheight"]}, valueQuantity=None)),
    ("Patient", extended(_EXTENSION + "patient-birthPlace", valueString="x")),
    ("Patient", extended(_EXTENSION + "patient-nationality", extension=[{"url": "code", "valueString": "x"}])),
    ("Patient", extended(_EXTENSION + "patient-nationality", extension=[{"url": "banana", "valueString": "x"}])),
    ("Patient", extended(_EXTENSION + "patient-citizenship", extension=[{"url": "code", "valueCodeableConcept": {"text": "x"}}] * 2)),
    ("Patient", extended(_EXTENSION + "patient-disability", valueBoolean=True)),
    ("", extended(_EXTENSION + "humanname-mothers-family", valueString="x")),
    ("", extended(_EXTENSION + "patient-birthPlace", valueAddress={"text": "x"})),
    ("", extended(_EXTENSION + "data-absent-reason", valueString="unknown")),
    ("", extended(_EXTENSION + "data-absent-reason", valueCode="bogus")),
    ("", extended(_EXTENSION + "geolocation", extension=[{"url": "latitude", "valueDecimal": 1}])),
    ("", extended("not-absolute", valueString="x")),
]
"""(resource type, "" for any; how a slice or an extension is broken)."""
