"""A site's own search parameters, and the index built anew (gateway/store/reindex.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from gateway.errors import ConfigError
from gateway.fhir.elements import load
from gateway.fhir.own_parameters import own_parameters
from gateway.fhir.query import parse_query
from gateway.store import reindex
from gateway.store.database import Database
from gateway.store.index.keys import Indexer
from gateway.store.index.write import IndexRow, IndexWriter
from gateway.store.search import Searcher
from tests.store.index_harness import ENGINES, POSTGRES, SCOPE
from tests.store.search_samples import patient

BOILER: dict[str, Any] = {"resourceType": "SearchParameter", "url": "https://county.example/sp", "name": "Contact", "status": "active"}
CONTACT = BOILER | {"code": "contact-phone", "type": "token", "base": ["Patient"], "expression": "Patient.contact.telecom"}


def written(folder: Path, *parameters: dict[str, Any]) -> Path:
    for n, parameter in enumerate(parameters):
        (folder / f"SearchParameter-{n}.json").write_text(json.dumps(parameter), "utf-8")
    return folder


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = Database(make_url(f"sqlite:///{tmp_path}/x.sqlite3"))
    else:
        opened = Database(make_url(POSTGRES))
        with opened.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    opened.migrate()
    yield opened
    opened.close()


def put(database: Database, indexer: Indexer, bodies: list[dict[str, Any]], first: int = 1) -> None:
    """Writes resources as the gateway does, with rids from `first` on."""
    with database.transaction() as cursor:
        mark = "?" if database.dialect == "sqlite" else "%s"
        for rid, body in enumerate(bodies, first):
            row = (rid, body["resourceType"], body["id"], 1, rid, 1_700_000_000_000_000 + rid, False, "", json.dumps(body).encode())
            cursor.execute(
                "INSERT INTO resource (rid, type, id, version, seq, time, deleted, custodian, content) VALUES (" + ", ".join([mark] * 9) + ")", row
            )
        rows = [
            IndexRow(rid, b["resourceType"], 1_700_000_000_000_000 + rid, indexer.entries(b["resourceType"], b))
            for rid, b in enumerate(bodies, first)
        ]
        IndexWriter(database.dialect).add(cursor, rows)


def found(database: Database, indexer: Indexer, query: str) -> list[str]:
    with database.engine.connect() as connection:
        page = Searcher(indexer).search(connection, "Patient", parse_query(query + "&_count=100&_sort=_id"), SCOPE)
    assert page.ignored == ()
    return [row.id for row in page.rows]


def people(count: int) -> list[dict[str, Any]]:
    return [patient(f"p{n:02}", contact=[{"telecom": [{"system": "phone", "value": f"1380000{n % 3:04}"}]}]) for n in range(count)]


def test_a_parameter_that_was_added_finds_what_is_there_already(database: Database, tmp_path: Path) -> None:
    plain = Indexer(load())
    assert reindex.settle(database, plain, lambda _: pytest.fail("an empty database needs no index"))
    put(database, plain, people(25))
    own = Indexer(load().extended(own_parameters(written(tmp_path, CONTACT), load())))
    assert reindex.outdated(database, own) and not reindex.outdated(database, plain)
    assert not reindex.settle(database, own, lambda _: pytest.fail("that is left to `yifang reindex`"))
    assert found(database, own, "contact-phone=13800000001") == []
    steps = [reindex.step(database, own, rows=10)]
    put(database, own, people(26)[25:], first=26)  # written in between
    while not steps[-1].finished:
        steps.append(reindex.step(database, own, rows=10))
    assert [step.done for step in steps] == [10, 20, 25]
    assert found(database, own, "contact-phone=13800000001") == [f"p{n:02}" for n in range(26) if n % 3 == 1]
    assert found(database, own, "contact-phone:missing=false&gender=female&_total=accurate")[-1] == "p25"
    assert not reindex.outdated(database, own)


def test_an_index_of_an_older_format_is_built_anew_when_it_is_opened(database: Database) -> None:
    indexer = Indexer(load())
    put(database, indexer, people(5))
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE index_row SET keys = substr(keys, 1, 8 * posted)"))
    assert found(database, indexer, "gender=female") == []
    told: list[reindex.Progress] = []
    assert reindex.settle(database, indexer, told.append)
    assert told[-1].finished
    assert len(found(database, indexer, "gender=female")) == 5
    assert reindex.settle(database, indexer, lambda _: pytest.fail("it is as it should be"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resourceType": "Patient"}, "SearchParameter"),
        ({"code": "_own"}, "code"),
        ({"type": "composite"}, "type"),
        ({"base": ["Patients"]}, "base"),
        ({"expression": ""}, "expression"),
        ({"expression": "Patient.colour"}, "Patient.colour"),
        ({"expression": "Patient.name.where(use = $this)"}, "不能用于检索"),
        ({"expression": "Group.code"}, "Patient"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    written(tmp_path, CONTACT | change)
    with pytest.raises(ConfigError) as refused:
        own_parameters(tmp_path, load())
    assert "SearchParameter-0.json" in str(refused.value) and said in str(refused.value)
