"""What the fake server of tests/outbox imitates is what a real HAPI FHIR R4 server does: deletions, ids of digits, stale versions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from gateway.config import DestinationConfig
from gateway.outbox.reconcile import reconcile
from gateway.outbox.sender import Sender
from gateway.store.tables import resource
from gateway.upstream import FhirServer, Rejected
from tests.records.county import County, form, observation

pytestmark = [pytest.mark.hapi, pytest.mark.slow]


class Delivering:
    """A county that delivers to the real server; `tag` keeps its resources apart from other tests'."""

    def __init__(self, county: County) -> None:
        self.county = county
        self.tag = uuid4().hex
        self.destination = DestinationConfig(name="hapi", url=os.environ["YIFANG_TEST_HAPI"], timeout=60)
        self.server = FhirServer(self.destination, county.clock.now)
        self.sender = Sender(county.database, self.destination, self.server, county.config.base, county.clock, lambda: 0.5)

    def id(self, type_: str, value: str) -> str:
        return self.county.gateway.context.ids.derive(type_, "x", [self.tag + value])

    def send(self, key: str, stamp: str, *drafts: dict[str, Any]) -> None:
        for draft in drafts:
            draft["value"] = self.tag + draft["value"]
        self.county.send(form(self.tag + key, stamp, drafts))
        self.drain()

    def drain(self) -> None:
        for _ in range(50):
            if not self.sender.step():
                self.county.clock.advance(timedelta(seconds=1))
                if not self.sender.step():
                    return
        raise AssertionError("deliveries do not come to an end")

    def there(self, type_: str, value: str) -> Any:
        answer = requests.get(f"{self.destination.url}/{type_}/{self.id(type_, value)}", timeout=30)
        return answer.json() if answer.ok else answer.status_code

    def whole(self) -> None:
        assert self.county.rows("SELECT type, kind, error FROM delivery_fault") == []
        report = reconcile(self.county.database, "hapi", self.server, self.county.config.base)
        assert (report.lost, report.different, report.waiting, report.unsettled, report.equal) == ([], [], 0, 0, report.held)


@pytest.fixture
def delivering(tmp_path: Path) -> Iterator[Delivering]:
    with County(tmp_path, destinations=["hapi"]) as county:
        yield Delivering(county)


def basic(value: str, **body: Any) -> dict[str, Any]:
    """A draft of a type that has no status, and is therefore deleted when it vanishes."""
    return {"type": "Basic", "value": value, "body": {"code": {"text": "x"}, **body}}


def test_a_deletion_frees_itself_from_what_still_refers_to_it_and_is_undone_by_a_return(delivering: Delivering) -> None:
    d = delivering
    focus = {"focus": [{"reference": f"Basic/{d.id('Basic', 'b')}"}]}
    pointing = observation("o", "c")
    pointing["body"] |= focus
    d.send("one", "1", basic("b"), basic("rest"))
    d.send("two", "1", pointing)
    assert d.there("Observation", "o")["focus"] == focus["focus"]
    d.send("one", "2", basic("rest"))
    assert d.there("Basic", "b") == 410
    assert d.there("Observation", "o")["focus"][0]["type"] == "Basic"
    assert "reference" not in d.there("Observation", "o")["focus"][0]
    d.whole()
    d.send("one", "3", basic("b"), basic("rest"))
    assert d.there("Observation", "o")["focus"] == focus["focus"]
    d.whole()


def test_ids_of_digits_are_derived_there_and_references_follow(delivering: Delivering) -> None:
    d = delivering
    d.county.send(form(d.tag, "1", [basic("numeric")]))
    digits = str(uuid4().int)
    with d.county.database.engine.begin() as c:  # no id that the gateway makes is all digits; one that came from elsewhere can be
        content = b'{"resourceType":"Basic","id":"' + digits.encode() + b'","code":{"text":"x"}}'
        c.execute(resource.update().values(id=digits, content=content))
        c.exec_driver_sql(f'UPDATE delivery SET items = \'[["Basic","{digits}"]]\'')
    d.drain()
    pointing = observation("o", "c")
    pointing["body"] |= {"focus": [{"reference": f"Basic/{digits}"}]}
    d.send("two", "1", pointing)
    assert d.there("Observation", "o")["focus"] == [{"reference": f"Basic/yifang-{digits}"}]
    assert requests.get(f"{d.destination.url}/Basic/yifang-{digits}", timeout=30).ok
    d.whole()


def test_what_someone_else_wrote_there_is_a_hold_until_a_person_decides(delivering: Delivering) -> None:
    d = delivering
    d.send("one", "1", observation("o", "c"), observation("p", "c"))
    theirs = d.there("Observation", "o") | {"status": "cancelled"}
    url = f"{d.destination.url}/Observation/{d.id('Observation', 'o')}"
    assert requests.put(url, json=theirs, headers={"Content-Type": "application/fhir+json"}, timeout=30).ok
    newer = [observation("o", "c2"), observation("p", "c2")]
    d.send("one", "2", *newer)
    assert d.there("Observation", "o")["status"] == "cancelled"
    assert d.there("Observation", "p")["code"]["text"] == "c2"
    [(_, kind, error)] = d.county.rows("SELECT type, kind, error FROM delivery_fault")
    assert kind == "conflict"
    assert "被别的系统改写" in error


def test_a_poison_resource_stands_alone(delivering: Delivering) -> None:
    d = delivering
    poison = observation("poison", "c")
    poison["body"]["status"] = "no-such-status"
    behind = observation("behind", "c")
    behind["body"]["focus"] = [{"reference": f"Observation/{d.id('Observation', 'poison')}"}]
    d.send("one", "1", poison, behind, *(observation(f"o{i}", "c") for i in range(6)))
    assert [d.there("Observation", f"o{i}")["status"] for i in range(6)] == ["final"] * 6
    [(type_, kind, error)] = d.county.rows("SELECT type, kind, error FROM delivery_fault")
    assert (type_, kind) == ("Observation", "refused")
    assert "no-such-status" in error
    mended, behind = observation("poison", "c"), observation("behind", "c")
    behind["body"]["focus"] = [{"reference": f"Observation/{d.id('Observation', 'poison')}"}]
    d.send("one", "2", mended, behind, *(observation(f"o{i}", "c") for i in range(6)))
    assert d.there("Observation", "behind")["focus"]
    d.whole()


def test_a_wrong_base_pauses_the_destination(delivering: Delivering) -> None:
    wrong = FhirServer(DestinationConfig(name="hapi", url=delivering.destination.url + "x"))
    reply = wrong.transaction(b'{"resourceType":"Bundle","type":"transaction","entry":[]}', 0)
    assert not isinstance(reply, Rejected)
    assert getattr(reply, "code", "") == "not-a-fhir-base"
