"""What a document is refused for, and which encoding reads it. Every refusal says what was expected and what to do next."""

from __future__ import annotations

from io import BytesIO

import pytest

from adapters.cda import adapter
from gateway.errors import Finding, Refused
from tests.adapters.cda.documents import Laboratory, laboratory
from tests.adapters.cda.layouts import layout, small

EXTRACT = adapter.compile([layout("cda_c0007")])
GOOD = laboratory(Laboratory())
BOMB = '<?xml version="1.0"?>\n<!-- x -->\n<!DOCTYPE lol [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>\n<ClinicalDocument>&b;</ClinicalDocument>'
EXTERNAL = '<!DOCTYPE ClinicalDocument SYSTEM "file:///etc/passwd"><ClinicalDocument/>'


def refusal(content: bytes) -> Finding:
    """The finding that a document is refused with."""
    with pytest.raises(Refused) as refused:
        list(EXTRACT(content))
    assert refused.value.finding.severity == "refuse"
    assert str(refused.value) == refused.value.finding.code  # never patient data in an exception's text
    return refused.value.finding


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "not-xml", "空"),
        (b"  \n", "not-xml", "空"),
        (b"MSH|^~\\&|", "not-xml", "第 1 行"),
        (GOOD[:3000].encode(), "not-xml", "完整"),
        (BOMB.encode(), "xml-doctype", "DOCTYPE"),
        (EXTERNAL.encode(), "xml-doctype", "DOCTYPE"),
        (b"<patient/>", "not-cda", "ClinicalDocument"),
        (b'<ClinicalDocument xmlns="urn:other"/>', "not-cda", "urn:hl7-org:v3"),
        (b"<ClinicalDocument/>", "unknown-dataset", "code/@code"),
        (GOOD.replace('"C0007"', '"C0006"').encode(), "unknown-dataset", "检查报告"),
        (b"<ClinicalDocument>" + b"<a>" * 400 + b"</a>" * 400 + b"</ClinicalDocument>", "xml-too-deep", "256"),
        (b"<ClinicalDocument>\xff\xff\xff</ClinicalDocument>", "undecodable", "UTF-8"),
    ],
)
def test_refused_with_reason_and_next_step(content: bytes, code: str, says: str) -> None:
    finding = refusal(content)
    assert finding.code == code
    assert says in finding.message
    assert "请" in finding.message or "不需要" in finding.message


def test_an_unknown_type_says_which_types_are_taken_and_what_to_add() -> None:
    finding = refusal(GOOD.replace('"C0007"', '"C0053"').encode())
    assert "C0053" in finding.message and "C0007" in finding.message and "yifang.toml" in finding.message


def test_a_document_above_the_limit_is_refused_before_it_is_read_whole() -> None:
    extract = adapter.compile([small({"标题": "title"}, options={"max_bytes": 2000})])

    class Endless(BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None and size > 0
            self.taken += size
            return b" " * size

    stream = Endless()
    with pytest.raises(Refused) as refused:
        list(extract(stream))
    assert refused.value.finding.code == "too-large" and "max_bytes" in refused.value.finding.message
    assert stream.taken == 2001


def test_entities_are_never_expanded_even_without_doctype() -> None:
    assert refusal(b"<ClinicalDocument>&nbsp;</ClinicalDocument>").code == "not-xml"


@pytest.mark.parametrize(
    ("declared", "encoding", "media", "notes"),
    [
        ("UTF-8", "utf-8", "UTF-8", 0),
        ("", "utf-8", "UTF-8", 0),
        ("GBK", "gbk", "GB18030", 0),
        ("GB2312", "gb18030", "GB18030", 0),
        ("gb18030", "gb18030", "GB18030", 0),
        ("UTF-8", "gbk", "GB18030", 1),
        ("", "gbk", "GB18030", 1),
        ("ISO-8859-1", "gbk", "GB18030", 1),
        ("GBK", "utf-8", "UTF-8", 1),
        ("Big5", "big5", "BIG5", 0),
        ("UTF-16", "utf-16", "UTF-16", 0),
        ("x-unheard-of", "gb18030", "GB18030", 1),
    ],
)
def test_the_bytes_decide_the_encoding_and_a_wrong_declaration_is_remarked(declared: str, encoding: str, media: str, notes: int) -> None:
    said = f' encoding="{declared}"' if declared else ""
    name = "陳文華" if encoding == "big5" else "㐂丂陈"
    name = name if encoding in ("big5", "utf-8", "utf-16", "gb18030") else "陈示例"
    person = f"<recordTarget><patientRole><patient><name>{name}</name></patient></patientRole></recordTarget>"
    text = f'<?xml version="1.0"{said}?><ClinicalDocument><code code="C0007"/>{person}</ClinicalDocument>'
    (row,) = EXTRACT(text.encode(encoding))
    assert row.fields["姓名"] == name
    assert row.fields["原文格式"] == f"application/xml; charset={media}"
    assert [f.code for f in row.findings] == ["charset-disagrees"] * notes


def test_a_byte_order_mark_is_no_fault() -> None:
    (row,) = EXTRACT(b"\xef\xbb\xbf" + GOOD.encode())
    assert row.fields["姓名"] == "欧阳示例"


def test_a_fault_is_told_at_its_place_in_the_bytes_that_came() -> None:
    finding = refusal(b'<ClinicalDocument xmlns="urn:hl7-org:v3"><code code="C0007"/><title>&nothing;</title></ClinicalDocument>')
    assert finding.code == "not-xml"
    assert "第 1 行第 78 列" in finding.message  # behind the entity
