"""居民个人基本信息: what the accepted examples of both vendors must say."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.datasets.goldens import Golden, check_r4b, folder, goldens

EXAMPLES = goldens("resident_profile")
RH_POSITIVE, RH_NEGATIVE = "LA6576-8", "LA6577-6"


def value_codes(golden: Golden, code: str) -> list[str]:
    """First coding of the value of each Observation with this code."""
    return [o["valueCodeableConcept"]["coding"][0]["code"] for o in golden.coded(code)]


def profile(name: str) -> dict[str, Any]:
    """A source profile as read from its file."""
    return tomllib.loads((folder("resident_profile") / "sources" / f"{name}.toml").read_text("utf-8"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_resource_passes_the_r4b_models(name: str) -> None:
    for resource in EXAMPLES[name].resources:
        check_r4b(resource)


def test_each_vendor_has_an_ordinary_and_a_dangerous_example() -> None:
    assert {(g.profile, n.split("_")[0]) for n, g in EXAMPLES.items()} >= {
        (p, kind) for p in ("vendor_a_xlsx", "vendor_b_view") for kind in ("ordinary", "dangerous")
    }


def test_the_same_rh_code_means_the_opposite_at_the_two_vendors() -> None:
    a, b = EXAMPLES["ordinary_vendor_a"], EXAMPLES["dangerous_vendor_b"]
    assert a.fields["Rh血型"] == b.fields["Rh血型"] == "1"
    assert value_codes(a, "10331-7") == [RH_POSITIVE]
    assert value_codes(b, "10331-7") == [RH_NEGATIVE]


def test_vendor_a_writes_women_as_0_and_education_from_the_other_end() -> None:
    a = EXAMPLES["ordinary_vendor_a"]
    assert a.fields["性别"] == "0"
    assert a.of_type("Patient")[0]["gender"] == "female"
    assert a.fields["文化程度"] == "2"
    assert value_codes(a, "82589-3") == ["8"]  # 小学


def test_the_source_coding_stands_beside_the_translated_one() -> None:
    (education,) = EXAMPLES["ordinary_vendor_a"].coded("82589-3")
    systems = {c["system"].rsplit("/", 2)[-2]: c["code"] for c in education["valueCodeableConcept"]["coding"]}
    assert systems["codes"] == "2"


def test_shuffled_family_history_codes_reach_the_same_national_diseases() -> None:
    father = next(f for f in EXAMPLES["ordinary_vendor_a"].of_type("FamilyMemberHistory") if f["relationship"]["coding"][0]["code"] == "FTH")
    assert EXAMPLES["ordinary_vendor_a"].fields["家族史_父亲"] == ["1", "3"]
    assert [c["code"]["text"] for c in father["condition"]] == ["高血压", "脑卒中"]


def test_no_family_disease_is_said_and_makes_no_condition() -> None:
    mother = next(f for f in EXAMPLES["ordinary_vendor_a"].of_type("FamilyMemberHistory") if f["relationship"]["coding"][0]["code"] == "MTH")
    assert "condition" not in mother
    assert "无" in mother["note"][0]["text"]


def test_no_allergy_becomes_no_known_drug_allergy() -> None:
    (allergy,) = EXAMPLES["ordinary_vendor_b"].of_type("AllergyIntolerance")
    assert allergy["code"]["coding"][0] == {"system": "http://snomed.info/sct", "code": "409137002", "display": "无已知药物过敏"}


def test_a_named_other_allergy_keeps_its_name() -> None:
    texts = [a["code"]["text"] for a in EXAMPLES["dangerous_vendor_b"].of_type("AllergyIntolerance")]
    assert texts == ["青霉素", "头孢曲松(过敏性休克)"]


def test_eight_digit_numbers_get_their_prefix_by_organisation() -> None:
    numbers = {i["system"]: i["value"] for i in EXAMPLES["ordinary_vendor_a"].of_type("Patient")[0]["identifier"]}
    assert EXAMPLES["ordinary_vendor_a"].fields["健康档案编号"] == "10100023"
    assert numbers["urn:oid:2.16.156.10011.1.2"] == "39012110110100023"


def test_without_the_prefix_nothing_is_written() -> None:
    held = EXAMPLES["no_prefix_vendor_a"]
    assert held.resources == ()
    assert any(line.startswith("note | no-prefix") for line in held.findings)
    assert any(line.startswith("hold | no-person-number") for line in held.findings)


def test_a_wrong_check_digit_is_left_out_and_named_while_the_rest_is_written() -> None:
    wrong = EXAMPLES["wrong_vendor_a"]
    systems = [i["system"] for i in wrong.of_type("Patient")[0]["identifier"]]
    assert "urn:oid:2.16.156.10011.1.3" not in systems
    codes = [line.split(" | ")[1] for line in wrong.findings]
    assert {"id-card-check", "impossible-date", "unknown-code", "phone-form"} <= set(codes)
    assert not any(line.startswith("hold") for line in wrong.findings)


def test_a_voided_archive_is_not_in_active_use_and_a_death_has_its_date() -> None:
    assert EXAMPLES["void_vendor_b"].of_type("Patient")[0]["active"] is False
    assert EXAMPLES["dangerous_vendor_b"].of_type("Patient")[0]["deceasedDateTime"] == "2026-01-18"


def test_partial_dates_keep_their_precision() -> None:
    onsets = {c["code"]["text"]: c.get("onsetDateTime") for c in EXAMPLES["ordinary_vendor_a"].of_type("Condition")}
    assert onsets == {"高血压": "2015-06", "糖尿病": "2019"}


def test_the_two_vendors_really_contradict_each_other() -> None:
    a, b = profile("vendor_a_xlsx")["codes"], profile("vendor_b_view")["codes"]
    assert a["Rh血型"]["1"] == "2"
    assert "Rh血型" not in b  # national: 1 = 阴性
    assert a["医疗费用支付方式"]["07"] == "7"
    assert b["医疗费用支付方式"]["7"] == "6"
