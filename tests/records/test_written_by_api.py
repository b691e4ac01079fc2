"""design/records.md, "Workflow and API": what clients and records both write is composed or held, never overwritten in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.store.api.asks import Ask, Denied, Origin, Wrote
from gateway.store.api.mentions import Rids
from gateway.store.api.writes import Writes
from gateway.store.compose import Precedence
from gateway.store.work import Work
from tests.records.county import ID_CARD, County, form, observation

T1, T2, T3 = (f"2026-01-0{n}T08:00:00.000000Z" for n in (1, 2, 3))
PERSON = {"id": ["390000198001010010"], "name": "欧阳松"}
ORIGIN = Origin("ward", "39000001", "PUT", content=b"{}")


def ask(county: County, kind: Any, name: str, body: dict[str, Any] | None = None) -> Wrote | Denied:
    """A write by API; name: `Type/id`."""
    type_, id_ = name.split("/")
    writes = Writes([Ask(kind, type_, id_, body)], ORIGIN, county.config.base, Rids())
    result = county.gateway.writer.submit(Work(command=writes, joins=True)).result(30).value
    return result if isinstance(result, Denied) else result[0]


def put(county: County, name: str, body: dict[str, Any]) -> Wrote | Denied:
    """An update by API."""
    return ask(county, "update", name, body)


def observed(county: County) -> str:
    """Name of the one Observation."""
    return f"Observation/{county.one('Observation')['id']}"


def task(status: str, compose: str) -> dict[str, Any]:
    """A draft of a Task, which a transition table governs."""
    return {"type": "Task", "value": "t", "compose": compose, "subject": False, "body": {"status": status, "intent": "order"}}


def hold(county: County) -> int:
    """Id of the one open hold."""
    ((id_, code),) = county.rows("SELECT id, code FROM hold WHERE state = 'open'")
    assert code == "written-by-api"
    return int(id_)


@pytest.mark.parametrize("compose", ["one", "latest"])
def test_the_next_version_of_a_record_waits_for_a_person(county: County, compose: str) -> None:
    county.send(form("1", T1, [observation("1", "甲", compose=compose, by="2026-01-01")]))
    name = observed(county)
    wrote = put(county, name, {"resourceType": "Observation", "status": "amended", "code": {"text": "接口"}})
    assert isinstance(wrote, Wrote) and (wrote.how, wrote.version) == ("updated", 2)
    second = form("1", T2, [observation("1", "乙", compose=compose, by="2026-01-02")])
    assert county.send(second).outcomes[0].state == "held"
    assert county.current()[name]["code"] == {"text": "接口"}
    assert county.send(second).state in ("repeat", "held")
    county.gateway.release(hold(county), "张三")
    assert county.current()[name]["code"] == {"text": "乙"}
    assert county.send(form("1", T3, [observation("1", "丙", compose=compose, by="2026-01-03")])).outcomes[0].state == "written", "decided once"


def test_a_rejected_record_leaves_what_the_client_wrote(county: County) -> None:
    county.send(form("1", T1, [observation("1", "甲")]))
    name = observed(county)
    put(county, name, {"status": "amended", "code": {"text": "接口"}})
    county.send(form("1", T2, [observation("1", "乙")]))
    county.gateway.reject(hold(county), "张三", "接口为准")
    assert county.current()[name]["code"] == {"text": "接口"}
    assert county.send(form("1", T3, [observation("1", "丙")])).outcomes[0].state == "held"


def test_an_older_version_changes_nothing_and_holds_nothing(county: County) -> None:
    county.send(form("1", T2, [observation("1", "乙")]))
    name = observed(county)
    put(county, name, {"status": "amended", "code": {"text": "接口"}})
    assert county.send(form("1", T1, [observation("1", "甲")])).outcomes[0].state == "older"
    assert county.current()[name]["code"] == {"text": "接口"}


def test_what_a_client_deleted_does_not_come_back_by_itself(county: County) -> None:
    county.send(form("1", T1, [observation("1", "甲")]))
    name = observed(county)
    gone = ask(county, "delete", name)
    assert isinstance(gone, Wrote) and gone.how == "deleted"
    assert county.current()[name] is None
    assert county.send(form("1", T2, [observation("1", "乙")])).outcomes[0].state == "held"
    county.gateway.release(hold(county), "张三")
    assert county.current()[name]["code"] == {"text": "乙"}


def test_a_resource_that_only_a_client_wrote_is_not_taken_by_a_record(county: County) -> None:
    ids = IdScheme(TEST_KEY, county.config.base)
    name = f"Observation/{ids.derive('Observation', 'x', ['1'])}"
    put(county, name, {"status": "final", "code": {"text": "接口"}})
    assert county.send(form("1", T1, [observation("1", "甲")])).outcomes[0].state == "held"
    assert county.current()[name]["code"] == {"text": "接口"}
    county.gateway.release(hold(county), "张三")
    assert county.current()[name]["code"] == {"text": "甲"}


def test_where_the_map_merges_both_words_count(county: County) -> None:
    ids = IdScheme(TEST_KEY, county.config.base)
    name = f"Organization/{ids.derive('Organization', 'org', ['39'])}"
    put(county, name, {"name": "接口所写", "telecom": [{"system": "phone", "value": "1"}]})
    shared = {"type": "Organization", "ns": "org", "value": "39", "compose": "merge", "subject": False, "body": {"alias": ["县医院"]}}
    assert county.send(form("1", T1, [shared])).outcomes[0].state == "written"
    body = county.current()[name]
    assert (body["name"], body["alias"], body["telecom"]) == ("接口所写", ["县医院"], [{"system": "phone", "value": "1"}])
    put(county, name, body | {"alias": ["县人民医院"]})
    assert county.current()[name]["alias"] == ["县医院", "县人民医院"] or county.current()[name]["alias"] == ["县人民医院", "县医院"]
    assert county.rows("SELECT count(*) FROM hold") == [(0,)]


@pytest.mark.parametrize("compose", ["one", "merge"])
def test_no_record_takes_back_the_workflow_status_that_a_client_set(county: County, compose: str) -> None:
    county.send(form("1", T1, [task("requested", compose)]))
    name = f"Task/{county.one('Task')['id']}"
    assert isinstance(put(county, name, county.current()[name] | {"status": "accepted"}), Wrote)
    assert county.current()[name]["status"] == "accepted"
    for stamp, says in ((T2, "requested"), (T3, "cancelled")):
        assert county.send(form("1", stamp, [task(says, compose)])).outcomes[0].state == "held"
        assert county.current()[name]["status"] == "accepted"
    assert "Task.status" in county.rows("SELECT sides FROM hold ORDER BY id DESC")[0][0]


def test_no_precedence_of_records_takes_back_the_workflow_status_that_a_client_sets(county: County) -> None:
    county.gateway.writer.rules = replace(
        county.gateway.writer.rules, precedence=Precedence.from_csv("type,element,authorities\nTask,status,urn:test:his")
    )
    county.send(form("1", T1, [task("requested", "merge")]))
    name = f"Task/{county.one('Task')['id']}"
    put(county, name, county.current()[name] | {"status": "accepted"})
    assert county.current()[name]["status"] == "accepted"


def test_a_workflow_that_a_client_began_is_not_moved_by_a_record_that_merges(county: County) -> None:
    name = f"Task/{IdScheme(TEST_KEY, county.config.base).derive('Task', 'x', ['t'])}"
    put(county, name, {"status": "accepted", "intent": "order"})
    assert county.send(form("1", T1, [task("requested", "merge")])).outcomes[0].state == "held"
    assert county.current()[name]["status"] == "accepted"


def test_a_second_record_does_not_move_the_workflow_of_the_first(county: County) -> None:
    county.send(form("1", T1, [task("requested", "merge")]))
    held = county.send(form("2", T2, [task("completed", "merge")])).outcomes[0]
    assert (held.state, [f.code for f in held.findings]) == ("held", ["workflow-status"])
    assert county.send(form("3", T2, [task("requested", "merge")])).outcomes[0].state in ("written", "unchanged")
    assert county.one("Task")["status"] == "requested"


def test_what_a_client_says_of_a_resident_goes_with_a_link_and_comes_back(county: County) -> None:
    county.send(form("1", T1, [observation("1", "甲")], person=PERSON))
    first = f"Patient/{county.one('Patient')['id']}"
    said = county.current()[first] | {"telecom": [{"system": "phone", "value": "13900000000"}]}
    put(county, first, said)
    other = {"id": ["390000198001010029"], "name": "欧阳柏"}
    county.send(form("2", T1, [observation("2", "乙")], person=other))
    second = next(n for n in county.current() if n.startswith("Patient/") and n != first)
    survivor = "Patient/" + county.gateway.link(first[8:], second[8:], "张三")
    now = county.current()
    assert now[survivor]["telecom"] == [{"system": "phone", "value": "13900000000"}]
    away = ({first, second} - {survivor}).pop()
    assert isinstance(put(county, away, {"name": [{"text": "无"}]}), Denied)
    county.gateway.unlink(away[8:], "张三")
    now = county.current()
    assert now[first]["telecom"] == [{"system": "phone", "value": "13900000000"}]
    assert "telecom" not in now[second]


def test_the_claim_of_a_patient_by_api_takes_in_what_comes_later_and_what_came_before_stays(county: County) -> None:
    card = {"system": ID_CARD, "value": "390000198001010010"}
    put(county, "Patient/mine", {"identifier": [card], "name": [{"text": "欧阳松"}]})
    county.send(form("1", T1, [observation("1", "甲")], person={"local": ["L1"]}))
    put(county, "Patient/double", {"identifier": [{"system": "urn:test:local", "value": "L1"}]})
    subject = county.one("Observation")["subject"]["reference"]
    assert subject not in ("Patient/mine", "Patient/double")
    assert county.current()["Patient/double"]["identifier"] == [{"system": "urn:test:local", "value": "L1"}]
    assert isinstance(ask(county, "delete", subject), Denied)
    assert isinstance(ask(county, "delete", "Patient/mine"), Wrote)
    county.send(form("2", T1, [observation("2", "乙")], person=PERSON))
    assert county.current()["Patient/mine"] is None, "a deleted Patient is not found any more"
