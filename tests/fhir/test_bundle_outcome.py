"""Bundles of bytes, findings as OperationOutcome; both are R4 by the models of fhir.resources."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome

from gateway.errors import Finding
from gateway.fhir.bundle import bundle, delete_entry, put_entry, searchset
from gateway.fhir.elements import load
from gateway.fhir.outcome import ISSUE_TYPES, SAYS, issue_type, operation_outcome

OBSERVATION = b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"value":5.60}}'


def test_a_transaction_puts_each_resource_at_its_id_with_its_digits() -> None:
    patient = b'{"resourceType":"Patient","id":"p"}'
    made = bundle("transaction", [put_entry("Observation/o", OBSERVATION), put_entry("Patient/p", patient), delete_entry("Patient/q", 'W/"2"')])
    assert b'"value":5.60' in made
    Bundle.model_validate_json(made)
    entries = json.loads(made)["entry"]
    assert [e["request"] for e in entries] == [
        {"method": "PUT", "url": "Observation/o"},
        {"method": "PUT", "url": "Patient/p"},
        {"method": "DELETE", "url": "Patient/q", "ifMatch": 'W/"2"'},
    ]


def test_if_match_names_the_version_that_must_stand_there() -> None:
    assert json.loads(put_entry("Observation/o", OBSERVATION, 'W/"3"'))["request"]["ifMatch"] == 'W/"3"'


def test_a_searchset_has_links_total_and_absolute_urls() -> None:
    made = searchset("https://here.example/fhir", [("Observation", "o", OBSERVATION)], [("self", "https://here.example/fhir/Observation")], 1)
    Bundle.model_validate_json(made)
    said = json.loads(made)
    assert (said["total"], said["entry"][0]["fullUrl"]) == (1, "https://here.example/fhir/Observation/o")
    assert "total" not in json.loads(searchset("b", [], [("self", "x")]))
    assert json.loads(bundle("history", [])) == {"resourceType": "Bundle", "type": "history"}


def test_a_finding_says_where_in_both_languages() -> None:
    finding = Finding("unknown-code", "hold", "性别代码 X 不在表中", "Patient.gender", "性别", "a.map:3:5")
    chinese, english = operation_outcome([finding]), operation_outcome([finding], "en")
    for made in (chinese, english):
        OperationOutcome.model_validate(made)
        (issue,) = made["issue"]
        assert (issue["severity"], issue["code"], issue["expression"], issue["diagnostics"]) == (
            "error",
            "code-invalid",
            ["Patient.gender"],
            "性别 · a.map:3:5",
        )
    assert chinese["issue"][0]["details"]["text"] == finding.message
    assert english["issue"][0]["details"]["text"].isascii()


def test_every_issue_type_is_one_of_r4() -> None:
    codes = load().codes("http://hl7.org/fhir/ValueSet/issue-type")
    assert codes is not None
    known = {code for _, code in codes}
    used = {issue_type(c) for c in (*ISSUE_TYPES, "bad-date", "missing-x", "something-else")}
    assert used <= known
    OperationOutcome.model_validate(operation_outcome([]))


def test_every_fault_of_structure_xml_and_patch_has_an_english_sentence() -> None:
    root = Path(__file__).resolve().parents[2] / "gateway" / "fhir"
    text = "".join(p.read_text("utf-8") for p in (*root.glob("xml*.py"), *root.glob("structure*.py"), root / "summary.py", *root.glob("patch/*.py")))
    codes = set(re.findall(r'"((?:bad|wrong|unknown|missing|too|not|unresolved|code-not|patch)-[a-z-]+)"', text))
    assert {"unknown-element", "patch-failed", "too-deep", "unresolved-fragment"} <= codes <= SAYS.keys()
    said = operation_outcome([Finding("wrong-shape", "refuse", "应是列表", "Patient.name")], "en")["issue"][0]
    assert said["code"] == "structure" and said["details"]["text"].startswith("Refused: another JSON type")
