"""转诊(转出)单: what the accepted examples of platform and township view must say."""

from __future__ import annotations

import pytest

from tests.datasets.goldens import check_r4b, goldens

EXAMPLES = goldens("referral_out")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_resource_passes_the_r4b_models(name: str) -> None:
    for resource in EXAMPLES[name].resources:
        check_r4b(resource)


@pytest.mark.parametrize(
    ("name", "request_status", "task_status"),
    [
        ("draft_platform", "draft", None),
        ("emergency_platform", "active", "requested"),
        ("accepted_platform", "active", "accepted"),
        ("routine_township", "active", "requested"),
    ],
)
def test_the_state_of_the_form_becomes_the_first_status_of_request_and_task(name: str, request_status: str, task_status: str | None) -> None:
    golden = EXAMPLES[name]
    (request,) = golden.of_type("ServiceRequest")
    assert request["status"] == request_status
    assert [t["status"] for t in golden.of_type("Task")] == ([task_status] if task_status else [])


def test_the_task_asks_the_receiving_organisation_for_this_request() -> None:
    golden = EXAMPLES["emergency_platform"]
    (request,), (task,) = golden.of_type("ServiceRequest"), golden.of_type("Task")
    assert task["focus"] == {"reference": f"ServiceRequest/{request['id']}"}
    assert task["owner"]["identifier"]["value"] == request["performer"][0]["identifier"]["value"] == "390121000001"
    assert task["requester"]["identifier"]["value"] == "390121101001"


def test_impression_and_diagnoses_are_the_reasons() -> None:
    golden = EXAMPLES["emergency_platform"]
    (request,) = golden.of_type("ServiceRequest")
    conditions = golden.of_type("Condition")
    assert {c["code"]["text"] for c in conditions} == {"高血压3级 极高危", "高血压病", "2型糖尿病"}
    assert {r["reference"] for r in request["reasonReference"]} == {f"Condition/{c['id']}" for c in conditions}


def test_urgency_of_either_vendor_becomes_the_priority() -> None:
    assert EXAMPLES["emergency_platform"].of_type("ServiceRequest")[0]["priority"] == "stat"
    assert EXAMPLES["routine_township"].of_type("ServiceRequest")[0]["priority"] == "routine"
    assert EXAMPLES["draft_platform"].of_type("ServiceRequest")[0]["priority"] == "stat"  # from the kind of referral


def test_the_same_state_code_means_different_things_at_the_two_vendors() -> None:
    assert EXAMPLES["routine_township"].fields["单据状态"] == "0"
    assert EXAMPLES["routine_township"].of_type("Task")[0]["businessStatus"]["text"] == "已提交"
    assert EXAMPLES["draft_platform"].fields["单据状态"] == "DRAFT"


def test_consent_keeps_who_signed_and_the_form_s_number() -> None:
    (consent,) = EXAMPLES["emergency_platform"].of_type("Consent")
    assert consent["status"] == "active"
    assert consent["provision"]["actor"][0]["reference"] == {"display": "林大川"}
    assert consent["identifier"][1]["value"] == "TY20260601003"


def test_a_void_form_only_withdraws_the_request() -> None:
    golden = EXAMPLES["void_township"]
    assert {r["resourceType"] for r in golden.resources} == {"Patient", "ServiceRequest"}
    assert golden.of_type("ServiceRequest")[0]["status"] == "entered-in-error"


def test_a_form_without_receiver_with_a_wrong_date_and_unknown_urgency_is_held_for_each() -> None:
    golden = EXAMPLES["wrong_township"]
    assert golden.resources == ()
    assert {line.split(" | ")[1] for line in golden.findings if line.startswith("hold")} == {"required-field", "impossible-date", "untranslated-code"}
