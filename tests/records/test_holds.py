"""design/records.md, "Severity is data", "Identity": what is held, released, rejected; what never becomes a version."""

from __future__ import annotations

import pytest

from gateway.errors import Conflict
from gateway.store import holds, messages
from tests.records.county import County, form, observation

LI = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
WANG = {"id": ["390000197505050024"], "name": "王丙", "sex": "female", "born": "1975-05-05"}
T1, T2, T3 = (f"2026-01-0{n}T08:00:00.000000Z" for n in (1, 2, 3))
HOLD = {"code": "beyond-possible", "severity": "hold", "message": "血糖 90 mmol/L 超出可能范围"}


def task(status: str) -> dict[str, object]:
    """A draft of a Task."""
    return {"type": "Task", "value": "t", "body": {"status": status, "intent": "order"}}


def test_a_held_record_writes_nothing_until_it_is_released(county: County) -> None:
    receipt = county.send(form("1", T1, [observation("a", "血糖")], person=LI, findings=[HOLD]))
    assert receipt.state == "held"
    assert receipt.reason is not None
    assert receipt.reason.code == "beyond-possible"
    assert county.current() == {}
    [hold] = holds.listing(county.database)
    assert hold.sides["came"]["findings"][0]["message"] == HOLD["message"]
    outcome = county.gateway.release(hold.id, "张医生")
    assert outcome.state == "written"
    assert county.one("Observation")["code"] == {"text": "血糖"}
    assert holds.show(county.database, hold.id).decided_by == "张医生"
    assert messages.show(county.database, receipt.message).state == "mapped"
    with pytest.raises(Conflict):
        county.gateway.release(hold.id, "张医生")


def test_a_rejected_hold_stays_unwritten(county: County) -> None:
    county.send(form("1", T1, [observation("a", "血糖")], person=LI, findings=[HOLD]))
    [hold] = holds.listing(county.database)
    county.gateway.reject(hold.id, "张医生", "录入错误")
    assert county.current() == {}
    assert holds.show(county.database, hold.id).state == "rejected"


def test_a_held_record_does_not_keep_its_neighbours_back(county: County) -> None:
    receipt = county.send(form("1", T1, [observation("a", "血糖")], person=LI, findings=[HOLD]), form("2", T1, [observation("b", "血压")], person=LI))
    assert receipt.state == "partly"
    assert [o.state for o in receipt.outcomes] == ["held", "written"]
    assert county.one("Observation")["code"] == {"text": "血压"}


def test_a_known_key_that_arrives_with_another_person_is_held(county: County) -> None:
    county.send(form("样本1", T1, [observation("a", "李的结果")], person=LI))
    before = county.current()
    receipt = county.send(form("样本1", T2, [observation("a", "王的结果")], person=WANG))
    assert receipt.outcomes[0].state == "held"
    assert [f.code for f in receipt.outcomes[0].findings] == ["person-changed"]
    assert county.current() == before


def test_a_record_without_any_number_is_held_and_cannot_be_released(county: County) -> None:
    county.send(form("1", T1, [observation("a", "血糖")], person={"name": "无名"}))
    [hold] = holds.listing(county.database)
    assert hold.code == "no-person-number"
    with pytest.raises(Conflict):
        county.gateway.release(hold.id, "张医生")
    assert county.current() == {}


def test_a_governed_task_keeps_its_first_status(county: County) -> None:
    county.send(form("1", T1, [task("requested")], person=LI))
    held = county.send(form("1", T2, [task("completed")], person=LI))
    assert [f.code for f in held.outcomes[0].findings] == ["workflow-status"]
    assert county.one("Task")["status"] == "requested"
    same = county.send(form("1", T3, [task("requested"), observation("a", "新")], person=LI))
    assert same.outcomes[0].state == "written"


def test_a_note_is_kept_and_the_record_written(county: County) -> None:
    note = {"code": "alarm-limit", "severity": "note", "message": "收缩压 190 超过报警限"}
    receipt = county.send(form("1", T1, [observation("a", "血压")], person=LI, findings=[note]))
    assert receipt.state == "mapped"
    assert [f.code for f in receipt.findings] == ["alarm-limit"]
    again = county.send(form("1", T1, [observation("a", "血压")], person=LI, findings=[note]))
    assert again.state == "repeat"
    assert [f.code for f in again.findings] == ["alarm-limit"]


def test_equal_strong_numbers_of_contradicting_people_do_not_link(county: County) -> None:
    county.send(form("1", T1, [observation("a", "母")], person=LI))
    child = {**LI, "name": "李小乙", "sex": "female", "born": "2020-05-05"}
    receipt = county.send(form("2", T1, [observation("b", "子")], person=child))
    assert [f.code for f in receipt.findings] == ["contradicting-person"]
    patients = [b for n, b in county.current().items() if n.startswith("Patient/")]
    assert sorted(p["name"][0]["text"] for p in patients) == ["李小乙", "李甲"]
    refs = {b["subject"]["reference"] for n, b in county.current().items() if n.startswith("Observation/")}
    assert len(refs) == 2
