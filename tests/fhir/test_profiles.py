"""Profiles that maps bind to, as rules by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.fhir.elements import load
from gateway.fhir.profiles import Profiles, matches

BASE = "https://county.example/fhir"


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return Profiles.from_folder(BASE + "/")


def test_every_profile_that_a_map_may_name_is_there(profiles: Profiles) -> None:
    assert set(profiles) >= {"blood-pressure", "laboratory-report", "division", "ethnic-group", "recognition-mark"}
    assert profiles["division"].url == f"{BASE}/StructureDefinition/division"
    assert profiles.by_url(f"{BASE}/StructureDefinition/division|0.1.0") is profiles["division"]


def test_every_rule_names_an_element_of_r4_and_only_narrows_it(profiles: Profiles) -> None:
    r4 = load()
    for profile in profiles.values():
        for rule in profile.rules.values():
            path = rule.path.replace("component.value[x].", "component.valueQuantity.").replace("Extension.value[x].", "Extension.valueCoding.")
            if "." not in path:
                continue
            element = r4.at(path)
            assert element is not None, f"{profile.name}: {rule.path}"
            assert set(rule.types) <= set(element.types)
            assert rule.min is None or rule.min >= element.min or rule.slice
            assert rule.max is None or element.max is None or rule.max <= element.max
            assert set(rule.targets) <= set(element.targets)


def test_slices_of_a_blood_pressure(profiles: Profiles) -> None:
    profile = profiles["blood-pressure"]
    assert profile.slices("Observation.component") == ["systolic", "diastolic"]
    rules = {r.path: r for r in profile.slice_rules("Observation.component", "systolic")}
    assert rules["Observation.component.code"].pattern == {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    assert rules["Observation.component.value[x].code"].fixed == "mm[Hg]"
    value = profile.rule("Observation.value[x]")
    assert value is not None and value.max == 0


def test_a_recognition_mark_has_only_its_own_parts(profiles: Profiles) -> None:
    mark = profiles["recognition-mark"]
    assert mark.slices("Extension.extension") == ["scope", "code", "basis", "validFrom", "validTo"]
    assert mark.closed == {"Extension.extension"}
    assert mark.context == ("DiagnosticReport", "Observation")


def test_pattern_asks_for_what_it_says_and_allows_more() -> None:
    pattern = {"coding": [{"system": "s", "code": "c"}]}
    assert matches({"coding": [{"system": "x", "code": "y"}, {"system": "s", "code": "c", "display": "d"}], "text": "t"}, pattern)
    assert not matches({"coding": [{"system": "s", "code": "d"}]}, pattern)
    assert not matches({"text": "t"}, pattern)


def test_a_broken_profile_is_named(tmp_path: Path) -> None:
    (tmp_path / "StructureDefinition-x.json").write_text('{"id": "x"}')
    with pytest.raises(ConfigError, match=r"StructureDefinition-x\.json"):
        Profiles.from_folder(BASE, tmp_path)
