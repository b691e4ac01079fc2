"""All adapters pass the contract suite over their real protocols."""

from __future__ import annotations

import asyncio
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adapters import cda, hl7v2, restjson, sheet, sqlview
from adapters.hl7v2.client import MllpClient
from gateway.adapter import Adapter, GroupLayout, Layout
from gateway.errors import TransientError
from gateway.record import Incoming
from tests.adapters.cda.documents import Laboratory, laboratory
from tests.adapters.contract import AdapterContract
from tests.adapters.hl7v2.layouts import message as hl7_message
from tests.adapters.hl7v2.layouts import oru
from tests.adapters.intake import RecordingIntake, Running

READING = Layout("reading", "reading/p", {"编号": "编号", "收缩压": "收缩压", "备注": "备注"}, key=("编号",))


class FolderCase(ABC):
    """A file a message, dropped into the watched folder under another name first, as careful senders do."""

    suffix = ".csv"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"folder": str(folder / "in"), "poll": 0.02, "settle": 0.01}

    @abstractmethod
    def message(self, number: int) -> bytes: ...

    async def send(self, running: Running, intake: RecordingIntake, folder: Path, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self.send_bytes(running, intake, folder, self.message(number))

    async def send_bytes(self, running: Running, intake: RecordingIntake, folder: Path, content: bytes) -> None:
        inbox = folder / "in"
        inbox.mkdir(exist_ok=True)
        name = f"{len(list(inbox.rglob('*'))):05}{self.suffix}"
        part = inbox / f"{name}.part"
        part.write_bytes(content)
        part.replace(inbox / name)


class SheetCase(FolderCase):
    adapter: Adapter = sheet.adapter
    layouts = (READING,)
    bad = (b"PK\x03\x04broken", b"\xff\xff\xff", b"no header,here\n1,2\n", b"")

    def message(self, number: int) -> bytes:
        return f"编号,收缩压,备注\nR{number},{100 + number},某\n".encode("gbk")


class CdaCase(FolderCase):
    suffix = ".xml"
    adapter: Adapter = cda.adapter
    layouts = (
        Layout("cda_c0007", "cda_c0007/p", {"报告单号": "recordTarget/patientRole/id[1.33]/@extension"}, key=("报告单号",), message=("C0007",)),
    )
    bad = (b"not xml", b"<a>", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', b"<other/>", b"")

    def message(self, number: int) -> bytes:
        return laboratory(Laboratory(report=f"JY{number:05}", number=f"D{number:05}")).encode()


class SqlViewCase:
    adapter: Adapter = sqlview.adapter
    layouts = (
        Layout(
            "reading",
            "reading/v",
            {"编号": "no", "收缩压": "sbp"},
            options={"view": "v_reading", "key": ["no"], "stamp": "updated", "lateness": 900},
            key=("编号",),
        ),
    )
    bad = (b"not json\n", b'{"profile":"x"}\n', b"\xff\n")

    def message(self, number: int) -> bytes:
        return json.dumps({"profile": "reading/v", "rows": [self._row(number)], "children": {}}).encode() + b"\n"

    def _row(self, number: int) -> dict[str, str]:
        return {"no": f"R{number}", "sbp": str(100 + number), "updated": f"2026-03-01 08:{number % 10:02}:00"}

    def options(self, folder: Path) -> dict[str, Any]:
        engine = self._engine(folder)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE IF NOT EXISTS v_reading (no TEXT PRIMARY KEY, sbp TEXT, updated TEXT)"))
        return {"url": str(engine.url), "poll": 0.02, "batch": 5}

    def _engine(self, folder: Path) -> sa.Engine:
        return sa.create_engine(f"sqlite:///{folder / 'front.db'}", poolclass=sa.NullPool)

    async def send(self, running: Running, intake: RecordingIntake, folder: Path, numbers: Sequence[int]) -> None:
        with self._engine(folder).begin() as connection:
            connection.execute(sa.text("INSERT OR REPLACE INTO v_reading VALUES (:no, :sbp, :updated)"), [self._row(n) for n in numbers])

    async def send_bytes(self, running: Running, intake: RecordingIntake, folder: Path, content: bytes) -> None:
        with self._engine(folder).begin() as connection:
            connection.execute(sa.text("INSERT OR REPLACE INTO v_reading VALUES (:no, :sbp, '2026-03-01 07:00:00')"), {"no": content, "sbp": content})


class Hl7v2Case:
    """A sender that opens a new connection and sends again until it is answered."""

    adapter: Adapter = hl7v2.adapter
    layouts = (oru(),)
    bad = (b"not hl7", b"MSH|^~\\&|LIS", b"", hl7_message().replace("张".encode(), b"\xff\xff\xff"))

    def message(self, number: int) -> bytes:
        body = f"PID|1||A{number}||张^三\rOBR|1|P{number}|R{number}|GLU\rOBX|1|NM|GLU||5.60|mmol/L|||||F\r"
        return hl7_message(body, control_id=f"M{number}")

    def options(self, folder: Path) -> dict[str, Any]:
        return {"port": 0}

    async def send(self, running: Running, intake: RecordingIntake, folder: Path, numbers: Sequence[int]) -> None:
        port = int(running.place.rpartition(":")[2])
        for number in numbers:
            answered = ""
            while answered not in ("AA", "AR"):
                with contextlib.suppress(TransientError):
                    async with MllpClient("127.0.0.1", port, timeout=5) as client:
                        answered = (await client.send(self.message(number))).code
                await asyncio.sleep(0)

    async def send_bytes(self, running: Running, intake: RecordingIntake, folder: Path, content: bytes) -> None:
        port = int(running.place.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x0b" + content + b"\x1c\r")
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()


class RestJsonCase:
    """The gateway's HTTP server hands bodies to the intake; a client sends one at a time and again while it gets 503."""

    adapter: Adapter = restjson.adapter
    layouts = (
        Layout("reading", "reading/j", {"编号": "id", "收缩压": "/v/sbp"}, {"用药": GroupLayout(each="drugs", fields={"名": "n"})}, key=("编号",)),
    )
    bad = (b"not json", b"", b"[1, 2]", b'{"id": 1', b'["x"]', b"\xff\xfe")

    def message(self, number: int) -> bytes:
        return json.dumps({"id": f"R{number}", "v": {"sbp": 100 + number}, "drugs": [{"n": "x"}]}).encode()

    def options(self, folder: Path) -> dict[str, Any]:
        return {}

    async def send(self, running: Running, intake: RecordingIntake, folder: Path, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self.send_bytes(running, intake, folder, self.message(number))

    async def send_bytes(self, running: Running, intake: RecordingIntake, folder: Path, content: bytes) -> None:
        while True:
            with contextlib.suppress(TransientError):
                await intake.accept(Incoming(content, media_type="application/json"))
                return


class TestSheet(AdapterContract):
    @pytest.fixture
    def case(self) -> SheetCase:
        return SheetCase()


class TestCda(AdapterContract):
    @pytest.fixture
    def case(self) -> CdaCase:
        return CdaCase()


class TestSqlView(AdapterContract):
    @pytest.fixture
    def case(self) -> SqlViewCase:
        return SqlViewCase()


class TestHl7v2(AdapterContract):
    @pytest.fixture
    def case(self) -> Hl7v2Case:
        return Hl7v2Case()


class TestRestJson(AdapterContract):
    @pytest.fixture
    def case(self) -> RestJsonCase:
        return RestJsonCase()
