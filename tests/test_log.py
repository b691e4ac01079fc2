"""Logs carry names, numbers and codes only: no patient data from a careless call, a crash, a library, a warning or a URL."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from gateway.config import LogConfig
from gateway.log import ALLOWED, Lines, configure, logger
from gateway.store.reads import Reads
from tests.http.conftest import Front, Opened, opened
from tests.village import body, reading

__all__ = ["opened"]  # the fixture of tests/http

SECRETS = ("欧阳禾", "390121195803140267", "13800000018")
ALWAYS = {"error", "at"}


class Log:
    """The log file as it stands now."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def lines(self) -> list[dict[str, Any]]:
        """Every line as JSON; a line that is not JSON fails here."""
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()]

    def holds_no_secret(self) -> bool:
        """Whether none of the patient's data stands in it."""
        text = self.file.read_text("utf-8")
        return not [s for s in SECRETS if s in text]


@pytest.fixture
def log(tmp_path: Path, logging_put_back: None) -> Log:
    """Logging as `yifang serve` sets it up, into a file."""
    file = tmp_path / "log" / "yifang.log"
    configure(LogConfig(file=file))
    return Log(file)


def crash() -> None:
    """A bug whose exception quotes a patient."""
    raise RuntimeError(" ".join(SECRETS))


def test_only_listed_keys_come_through(log: Log) -> None:
    logger("x").info("received", source="town-a-lis", count=3, patient=SECRETS[0], id_card=SECRETS[1], text=SECRETS[2])
    (line,) = log.lines()
    assert set(line) == {"event", "level", "timestamp", "source", "count"}
    assert log.holds_no_secret()


def test_a_line_without_processors_is_the_line_that_they_write(log: Log) -> None:
    fields = {"method": "GET", "route": "/fhir/{type}", "status": 200, "seconds": 0.0012, "client": "乡镇", "request_id": "a1"}
    lines = Lines("http", "request")
    lines.info(**fields)  # the file is not open yet: the processors write the first one
    lines.info(**fields)
    slow, fast = log.lines()
    assert slow.keys() == fast.keys() <= ALLOWED
    assert {k: v for k, v in slow.items() if k != "timestamp"} == {k: v for k, v in fast.items() if k != "timestamp"}
    assert len(slow["timestamp"]) == len(fast["timestamp"]) and fast["timestamp"].endswith("Z")


def test_an_exception_is_its_type_and_place(log: Log) -> None:
    try:
        crash()
    except RuntimeError as e:
        logger("x").error("failed", exc_info=e)
        logger("x").error("failed", exc_info=True)
        logging.getLogger("some.library").exception("could not read %s", SECRETS[0])
    ours, same, library = log.lines()
    assert (ours["error"], ours["at"].split(" < ")[0].split(":")[0]) == ("RuntimeError", "test_log.py")
    assert (same["error"], library["error"]) == ("RuntimeError", "RuntimeError")
    assert library["event"] == "library some.library"
    assert log.holds_no_secret()


def test_what_threads_warnings_and_the_process_die_of_is_told_without_its_text(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    try:
        crash()
    except RuntimeError as e:
        sys.excepthook(type(e), e, e.__traceback__)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(SECRETS[0], UserWarning, stacklevel=1)
    assert [line["event"] for line in log.lines()] == ["thread failed", "process failed", "library py.warnings"]
    assert log.holds_no_secret()
    assert capfd.readouterr() == ("", "")


def test_the_request_line_has_no_query_no_id_and_no_body(log: Log, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    front: Front = opened()
    content = body(reading(1, 26, resident={"idCard": SECRETS[1], "name": SECRETS[0], "phone": SECRETS[2], "sex": "2"}))
    assert front.post(content).status_code == 200
    assert front.post(content + b"{", X_Message_Name="readings.json").status_code in (202, 207, 422)
    front.get(f"/fhir/Patient?identifier={SECRETS[1]}")
    front.get(f"/fhir/Patient/{SECRETS[1]}")
    front.get(f"/fhir/{SECRETS[1]}/{SECRETS[2]}")
    front.get(f"/nowhere/{SECRETS[1]}?{SECRETS[2]}")
    monkeypatch.setattr(Reads, "current", lambda *_: crash())
    assert front.get(f"/fhir/Patient/{SECRETS[1]}").status_code == 500
    lines = log.lines()
    assert [line["route"] for line in lines if line["event"] == "request"] == [
        "/ingest/{source}",
        "/ingest/{source}",
        "/fhir/{type}",
        "/fhir/{type}/{id}",
        "/fhir/…",
        "(no route)",
        "/fhir/{type}/{id}",
    ]
    assert [line["error"] for line in lines if line["event"] == "request failed"] == ["RuntimeError"]
    assert all(set(line) <= ALLOWED | ALWAYS for line in lines)
    assert log.holds_no_secret()


def test_uvicorns_own_access_log_is_off(log: Log) -> None:
    logging.getLogger("uvicorn.access").info('127.0.0.1 - "GET /fhir/Patient?identifier=%s HTTP/1.1" 200', SECRETS[1])
    assert not log.file.exists() or log.lines() == []


def test_levels_below_the_configured_one_are_not_written(tmp_path: Path, log: Log) -> None:
    configure(LogConfig(file=log.file, level="warning"))
    logger("x").info("quiet")
    logger("x").warning("loud")
    assert [line["event"] for line in log.lines()] == ["loud"]
