"""design/records.md, "The second time": repeat, correction, re-map, snapshot and delta."""

from __future__ import annotations

from tests.records.county import County, form, observation

LI = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
T1, T2, T3 = (f"2026-01-0{n}T08:00:00.000000Z" for n in (1, 2, 3))


def test_a_record_becomes_resources_and_its_resident_a_patient(county: County) -> None:
    receipt = county.send(form("1", T1, [observation("a", "血压")], person=LI))
    assert receipt.state == "mapped"
    assert [o.state for o in receipt.outcomes] == ["written"]
    patient = county.one("Patient")
    assert patient["identifier"] == [{"system": "urn:test:id-card", "value": "39000019800101001X"}]
    assert patient["birthDate"] == "1980-01-01"
    assert county.one("Observation")["subject"]["reference"] == f"Patient/{patient['id']}"


def test_the_same_bytes_again_do_no_work(county: County) -> None:
    record = form("1", T1, [observation("a", "血压")], person=LI)
    first = county.send(record)
    versions = county.versions()
    second = county.send(record)
    assert second.state == "repeat"
    assert second.message == first.message
    assert county.versions() == versions


def test_a_b_a_under_newer_stamps_is_three_versions(county: County) -> None:
    for stamp, code in ((T1, "甲"), (T2, "乙"), (T3, "甲")):
        county.send(form("1", stamp, [observation("a", code)], person=LI))
    assert county.one("Observation")["code"] == {"text": "甲"}
    assert county.rows("SELECT version FROM resource WHERE type = 'Observation'") == [(3,)]
    assert [r[0] for r in county.rows("SELECT version FROM resource_history h ORDER BY version")] == [1, 2]


def test_an_older_stamp_is_kept_and_changes_nothing(county: County) -> None:
    county.send(form("1", T2, [observation("a", "新")], person=LI))
    before = county.current()
    late = county.send(form("1", T1, [observation("a", "旧")], person=LI))
    assert late.outcomes[0].state == "older"
    assert county.current() == before
    assert county.rows("SELECT count(*) FROM record_version") == [(2,)]


def test_what_a_snapshot_no_longer_says_is_entered_in_error_and_comes_back(county: County) -> None:
    county.send(form("1", T1, [observation("a", "一"), observation("b", "二")], person=LI))
    county.send(form("1", T2, [observation("a", "一")], person=LI))
    status = {b["code"]["text"]: b["status"] for n, b in county.current().items() if n.startswith("Observation/")}
    assert status == {"一": "final", "二": "entered-in-error"}
    county.send(form("1", T3, [observation("a", "一"), observation("b", "二")], person=LI))
    status = {b["code"]["text"]: b["status"] for n, b in county.current().items() if n.startswith("Observation/")}
    assert status == {"一": "final", "二": "final"}


def test_a_type_without_status_is_deleted(county: County) -> None:
    event = {"type": "AdverseEvent", "value": "x", "body": {"actuality": "actual"}}
    county.send(form("1", T1, [event, observation("a", "一")], person=LI))
    county.send(form("1", T2, [observation("a", "一")], person=LI))
    assert [b for n, b in county.current().items() if n.startswith("AdverseEvent/")] == [None]


def test_a_delta_adds_and_clears_what_it_says(county: County) -> None:
    def visit(stamp: str, body: dict[str, object], clear: tuple[str, ...] = ()) -> dict[str, object]:
        return form("v", stamp, [{"type": "Encounter", "value": "v", "body": body, "clear": clear}], person=LI, dataset="delta-adt")

    county.send(visit(T1, {"status": "in-progress", "period": {"start": "2026-01-01"}, "priority": {"text": "急"}}))
    county.send(visit(T3, {"status": "finished", "period": {"end": "2026-01-03"}}))
    county.send(visit(T2, {"status": "in-progress", "type": [{"text": "住院"}]}, ("priority",)))
    encounter = county.one("Encounter")
    assert encounter["period"] == {"start": "2026-01-01", "end": "2026-01-03"}
    assert encounter["status"] == "finished"
    assert encounter["type"] == [{"text": "住院"}]
    assert "priority" not in encounter


def test_unchanged_content_makes_no_version(county: County) -> None:
    county.send(form("1", T1, [observation("a", "一")], person=LI))
    again = county.send(form("1", T2, [observation("a", "一")], person=LI))
    assert again.outcomes[0].state == "unchanged"
    assert county.rows("SELECT version FROM resource WHERE type = 'Observation'") == [(1,)]
