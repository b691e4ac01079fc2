"""Modifiers, units, composites (https://hl7.org/fhir/R4/search.html#modifiers)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import Refused
from tests.store.index_harness import Store
from tests.store.search_samples import LOINC, observation, patient, refer, resource, store

__all__ = ["store"]
UCUM = "http://unitsofmeasure.org"
COUNTY = "https://county.example/cs"


def quantity(value: str, code: str) -> dict[str, Any]:
    return {"value": Decimal(value), "unit": code, "system": UCUM, "code": code}


def coded(*codes: str, text: str = "") -> dict[str, Any]:
    return {"coding": [{"system": COUNTY, "code": code, "display": f"项目 {code}"} for code in codes]} | ({"text": text} if text else {})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"value-quantity=5.4|{UCUM}|g/L", "ab"),
        (f"value-quantity=540|{UCUM}|mg/dL", "ab"),
        (f"value-quantity=5.40|{UCUM}|g/L", "ab"),
        (f"value-quantity=gt5.3|{UCUM}|g/L", "abc"),
        (f"value-quantity=le540|{UCUM}|mg/dL", "ab"),
        (f"value-quantity=lt540|{UCUM}|mg/dL", ""),
        (f"value-quantity=5.4|{UCUM}|mmol/L", ""),
        (f"value-quantity=98.6|{UCUM}|[degF]", "d"),
        (f"value-quantity=ap37|{UCUM}|Cel", "d"),
        ("value-quantity=5.4||g/L", "a"),
        ("value-quantity=540", "b"),
        ("value-quantity=66.899999999999991", "e"),
        ("value-quantity=1000000000000000000", "f"),
    ],
)
def test_quantities_convert_inside_their_dimension(store: Store, query: str, expected: str) -> None:
    store.put(
        observation("a", valueQuantity=quantity("5.4", "g/L")),
        observation("b", valueQuantity=quantity("540", "mg/dL")),
        observation("c", valueQuantity=quantity("6", "g/L")),
        observation("d", valueQuantity=quantity("37.0", "Cel")),
        observation("e", valueQuantity={"value": Decimal("66.899999999999991")}),
        observation("f", valueQuantity={"value": Decimal("1000000000000000000")}),
    )
    assert "".join(sorted(store.ids("Observation", query))) == expected


def test_traditional_and_simplified_characters_are_the_same(store: Store) -> None:
    store.put(patient("p1", name=[{"text": "歐陽澄", "family": "歐陽"}]), patient("p2", name=[{"text": "欧阳澄"}]))
    for asked in ("欧阳", "歐陽", "欧陽澄"):
        assert store.ids("Patient", f"name={asked}") == ["p2", "p1"]
    assert store.ids("Patient", "name:exact=歐陽澄") == ["p1"]
    assert store.ids("Patient", "name:contains=陽澄") == ["p2", "p1"]
    store.put(patient("p1", name=[{"text": "司徒澄"}]))
    assert store.ids("Patient", "name=歐陽") == ["p2"]
    for id_ in ("p1", "p2"):
        store.delete("Patient", id_)
    assert store.rows("index_string") == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name:pinyin=ouyang", ["p1"]),
        ("name:pinyin=Ōu yáng chéng", ["p1"]),
        ("name:pinyin=oyc", ["p1"]),
        ("name:pinyin=zeng", ["p2"]),
        ("name:pinyin=ceng", []),
        ("name:pinyin=wenlv", ["p2"]),
        ("family:pinyin=shan", ["p3"]),
        ("name:pinyin=smith", []),
        ("name=ouyang", []),
    ],
)
def test_chinese_names_by_how_they_sound(store: Store, query: str, expected: list[str]) -> None:
    store.put(
        patient("p1", name=[{"text": "歐陽澄"}]),
        patient("p2", name=[{"family": "曾", "given": ["文", "吕"]}]),
        patient("p3", name=[{"family": "单", "given": ["雄"]}]),
        patient("p4", name=[{"text": "Smith"}]),
    )
    assert store.ids("Patient", query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("code:text=血红", ["b"]),
        ("code:text=项目 x", ["a"]),
        ("code:text=nothing", []),
        (f"code:in={COUNTY}/vs", ["b"]),
        ("code:in=ValueSet/vs", ["b"]),
        (f"code:not-in={COUNTY}/vs", ["c", "a"]),
        (f"code:below={COUNTY}|top", ["c", "b"]),
        (f"code:below={COUNTY}|leaf", ["c"]),
        (f"code:above={COUNTY}|leaf", ["c", "b"]),
        (f"code:in={COUNTY}/tree", ["c"]),
        ("status:in=http://hl7.org/fhir/ValueSet/observation-status", ["c", "b", "a"]),
        ("status:not-in=http://hl7.org/fhir/ValueSet/observation-status", []),
    ],
)
def test_codes_by_their_words_and_by_terminology(store: Store, query: str, expected: list[str]) -> None:
    store.put(
        observation("a") | {"code": coded("x")},
        observation("b") | {"code": coded("top", text="血红蛋白")},
        observation("c") | {"code": coded("leaf")},
        resource("ValueSet", "vs", url=f"{COUNTY}/vs", status="active", compose={"include": [{"system": COUNTY, "concept": [{"code": "top"}]}]}),
        resource(
            "ValueSet", "tree", url=f"{COUNTY}/tree", status="active",
            compose={
                "include": [{"system": COUNTY, "filter": [{"property": "concept", "op": "is-a", "value": "top"}]}],
                "exclude": [{"valueSet": [f"{COUNTY}/vs"]}],
            },
        ),
        resource(
            "CodeSystem", "cs", url=COUNTY, status="active", content="complete",
            concept=[{"code": "top", "concept": [{"code": "middle", "concept": [{"code": "leaf"}]}]}, {"code": "x"}],
        ),
    )  # fmt: skip
    assert store.ids("Observation", query) == expected


def test_identifiers_of_a_type(store: Store) -> None:
    kinds = "http://terminology.hl7.org/CodeSystem/v2-0203"
    card = {"type": {"coding": [{"system": kinds, "code": "MR"}]}, "system": "urn:a", "value": "1"}
    store.put(patient("p1", identifier=[card]), patient("p2", identifier=[{"system": "urn:a", "value": "1"}]))
    assert store.ids("Patient", f"identifier:of-type={kinds}|MR|1") == ["p1"]
    assert store.ids("Patient", f"identifier:of-type={kinds}|SS|1") == []
    with pytest.raises(Refused):
        store.page("Patient", "identifier:of-type=MR|1")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"code-value-quantity={LOINC}|718-7$5.4", ["one"]),
        (f"code-value-quantity=718-7$gt500|{UCUM}|mg/dL", ["one"]),
        ("code-value-quantity=4548-4$5.4", []),
        ("code-value-quantity=4548-4$5.4,718-7$5.4", ["one"]),
        ("component-code-value-quantity=8480-6$138", ["bp"]),
        ("component-code-value-quantity=8462-4$138", []),
        ("component-code-value-quantity=8462-4$lt90", ["bp"]),
        ("combo-code-value-quantity=8480-6$138,718-7$5.4", ["bp", "one"]),
    ],
)
def test_composites_hold_in_one_element(store: Store, query: str, expected: list[str]) -> None:
    parts = [("8480-6", "138"), ("8462-4", "86")]
    store.put(
        observation("one", valueQuantity=quantity("5.4", "g/L")),
        observation("bp", code="85354-9", component=[
            {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity(value, "mm[Hg]")} for code, value in parts
        ]),
    )  # fmt: skip
    assert store.ids("Observation", query) == expected


def test_composites_whose_parts_r4_names_elsewhere(store: Store) -> None:
    store.put(
        resource("DocumentReference", "d", status="current", relatesTo=[{"code": "replaces", "target": refer("DocumentReference/old")}]),
        resource("MolecularSequence", "m", coordinateSystem=0, referenceSeq={"chromosome": coded("1")}, variant=[{"start": 10, "end": 12}]),
    )
    assert store.ids("DocumentReference", "relationship=replaces$DocumentReference/old") == ["d"]
    assert store.ids("DocumentReference", "relationship=appends$DocumentReference/old") == []
    assert store.ids("MolecularSequence", "chromosome-variant-coordinate=1$ge10$lt13") == ["m"]
    assert store.ids("MolecularSequence", "chromosome-variant-coordinate=1$ge11$lt13") == []


def test_versions_fragments_and_resources_inside(store: Store) -> None:
    message = {"resource": {"resourceType": "MessageHeader", "id": "h"}}
    store.put(
        resource("Provenance", "v", target=[refer("Observation/o/_history/2")]),
        resource("Bundle", "b", type="message", entry=[message]),
        resource("PlanDefinition", "p", status="draft", library=["#inside", "https://county.example/l|1"]),
    )
    assert store.ids("Provenance", "target=Observation/o") == ["v"]
    assert store.ids("Provenance", "target=Observation/o/_history/2") == ["v"]
    assert store.ids("Provenance", "target=Observation/o/_history/3") == []
    assert store.ids("Bundle", "message=MessageHeader/h") == ["b"]
    assert store.ids("PlanDefinition", "depends-on=#inside") == ["p"]
    assert store.ids("PlanDefinition", "depends-on=https://county.example/l") == ["p"]
    assert store.ids("PlanDefinition", "depends-on=https://county.example/l|1") == ["p"]
    assert store.ids("PlanDefinition", "depends-on=https://county.example/l|2") == []


def test_locations_near_a_place(store: Store) -> None:
    store.put(
        resource("Location", "clinic", name="清溪", position={"latitude": Decimal("30.10"), "longitude": Decimal("104.20")}),
        resource("Location", "far", name="龙潭", position={"latitude": Decimal("31.10"), "longitude": Decimal("104.20")}),
    )
    assert store.ids("Location", "near=30.11|104.21|5|km") == ["clinic"]
    assert store.ids("Location", "near=30.11|104.21|200") == ["far", "clinic"]
    assert store.ids("Location", "near=30.11|104.21|200|m") == []
    with pytest.raises(Refused):
        store.page("Location", "near=here")


def test_escapes_of_separators(store: Store) -> None:
    store.put(patient("p1", name=[{"text": "a,b|c$d\\e"}]), patient("p2", name=[{"text": "a"}]))
    assert store.ids("Patient", r"name=a\,b\|c\$d\\e") == ["p1"]
    assert store.ids("Patient", "name=a,zzz") == ["p2", "p1"]
