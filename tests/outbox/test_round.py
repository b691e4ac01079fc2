"""One round of delivery against a server with HAPI's habits (design/records.md, "Delivery to a FHIR server")."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from gateway.config import DestinationConfig, StoreConfig
from gateway.outbox.ledger import Ledger, Result
from gateway.outbox.round import Leasing, Round
from gateway.store import settlement
from gateway.store.database import Database
from gateway.store.names import Name
from gateway.upstream import FhirServer, Paused, Retry
from tests.outbox.server import Server, lost_reply


class World:
    """A gateway's holdings and a server."""

    def __init__(self, httpserver: HTTPServer, tmp_path: Path) -> None:
        self.server = Server(httpserver)
        self.database = Database.open(StoreConfig(data=tmp_path))
        self.ours: dict[Name, list[bytes | None]] = {}
        self.woken: set[Name] = set()

    def put(self, type_: str, id_: str, *targets: str, **more: Any) -> Name:
        body = {"resourceType": type_, "id": id_, **({"links": [{"reference": t} for t in targets]} if targets else {}), **more}
        return self._write((type_, id_), json.dumps(body).encode())

    def drop(self, name: Name) -> None:
        self._write(name, None)

    def _write(self, name: Name, content: bytes | None) -> Name:
        """The next version, as the writer stores it."""
        versions = self.ours.setdefault(name, [])
        rid = list(self.ours).index(name)
        past = [(rid, len(versions), 1, 0, versions[-1] is None, versions[-1] or b"")] if versions else []
        versions.append(content)
        with settlement.writing(self.database) as raw:
            raw.insert("resource_history", ("rid", "version", "seq", "time", "deleted", "content"), past)
            columns = ("type", "id", "version", "seq", "time", "deleted", "custodian", "content")
            raw.upsert("resource", ("rid",), columns, [(rid, *name, len(versions), 1, 0, content is None, "", content or b"")])
        return name

    def fhir(self) -> FhirServer:
        return FhirServer(DestinationConfig(name="hapi", url=self.server.url, timeout=2))

    def round(self, *names: Name, limit: int = 500) -> Result:
        """One round, settled; `woken` is what has to be sent again."""
        ledger = Ledger(self.database, "hapi")
        result = Round(self.fhir(), ledger, Leasing(), "http://b", limit).run(set(names))
        with settlement.writing(self.database) as raw:
            self.woken = ledger.settle(raw, names, result, 1)
        return result

    def waiting(self) -> list[Any]:
        with settlement.reading(self.database) as raw:
            return raw.rows("SELECT type, id, target_type, target_id, sent FROM delivery_wait")

    def rounds(self, *names: Name) -> set[Name]:
        """Rounds until nothing is woken any more; what was sent."""
        sent: set[Name] = set()
        woken = set(names)
        for _ in range(9):
            sent |= self.round(*woken).sent.keys()
            woken = self.woken
            if not woken:
                return sent
        raise AssertionError(f"still woken: {woken}")


@pytest.fixture
def world(httpserver: HTTPServer, tmp_path: Path) -> Iterable[World]:
    made = World(httpserver, tmp_path)
    yield made
    made.database.close()


def test_what_the_gateway_holds_is_delivered_with_what_refers_to_it(world: World) -> None:
    world.put("Organization", "o")
    world.put("Patient", "p", "Organization/o")
    x = world.put("Observation", "x", "Patient/p")
    assert set(world.round(x).sent) == {("Organization", "o"), ("Patient", "p"), x}
    assert world.server.transactions == [["Organization/o", "Patient/p", "Observation/x"]]


def test_the_second_round_sends_nothing(world: World) -> None:
    x = world.put("Observation", "x")
    world.round(x)
    assert world.round(x) == Result()
    assert len(world.server.transactions) == 1


def test_a_cycle_stays_in_one_transaction_and_larger_sets_are_split_outside_it(world: World) -> None:
    world.put("Encounter", "e", "Condition/c")
    world.put("Condition", "c", "Encounter/e")
    names = [world.put("Observation", f"x{i}", "Encounter/e") for i in range(5)]
    assert world.round(*names, limit=3).stop is None
    assert sorted(world.server.transactions[0][:2]) == ["Condition/c", "Encounter/e"]
    assert [len(t) for t in world.server.transactions] == [3, 3, 1]


def test_a_target_nobody_holds_goes_up_as_identifier_and_the_resource_is_sent_again_when_it_arrives(world: World) -> None:
    x = world.put("Observation", "x", subject={"reference": "Patient/late", "identifier": {"system": "s", "value": "1"}})
    world.round(x)
    assert world.server.resources["Observation/x"]["subject"] == {"type": "Patient", "identifier": {"system": "s", "value": "1"}}
    late = world.put("Patient", "late")
    assert world.rounds(late) == {late, x}
    assert world.server.resources["Observation/x"]["subject"]["reference"] == "Patient/late"
    assert world.waiting() == []


def test_a_poison_resource_stands_alone_and_only_what_refers_to_it_waits(world: World) -> None:
    world.server.refuses = {"Encounter/bad"}
    names = [world.put("Observation", f"x{i}") for i in range(7)]
    bad = world.put("Encounter", "bad")
    behind = world.put("Condition", "behind", "Encounter/bad")
    further = world.put("Procedure", "further", "Condition/behind")
    result = world.round(*names, bad, behind, further)
    assert result.stop is None
    assert set(result.sent) == set(names)
    assert set(result.refused) == {bad}
    assert "HAPI-0574" in result.refused[bad].text
    world.server.refuses = set()
    assert world.round(bad).sent == {}, "the same version is not tried again by itself"
    world.put("Encounter", "bad", mended=True)
    assert world.rounds(bad) == {bad, behind, further}


def test_a_lost_reply_is_success_the_second_time(world: World) -> None:
    x = world.put("Observation", "x")
    world.round(x)
    world.put("Observation", "x", value=2)
    world.server.faults = [lost_reply]
    assert world.round(x).stop == Retry("502")
    result = world.round(x)
    assert (result.sent[x].version, result.sent[x].etag, result.refused) == (2, "2", {})
    assert world.server.versions["Observation/x"] == 2


def test_after_a_lost_reply_a_newer_version_goes_on_from_what_the_server_has(world: World) -> None:
    x = world.put("Observation", "x")
    world.round(x)
    world.put("Observation", "x", value=2)
    world.server.faults = [lost_reply]
    world.round(x)
    world.put("Observation", "x", value=3)
    assert world.round(x).sent[x].etag == "3"
    assert world.server.resources["Observation/x"]["value"] == 3


def test_what_someone_else_wrote_is_never_overwritten_in_silence(world: World) -> None:
    x, y = world.put("Observation", "x"), world.put("Observation", "y")
    world.round(x, y)
    world.server.write({"resourceType": "Observation", "id": "x", "value": "theirs"})
    world.put("Observation", "x", value=2)
    world.put("Observation", "y", value=2)
    result = world.round(x, y)
    assert set(result.sent) == {y}
    assert "被别的系统改写" in result.refused[x].text
    assert world.server.resources["Observation/x"]["value"] == "theirs"


def test_a_target_the_server_lost_is_brought_again(world: World) -> None:
    p = world.put("Patient", "p")
    world.round(p)
    world.server.lose("Patient/p")
    x = world.put("Observation", "x", "Patient/p")
    assert set(world.round(x).sent) == {x, p}


@pytest.mark.parametrize(("status", "kind"), [(503, Retry), (429, Retry), (409, Retry), (401, Paused), (403, Paused)])
def test_a_fault_of_the_server_ends_the_round_and_nothing_is_marked(world: World, status: int, kind: type[object]) -> None:
    x = world.put("Observation", "x")
    world.server.faults = [status]
    result = world.round(x)
    assert isinstance(result.stop, kind)
    assert result.sent == {}
    assert set(world.round(x).sent) == {x}


def test_a_deletion_goes_up_once(world: World) -> None:
    c, never = world.put("Condition", "c"), world.put("Condition", "never")
    world.round(c)
    world.drop(c)
    world.drop(never)
    assert set(world.round(c, never).sent) == {c}, "what was never there needs no deletion"
    assert "Condition/c" not in world.server.resources
    assert world.round(c, never).sent == {}


def test_a_deletion_does_not_take_away_what_someone_else_wrote(world: World) -> None:
    c, d = world.put("Condition", "c"), world.put("Condition", "d")
    world.round(c, d)
    world.server.write({"resourceType": "Condition", "id": "c", "note": "theirs"})
    world.drop(c)
    world.drop(d)
    result = world.round(c, d)
    assert set(result.sent) == {d}
    assert "未删除" in result.refused[c].text
    assert set(world.server.resources) == {"Condition/c"}


def test_a_deletion_whose_answer_was_lost_is_success_the_second_time(world: World) -> None:
    c = world.put("Condition", "c")
    world.round(c)
    world.drop(c)
    world.server.faults = [lost_reply]
    assert world.round(c).stop == Retry("502")
    assert set(world.round(c).sent) == {c}
    assert world.server.resources == {}
    assert world.round(c) == Result(gone={c})


def test_a_deletion_goes_on_from_an_older_version_of_ours(world: World) -> None:
    c = world.put("Condition", "c")
    world.round(c)
    world.put("Condition", "c", note="later")
    world.server.faults = [lost_reply]
    world.round(c)
    world.drop(c)
    assert set(world.round(c).sent) == {c}
    assert world.server.resources == {}


def test_a_target_that_arrives_while_a_resource_goes_up_without_it_wakes_the_resource(world: World) -> None:
    x = world.put("Observation", "x", "Patient/late")
    world.server.faults = [lambda server, request: (world.put("Patient", "late"), server.commit(json.loads(request.data)))[1]]
    world.round(x)
    assert world.woken == {x}
    assert world.rounds(x) == {x, ("Patient", "late")}
    assert world.server.resources["Observation/x"]["links"] == [{"reference": "Patient/late"}]
    assert world.waiting() == []


def test_a_crash_before_the_round_is_settled_loses_no_wait(world: World) -> None:
    x = world.put("Observation", "x", "Patient/late")
    Round(world.fhir(), Ledger(world.database, "hapi"), Leasing(), "http://b", 500).run({x})
    assert world.server.resources.keys() == {"Observation/x"}
    assert world.waiting() == []
    world.round(x)
    assert world.waiting() == [("Observation", "x", "Patient", "late", 1)]
    late = world.put("Patient", "late")
    assert world.rounds(late) == {late, x}
