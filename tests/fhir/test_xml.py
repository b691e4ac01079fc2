"""FHIR XML: what JSON says and no less, in R4's order, and nothing that R4 does not know (https://hl7.org/fhir/R4/xml.html)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import HealthCheck, given, settings
from lxml import etree

from gateway.errors import Finding, Refused
from gateway.fhir import json, xml
from gateway.fhir.shape import resource_shape
from tests.fhir.generated import resources

ROOT = Path(__file__).resolve().parents[2]
PATIENT = '<Patient xmlns="http://hl7.org/fhir">{}</Patient>'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


def read(inside: str) -> dict[str, Any]:
    """A Patient with these elements."""
    return xml.decode(PATIENT.format(inside).encode())


def refused(content: str | bytes) -> Finding:
    with pytest.raises(Refused) as caught:
        xml.decode(content if isinstance(content, bytes) else content.encode())
    return caught.value.finding


def unwritable(resource: dict[str, Any]) -> Finding:
    with pytest.raises(Refused) as caught:
        xml.encode(resource)
    return caught.value.finding


@given(resources())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@pytest.mark.slow
def test_any_resource_survives_xml_byte_for_byte(resource: dict[str, Any]) -> None:
    document = xml.encode(resource)
    assert json.encode(xml.decode(document)) == json.encode(resource)
    assert xml.decode(xml.encode_pretty(resource)) == resource
    again = etree.fromstring(document)
    assert again.tag == f"{{http://hl7.org/fhir}}{resource['resourceType']}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("mappings/*/*/examples/*.out.json")), ids=lambda p: p.stem)
def test_what_the_maps_write_survives_xml(path: Path) -> None:
    resource = json.decode(path.read_bytes())
    assert xml.decode(xml.encode(resource)) == resource


@pytest.mark.parametrize("path", sorted(ROOT.glob("mappings/*/*/examples/*.out.json"))[::4], ids=lambda p: p.stem)
def test_another_library_reads_and_writes_the_same_xml(path: Path) -> None:
    resource = json.decode(path.read_bytes())
    theirs = Bundle.model_validate_json(json.encode(resource))
    assert Bundle.model_validate_xml(xml.encode(resource)) == theirs
    written = theirs.model_dump_xml()
    assert Bundle.model_validate_json(json.encode(xml.decode(written.encode() if isinstance(written, str) else written))) == theirs


def test_elements_leave_in_the_order_of_r4_whatever_the_dict_says() -> None:
    shuffled = {
        "birthDate": "1960",
        "name": [{"given": ["岚"], "family": "江", "id": "n"}],
        "_birthDate": {"id": "b"},
        "resourceType": "Patient",
        "id": "p",
    }
    document = xml.encode(shuffled).decode()
    assert document.endswith(
        '<Patient xmlns="http://hl7.org/fhir"><id value="p"/><name id="n"><family value="江"/><given value="岚"/></name>'
        '<birthDate id="b" value="1960"/></Patient>'
    )
    assert list(xml.decode(document.encode())) == ["resourceType", "id", "name", "birthDate", "_birthDate"]
    assert xml.decode(document.encode()) == shuffled


def test_elements_may_arrive_in_any_order() -> None:
    found = read('<birthDate value="1960"/><name><given value="a"/></name><active value="true"/><name><given value="b"/></name>')
    assert json.encode(found) == b'{"resourceType":"Patient","active":true,"name":[{"given":["a"]},{"given":["b"]}],"birthDate":"1960"}'


def test_primitives_keep_id_and_extensions_at_their_index() -> None:
    extension = '<extension url="urn:x"><valueDecimal value="5.60"/></extension>'
    found = read(f'<name><given id="1"/><given value="b"/><given value="c">{extension}</given></name><gender>{extension}</gender>')
    extra = {"extension": [{"url": "urn:x", "valueDecimal": Decimal("5.60")}]}
    assert found["name"] == [{"given": [None, "b", "c"], "_given": [{"id": "1"}, None, extra]}]
    assert "gender" not in found and found["_gender"] == extra
    assert xml.decode(xml.encode(found)) == found


def test_a_list_of_extensions_alone_has_no_values_beside_it() -> None:
    found = read('<name><given id="1"/><given id="2"/></name>')
    assert found["name"] == [{"_given": [{"id": "1"}, {"id": "2"}]}]
    assert xml.encode(found | {"name": [{"given": [None, None], "_given": [{"id": "1"}, {"id": "2"}]}]}) == xml.encode(found)


@pytest.mark.parametrize(
    ("element", "text", "value"),
    [
        ("valueDecimal", "5.60", Decimal("5.60")),
        ("valueDecimal", "-0.0", Decimal("-0.0")),
        ("valueDecimal", "1e3", Decimal("1E+3")),
        ("valueDecimal", "7", 7),
        ("valueInteger", "-7", -7),
        ("valuePositiveInt", "7", 7),
        ("valueUnsignedInt", "0", 0),
        ("valueBoolean", "false", False),
        ("valueString", "7", "7"),
        ("valueDate", "2026-02", "2026-02"),
    ],
)
def test_values_have_the_type_of_their_element(element: str, text: str, value: object) -> None:
    found = read(f'<extension url="urn:x"><{element} value="{text}"/></extension>')["extension"][0][element]
    assert found == value and type(found) is type(value) and str(found) == str(value)


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ("valueDecimal", "5,6"),
        ("valueDecimal", "05"),
        ("valueDecimal", "1" * 400),
        ("valueInteger", "7.0"),
        ("valueBoolean", "True"),
        ("valueString", ""),
    ],
)
def test_a_value_that_json_could_not_hold_is_refused_with_its_place(element: str, text: str) -> None:
    finding = refused(PATIENT.format(f'\n<extension url="urn:x"><{element} value="{text}"/></extension>'))
    assert finding.code == "bad-value" and finding.line == "2"
    assert finding.target == f"Patient.extension[0].value.ofType({element[5].lower() + element[6:]})"


def test_line_ends_and_tabs_of_a_value_survive() -> None:
    resource = {"resourceType": "Patient", "name": [{"text": 'a\r\n\tb "<&>\'" 　'}]}
    assert xml.decode(xml.encode(resource)) == resource


@pytest.mark.parametrize(
    "inner", ["a b", "<p>a</p> <p>b</p>", "<br></br>", "<br/>", "&#160;&lt;&amp;", "a\r\nb\n", "<div>x <div/></div>", "<!-- <div> -->x", "收缩压"]
)
def test_the_narrative_is_kept_as_it_is(inner: str) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": DIV.format(inner)}}
    assert xml.decode(xml.encode(resource)) == resource
    assert xml.decode(xml.encode_pretty(resource)) == resource


def test_each_narrative_of_a_bundle_is_its_own() -> None:
    inner = [{"resource": {"resourceType": "Basic", "text": {"status": "empty", "div": DIV.format(f"<div>{n}</div>")}}} for n in range(3)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": inner}
    assert xml.decode(xml.encode(bundle)) == bundle


def test_a_narrative_with_prefixes_from_above_is_written_anew() -> None:
    found = xml.decode(
        b'<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text><f:status value="generated"/>'
        b'<h:div class="a">x <h:div>y</h:div><h:br/></h:div></f:text></f:Patient>'
    )
    assert found["text"]["div"] == '<div xmlns="http://www.w3.org/1999/xhtml" class="a">x <div>y</div><br/></div>'


def test_named_entities_of_html_become_characters() -> None:
    document = xml.encode({"resourceType": "Patient", "text": {"status": "generated", "div": DIV.format("a&nbsp;b&eacute;&lt;")}})
    assert xml.decode(document)["text"]["div"] == DIV.format("a\u00a0bé&lt;")


@pytest.mark.parametrize(
    "div", ["", "x", "<div>", "<p/>", "<div xmlns='urn:x'/>", DIV.format("<p>"), DIV.format("&nothing;"), DIV.format("") + "<x/>"]
)
def test_a_narrative_that_is_no_div_cannot_be_written(div: str) -> None:
    finding = unwritable({"resourceType": "Patient", "text": {"status": "generated", "div": div}})
    assert (finding.code, finding.target) == ("bad-value", "Patient.text.div")


def test_comments_instructions_and_schema_locations_are_dropped() -> None:
    document = (
        '\ufeff<?xml version="1.0" encoding="UTF-8"?><!-- a --><?x y?><Patient xmlns="http://hl7.org/fhir" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"><!-- b --><active value="true"/><?z?></Patient>'
    )
    assert xml.decode(document.encode()) == {"resourceType": "Patient", "active": True}


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]>' + PATIENT.format('<active value="true"/>'),
        '<?xml version="1.0"?><!-- c -->\n<!DOCTYPE x SYSTEM "file:///etc/passwd">' + PATIENT.format(""),
        PATIENT.format("&nbsp;"),
        PATIENT.format("<active>"),
        PATIENT.format('<name>江<given value="a"/></name>'),
        PATIENT.format('<active value="true"/> x'),
        "",
        PATIENT.format("").encode("utf-16"),
        '<Patient xmlns="http://hl7.org/fhir"><name><text value="江"/></name></Patient>'.encode("gb18030"),
    ],
)
def test_what_is_not_plain_well_formed_utf8_xml_is_refused(content: str | bytes) -> None:
    assert refused(content).code == "not-xml"


@pytest.mark.parametrize(
    "inside", ['<extension url="a">' * 300 + "</extension>" * 300, f'<implicitRules value="{"a" * 11_000_000}"/>'], ids=["deep", "long"]
)
def test_beyond_the_limits_of_the_parser_the_fault_is_the_size(inside: str) -> None:
    assert refused(PATIENT.format(inside)).code == "too-large"


def test_ten_thousand_comments_before_the_root_cost_nothing() -> None:
    assert xml.decode(("<!-- a --><?x y?>" * 10_000 + PATIENT.format('<active value="true"/>')).encode())["active"] is True


@pytest.mark.parametrize(
    ("content", "code", "target"),
    [
        ("<Patient/>", "unknown-type", "Patient"),
        ('<Person2 xmlns="http://hl7.org/fhir"/>', "unknown-type", "Person2"),
        ('<DomainResource xmlns="http://hl7.org/fhir"/>', "unknown-type", "DomainResource"),
        (PATIENT.format('<colour value="red"/>'), "unknown-element", "Patient.colour"),
        (PATIENT.format('<name/><name><given value="a"/><nick value="b"/></name>'), "bad-value", "Patient.name[0]"),
        (PATIENT.format('<name><given value="a"/></name><name><nick value="b"/></name>'), "unknown-element", "Patient.name[1].nick"),
        (PATIENT.format('<name><id value="a"/></name>'), "unknown-element", "Patient.name[0].id"),
        (PATIENT.format('<active value="true" colour="red"/>'), "unknown-element", "Patient.active"),
        (PATIENT.format('<name colour="red"><given value="a"/></name>'), "unknown-element", "Patient.name[0]"),
        (PATIENT.format('<active xmlns="urn:x" value="true"/>'), "unknown-element", "Patient.active"),
        (PATIENT.format('<text><status value="generated"/><div>a</div></text>'), "unknown-element", "Patient.text.div"),
        (PATIENT.format('<active value="true"/><active value="true"/>'), "wrong-cardinality", "Patient.active"),
        (PATIENT.format('<active id="a"/><active id="b"/>'), "wrong-cardinality", "Patient.active"),
        (PATIENT.format('<active value="true"/><active id="b"/>'), "wrong-cardinality", "Patient.active"),
        (PATIENT.format("<active/>"), "bad-value", "Patient.active"),
        (PATIENT.format("<contained/>"), "bad-value", "Patient.contained[0]"),
        (PATIENT.format("<contained><Shoe/></contained>"), "unknown-type", "Patient.contained[0].Shoe"),
        (PATIENT.format("<contained><Basic><code/></Basic></contained>"), "bad-value", "Patient.contained[0].code"),
        (PATIENT.format('<active value="true"><value value="1"/></active>'), "unknown-element", "Patient.active.value"),
        (PATIENT.format('<extension url=""><valueCode value="a"/></extension>'), "bad-value", "Patient.extension[0]"),
    ],
)
def test_what_r4_does_not_know_is_refused_with_its_place(content: str, code: str, target: str) -> None:
    finding = refused(content)
    assert (finding.code, finding.target, finding.line) == (code, target, "1")
    assert finding.message.startswith("第 1 行 ")


@pytest.mark.parametrize(
    ("inside", "code", "target"),
    [
        ({"name": {"text": "a"}}, "wrong-shape", "Patient.name"),
        ({"name": ["a"]}, "wrong-shape", "Patient.name[0]"),
        ({"name": [{"given": ["a", 1]}]}, "wrong-shape", "Patient.name[0].given[1]"),
        ({"name": [{"given": "a"}]}, "wrong-shape", "Patient.name[0].given"),
        ({"active": "true"}, "wrong-shape", "Patient.active"),
        ({"active": 1}, "wrong-shape", "Patient.active"),
        ({"multipleBirthInteger": True}, "wrong-shape", "Patient.multipleBirth.ofType(integer)"),
        ({"birthDate": "\x00"}, "bad-value", "Patient.birthDate"),
        ({"colour": "red"}, "unknown-element", "Patient.colour"),
        ({"_name": [{"id": "1"}]}, "unknown-element", "Patient._name"),
        ({"contained": [{"resourceType": "Basic", "code": {"colour": 1}}]}, "unknown-element", "Patient.contained[0].code.colour"),
        ({"contained": [{"id": "1"}]}, "unknown-type", "Patient.contained[0]"),
        ({"extension": [{"url": 1}]}, "wrong-shape", "Patient.extension[0].url"),
        ({"extension": [{"url": "urn:x", "valueDecimal": Decimal("NaN")}]}, "wrong-shape", "Patient.extension[0].value.ofType(decimal)"),
    ],
)
def test_what_xml_cannot_carry_is_refused_with_its_place(inside: dict[str, Any], code: str, target: str) -> None:
    finding = unwritable({"resourceType": "Patient"} | inside)
    assert (finding.code, finding.target) == (code, target)


def test_no_type_and_endless_nesting_cannot_be_written() -> None:
    assert unwritable({"id": "1"}).code == "unknown-type"
    endless: dict[str, Any] = {"url": "urn:x"}
    for _ in range(5000):
        endless = {"url": "urn:x", "extension": [endless]}
    assert unwritable({"resourceType": "Patient", "extension": [endless]}).code == "too-deep"


def test_pretty_xml_has_a_line_for_each_element() -> None:
    resource = {"resourceType": "Patient", "text": {"status": "empty", "div": DIV.format("a\nb")}, "name": [{"given": ["岚"]}]}
    assert xml.encode_pretty(resource).decode().splitlines() == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<Patient xmlns="http://hl7.org/fhir">',
        "  <text>",
        '    <status value="empty"/>',
        '    <div xmlns="http://www.w3.org/1999/xhtml">a',
        "b</div>",
        "  </text>",
        "  <name>",
        '    <given value="岚"/>',
        "  </name>",
        "</Patient>",
    ]


def test_content_references_share_one_shape() -> None:
    shape = resource_shape("Questionnaire")
    assert shape is not None
    item = shape.slot("item")
    assert item is not None
    below = shape.below(item)
    inner = below.slot("item")
    assert inner is not None and below.below(inner) is below
