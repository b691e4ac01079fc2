"""JSON bodies become rows: one record, a batch, an array or lines; one bad record does not stop the rest."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.restjson import adapter
from adapters.restjson.split import pieces
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError, Refused
from gateway.record import Row

READING = Layout(
    "village_reading",
    "village_reading/test",
    {"读数编号": "id", "收缩压": "/vitals/sbp", "血糖": "/vitals/glu", "症状": "symptoms"},
    {"用药": GroupLayout(each="/drugs", fields={"名称": "name", "剂量": "/dose/value"})},
    key=("读数编号",),
    repeats=frozenset({"症状"}),
)
ONE = b'{"id": 7, "vitals": {"sbp": 138, "glu": 5.60}, "symptoms": ["a", "b"], "drugs": [{"name": "x", "dose": {"value": 0.10}}, {"name": "y"}]}'


def read(content: bytes, *layouts: Layout) -> list[Row]:
    return list(adapter.compile(layouts or (READING,))(content))


def test_numbers_keep_the_text_the_sender_wrote() -> None:
    (row,) = read(ONE)
    assert row.fields == {
        "读数编号": "7",
        "收缩压": "138",
        "血糖": "5.60",
        "症状": ["a", "b"],
        "用药": [{"名称": "x", "剂量": "0.10"}, {"名称": "y"}],
    }


@pytest.mark.parametrize("number", ["0.10", "5.60", "390000199001011234", "12345678901234567890123", "-0.0", "1.50E+2"])
def test_any_number_survives_exactly(number: str) -> None:
    (row,) = read(b'{"id": 1, "vitals": {"glu": %s}}' % number.encode())
    assert row.fields["血糖"] == {"1.50E+2": "150"}.get(number, number)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"id": "a"}, {"id": "b"}]',
        b'{"records": [{"id": "a"}, {"id": "b"}]}',
        b'{"sent": "x", "records" : [ {"id": "a"} ,\n {"id": "b"} ] }',
        b'{"id": "a"}\n{"id": "b"}\n',
        b'{"id": "a"}\r\n\r\n{"id": "b"}',
        b'\xef\xbb\xbf[{"id": "a"}, {"id": "b"}]',
    ],
)
def test_every_way_to_send_a_batch(body: bytes) -> None:
    rows = read(body)
    assert [r.fields["读数编号"] for r in rows] == ["a", "b"]
    assert [r.position for r in rows] == ["记录 1", "记录 2"]
    assert [r.unit for r in rows] == [b'{"id":"a"}', b'{"id":"b"}']


def test_an_empty_batch_has_no_records() -> None:
    assert read(b" [ ] ") == []
    assert read(b'{"records": []}') == []


@pytest.mark.parametrize(
    "body", [b'[{"id": 1}, {"id": oops}, {"id": 3}]', b'{"id": 1}\n{"id": oops}\n{"id": 3}\n', b'{"records": [{"id":1},[],{"id":3}]}']
)
def test_a_bad_record_is_held_and_the_rest_goes_on(body: bytes) -> None:
    rows = read(body)
    assert [r.fields.get("读数编号") for r in rows] == ["1", None, "3"]
    (finding,) = rows[1].findings
    assert finding.severity == "hold" and "记录 2" in finding.message
    assert rows[0].findings == rows[2].findings == ()


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"<xml/>", b'{"id": 1', b'[{"id": 1}', b'[{"id": "1]', b'[{"id": 1}] trailing', b'{"id": 1} {"id": 2}', b"[1"]
)
def test_a_broken_body_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read(body)
    assert caught.value.finding.code == "not-json"
    assert "第" in caught.value.finding.source


def test_bytes_that_are_no_utf_8_hold_their_record_or_refuse_the_body() -> None:
    assert [f.code for f in read(b'[{"id": "\xc2"}]')[0].findings] == ["not-json"]
    with pytest.raises(Refused):
        read(b'{"\xc2": 1}')


def test_the_place_of_a_fault_is_line_and_column() -> None:
    with pytest.raises(Refused) as caught:
        read(b'{\n  "id": 1,\n  "sbp": oops\n}')
    assert caught.value.finding.source == "第3行第10列"


def test_a_structure_where_a_value_is_expected_is_held() -> None:
    (row,) = read(b'{"id": {"a": 1}, "vitals": {"sbp": 1}}')
    assert [(f.code, f.severity, f.source) for f in row.findings] == [("unexpected-structure", "hold", "id")]
    assert row.fields == {"收缩压": "1"}


def test_the_same_record_however_spaced_and_ordered_is_the_same_unit() -> None:
    assert read(b'{"id":1,"b":2.50}')[0].unit == read(b'{ "b" : 2.50,\n "id" : 1 }')[0].unit
    assert read(b'{"id":1,"b":2.5}')[0].unit != read(b'{"id":1,"b":2.50}')[0].unit


def test_records_go_to_the_profile_they_match() -> None:
    bp = Layout("bp", "bp/p", {"编号": "id"}, options={"match": {"/kind": "bp"}}, key=("编号",))
    glu = Layout("glu", "glu/p", {"编号": "/glu/id"}, key=("编号",))
    rows = read(b'[{"kind":"bp","id":1},{"glu":{"id":2}},{"kind":"x"}]', bp, glu)
    assert [r.dataset for r in rows[:2]] == ["bp", "glu"]
    assert [f.code for f in rows[2].findings] == ["unknown-dataset"]


@pytest.mark.parametrize("locator", ["", " a", "/a//b", "/a~b"])
def test_malformed_locators_are_named(locator: str) -> None:
    assert adapter.check_locator(locator) is not None
    with pytest.raises(ConfigError, match="读数编号"):
        adapter.compile([Layout("d", "d/p", {"读数编号": locator})])


@pytest.mark.parametrize("locator", ["id", "a b", "/a/b", "/a~1b/0", "收缩压"])
def test_well_formed_locators(locator: str) -> None:
    assert adapter.check_locator(locator) is None


class Drip(io.BytesIO):
    """A stream that gives few bytes at a time, so that every cut between chunks is tried."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(3)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), _JSON, max_size=3), max_size=5), st.booleans())
def test_an_array_is_cut_at_its_elements_whatever_stands_in_them(records: list[object], spaced: bool) -> None:
    body = json.dumps(records, ensure_ascii=False, indent=2 if spaced else None).encode()
    for content in (body, Drip(body)):
        found = list(pieces(content, "records"))
        assert [json.loads(piece) for _, piece in found] == records
        assert all(body[offset : offset + len(piece)] == piece for offset, piece in found)


def test_a_large_array_is_read_as_a_stream() -> None:
    def endless() -> io.BufferedIOBase:
        class Array(io.RawIOBase):
            sent = 0

            def readable(self) -> bool:
                return True

            def read(self, size: int = -1, /) -> bytes:
                self.sent += 1
                return b"[" if self.sent == 1 else b'{"id":1},' * 1000

        return Array()  # type: ignore[return-value]  # only read() is used

    rows = adapter.compile([READING])(endless())  # type: ignore[arg-type]  # as above
    assert sum(1 for _ in zip(range(5000), rows, strict=False)) == 5000
