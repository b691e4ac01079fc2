"""Messages to rows: against python-hl7 as the oracle, and the shapes that are seen in the field."""

from __future__ import annotations

import io
import string
from typing import Any, BinaryIO, cast

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7v2 import adapter
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError, Refused
from gateway.record import CLEAR, Row
from tests.adapters.hl7v2.layouts import adt, message, oru


def rows(content: bytes, *layouts: Layout) -> list[Row]:
    """All rows of a message."""
    return list(adapter.compile(layouts or [oru()])(content))


def one(content: bytes, *layouts: Layout) -> dict[str, Any]:
    """Fields of the only row."""
    (row,) = rows(content, *layouts)
    return row.fields


TEXT = st.text(string.ascii_letters + string.digits + "张三李 .:/()%", max_size=12).map(str.strip)


@given(TEXT, TEXT, st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=4))
def test_values_are_those_that_python_hl7_reads(identifier: str, family: str, results: list[tuple[str, str, str]]) -> None:
    body = f"PID|1||{identifier}^^^LIS&1.2^PI||{family}^甲\rOBR|1|P1|R1|PANEL\r"
    body += "".join(f"OBX|{i}|ST|{code}^{name}^L||{value}|mmol/L|||||F\r" for i, (code, name, value) in enumerate(results, 1))
    text = message(body).decode()
    oracle = hl7.parse(text)
    fields = one(text.encode())
    assert [x.get("1", "") for x in fields["PID-3"]] == [str(oracle.extract_field("PID", 1, 3, 1, 1))] if identifier else True
    assert fields["PID-5"][0].get("1", "") == str(oracle.extract_field("PID", 1, 5, 1, 1))
    for i, observation in enumerate(fields["OBR"][0]["OBX"], 1):
        segment = oracle.segments("OBX")[i - 1]
        assert observation.get("OBX-3", {}).get("2", "") == str(oracle.extract_field("OBX", i, 3, 1, 2))
        assert observation.get("OBX-5", [{"": ""}])[0][""] == str(segment[5])


def test_composites_repetitions_and_the_text_as_a_whole() -> None:
    fields = one(message("PID|1||A1^^^LIS&1.2.3^PI~39010219800101001X^^^^NI||张^三~Zhang^San\rOBR|1||R1|GLU\r"))
    assert fields["PID-3"] == [
        {"": "A1^^^LIS&1.2.3^PI", "1": "A1", "4.1": "LIS", "5": "PI"},
        {"": "39010219800101001X^^^^NI", "1": "39010219800101001X", "5": "NI"},
    ]
    assert [x["1"] for x in fields["PID-5"]] == ["张", "Zhang"]


def test_a_tilde_in_a_field_that_does_not_repeat_is_text() -> None:
    assert one(message())["OBR"][0]["OBX"][0]["OBX-7"] == "3.9~6.1"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"\X41\\X42\ ", "AB"),
        (r"第一行\.br\第二行", "第一行\n第二行"),
        (r"C:\temp\new", r"C:\temp\new"),
        (r"\H\重要\N\ ", "重要"),
    ],
)
def test_escapes_become_text_and_unknown_ones_stay(sent: str, read: str) -> None:
    assert one(message(f"PID|1||1\rOBR|1||R1|X\rOBX|1|ST|A||{sent}||||||F\r"))["OBR"][0]["OBX"][0]["OBX-5"][0][""].strip() == read


def test_other_separators_from_msh1_and_msh2() -> None:
    content = b"MSH#*!?%#LIS#H1###20260105##ORU*R01#7#P#2.4\rPID#1##A1***LIS%1.2*PI!B2##Li*Si\rOBR#1##R1#X\rOBX#1#ST#A*B##a?S?b^c######F\r"
    fields = one(content)
    assert [x["1"] for x in fields["PID-3"]] == ["A1", "B2"]
    assert fields["OBR"][0]["OBX"][0]["OBX-5"][0][""] == "a*b^c"


def test_two_double_quotes_clear_and_empty_says_nothing() -> None:
    fields = one(message('PID|1||A1||张^三||""|\rOBR|1||R1|GLU|||""\r'))
    assert fields[CLEAR] == ["PID-7"]
    assert "PID-7" not in fields and "PID-8" not in fields
    assert fields["OBR"][0][CLEAR] == ["OBR-7"]


def test_groups_follow_the_segments() -> None:
    body = "PID|1||A1\rPV1|1|O\rORC|RE|P1\rOBR|1||R1|GLU\rNTE|1||全单\rOBX|1|NM|A||1||||||F\rNTE|1||单项\r"
    body += "OBX|2|NM|B||2||||||F\rZXX|1\rSPM|1|S1||SER\rOBX|1|ST|C||x\r"
    (order,) = one(message(body))["OBR"]
    assert order["ORC-2"]["1"] == "P1"
    assert [n["NTE-3"] for n in order["NTE"]] == [["全单"]]
    assert [o["OBX-3"]["1"] for o in order["OBX"]] == ["A", "B"]
    assert order["OBX"][0]["NTE"][0]["NTE-3"] == ["单项"]
    assert order["SPM"][0]["SPM-2"]["1"] == "S1"
    assert order["SPM"][0]["OBX"][0]["OBX-3"]["1"] == "C"


def test_results_that_come_after_the_specimen_are_still_results() -> None:
    (order,) = one(message("PID|1||A1\rOBR|1||R1|GLU\rSPM|1|S1||SER\rOBX|1|NM|A||1||||||F\rOBX|2|NM|B||2||||||F\r"))["OBR"]
    assert [o["OBX-3"]["1"] for o in order["OBX"]] == ["A", "B"]


def test_a_message_with_two_reports_gives_two_records_and_orders_of_one_report_stay_together() -> None:
    found = rows(message("PID|1||A1\rOBR|1||R1|GLU\rOBR|2||R1|UREA\rOBR|3||R2|WBC\r"))
    assert [(r.fields["报告单号"], [o["OBR-4"]["1"] for o in r.fields["OBR"]]) for r in found] == [("R1", ["GLU", "UREA"]), ("R2", ["WBC"])]
    assert {r.unit for r in found} == {found[0].unit}


def test_orders_of_one_report_stay_together_when_only_some_have_an_orc() -> None:
    content = message("PID|1||A1\rORC|RE|P1|R1\rOBR|1||R1|GLU\rOBR|2||R1|UREA\rORC|RE|P3|R2\rOBR|3|||WBC\r")
    found = rows(content, oru({"报告单号": "OBR-3.1 | ORC-3.1"}))
    assert [(r.fields["报告单号"], len(r.fields["OBR"])) for r in found] == [("R1", 2), ("R2", 1)]


def test_a_message_with_two_patients_gives_two_records() -> None:
    found = rows(message("PID|1||A1\rOBR|1||R1|GLU\rPID|2||A2\rOBR|1||R2|GLU\r"))
    assert [(r.fields["PID-3"][0]["1"], r.fields["报告单号"], r.fields["MSH-10"]) for r in found] == [("A1", "R1", "M1"), ("A2", "R2", "M1")]


def test_a_result_without_its_order_holds_the_record() -> None:
    (row,) = rows(message("PID|1||A1\rOBX|1|NM|A||1||||||F\rOBR|1||R1|GLU\r"))
    assert [(f.code, f.severity, f.source) for f in row.findings] == [("segment-misplaced", "hold", "OBX")]


def test_a_raw_line_break_inside_a_field_is_joined_and_remarked() -> None:
    (row,) = rows(message("PID|1||A1\rOBR|1||R1|GLU\rOBX|1|TX|A||第一行\n第二行||||||F\r"))
    assert row.fields["OBR"][0]["OBX"][0]["OBX-5"][0][""] == "第一行\n第二行"
    assert [f.code for f in row.findings] == ["raw-line-break"]


def test_locators_of_a_vendor() -> None:
    observation = GroupLayout(each="OBX", fields={"OBX-3": "OBX-3 + 2:OBX-4", "OBX-4": "none"})
    groups = {
        "OBR": GroupLayout(each="[ORC] OBR", fields={"标本条码": "SPM-2.1 | OBR-3.1"}, groups={"OBX": observation, "SPM": GroupLayout(each="SPM")})
    }
    layout = oru(
        {"PID-3": "PID-2", "报告单号": "OBR-7:8 & OBR-3.1", "证件": "PID-3[5=NI].1", "次": "PID-3[2].1", "时间": "OBR-22 | MSH-7"},
        {"record_by": "报告单号"},
        groups,
    )
    fields = one(message("PID|1|A9^^^X|L1~39X^^^^NI\rOBR|1||S7|GLU|||20260105080000\rOBX|1|NM|2|葡萄糖|5.6||||||F\r"), layout)
    assert fields["PID-3"][0]["1"] == "A9"
    assert (fields["报告单号"], fields["证件"], fields["次"], fields["时间"]) == ("20260105-S7", "39X", "39X", "20260105093000")
    assert fields["OBR"][0]["标本条码"] == "S7"
    (result,) = fields["OBR"][0]["OBX"]
    assert result["OBX-3"]["1"] == "2" and result["OBX-3"]["2"] == "葡萄糖" and "OBX-4" not in result


def test_the_key_of_an_adt_without_a_visit_is_the_patient() -> None:
    start = b"MSH|^~\\&|HIS|H1|||20260105||ADT^A08|7|P|2.4\rEVN|A08\rPID|1||A1\r"
    assert "患者号" not in one(start + b"PV1|1|O|||||||||||||||||V1\r", adt())
    assert one(start, adt())["患者号"] == "A1"


def test_each_message_goes_to_the_profile_that_takes_it() -> None:
    extract = adapter.compile([oru(), adt()])
    assert [r.dataset for r in extract(message())] == ["hl7v2_oru"]
    assert [r.dataset for r in extract(b"MSH|^~\\&|HIS|H1|||20260105||ADT^A01|7|P|2.4\rPID|1||A1\r")] == ["hl7v2_adt"]
    with pytest.raises(Refused) as refused:
        list(extract(b"MSH|^~\\&|HIS|H1|||20260105||SIU^S12|7|P|2.4\r"))
    assert refused.value.finding.code == "unknown-message-type"


@pytest.mark.parametrize("content", [b"<xml/>", b"", b"MSH", b"hello"])
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        rows(content)
    assert refused.value.finding.code == "not-hl7v2"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_batch_file_gives_all_messages_and_a_bad_one_does_not_stop_the_rest(end: str) -> None:
    messages = [message(control_id=f"M{i}") for i in (1, 2, 3)]
    messages[1] = messages[1].replace(b"ORU^R01", b"SIU^S12")
    batch = b"FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r" + b"".join(messages) + b"BTS|3\rFTS|1\r"
    content = batch.replace(b"\r", end.encode())
    for source in (content, io.BytesIO(content)):
        found = list(adapter.compile([oru()])(source))
        assert [r.position for r in found] == ["第 1 条报文，MSH-10 M1", "第 2 条报文", "第 3 条报文，MSH-10 M3"]
        assert [[f.code for f in r.findings] for r in found] == [[], ["unknown-message-type"], []]
        assert found[2].fields["OBR"][0]["OBX"][0]["OBX-5"][0][""] == "5.60"


def test_a_message_is_the_same_unit_in_a_file_and_on_the_wire() -> None:
    sent = message()
    file = b"\x0b" + sent + b"\x1c\r\x0b" + message(control_id="M2") + b"\x1c\r"
    assert next(r.unit for r in rows(file)) == rows(sent)[0].unit


def test_a_large_file_is_read_in_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        """Two thousand messages without holding them."""

        def __init__(self) -> None:
            self.left = 2000
            self.most = 0

        def read(self, size: int = -1) -> bytes:
            self.left -= 100
            return message() * 100 if self.left >= 0 else b""

    assert sum(1 for _ in adapter.compile([oru()])(cast(BinaryIO, Endless()))) == 2000


def test_quality_control_goes_to_its_own_table_and_never_to_a_patient() -> None:
    layout = oru(options={"quality_control": {"field": "MSH-16", "value": "2"}})
    control = message("PID|1||A1\rOBR|1|QC-A|9|X|||20260105080000\rOBX|1|NM|2|葡萄糖|5.6| mmol/L |||||F\r").replace(b"|2.4|||||", b"|2.4||||2|")
    (row,) = rows(control, layout)
    assert row.dataset == "quality_control"
    assert row.fields["results"] == [
        {
            "item": "2",
            "material": "QC-A",
            "run": "9",
            "run_time": "20260105080000",
            "sub_id": "葡萄糖",
            "value": "5.6",
            "unit": "mmol/L",
            "status": "F",
        }
    ]
    assert "PID-3" not in row.fields
    assert rows(message(), layout)[0].dataset == "hl7v2_oru"


@pytest.mark.parametrize("locator", ["PID", "PID-", "PID-0", "pid-3", "PID-3.x", "PID-3 +", "PID-3[x]", ""])
def test_a_locator_that_is_none_is_named_with_its_field(locator: str) -> None:
    with pytest.raises(ConfigError, match="字段 报告单号"):
        adapter.compile([oru({"报告单号": locator})])
    assert locator == "PID" or adapter.check_locator(locator)


@pytest.mark.parametrize(
    "locator", ["PID-3", "PID-5.1.1", "PID-3[5=NI].1", "OBX-3 + 2:OBX-4", "PV1-19.1 | PID-3.1", "OBR-7:8 & OBR-3.1", "none", "[ORC] OBR", "OBX"]
)
def test_well_formed_locators(locator: str) -> None:
    assert adapter.check_locator(locator) is None
