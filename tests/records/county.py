"""A small county without maps: records say in their fields which drafts they make, so that the store's rules are tested by themselves.

A message is JSON: a list of records {dataset, key, stamp, drafts: [...], person: {...}}; a draft is {type, ns, value, body, compose, by}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import create_engine, insert, select, text

from gateway.adapter import Layout
from gateway.clock import SetClock
from gateway.config import Config, DestinationConfig, SourceConfig, StoreConfig
from gateway.errors import Finding, Refused
from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.fhir.json import decode
from gateway.mapping.compile import MapContext
from gateway.pipeline import Gateway
from gateway.record import Draft, Incoming, MapResult, PersonClaim, PersonNumber, Receipt, Record, Row
from gateway.store.database import KEY, Database
from gateway.store.tables import setting

ID_CARD = "urn:test:id-card"
LOCAL = "urn:test:local"


@dataclass(frozen=True)
class Profile:
    """Mode and map version of the stand-in map."""

    mode: str
    version: str


class StandIn:
    """A binding whose map is in the message itself."""

    layouts: list[Layout] = []  # noqa: RUF012 - the protocol has a plain attribute

    def __init__(self, source: SourceConfig, catalogue: StandInCatalogue) -> None:
        self.source = source
        self.catalogue = catalogue

    def extract(self, content: bytes | BinaryIO) -> Iterator[Row]:
        """One row a record."""
        data = content if isinstance(content, bytes) else content.read()
        try:
            records = json.loads(data)
        except ValueError as e:
            raise Refused(Finding("not-json", "refuse", "不是 JSON, 请检查导出")) from e
        if records == "crash":
            raise RuntimeError("extraction bug")
        for n, r in enumerate(records):
            yield Row(r.get("dataset", "form"), r, json.dumps(r, sort_keys=True).encode(), f"记录 {n + 1}")

    def record(self, row: Row) -> Record:
        """Key and stamp as the message says."""
        r = row.fields
        findings = tuple(Finding(**f) for f in r.get("findings", ()))
        digest = sha256(row.unit).hexdigest()
        return Record(self.source.authority, row.dataset, (r["key"],), r.get("stamp", ""), r, digest, row.position, findings)

    def map(self, record: Record, context: MapContext) -> MapResult:
        """Drafts as the message says, edited by the catalogue's present version."""
        if record.fields.get("crash"):
            raise ZeroDivisionError
        claims: dict[str, PersonClaim] = {}

        def claim(said: Mapping[str, Any]) -> PersonClaim:
            return claims.setdefault(json.dumps(said, sort_keys=True), _claim(said))

        drafts = []
        person = claim(record.fields["person"]) if "person" in record.fields else None
        for d in record.fields.get("drafts", ()):
            drafts.append(_draft(d, person, context.ids, self.catalogue))
        return MapResult(drafts, list(claims.values()), [], record.fields.get("destination", ""))

    def profile_of(self, dataset: str) -> Profile:
        """Datasets whose name begins with `delta` are delta."""
        return Profile("delta" if dataset.startswith("delta") else "snapshot", self.catalogue.version)


def _claim(said: Mapping[str, Any]) -> PersonClaim:
    numbers = [PersonNumber(ID_CARD, v, True) for v in said.get("id", ())] + [PersonNumber(LOCAL, v, False) for v in said.get("local", ())]
    return PersonClaim(tuple(numbers), said.get("name", ""), said.get("sex", ""), said.get("born", ""))


def _draft(d: Mapping[str, Any], person: PersonClaim | None, ids: IdScheme, catalogue: StandInCatalogue) -> Draft:
    body = {**d.get("body", {}), **catalogue.adds}
    if d["type"] == "Patient":
        return Draft("Patient", "p", "", body, d.get("compose", "merge"), person=person)
    space, value = d.get("ns", "x"), d["value"]
    body["identifier"] = [{"system": ids.system(space), "value": value}]
    patients: tuple[tuple[str, PersonClaim], ...] = ()
    if person is not None and d.get("subject", True):
        body["subject"] = person.reference
        patients = (("subject", person),)
    return Draft(
        d["type"], "b", ids.derive(d["type"], space, [value]), body, d.get("compose", "one"), d.get("by", ""), None, patients,
        clear=tuple(d.get("clear", ())),
    )  # fmt: skip


@dataclass
class StandInCatalogue:
    """`adds` is what the present map writes into every draft; change both to edit the map."""

    version: str = "map-1"
    adds: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def bind(self, source: SourceConfig) -> StandIn:
        """The stand-in binding."""
        return StandIn(source, self)


class County:
    """A gateway with two sources of different authorities, on one database."""

    def __init__(self, folder: Path, url: str | None = None, *, destinations: Sequence[str] = (), chunk: int = 1 << 20) -> None:
        sources = [
            SourceConfig(name=n, adapter="sheet", profiles=["form/x"], authority=f"urn:test:{n}", organisation="39000001") for n in ("his", "lis")
        ]
        self.config = Config(
            source=sources,
            store=StoreConfig(data=folder, database=url, chunk=chunk),
            destination=[DestinationConfig(name=d, url="http://127.0.0.1:9/fhir") for d in destinations],
        )
        self.database = Database.open(self.config.store)
        with self.database.engine.begin() as connection:  # the same ids in every county, so that outcomes can be compared
            if connection.scalar(select(setting.c.value).where(setting.c.name == KEY)) is None:
                connection.execute(insert(setting).values(name=KEY, value=TEST_KEY))
        self.catalogue = StandInCatalogue()
        self.clock = SetClock(datetime(2026, 3, 1, 8, tzinfo=UTC))
        self.gateway = Gateway(self.config, self.database, self.catalogue, self.clock)

    def __enter__(self) -> County:
        self.gateway.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.close()
        self.database.close()

    def send(self, *records: Mapping[str, Any], source: str = "his", name: str = "") -> Receipt:
        """One message of these records, answered."""
        return self.later(*records, source=source, name=name).result(30)

    def later(self, *records: Mapping[str, Any], source: str = "his", name: str = "") -> Future[Receipt]:
        """One message of these records, on its way."""
        self.clock.advance(timedelta(seconds=1))
        return self.gateway.accept(source, Incoming(json.dumps(list(records), ensure_ascii=False).encode(), name=name))

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Rows of a query."""
        with self.database.engine.connect() as connection:
            return list(connection.execute(text(sql), values))

    def current(self) -> dict[str, Any]:
        """Current resources by Type/id, without meta.versionId and lastUpdated; deleted ones are None."""
        found = {}
        for type_, id_, deleted, content in self.rows("SELECT type, id, deleted, content FROM resource"):
            body = decode(bytes(content))
            body["meta"] = {k: v for k, v in body["meta"].items() if k not in ("versionId", "lastUpdated")}
            found[f"{type_}/{id_}"] = None if deleted else body
        return found

    def versions(self) -> int:
        """Versions written so far, of all resources."""
        return sum(r[0] for r in self.rows("SELECT version FROM resource"))

    def one(self, type_: str) -> Any:
        """The one current resource of a type."""
        found = [b for n, b in self.current().items() if n.startswith(type_ + "/") and b is not None]
        assert len(found) == 1, found
        return found[0]

    def comparable(self) -> dict[str, Any]:
        """What must not depend on the order of messages: Patients are named by their numbers, linked-away ones and deleted left out."""
        current = {n: b for n, b in self.current().items() if b is not None}
        names = {}
        for name, body in current.items():
            if name.startswith("Patient/") and body.get("active") is not False:
                numbers = sorted(f"{i['system']}|{i['value']}" for i in body.get("identifier", ()))
                names[name] = "Patient:" + ",".join(numbers) + ":" + json.dumps(body.get("name"), ensure_ascii=False)
        away = {n for n in current if n.startswith("Patient/")} - names.keys()
        shown = {}
        for name, body in current.items():
            if name not in away:
                said = json.loads(json.dumps(body, default=str), object_hook=lambda o: _renamed(o, names))
                said.pop("id")
                shown[names.get(name, name)] = said
        return shown


def _renamed(node: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {k: names.get(v, v) if k == "reference" else v for k, v in node.items()}


def fresh_schema(url: str) -> None:
    """Empties the test database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def observation(value: str, code: str, **more: Any) -> dict[str, Any]:
    """A draft of an Observation."""
    return {"type": "Observation", "value": value, "body": {"status": "final", "code": {"text": code}}, **more}


def form(key: str, stamp: str, drafts: Iterable[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """A record."""
    return {"key": key, "stamp": stamp, "drafts": list(drafts), **more}
