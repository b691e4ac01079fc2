"""What a record lacks or has wrong: a named finding with its source column, the record held where it must be, its neighbours written."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook

from gateway import builtin
from tests.adapters.cda.documents import Item
from tests.faults import samples
from tests.faults.cases import CASES, told
from tests.faults.samples import Resident
from tests.faults.town import Town

pytestmark = pytest.mark.slow


def wrong_digit(who: Resident) -> str:
    """The resident's ID-card number with a check digit that does not fit."""
    return who.id_card[:-1] + ("1" if who.id_card[-1] != "1" else "2")


def spoilt(name: str, who: Resident) -> dict[str, Any]:
    """A reading with the fault of the case."""
    said = {"idCard": who.id_card, "archiveNo": who.archive, "name": who.name, "sex": who.sex, "birthDate": who.born}
    changes: dict[str, dict[str, Any]] = {
        "missing-key": {"readingId": None},
        "nul-in-a-key": {"readingId": "R\0 1"},
        "impossible-date": {"measuredAt": "2026-02-30T08:00:00+08:00"},
        "unknown-code": {"resident": said | {"sex": "男"}},
        "impossible-value": {"glucose": {"value": "90", "timing": "1"}},
        "no-person": {"resident": {"name": who.name, "sex": who.sex}},
        "check-digit": {"resident": said | {"idCard": wrong_digit(who)}},
        "alarm-value": {"bp": {"systolic": "190", "diastolic": "86"}},
    }
    return samples.reading(who, **changes[name])


HELD = ["missing-key", "impossible-date", "unknown-code", "impossible-value", "no-person"]


def outcomes(answer: httpx.Response) -> list[dict[str, Any]]:
    """Outcomes of the records of an answer."""
    found: list[dict[str, Any]] = answer.json()["records"]
    return found


@pytest.mark.parametrize("name", [*HELD, "nul-in-a-key"])
def test_a_record_is_held_and_its_neighbours_are_written(town: Town, name: str) -> None:
    bad, good = samples.resident(), samples.resident()
    answer = town.post("village-post", [spoilt(name, bad), samples.reading(good)])
    assert (answer.status_code, answer.json()["state"]) == (207, "partly")
    first, second = outcomes(answer)
    assert (first["state"], first["resources"], first["position"]) == ("held", [], "记录 1")
    told(CASES[name], first["findings"])
    assert second["state"] == "written"
    assert town.resource(second, "Patient")["name"][0]["text"] == good.name
    kept = town.kept("village-post")
    assert kept.state == "partly"
    assert town.original(kept.id) == answer.request.content
    told(CASES[name], town.show(kept.id)["records"][0]["findings"])
    assert "entry" not in town.fhir(f"Patient?identifier={bad.archive}")


@pytest.mark.parametrize("name", HELD)
def test_a_held_record_waits_for_a_person(town: Town, name: str) -> None:
    town.post("village-post", spoilt(name, samples.resident()))
    kept = town.kept("village-post")
    assert kept.state == "held"
    (waiting,) = [h for h in town.command("holds.list", limit=500) if h["message"] == kept.id]
    assert CASES[name].next in waiting["text"]
    town.command("holds.reject", hold=waiting["id"], by="测试员", reason="来源已更正")
    assert waiting["id"] not in {h["id"] for h in town.command("holds.list", limit=500)}


@pytest.mark.parametrize("name", ["impossible-date", "unknown-code", "impossible-value"])
def test_the_corrected_record_sent_again_is_written(town: Town, name: str) -> None:
    who = samples.resident()
    bad = spoilt(name, who)
    town.post("village-post", bad)
    right = samples.reading(who, readingId=bad["readingId"], updatedAt="2026-04-02T08:00:00+08:00")
    answer = town.post("village-post", right)
    assert (answer.status_code, outcomes(answer)[0]["state"]) == (200, "written")


def test_an_impossible_value_is_written_when_a_person_releases_it(town: Town) -> None:
    town.post("village-post", spoilt("impossible-value", samples.resident()))
    kept = town.kept("village-post")
    (waiting,) = [h for h in town.command("holds.list", limit=500) if h["message"] == kept.id]
    released = town.command("holds.release", hold=waiting["id"], by="测试员")
    assert released["state"] == "written"
    assert town.kept("village-post").state == "mapped"


def test_a_wrong_check_digit_is_left_out_and_links_nobody(town: Town) -> None:
    who, owner = samples.resident(), samples.resident()
    number = wrong_digit(who)
    first = outcomes(town.post("village-post", spoilt("check-digit", who)))[0]
    assert first["state"] == "written"
    told(CASES["check-digit"], first["findings"])
    patient = town.resource(first, "Patient")
    assert who.archive in {i["value"] for i in patient["identifier"]}
    assert number not in {i["value"] for i in patient["identifier"]}
    said = {"idCard": number, "archiveNo": owner.archive, "name": owner.name, "sex": owner.sex, "birthDate": owner.born}
    second = outcomes(town.post("village-post", samples.reading(owner, resident=said)))[0]
    assert town.resource(second, "Patient")["id"] != patient["id"]


def test_a_value_outside_alarm_limits_is_written_and_flagged(town: Town) -> None:
    answer = town.post("village-post", spoilt("alarm-value", samples.resident()))
    (record,) = outcomes(answer)
    assert (answer.status_code, record["state"]) == (200, "written")
    told(CASES["alarm-value"], record["findings"])
    systolic = town.resource(record, "Observation")["component"][0]
    assert float(systolic["valueQuantity"]["value"]) == 190


def test_a_record_of_no_dataset_is_held_and_the_rest_goes_on(town: Town) -> None:
    answer = town.post("post", [{"kind": "???"}, samples.reading(samples.resident())])
    assert answer.status_code == 207
    first, second = outcomes(answer)
    assert (first["state"], first["resources"], second["state"]) == ("held", [], "written")
    told(CASES["unknown-record"], first["findings"])


def test_one_impossible_result_is_held_and_its_report_is_partial(town: Town) -> None:
    results = [("14749-6^葡萄糖^LN", "90", "mmol/L"), ("2823-3^钾^LN", "4.20", "mmol/L")]
    assert town.mllp("lis", samples.oru(samples.resident(), results)).code == "AA"
    kept = town.kept("lis")
    (record,) = town.show(kept.id)["records"]
    told(CASES["impossible-result"], record["findings"])
    assert town.resource(record, "DiagnosticReport")["status"] == "partial"
    assert [r["type"] for r in record["resources"]].count("Observation") == 1
    assert town.resource(record, "Observation")["valueQuantity"]["value"] == "4.20"
    found = town.fhir(f"Observation?patient={town.resource(record, 'Patient')['id']}")
    assert [e["resource"]["valueQuantity"]["value"] for e in found["entry"]] == ["4.20"]
    (waiting,) = [h for h in town.command("holds.list", limit=500) if h["message"] == kept.id]
    assert waiting["code"] == "impossible-value"


def test_one_impossible_result_of_a_document_is_held_too(town: Town) -> None:
    items = (Item("14749-6", "血糖", "90", "mmol/L", "2"), Item("2823-3", "钾", "4.20", "mmol/L", "1"))
    town.drop("documents", "glucose90.xml", samples.report(samples.resident(), items))
    (record,) = town.show(town.kept("documents").id)["records"]
    assert "impossible-value" in [f["code"] for f in record["findings"]]
    assert town.resource(record, "DiagnosticReport")["status"] == "partial"


def test_a_report_number_that_comes_with_another_person_is_held_never_a_version(town: Town) -> None:
    case = CASES["person-changed"]
    one, other = samples.resident(), samples.resident()
    assert town.mllp("lis", samples.oru(one, report="AGAIN1")).code == "AA"
    (before,) = town.show(town.kept("lis").id)["records"]
    with town.nothing_written():
        answer = town.mllp("lis", samples.oru(other, report="AGAIN1", stamp="20260106093000"))
        assert answer.code == "AA"
        assert answer.text.startswith("person-changed: ") and case.next in answer.text
    kept = town.kept("lis")
    assert kept.state == "held"
    (record,) = town.show(kept.id)["records"]
    told(case, record["findings"])
    assert town.resource(before, "DiagnosticReport")["meta"]["versionId"] == "1"
    assert town.resource(before, "Patient")["name"][0]["text"] == one.name
    (waiting,) = [h for h in town.command("holds.list", limit=500) if h["message"] == kept.id]
    assert set(town.command("holds.show", hold=waiting["id"])["sides"]) >= {"came"}


def test_a_formula_error_holds_its_row_and_the_sender_gets_the_reason(town: Town) -> None:
    bad, good = samples.resident(), samples.resident()
    content = samples.workbook([samples.follow_up(bad, **{"收缩压(mmHg)": "=1/0"}), samples.follow_up(good)])
    assert town.drop("sheets", "formula.xlsx", content).parent.name == "done"
    kept = town.kept("sheets", content)
    assert kept.state == "partly"
    first, second = town.show(kept.id)["records"]
    assert (first["state"], first["resources"]) == ("held", [])
    told(CASES["formula-error"], first["findings"])
    assert second["state"] == "written"
    assert town.original(kept.id) == content
    result = (town.root / "sheets/out/formula-结果.xlsx").read_bytes()
    assert CASES["formula-error"].says in workbook_text(result)
    right = samples.workbook([samples.follow_up(bad), samples.follow_up(good)])
    town.drop("sheets", "formula-2.xlsx", right)
    mended, neighbour = town.show(town.kept("sheets", right).id)["records"]
    assert (mended["state"], mended["position"].endswith("第2行"), neighbour["state"]) == ("written", True, "repeat")


def workbook_text(content: bytes) -> str:
    """All cells of a workbook as text."""
    book = CalamineWorkbook.from_filelike(BytesIO(content))
    return "\n".join(str(cell) for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python() for cell in row)


def test_quality_control_reaches_its_table_and_no_patient(town: Town) -> None:
    content = (builtin.MAPPINGS / "clinical/hl7v2_oru/examples/analyser_quality_control.hl7").read_bytes()
    before = town.count("SELECT count(*) FROM quality_control")
    with town.nothing_written():
        answer = town.mllp("analyser", content)
    assert (answer.code, answer.text) == (CASES["quality-control"].answer, "")
    kept = town.kept("analyser", content)
    assert kept.state == "mapped"
    (record,) = town.show(kept.id)["records"]
    assert (record["dataset"], record["resources"], record["findings"]) == ("quality_control", [], [])
    assert town.count("SELECT count(*) FROM quality_control") == before + 1
    town.command("messages.replay", message=kept.id)
    assert town.mllp("analyser", content).code == "AA"  # sent twice, there once
    assert town.count("SELECT count(*) FROM quality_control") == before + 1
