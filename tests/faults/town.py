"""A town whose five systems send over their real protocols to a served gateway, for tests of bad input and of maps edited meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Self

import httpx
import sqlalchemy as sa
from typer.testing import CliRunner

from adapters.hl7v2.client import Acknowledgement, send
from gateway import builtin
from gateway.adapter import Adapter
from gateway.cli import app
from gateway.commands import execute
from gateway.config import parse
from gateway.service import Service, serving
from gateway.site import Site
from gateway.store import messages
from gateway.store.messages import StoredMessage

PATIENCE = 30.0
HOSPITAL, TOWNSHIP, VILLAGE = "390121101001", "390121103001", "390121103101"
LIMIT = 64 * 1024
"""http.max_body and max_frame of the town, bytes."""
PERSON_VIEW = "v_ehr_person"


@lru_cache(maxsize=1)
def adapters() -> dict[str, Adapter]:
    """The installed adapters."""
    return {e.name: e.load() for e in entry_points(group="gateway.adapters")}


def sources(root: Path) -> list[dict[str, Any]]:
    """The town's feeds, one or more of each adapter."""
    folder = {"poll": 0.05, "settle": 0.0}

    def feed(name: str, adapter: str, organisation: str, *profiles: str, **options: Any) -> dict[str, Any]:
        authority = f"https://yifang.invalid/{name}"
        return {
            "name": name,
            "adapter": adapter,
            "profiles": list(profiles),
            "authority": authority,
            "organisation": organisation,
            "options": options,
        }

    lis = {"port": 0, "max_frame": LIMIT}
    return [
        feed("village-post", "restjson", VILLAGE, "village_reading/village_post"),
        feed("post", "restjson", TOWNSHIP, "village_reading/village_post", "referral_out/referral_platform_json"),
        feed("lis", "hl7v2", HOSPITAL, "hl7v2_oru/standard", "hl7v2_adt/standard", **lis, applications=["LIS", "HIS", "ADT"]),
        feed("analyser", "hl7v2", HOSPITAL, "hl7v2_oru/analyser_m", **lis),
        feed("documents", "cda", HOSPITAL, "cda_c0007/wst500", folder=str(root / "documents"), **folder),
        feed("sheets", "sheet", TOWNSHIP, "hypertension_followup/vendor_c_xlsx", folder=str(root / "sheets"), **folder),
        feed("meters", "sheet", VILLAGE, "village_reading/meter_csv", folder=str(root / "meters"), **folder),
        feed("front", "sqlview", HOSPITAL, "resident_profile/vendor_b_view", url=f"sqlite:///{root / 'front.db'}", poll=0.05, retry_limit=0.2),
    ]


class Town:
    """A served site in `root` with its own mappings folder. `with Town(root) as town:`; `restart` takes a changed configuration.

    database: SQLAlchemy URL of an empty PostgreSQL schema, else SQLite. amend: changes the raw configuration before it is checked."""

    def __init__(self, root: Path, database: str | None = None, amend: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.root = root
        self.mappings = root / "mappings"
        self.mappings.mkdir(parents=True, exist_ok=True)
        self.raw: dict[str, Any] = {
            "mappings": "mappings",
            "http": {"port": 0, "max_body": LIMIT},
            "store": {"data": "data", "database": database, "chunk": 64 * 1024},
            "source": sources(root),
        }
        if amend is not None:
            amend(self.raw)
        self.front = FrontEnd(root / "front.db")
        self._numbers = 0

    # -- life ----------------------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Opens and serves the site in a thread of its own; returns when every source listens."""
        self.site = Site.open(parse(self.raw, self.root / "yifang.toml"), adapters())
        up = threading.Event()
        self.failure: BaseException | None = None

        def started(service: Service) -> None:
            self.service = service
            up.set()

        def serve() -> None:
            try:
                asyncio.run(self._serve(started))
            except BaseException as e:
                self.failure = e
                up.set()

        self._thread = threading.Thread(target=serve, name="town")
        self._thread.start()
        assert up.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        until(lambda: not self.service.reasons())

    async def _serve(self, started: Callable[[Service], None]) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        async with serving(self.site) as service:
            started(service)
            await self._stop.wait()

    def stop(self) -> None:
        """Stops serving and closes the database."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self.site.close()
        if self.failure is not None:
            raise self.failure

    def restart(self, amend: Callable[[dict[str, Any]], None]) -> None:
        """Stops, changes the configuration file's content, serves again."""
        self.stop()
        amend(self.raw)
        self.start()

    def source(self, name: str) -> dict[str, Any]:
        """The raw configuration of a source."""
        found: dict[str, Any] = next(s for s in self.raw["source"] if s["name"] == name)
        return found

    # -- senders -------------------------------------------------------------------------------------------------------------------

    def post(self, source: str, content: bytes | str | list[Any] | dict[str, Any], path: str = "/ingest/") -> httpx.Response:
        """An HTTP body for a source."""
        body = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else json.dumps(content).encode()
        return httpx.post(f"{self.service.url}{path}{source}", content=body, headers={"Accept-Language": "zh"}, timeout=PATIENCE, trust_env=False)

    def mllp(self, source: str, message: bytes) -> Acknowledgement:
        """One message over MLLP, and its acknowledgement."""
        host, _, port = self.service.listening[source].removeprefix("mllp://").rpartition(":")
        return asyncio.run(send(host, int(port), message, patience=PATIENCE))

    def raw_mllp(self, source: str, content: bytes) -> bytes:
        """Bytes as they are on an MLLP connection that the sender then closes; what came back."""
        host, _, port = self.service.listening[source].removeprefix("mllp://").rpartition(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            back = b""
            while data := connection.recv(65536):
                back += data
        return back

    def drop(self, source: str, name: str, content: bytes) -> Path:
        """A file in a watched folder; where it went when it had been taken."""
        folder = self.root / source
        (folder / f"{name}.tmp").write_bytes(content)
        (folder / f"{name}.tmp").rename(folder / name)
        places = [folder / "done" / name, folder / "refused" / name]
        until(lambda: any(p.exists() for p in places))
        return next(p for p in places if p.exists())

    # -- what became of it ---------------------------------------------------------------------------------------------------------

    def kept(self, source: str, content: bytes | None = None) -> StoredMessage:
        """The newest message of a source, or the one with these bytes."""
        found = messages.listing(self.site.database, source=source, limit=1000)
        if content is None:
            return found[0]
        digest = hashlib.sha256(content).hexdigest()
        return next(m for m in found if m.digest == digest)

    def original(self, message: int) -> bytes:
        """The bytes of a message as the store gives them back."""
        return b"".join(messages.content(self.site.database, message))

    def command(self, name: str, **arguments: Any) -> Any:
        """A command as `yifang` gives it to the gateway that serves."""
        return execute(self.site, name, arguments)

    def show(self, message: int) -> dict[str, Any]:
        """`yifang messages show`."""
        shown: dict[str, Any] = self.command("messages.show", message=message)
        return shown

    def remarks(self, source: str) -> list[str]:
        """What `yifang doctor` shows of a source."""
        return [c["text"] for c in self.command("doctor")["checks"] if c["name"] == f"来源 {source}"]

    def fhir(self, query: str) -> dict[str, Any]:
        """A read or search of the gateway's FHIR API."""
        answer = httpx.get(f"{self.service.url}/fhir/{query}", timeout=PATIENCE, trust_env=False)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = json.loads(answer.content, parse_float=str)
        return body

    def resource(self, record: Mapping[str, Any], type_: str) -> dict[str, Any]:
        """The first resource of a type that a record of a receipt wrote."""
        id_ = next(r["id"] for r in record["resources"] if r["type"] == type_)
        return self.fhir(f"{type_}/{id_}")

    @contextmanager
    def nothing_written(self) -> Iterator[None]:
        """Within, no resource, version, contribution or search entry may come about."""
        before = self._written()
        yield
        assert self._written() == before

    def _written(self) -> dict[str, int]:
        tables = ("resource", "resource_history", "contribution", "index_row", "delivery")
        known = set(sa.inspect(self.site.database.engine).get_table_names())
        assert {"resource", "contribution"} <= known
        counted = {t: self.count(f"SELECT count(*) FROM {t}") for t in tables if t in known}
        return counted | {"versions": self.count("SELECT coalesce(sum(version), 0) FROM resource")}

    def count(self, query: str) -> int:
        """One number from the store."""
        with self.site.database.engine.connect() as connection:
            return int(connection.execute(sa.text(query)).scalar_one())

    # -- maps ----------------------------------------------------------------------------------------------------------------------

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Edits a mapping file in the site's folder, from the site's own version or else the built-in one."""
        own = self.mappings / path
        before = (own if own.exists() else builtin.MAPPINGS / path).read_text("utf-8")
        after = change(before)
        assert after != before, f"{path}: the edit changes nothing"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(after, "utf-8")

    def accept(self, *datasets: str) -> None:
        """`yifang map test DATASET... --accept` on the site's folder."""
        file = self.root / "maps.toml"
        file.write_text('mappings = "mappings"\n', "utf-8")
        done = CliRunner().invoke(app, ["map", "test", *datasets, "--accept", "--config", str(file)])
        assert done.exit_code == 0, done.output or str(done.exception)


class FrontEnd:
    """The front-end database (前置机) of the public-health platform, as its vendor keeps it; SQLite."""

    DISEASE = "v_ehr_disease", ("ehr_no", "disease_code", "confirm_date", "disease_note")
    CHILDREN = (
        DISEASE,
        ("v_ehr_surgery", ("ehr_no", "surgery_name", "surgery_date")),
        ("v_ehr_trauma", ("ehr_no", "trauma_name", "trauma_date")),
        ("v_ehr_transfusion", ("ehr_no", "transfusion_reason", "transfusion_date")),
    )

    def __init__(self, path: Path) -> None:
        self.columns = person_columns()
        self.engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
        if path.exists():
            return
        with self.engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE person ({', '.join(f'{c} TEXT' for c in self.columns)})"))
            for view, columns in self.CHILDREN:
                connection.execute(sa.text(f"CREATE TABLE {view} ({', '.join(f'{c} TEXT' for c in columns)})"))
        self.view()

    def drop(self) -> None:
        """The view is gone."""
        with self.engine.begin() as connection:
            connection.execute(sa.text(f"DROP VIEW IF EXISTS {PERSON_VIEW}"))

    def view(self, *, without: str = "", rename: Mapping[str, str] | None = None) -> None:
        """Defines the view anew, without one column or with a renamed one if so said."""
        new = rename or {}
        names = ", ".join(f"{c} AS {new.get(c, c)}" for c in self.columns if c != without)
        self.drop()
        with self.engine.begin() as connection:
            connection.execute(sa.text(f"CREATE VIEW {PERSON_VIEW} AS SELECT {names} FROM person"))

    def insert(self, **values: str) -> None:
        """One row of the view."""
        with self.engine.begin() as connection:
            self.insert_into(connection, values)

    def insert_into(self, connection: sa.Connection, row: Mapping[str, str]) -> None:
        """One row of the view within the vendor's transaction."""
        names = ", ".join(row)
        connection.execute(sa.text(f"INSERT INTO person ({names}) VALUES ({', '.join(f':{c}' for c in row)})"), dict(row))


@lru_cache(maxsize=1)
def person_columns() -> tuple[str, ...]:
    """Columns of the vendor's view, from its source profile."""
    profile = tomllib.loads((builtin.MAPPINGS / "public_health/resident_profile/sources/vendor_b_view.toml").read_text("utf-8"))
    found = list(profile["fields"].values())
    for row in profile["groups"]["联系人"]["rows"]:
        found += row.values()
    return tuple(dict.fromkeys(found))


def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Waits until it holds; AssertionError when the patience is over."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
