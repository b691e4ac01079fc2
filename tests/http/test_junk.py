"""Whatever a client sends, it is told what is wrong with it: a 4xx with an OperationOutcome, never a 5xx
(https://hl7.org/fhir/R4/http.html#Status-Codes).

Each of these was found by fuzzing; tests/http/test_openapi_fuzz.py looks for further ones.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from tests.http.conftest import Front
from tests.http.test_writes import basic

JSON = {"Content_Type": "application/fhir+json"}


@pytest.mark.parametrize("method", [["GET"], {"a": 1}, 7, None, "BREW"])
@pytest.mark.parametrize(("kind", "status"), [("transaction", 400), ("batch", 200)])
def test_a_method_of_an_entry_that_is_none_is_refused(front: Front, kind: str, status: int, method: Any) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"request": {"method": method, "url": "Basic"}}]}
    answer = front.write("POST", "/fhir", bundle)
    assert answer.status_code == status, answer.text
    outcome = answer.json() if status == 400 else answer.json()["entry"][0]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[0].request.method"]


@pytest.mark.parametrize("url", ["Patient/1/$everything", "metadata", "Basic/1/_history"])
def test_a_method_that_an_entry_s_address_does_not_take_is_no_405_of_the_bundle(front: Front, url: str) -> None:
    """405 with Allow would be said of the address that the Bundle was posted to (RFC 9110 §15.5.6)."""
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE", "url": url}}]}
    answer = front.write("POST", "/fhir", bundle)
    assert (answer.status_code, answer.headers.get("allow")) == (400, None)
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0]"]


@pytest.mark.parametrize("number", [b"1E+99999999999999999999", b"1e-99999999999999999999", b"-0.1E+99999999999999999999"])
def test_a_number_whose_exponent_no_decimal_has_is_not_json(front: Front, number: bytes) -> None:
    body = b'{"resourceType":"Basic","id":"far","code":{"text":"x"},"extension":[{"url":"urn:x","valueDecimal":' + number + b"}]}"
    assert front.call("PUT", "/fhir/Basic/far", body, **JSON).status_code == 400
    front.write("PUT", "/fhir/Basic/near", basic(id="near"))
    patch = b'[{"op":"add","path":"/language","value":' + number + b"}]"
    assert front.call("PATCH", "/fhir/Basic/near", patch, Content_Type="application/json-patch+json").status_code == 400


@pytest.mark.parametrize("place", ["[18446744073709551616,1,1]", "[1,9223372036854775808,1]", "[-1,1,1]", "[1,1]", "[1.5,1,1]", "[" * 900])
def test_a_page_mark_that_nobody_gave_is_refused(front: Front, place: str) -> None:
    mark = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
    for path in ("_history", "Basic/_history", "Basic"):
        assert front.get(f"/fhir/{path}?_cursor={mark}").status_code == 400


@pytest.mark.parametrize("most", ["0", "-1", "1001", "000000001" + "9" * 5000, "x", "²"])
def test_a_number_of_lastn_that_is_none_is_refused(front: Front, most: str) -> None:
    assert front.get(f"/fhir/Observation/$lastn?patient=Patient/1&max={most}").status_code == 400


@pytest.mark.parametrize("media", ["图/片", "text/é", "text/plain\u2028x"])
def test_a_binary_whose_content_type_no_header_can_hold_is_answered_as_a_resource(front: Front, media: str) -> None:
    front.write("PUT", "/fhir/Binary/odd", {"resourceType": "Binary", "id": "odd", "contentType": media, "data": "YQ=="})
    answer = front.get("/fhir/Binary/odd")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json; charset=utf-8")
    assert answer.json()["contentType"] == media


@pytest.mark.parametrize("host", ["[::1", "]", "", "a b"])
def test_a_forwarded_host_that_is_none_changes_nothing_but_links(api: Front, host: str) -> None:
    answer = api.write("PUT", "/fhir/Basic/hosted", basic(id="hosted"), X_Forwarded_Host=host)
    assert answer.status_code in (200, 201), answer.text


NUL = [
    ("GET", "/fhir/Patient?name=a%00b"),
    ("GET", "/fhir/Patient?_id=%00"),
    ("GET", "/fhir/Patient?identifier=a%00|b"),
    ("GET", "/fhir/Observation?subject:Patient.name:contains=%00"),
    ("GET", "/fhir/Patient?_has:Observation:subject:code=%00"),
    ("GET", "/fhir/Observation/$lastn?patient=Patient/%00"),
    ("GET", "/fhir/Subscription/$status?id=%00"),
    ("DELETE", "/fhir/Patient?name=%00"),
    ("GET", "/fhir?_type=Patient&_tag=%00"),
]


@pytest.mark.parametrize(("method", "path"), NUL, ids=[p for _, p in NUL])
def test_nul_in_a_query_is_refused(api: Front, method: str, path: str) -> None:
    """PostgreSQL takes it for no text; no value of R4 holds it (https://hl7.org/fhir/R4/datatypes.html#string)."""
    assert api.call(method, path).status_code == 400


@pytest.mark.parametrize("id_", ["%00", "a%00b", "_", "%F0%9F%8C%BF", "x" * 65])
@pytest.mark.parametrize("path", ["_async/{}", "Basic/{}", "Basic/{}/_history", "Basic/{}/_history/1", "Patient/{}/*", "Basic/{}/$meta"])
def test_an_id_that_is_none_leads_nowhere(api: Front, path: str, id_: str) -> None:
    """The store is not asked for it: PostgreSQL would refuse the question."""
    assert api.get("/fhir/" + path.format(id_)).status_code == 404


def test_nul_in_a_form_criteria_or_a_parameter_is_refused(api: Front) -> None:
    assert api.call("POST", "/fhir/Patient/_search", b"name=%00", Content_Type="application/x-www-form-urlencoded").status_code == 400
    assert api.write("POST", "/fhir/Basic", basic(), If_None_Exist="identifier=%00").status_code == 400
    asked = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueString": "\0"}]}
    assert api.write("POST", "/fhir/Subscription/$status", asked).status_code == 400


def nested(levels: int) -> bytes:
    """A Basic with an extension in an extension in an extension."""
    opened, closed = b'{"url":"urn:x","extension":[' * levels, b"]}" * levels
    return b'{"resourceType":"Basic","id":"deep","code":{"text":"x"},"extension":[' + opened + b'{"url":"urn:x","valueString":"x"}' + closed + b"]}"


@pytest.mark.parametrize("levels", [150, 400])
def test_what_is_nested_too_deeply_to_be_changed_is_told_so(front: Front, levels: int) -> None:
    assert front.call("PUT", "/fhir/Basic/deep", nested(levels), **JSON).status_code in (200, 201)
    patch = b'[{"op":"add","path":"/language","value":"zh"}]'
    for content, kind in ((patch, "application/json-patch+json"), (b'{"language":"en"}', "application/merge-patch+json")):
        answer = front.call("PATCH", "/fhir/Basic/deep", content, Content_Type=kind)
        assert answer.status_code == (200 if levels == 150 else 400), answer.text
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "PUT", "url": "Basic/deep"}}]}
        whole = msgspec.json.encode(bundle).replace(b'{"request"', b'{"resource":' + nested(levels - 5) + b',"request"')
        assert front.call("POST", "/fhir", whole, **JSON).json()["entry"][0]["response"]["status"][:3] in ("200", "400")
    assert front.get("/fhir/Basic/deep?_summary=true").status_code in (200, 400)
    assert front.get("/fhir/Basic/deep?_format=xml").status_code in (200, 406)


@pytest.mark.parametrize("path", ["/ingest/village-posts", "/openapi.json"])
def test_a_bug_beside_fhir_is_told_as_an_outcome_too(front: Front, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("patient 欧阳松")

    monkeypatch.setattr("gateway.http.app.take", broken)
    monkeypatch.setattr("gateway.http.app.serve", broken)
    answer = front.call("POST" if "ingest" in path else "GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/fhir+json; charset=utf-8")
    assert answer.json()["issue"][0]["code"] == "exception" and "欧阳" not in answer.text
    assert answer.headers["x-request-id"]
