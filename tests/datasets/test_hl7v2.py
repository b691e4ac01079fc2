"""The HL7 v2 datasets: goldens, versions of one report, identities shared with other datasets, tables."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway import builtin
from gateway.config import SourceConfig
from gateway.fhir import elements
from gateway.fhir import json as fhir_json
from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.mapping import golden
from gateway.mapping.catalogue import Binding, Catalogue, MapContext
from gateway.record import MapResult, Record
from tests.maps import built_in
from tools import build_v2_fields

DATASETS = ["hl7v2_oru", "hl7v2_adt"]
CONTEXT = MapContext(IdScheme(TEST_KEY, "https://yifang.invalid/fhir"), portable=True)
TABLES = sorted((builtin.MAPPINGS / "tables").glob("v2-*.csv"))


@cache
def catalogue() -> Catalogue:
    """The built-in datasets."""
    return built_in()


def binding(*profiles: str) -> Binding:
    """A source with these profiles."""
    return catalogue().bind(
        SourceConfig(name="lis", adapter="hl7v2", profiles=list(profiles), authority="https://yifang.invalid/lis", organisation="390121101001")
    )


def example(name: str) -> bytes:
    """A message of the examples, `hl7v2_oru/corrected`."""
    dataset, _, file = name.partition("/")
    return (builtin.MAPPINGS / "clinical" / dataset / "examples" / f"{file}.hl7").read_bytes()


def mapped(content: bytes, *profiles: str) -> list[tuple[Record, MapResult]]:
    """Records of a message and what became of them."""
    bound = binding(*(profiles or ("hl7v2_oru/standard", "hl7v2_adt/standard")))
    records = [bound.record(row) for row in bound.extract(content)]
    return [(r, bound.map(r, CONTEXT)) for r in records]


def drafts(content: bytes, type_: str, *profiles: str) -> list[Any]:
    """Bodies of the resources of one type."""
    return [d.body for _, result in mapped(content, *profiles) for d in result.drafts if d.type == type_]


@pytest.mark.parametrize("dataset", DATASETS)
def test_map_fields_and_profiles_check(dataset: str) -> None:
    assert [str(f) for f in catalogue().entry(dataset).faults] == []


CASES = [pytest.param(e, id=f"{d}-{e.name}") for d in DATASETS for e in golden.examples(catalogue(), catalogue().entry(d))]


@pytest.mark.parametrize("case", CASES)
def test_goldens_are_as_accepted(case: golden.Example) -> None:
    assert golden.run(catalogue(), case).difference(catalogue()) == []


@pytest.mark.parametrize("case", CASES)
def test_every_golden_resource_passes_the_r4b_models(case: golden.Example) -> None:
    found = json.loads(golden.run(catalogue(), case).bundle)
    for bundle in found if isinstance(found, list) else [found]:
        for entry in bundle.get("entry", []):
            resource = entry["resource"]
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("dataset", DATASETS)
def test_fields_are_those_of_the_generator(dataset: str) -> None:
    assert (builtin.MAPPINGS / "clinical" / dataset / "fields.csv").read_text("utf-8") == build_v2_fields.render(dataset)


def test_preliminary_corrected_and_cancelled_are_versions_of_the_same_resources() -> None:
    (first, before), (second, after) = (mapped(example(f"hl7v2_oru/{n}"))[0] for n in ("preliminary", "corrected"))
    assert (first.authority, first.dataset, first.key) == (second.authority, second.dataset, second.key)
    assert first.stamp < second.stamp
    assert [(d.type, d.id) for d in before.drafts] == [(d.type, d.id) for d in after.drafts]
    statuses = [[d.body["status"] for d in r.drafts if d.type in ("DiagnosticReport", "Observation")] for r in (before, after)]
    assert statuses == [["preliminary", "preliminary"], ["corrected", "corrected"]]


def test_a_cancelled_result_says_why_it_has_no_value() -> None:
    (report,) = drafts(example("hl7v2_oru/cancelled"), "DiagnosticReport")
    (result,) = drafts(example("hl7v2_oru/cancelled"), "Observation")
    assert (report["status"], result["status"]) == ("cancelled", "cancelled")
    assert result["dataAbsentReason"]["coding"][0]["code"] == "not-performed"


def test_identities_are_those_of_the_national_laboratory_report() -> None:
    systems = {
        i["system"].rpartition("/")[2]: i["value"]
        for _, r in mapped(example("hl7v2_oru/ordinary"))
        for d in r.drafts[1:]
        for i in d.body["identifier"]
    }
    assert systems["lab-order"] == "390121101001/P5001/BIO"
    assert systems["specimen"] == "390121101001/B5001"
    assert systems["lab-report"] == "390121101001/R5001/BIO"
    assert systems["lab-result"] == "390121101001/R5001/BIO/JY/"
    (visit,) = (d for _, r in mapped(example("hl7v2_adt/ordinary")) for d in r.drafts if d.type == "Encounter")
    assert visit.id == CONTEXT.ids.derive("Encounter", "visit", ("390121101001", "Z20260105001"))


def test_precision_comparators_and_units_survive() -> None:
    values = [o.get("valueQuantity") for o in drafts(example("hl7v2_oru/ordinary"), "Observation")]
    shown = [(fhir_json.encode(v["value"]).decode(), v.get("comparator"), v.get("code")) for v in values if v]
    assert shown == [("5.60", None, "mmol/L"), ("88.0", None, "umol/L"), ("20", "<", "[IU]/mL"), ("6.50", None, "10*9/L")]


def test_a_glucose_of_90_mmol_is_held_and_its_neighbours_are_not() -> None:
    ((_, result),) = mapped(example("hl7v2_oru/dangerous"), "hl7v2_oru/lis_gbk")
    assert "impossible-value" in [f.code for f in result.findings] and not result.held
    (report,) = (d.body for d in result.drafts if d.type == "DiagnosticReport")
    assert report["status"] == "partial" and len(report["result"]) == 3


def test_an_analyser_with_numbers_that_start_again_every_day_does_not_mix_two_days() -> None:
    today = example("hl7v2_oru/analyser")
    tomorrow = today.replace(b"20260109", b"20260110")
    keys = [r.key for content in (today, tomorrow) for r, _ in mapped(content, "hl7v2_oru/analyser_m")]
    assert keys == [("390121101001", "20260109-7"), ("390121101001", "20260110-7")]


def test_quality_control_never_reaches_a_patient() -> None:
    ((_, result),) = mapped(example("hl7v2_oru/analyser_quality_control"), "hl7v2_oru/analyser_m")
    assert result.destination == "quality_control"
    assert result.drafts == [] and result.claims == []


def test_two_double_quotes_clear_what_the_map_would_write() -> None:
    ((_, result),) = mapped(example("hl7v2_adt/dangerous"))
    (patient,) = (d for d in result.drafts if d.type == "Patient")
    assert set(patient.clear) >= {"address", "telecom"}


def test_an_adt_is_keyed_by_its_visit_else_by_its_patient() -> None:
    assert [mapped(example(f"hl7v2_adt/{n}"))[0][0].key[1:] for n in ("outpatient", "incomplete")] == [("V20260107003", ""), ("", "A100003")]
    assert binding("hl7v2_adt/standard").profile_of("hl7v2_adt").mode == "delta"


def test_a_discharge_ends_the_visit_that_the_admission_began() -> None:
    (admitted,) = drafts(example("hl7v2_adt/ordinary"), "Encounter")
    (discharged,) = drafts(example("hl7v2_adt/discharged"), "Encounter")
    assert admitted["identifier"] == discharged["identifier"]
    assert (admitted["status"], discharged["status"]) == ("in-progress", "finished")
    assert discharged["period"]["end"].startswith("2026-01-12T09:30:00")


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_table_targets_exist_in_the_value_sets_that_r4_requires(path: Path) -> None:
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert len({r["source"] for r in rows}) == len(rows)
    known = elements.load().codes(f"http://hl7.org/fhir/ValueSet/{rows[0]['target_system'].rpartition('/')[2]}")
    if known is not None and rows[0]["target_system"].startswith("http://hl7.org/fhir/"):
        codes = {code for _, code in known}
        assert {r["target"] for r in rows} <= codes
    assert all(r["target_system"].startswith("http") and r["target"] for r in rows)


def report(item: str, *, specimen: str = "", panel: str = "C01^生化", more: str = "") -> bytes:
    """A report of one numeric result."""
    spm = f"\rSPM|1|S1||{specimen}" if specimen else ""
    return (
        "MSH|^~\\&|LIS|H1|||20260107093000||ORU^R01|1|P|2.5.1\rPID|||A100003||林^溪||19710301|M"
        f"\rOBR|1|A1|R1|{panel}|||20260107083000||||||||||||||||||F{more}\rOBX|1|NM|{item}||5.5||||||F{spm}"
    ).encode()


def code_of(content: bytes) -> str:
    """LOINC code of the one result; "" when it has none."""
    ((_, result),) = mapped(content)
    (observation,) = [d.body for d in (*result.drafts, *result.withheld) if d.type == "Observation"]
    return next((c["code"] for c in observation["code"]["coding"] if c["system"] == "http://loinc.org"), "")


def test_every_item_is_reachable_by_an_abbreviation() -> None:
    def column(table: str, name: str) -> set[str]:
        return {r[name] for r in csv.DictReader((builtin.MAPPINGS / "tables" / f"{table}.csv").read_text("utf-8").splitlines())}

    items = column("items", "loinc")
    assert items == column("v2-lab-items", "target")
    assert items <= column("lab-items", "target")


@pytest.mark.parametrize(
    ("item", "loinc"),
    [("HCT^红细胞压积^L", "4544-3"), ("NEUT%^中性粒细胞^L", "770-8"), ("LYMPH%^淋巴^L", "736-9"), ("TBIL^总胆^L", "14631-6"),
     ("CHO^胆固醇^L", "14647-2"),
     ("K^钾^L", "2823-3"), ("Na^钠^L", "2951-2"), ("Cl^氯^L", "2075-0"), ("GLU^葡萄糖^L", "14749-6"), ("PRO^蛋白^L", "")],
)  # fmt: skip
def test_usual_abbreviations_of_blood(item: str, loinc: str) -> None:
    assert code_of(report(item)) == code_of(report(item, specimen="SER")) == loinc


@pytest.mark.parametrize(("item", "loinc"), [("GLU^葡萄糖^L", "25428-4"), ("PRO^蛋白^L", "20454-5"), ("CREA^肌酐^L", ""), ("K^钾^L", "")])
def test_the_same_abbreviation_in_urine_is_never_the_item_of_blood(item: str, loinc: str) -> None:
    assert code_of(report(item, specimen="UR")) == code_of(report(item, panel="N01^尿常规")) == loinc
