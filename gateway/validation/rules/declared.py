"""A resource meets the profiles that it declares in meta.profile, as far as they are known (https://hl7.org/fhir/R4/resource.html#Meta).

An Observation with the code of a vital sign meets that profile even undeclared (https://hl7.org/fhir/R4/observation-vitalsigns.html).
"""

from __future__ import annotations

from typing import Any

from gateway.fhir.profiles import SPEC
from gateway.fhir.shape import resource_shape
from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, Faults, fault
from gateway.validation.profile.compile import Profiles
from gateway.validation.scope import environment

__all__ = ["rule"]

_VITAL_SIGNS = {
    "85353-1": "vitalspanel",
    "9279-1": "resprate",
    "8867-4": "heartrate",
    "2708-6": "oxygensat",
    "8310-5": "bodytemp",
    "8302-2": "bodyheight",
    "9843-4": "headcircum",
    "29463-7": "bodyweight",
    "39156-5": "bmi",
    "85354-9": "bp",
}
"""LOINC codes that R4 gives a profile of its own."""
_EQUIVALENT = {
    ("http://snomed.info/sct", "86290005"): "9279-1",
    ("http://snomed.info/sct", "364075005"): "8867-4",
    ("http://snomed.info/sct", "431314004"): "2708-6",
    ("http://snomed.info/sct", "386725007"): "8310-5",
    ("http://snomed.info/sct", "276885007"): "8310-5",
    ("http://snomed.info/sct", "50373000"): "8302-2",
    ("http://snomed.info/sct", "363812007"): "9843-4",
    ("http://snomed.info/sct", "27113001"): "29463-7",
    ("http://snomed.info/sct", "60621009"): "39156-5",
    ("http://snomed.info/sct", "75367002"): "85354-9",
    ("http://loinc.org", "76534-7"): "85354-9",
    ("http://loinc.org", "55284-4"): "85354-9",
}
"""Codes of the same measurement: beside them R4 wants its own code too (https://hl7.org/fhir/R4/observation-vitalsigns.html)."""
_CATEGORY = ("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")


def rule(profiles: Profiles) -> One:
    """Check of a resource by the profiles that are its own."""

    def check(resource: dict[str, Any]) -> Faults:
        meta = resource.get("meta")
        found = _judged(resource, dict.fromkeys(meta["profile"]), profiles) if meta is not None and "profile" in meta else None
        if resource["resourceType"] != "Observation":
            return found
        implied = _implied(resource, profiles)
        return implied if found is None else found if implied is None else found + implied

    return check


def _implied(resource: dict[str, Any], profiles: Profiles) -> Faults:
    """What the profile of a vital sign finds that was not declared: warnings, and an error when R4's own code is missing."""
    codes = {(c.get("system"), c.get("code")) for c in resource.get("code", {}).get("coding", ())}
    wanted = {_EQUIVALENT[c] for c in codes if c in _EQUIVALENT} if _has_category(resource) else set()
    own = {code for system, code in codes if system == "http://loinc.org" and code in _VITAL_SIGNS}
    faults: list[Fault] = []
    for code in sorted(wanted - own):
        faults += fault("missing-slice", f"生命体征应同时有 LOINC 代码 {code}, 见档案 {_VITAL_SIGNS[code]}", ".code")
    declared = resource.get("meta", {}).get("profile", ())
    for code in sorted(own):
        url = SPEC + _VITAL_SIGNS[code]
        found = None if url in declared else _judged(resource, {url: None}, profiles)
        faults += [(path, name, text, "drop" if severity == "refuse" else severity) for path, name, text, severity in found or ()]
    return faults or None


def _has_category(resource: dict[str, Any]) -> bool:
    return any((c.get("system"), c.get("code")) == _CATEGORY for category in resource.get("category", ()) for c in category.get("coding", ()))


def _judged(resource: dict[str, Any], urls: dict[str, None], profiles: Profiles) -> Faults:
    faults: Faults = None
    shape = resource_shape(resource["resourceType"])
    for url in urls:
        check = profiles.check(url)
        if check is None:
            found: Faults = [(".meta.profile", "unknown-profile", f"没有档案 {url[:200]} 的定义; 未按它检查", "drop")]
        else:
            assert shape is not None  # its structure was checked before
            found = check((resource, shape), environment(resource))
        if found is not None:
            faults = found if faults is None else faults + found
    return faults
