"""C0007 检验报告 and C0002 门(急)诊病历: accepted examples, the original kept, keys shared with the eight datasets, R4 models."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway import builtin
from gateway.fhir.ids import IdScheme
from gateway.mapping import golden
from gateway.mapping.catalogue import Catalogue
from tests.adapters.cda.examples import documents
from tests.maps import built_in

DATASETS = ("cda_c0007", "cda_c0002")
EXAMPLES = [(dataset, name) for dataset, name, _, _ in documents()]
HOSPITAL = "123900000000000018"


@cache
def catalogue() -> Catalogue:
    """The built-in maps; only these two datasets are read."""
    return built_in()


@cache
def outcome(dataset: str, name: str) -> golden.Outcome:
    """One example mapped."""
    entry = catalogue().entry(dataset)
    return golden.run(catalogue(), next(e for e in golden.examples(catalogue(), entry) if e.name == name))


def resources(dataset: str, name: str) -> list[dict[str, Any]]:
    """The resources of one example; numbers as text, so that digits can be compared."""
    return [entry["resource"] for entry in json.loads(outcome(dataset, name).bundle, parse_float=str).get("entry", [])]


def of_type(dataset: str, name: str, type_: str) -> list[dict[str, Any]]:
    """Those of one type."""
    return [r for r in resources(dataset, name) if r["resourceType"] == type_]


@pytest.mark.parametrize("dataset", DATASETS)
def test_map_and_profiles_check(dataset: str) -> None:
    assert [str(fault) for fault in catalogue().entry(dataset).faults] == []


@pytest.mark.parametrize(("dataset", "name"), EXAMPLES)
def test_the_example_is_as_accepted(dataset: str, name: str) -> None:
    assert outcome(dataset, name).difference(catalogue()) == []


@pytest.mark.parametrize(("dataset", "name", "content"), [(d, n, c) for d, n, _, c in documents()])
def test_the_document_beside_the_example_is_the_one_that_was_composed(dataset: str, name: str, content: bytes) -> None:
    assert (builtin.MAPPINGS / "clinical" / dataset / "examples" / f"{name}.xml").read_bytes() == content


@pytest.mark.parametrize(("dataset", "name"), EXAMPLES)
def test_every_resource_passes_the_r4_models(dataset: str, name: str) -> None:
    for resource in json.loads(outcome(dataset, name).bundle).get("entry", []):
        body = resource["resource"]
        get_fhir_model_class(body["resourceType"]).model_validate(body)


def test_the_original_is_kept_byte_for_byte_and_found_from_its_document_reference() -> None:
    (binary,) = of_type("cda_c0007", "vendor_deviations", "Binary")
    content = (builtin.MAPPINGS / "clinical/cda_c0007/examples/vendor_deviations.xml").read_bytes()
    assert base64.b64decode(binary["data"]) == content
    assert binary["contentType"] == "application/xml; charset=GB18030"
    (reference,) = of_type("cda_c0007", "vendor_deviations", "DocumentReference")
    attachment = reference["content"][0]["attachment"]
    assert attachment["url"] == f"Binary/{binary['id']}"
    assert attachment["size"] == len(content)
    assert reference["docStatus"] == "amended"  # it says which document it replaces


def test_laboratory_results_of_the_ordinary_report() -> None:
    found = {o["code"]["coding"][0]["code"]: o for o in of_type("cda_c0007", "ordinary", "Observation")}
    assert len(found) == 19
    assert found["14771-0"]["valueQuantity"]["value"] == "5.60"  # the digits that the sender wrote
    assert found["9318-7"]["valueQuantity"]["comparator"] == ">"
    assert found["14682-9"]["valueQuantity"]["code"] == "umol/L"
    assert "valueCodeableConcept" in found["5196-1"] or "valueString" in found["5196-1"]
    (report,) = of_type("cda_c0007", "ordinary", "DiagnosticReport")
    assert len(report["result"]) == 19 and report["status"] == "final"


def test_an_impossible_glucose_holds_that_result_and_the_report_is_partial() -> None:
    (report,) = of_type("cda_c0007", "dangerous", "DiagnosticReport")
    assert report["status"] == "partial"
    assert len(report["result"]) == 2
    assert "impossible-value" in outcome("cda_c0007", "dangerous").findings
    assert outcome("cda_c0007", "dangerous").findings.count("alarm-value") == 2


def test_a_report_without_its_number_is_held() -> None:
    assert resources("cda_c0007", "wrong_no_number") == []
    assert "hold | missing-key" in outcome("cda_c0007", "wrong_no_number").findings


def test_local_item_codes_come_out_as_loinc_with_the_source_coding_beside() -> None:
    observations = of_type("cda_c0007", "vendor_deviations", "Observation")
    codings = [{c["system"].rsplit("/", 1)[-1]: c["code"] for c in o["code"]["coding"]} for o in observations]
    assert [c.get("loinc.org") for c in codings] == ["14647-2", "14927-8", "14646-4", "22748-8"]
    assert codings[0]["项目代码"] == "X03"


def test_keys_are_those_that_visit_and_laboratory_datasets_use() -> None:
    ids = IdScheme(golden.CONTEXT.ids.key, golden.BASE)
    (encounter,) = of_type("cda_c0002", "ordinary", "Encounter")
    assert encounter["id"] == ids.derive("Encounter", "visit", (HOSPITAL, "MZ202601160007"))
    conditions = {c["id"] for c in of_type("cda_c0002", "ordinary", "Condition")}
    assert ids.derive("Condition", "visit-condition", (HOSPITAL, "MZ202601160007", "I10.x00")) in conditions
    (specimen,) = of_type("cda_c0007", "ordinary", "Specimen")
    assert specimen["id"] == ids.derive("Specimen", "specimen", (HOSPITAL, "S2601160031"))
    (report,) = of_type("cda_c0007", "vendor_deviations", "DiagnosticReport")
    assert report["id"] == ids.derive("DiagnosticReport", "lab-report", (HOSPITAL, "91", "XZ"))


def test_orders_of_a_visit_say_what_became_of_them() -> None:
    orders = of_type("cda_c0002", "ordinary", "ServiceRequest")
    assert [(o["code"]["text"][:4], o["status"]) for o in orders] == [("苯磺酸氨", "completed"), ("血脂四项", "active")]


@pytest.mark.parametrize("dataset", DATASETS)
def test_explained_and_compiled_builds_agree(dataset: str) -> None:
    entry = catalogue().entry(dataset)
    for example in golden.examples(catalogue(), entry):
        binding = golden.binding_for(catalogue(), example)
        for record in golden.records(catalogue(), example, binding):
            explained, lineage = binding.explain(record, golden.CONTEXT)
            plain = binding.map(record, golden.CONTEXT)
            assert [d.body for d in explained.drafts] == [d.body for d in plain.drafts]
            assert explained.findings == plain.findings
            assert lineage or not plain.drafts
