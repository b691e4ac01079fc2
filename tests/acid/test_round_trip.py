"""What a client puts is what it gets: every element, in order, with its digits; in JSON and in XML (https://hl7.org/fhir/R4/http.html#update)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from gateway.fhir import json, xml
from tests.fhir.generated import resources

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = sorted(ROOT.glob("mappings/*/*/examples/*.out.json"))
OURS = ("versionId", "lastUpdated", "_versionId", "_lastUpdated")


@pytest.fixture(scope="module")
def client(base: str) -> Iterator[httpx.Client]:
    """A plain HTTP client of the gateway."""
    with httpx.Client(base_url=base, timeout=60, trust_env=False) as made:
        yield made


def sent(resource: dict[str, Any], id_: str) -> dict[str, Any]:
    """The resource under an id of the test's own, `id` right behind `resourceType`."""
    rest = {k: v for k, v in resource.items() if k not in ("resourceType", "id")}
    return {"resourceType": resource["resourceType"], "id": id_, **rest}


def bare(content: bytes) -> bytes:
    """The resource as JSON without what a server sets (version and moment), `meta` behind `id`, where the server puts it."""
    resource: dict[str, Any] = json.decode(content)
    meta = {k: v for k, v in resource.pop("meta", {}).items() if k not in OURS}
    head = {k: resource.pop(k) for k in ("resourceType", "id")} | ({"meta": meta} if meta else {})
    return json.encode(head | resource)


def in_order(value: Any) -> Any:
    """The value with the members of every object by name: XML has them in R4's order, JSON as they were sent. Lists stay as they are."""
    if isinstance(value, dict):
        return {k: in_order(value[k]) for k in sorted(value)}
    return [in_order(v) for v in value] if isinstance(value, list) else value


def goes_round(client: httpx.Client, resource: dict[str, Any]) -> None:
    """Puts it in either format and gets it in both."""
    url = f"/{resource['resourceType']}/{resource['id']}"
    for content, media in ((json.encode(resource), "application/fhir+json"), (xml.encode(resource), "application/fhir+xml")):
        expected = bare(json.encode(resource))
        put = client.put(url, content=content, headers={"Content-Type": media, "Accept": "application/fhir+json"})
        assert put.status_code in (200, 201), (put.text, content)
        as_json = bare(client.get(url, headers={"Accept": "application/fhir+json"}).content)
        as_xml = bare(json.encode(xml.decode(client.get(url, headers={"Accept": "application/fhir+xml"}).content)))
        if media == "application/fhir+json":
            assert as_json == expected
        for found in (as_json, as_xml):
            assert json.encode(in_order(json.decode(found))) == json.encode(in_order(json.decode(expected)))
        assert client.delete(url).status_code == 204


@pytest.mark.slow
@pytest.mark.parametrize("path", GOLDENS[::8], ids=lambda p: p.stem)
def test_what_the_maps_write_goes_round(client: httpx.Client, path: Path) -> None:
    bundle = json.decode(path.read_bytes())
    for n, entry in enumerate(bundle.get("entry", [])):
        goes_round(client, sent(entry["resource"], f"{path.stem.replace('_', '-').partition('.')[0]}-{n}"))


@pytest.mark.slow
@given(resources())
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_resource_of_r4_goes_round(client: httpx.Client, resource: dict[str, Any]) -> None:
    goes_round(client, sent(resource, "round"))
