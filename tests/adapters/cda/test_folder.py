"""Documents from a watched folder: taken, described, moved; what is refused is kept apart; without a folder there is nothing to run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.cda import adapter
from adapters.cda.options import Options
from gateway.adapter import Feed, SourceConfig
from gateway.clock import SetClock
from tests.adapters.cda.documents import Laboratory, Outpatient, laboratory, outpatient
from tests.adapters.cda.layouts import layout
from tests.adapters.intake import RecordingIntake, start, until

LAYOUTS = [layout("cda_c0007"), layout("cda_c0002")]


@pytest.mark.anyio
async def test_documents_are_taken_described_and_moved(tmp_path: Path) -> None:
    intake = RecordingIntake(adapter.compile(LAYOUTS))
    feed = await start(adapter, LAYOUTS, intake, {"folder": str(tmp_path), "poll": 0.01, "settle": 0})
    (tmp_path / "a.xml").write_text(laboratory(Laboratory()), "utf-8")
    (tmp_path / "b.xml").write_bytes(outpatient(Outpatient()).encode("gbk"))
    (tmp_path / "c.xml").write_text("<!DOCTYPE x []><ClinicalDocument/>", "utf-8")
    (tmp_path / "notes.docx").write_text("no document", "utf-8")
    await until(lambda: (tmp_path / "refused" / "c.xml").exists() and len(list((tmp_path / "done").glob("*.xml"))) == 2)
    await feed.stop()
    by_name = {c.incoming.name: c for c in intake.committed}
    assert {name: (c.incoming.media_type, c.incoming.charset, c.receipt.state) for name, c in by_name.items()} == {
        "a.xml": ("application/xml", "UTF-8", "mapped"),
        "b.xml": ("application/xml", "GB18030", "mapped"),
        "c.xml": ("application/xml", "UTF-8", "refused"),
    }
    assert [row.dataset for row in (*by_name["a.xml"].rows, *by_name["b.xml"].rows)] == ["cda_c0007", "cda_c0002"]
    assert (tmp_path / "notes.docx").exists()


@pytest.mark.anyio
async def test_a_source_without_folder_takes_documents_by_post_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = SourceConfig(name="emr", adapter="cda", profiles=["cda_c0007/wst500"], authority="https://example.invalid/emr", organisation="390001")
    intake = RecordingIntake(adapter.compile(LAYOUTS))
    feed = Feed(source, Options(), LAYOUTS, intake, SetClock(datetime(2026, 1, 16, tzinfo=UTC)), lambda _place: None)
    await adapter.run(feed)  # returns at once
    assert not (tmp_path / "done").exists()
