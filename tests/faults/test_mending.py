"""The map, table or profile is mended, put into effect, and the same message maps: no sender has to send again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway import builtin
from tests.faults import samples
from tests.faults.town import HOSPITAL, VILLAGE, Town

pytestmark = pytest.mark.slow

POST = "community/village_reading/sources/village_post.toml"
METER = "community/village_reading/sources/meter_csv.toml"
SHEET = "public_health/hypertension_followup/sources/vendor_c_xlsx.toml"
FORM = "public_health/hypertension_followup/fields.csv"
ORU = "clinical/hl7v2_oru/sources/standard.toml"
METER_COLUMNS = ["导出时间", "身份证", "姓名", "性别", "测量时间", "收缩压(kPa)", "舒张压(kPa)"]


def meter(who: samples.Resident, number: str, columns: list[str], sex: str) -> bytes:
    """A CSV of one reading; the columns say under which heads the number stands."""
    head = [*columns, *METER_COLUMNS]
    row = [*[number] * len(columns), "2026-04-01 08:31:10", who.id_card, who.name, sex, "2026-04-01 08:30:00", "18.4", "11.2"]
    return ("\r\n".join(",".join(line) for line in (head, row)) + "\r\n").encode("gb18030")


def post(**members: Any) -> dict[str, Any]:
    """A reading of a program that calls the number `reading_id`, and still `readingId` unless said otherwise."""
    made = samples.reading(samples.resident(), **members)
    return made | {"reading_id": made.get("readingId") or "N1"}


def latin(who: samples.Resident) -> bytes:
    """An ORU in ISO 8859-1, which MSH-18 calls UTF-8 and no Chinese charset can read."""
    text = samples.oru(who, [("14749-6^GLU^LN", "5.60", "mmol/L")], person="SITU TEST", panel="BIO^PANEL^L", specimen="SER^SERUM^HL70487").decode()
    return text.replace("SPM|1", "NTE|1||Ren\xe9\rSPM|1").encode("iso8859-1")


def send_all(town: Town) -> dict[str, int]:
    """Sends every bad message; its number by case, while each is held or refused with the code of that case."""
    who = samples.resident
    unnamed = post(resident={"idNo": who().id_card, "name": "司徒末", "sex": "1"})
    renamed = post(readingId=None)
    stranger = post(readingId=None) | {"reading_id": "N2"}
    high = samples.workbook([samples.follow_up(who(), **{"收缩压(mmHg)": "305"})])
    other = samples.workbook([samples.follow_up(who())], sheet="随访2026")
    sent: dict[str, tuple[str, bytes | None, str]] = {}
    for case, source, body, code in (
        ("no-person", "village-post", unnamed, "no-person-number"),
        ("missing-key", "village-post", renamed, "missing-key"),
        ("unknown-record", "post", stranger, "unknown-dataset"),
    ):
        assert town.post(source, body).status_code == 202
        sent[case] = (source, town.original(town.kept(source).id), code)
    for case, source, name, content, code in (
        ("unknown-code", "meters", "code.csv", meter(who(), "M1", ["流水号", "编号"], "先生"), "untranslated-code"),
        ("lost-key-column", "meters", "column.csv", meter(who(), "M2", ["编号"], "男"), "missing-key"),
        ("impossible-value", "sheets", "high.xlsx", high, "impossible-value"),
        ("unknown-table", "sheets", "other.xlsx", other, "no-table"),
        ("unknown-document", "documents", "visit.xml", samples.visit(who()), "unknown-dataset"),
    ):
        town.drop(source, name, content)
        sent[case] = (source, content, code)
    adt = (builtin.MAPPINGS / "clinical/hl7v2_adt/examples/ordinary.hl7").read_bytes()
    for case, source, content, code in (
        ("undecodable", "lis", latin(who()), "undecodable"),
        ("unknown-message", "analyser", adt, "unknown-message-type"),
    ):
        assert town.mllp(source, content).code == "AR"
        sent[case] = (source, content, code)
    numbers = {}
    for case, (source, content_, code) in sent.items():
        kept = town.kept(source, content_)
        assert kept.state in ("held", "refused"), case
        shown = town.show(kept.id)
        assert code in [f["code"] for f in [*shown["findings"], *(f for r in shown["records"] for f in r["findings"])]], case
        assert [r for r in shown["records"] if r["resources"]] == []
        numbers[case] = kept.id
    return numbers


def mend(town: Town) -> None:
    """What an informatician does about them: profiles, a form's limit, the configuration; goldens looked at and accepted."""
    town.edit(POST, lambda text: text.replace('= "readingId"', '= "reading_id"').replace('= "/resident/idCard"', '= "/resident/idNo"'))
    town.edit(METER, lambda text: text.replace('"读数编号" = "流水号"', '"读数编号" = "编号"').replace('"男" = "1"', '"男" = "1"\n"先生" = "1"'))
    town.edit(SHEET, lambda text: text.replace('sheet = "高血压患者随访服务记录表"', 'sheet = "高血压患者随访服务记录表|随访\\\\d+"'))
    town.edit(FORM, lambda text: text.replace("mmHg,50,300,", "mmHg,50,320,"))
    town.edit(ORU, lambda text: text.replace('mode = "snapshot"', 'mode = "snapshot"\ncharset = "iso8859-1"'))
    town.accept("village_reading", "hypertension_followup", "hl7v2_oru")
    assert town.command("map.activate")["state"] == "active"

    def configure(raw: dict[str, Any]) -> None:
        for source in raw["source"]:
            source["profiles"] += {"documents": ["cda_c0002/wst500"], "analyser": ["hl7v2_adt/standard"]}.get(source["name"], [])

    town.restart(configure)


@pytest.fixture(scope="module")
def mended(town: Town) -> Iterator[dict[str, dict[str, Any]]]:
    """The outcome of replaying each bad message after the mending, with its number as `message`."""
    numbers = send_all(town)
    before = {case: town.original(number) for case, number in numbers.items()}
    mend(town)
    yield {case: town.command("messages.replay", message=number) | {"original": before[case]} for case, number in numbers.items()}


CASES = {
    "missing-key": "Observation",
    "no-person": "Patient",
    "unknown-record": "Observation",
    "unknown-code": "Patient",
    "lost-key-column": "Observation",
    "impossible-value": "Observation",
    "unknown-table": "Encounter",
    "unknown-document": "Encounter",
    "unknown-message": "Encounter",
    "undecodable": "DiagnosticReport",
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_message_maps_after_the_mending(town: Town, mended: dict[str, dict[str, Any]], case: str) -> None:
    receipt = mended[case]
    assert receipt["state"] == "mapped", receipt
    (record,) = receipt["records"]
    assert record["state"] == "written"
    assert town.resource(record, CASES[case])["resourceType"] == CASES[case]
    shown = town.show(receipt["message"])
    assert shown["state"] == "mapped"
    assert town.original(receipt["message"]) == receipt["original"]


def test_no_hold_of_a_mended_message_is_left(town: Town, mended: dict[str, dict[str, Any]]) -> None:
    waiting = {h["message"] for h in town.command("holds.list", limit=500)}
    assert waiting.isdisjoint(r["message"] for r in mended.values())


def test_what_was_read_is_what_was_sent(town: Town, mended: dict[str, dict[str, Any]]) -> None:
    patient = town.resource(mended["unknown-code"]["records"][0], "Patient")
    assert patient["gender"] == "male"
    pressure = next(
        r
        for r in (town.fhir(f"Observation/{x['id']}") for x in mended["impossible-value"]["records"][0]["resources"] if x["type"] == "Observation")
        if "component" in r
    )
    assert float(pressure["component"][0]["valueQuantity"]["value"]) == 305
    assert mended["unknown-message"]["records"][0]["key"][0] == HOSPITAL
    assert mended["lost-key-column"]["records"][0]["key"] == [VILLAGE, "M2"]


def test_the_mended_profile_takes_what_comes_next_too(town: Town, mended: dict[str, dict[str, Any]]) -> None:
    content = latin(samples.resident())
    assert town.mllp("lis", content).code == "AA"
    assert town.kept("lis", content).charset == "iso8859-1"
    assert town.drop("documents", "next.xml", samples.visit(samples.resident())).parent.name == "done"
    assert set(mended) == set(CASES)


@pytest.mark.parametrize("name", ["impossible-date", "check-digit"])
def test_a_fault_of_the_sender_stays_replayable_and_stays_what_it_is(town: Town, mended: dict[str, dict[str, Any]], name: str) -> None:
    who = samples.resident()
    said = {"idNo": who.id_card[:-1] + ("1" if who.id_card[-1] != "1" else "2"), "name": who.name}
    bad = post(measuredAt="2026-02-30T08:00:00+08:00") if name == "impossible-date" else post(resident=said)
    town.post("village-post", bad)
    kept = town.kept("village-post")
    with town.nothing_written():
        again = town.command("messages.replay", message=kept.id)
    assert [r["state"] for r in again["records"]] == ["held"]
    assert [h["message"] for h in town.command("holds.list", limit=500)].count(kept.id) == 1
