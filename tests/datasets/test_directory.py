"""机构与人员: what the accepted examples must say."""

from __future__ import annotations

import pytest

from tests.datasets.goldens import Golden, check_r4b, goldens

ORGANISATIONS = goldens("organisation")
STAFF = goldens("staff")


@pytest.mark.parametrize("golden", [*ORGANISATIONS.values(), *STAFF.values()], ids=lambda g: g.name)
def test_every_resource_passes_the_r4b_models(golden: Golden) -> None:
    for resource in golden.resources:
        check_r4b(resource)


def test_a_village_clinic_is_part_of_its_township_and_member_of_its_consortium() -> None:
    golden = ORGANISATIONS["village_clinic"]
    (clinic,) = golden.of_type("Organization")
    assert clinic["partOf"]["identifier"]["value"] == "390121101001"
    (member,) = golden.of_type("OrganizationAffiliation")
    assert member["organization"]["identifier"]["value"] == "390121000001"
    assert member["participatingOrganization"] == {"reference": f"Organization/{clinic['id']}"}


def test_departments_are_places_of_their_hospital() -> None:
    golden = ORGANISATIONS["hospital"]
    (hospital,) = golden.of_type("Organization")
    departments = [p for p in golden.of_type("Location") if p["physicalType"]["coding"][0]["code"] == "wa"]
    assert [d["name"] for d in departments] == ["心血管内科", "检验科"]
    assert {d["managingOrganization"]["reference"] for d in departments} == {f"Organization/{hospital['id']}"}


def test_tier_and_grade_of_a_hospital_are_types_of_it() -> None:
    (hospital,) = ORGANISATIONS["hospital"].of_type("Organization")
    assert [t["text"] for t in hospital["type"]] == ["综合医院", "非营利性医疗机构", "二级甲等", "县级"]


def test_a_wrong_credit_code_is_left_out_and_a_closed_clinic_is_inactive() -> None:
    wrong = ORGANISATIONS["wrong"]
    assert any(line.startswith("drop | uscc-check") for line in wrong.findings)
    assert len(wrong.of_type("Organization")[0]["identifier"]) == 1
    assert ORGANISATIONS["closed_incomplete"].of_type("Organization")[0]["active"] is False


def test_an_impossible_longitude_holds_the_record() -> None:
    assert ORGANISATIONS["impossible"].resources == ()


def test_a_doctor_s_role_names_organisation_department_and_person() -> None:
    golden = STAFF["doctor"]
    (person,), (role,) = golden.of_type("Practitioner"), golden.of_type("PractitionerRole")
    assert role["practitioner"] == {"reference": f"Practitioner/{person['id']}"}
    assert role["organization"]["identifier"]["value"] == "390121101001"
    assert role["location"][0]["identifier"]["value"] == "390121101001/GW"


def test_who_has_left_is_inactive_since_that_day() -> None:
    (role,) = STAFF["left"].of_type("PractitionerRole")
    assert (role["active"], role["period"]["end"]) == (False, "2025-12-31")


def test_compound_surnames_are_known() -> None:
    assert STAFF["left"].of_type("Practitioner")[0]["name"][0]["family"] == "诸葛"


def test_a_wrong_id_card_of_staff_is_left_out_and_named() -> None:
    golden = STAFF["wrong"]
    assert any(line.startswith("drop | id-card-check") for line in golden.findings)
    assert all(i["system"] != "urn:oid:2.16.156.10011.1.3" for i in golden.of_type("Practitioner")[0]["identifier"])
