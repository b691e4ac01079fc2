"""After two Patients were linked, whoever asks for the survivor gets everything of the person (R4 search, compartments, `$everything`)."""

from __future__ import annotations

from tests.http.conftest import Front
from tests.http.test_searching import ids
from tests.http.test_writes import observation


def everything_of(api: Front, patient: str) -> list[list[str]]:
    """What the three ways of asking find of a Patient, but for the Patient itself."""
    asked = (f"/fhir/Observation?patient={patient}", f"/fhir/Patient/{patient}/Observation", f"/fhir/Patient/{patient}/$everything")
    return [sorted(n for n in ids(api.get(path)) if n.startswith("lo-")) for path in asked]


def test_the_survivor_has_what_clients_wrote_of_both_until_they_are_parted(api: Front) -> None:
    for n in "ab":
        api.write("PUT", f"/fhir/Patient/lp-{n}", {"resourceType": "Patient", "id": f"lp-{n}", "name": [{"text": "欧阳松"}]})
        api.write("PUT", f"/fhir/Observation/lo-{n}", observation(f"lp-{n}", 7) | {"id": f"lo-{n}"})
    assert everything_of(api, "lp-a") == [["lo-a"]] * 3
    survivor = api.site.gateway.link("lp-a", "lp-b", "张医生")
    other = ({"lp-a", "lp-b"} - {survivor}).pop()
    api.write("PUT", "/fhir/Observation/lo-c", observation(other, 8) | {"id": "lo-c"})
    assert everything_of(api, survivor) == [["lo-a", "lo-b", "lo-c"]] * 3
    assert everything_of(api, other) == [[]] * 3
    versions = api.get(f"/fhir/Observation/lo-{other[-1]}/_history").json()["entry"]
    assert [e["resource"]["subject"]["reference"] for e in versions] == [f"Patient/{survivor}", f"Patient/{other}"]
    api.site.gateway.unlink(other, "张医生")
    assert everything_of(api, survivor) == [[f"lo-{survivor[-1]}"]] * 3
    assert everything_of(api, other) == [sorted([f"lo-{other[-1]}", "lo-c"])] * 3
