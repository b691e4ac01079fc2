"""A map that is edited while the gateway runs takes effect only when it checks and its goldens pass, at the next message, without a restart."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.errors import MapError
from tests.faults import samples
from tests.faults.town import Town

pytestmark = pytest.mark.slow

MAP = "community/village_reading/village_reading.map"
PROFILE = "community/village_reading/sources/village_post.toml"
TABLE = "tables/reading-status.csv"
TITLE = 'code = code("loinc", "85354-9", "血压")'
NEW_TITLE = 'code = code("loinc", "85354-9", "血压(坐位)")'
KEY = 'key("village-bp", 机构代码, 读数编号)'


def posted(town: Town, **members: Any) -> dict[str, Any]:
    """The outcome of one reading."""
    answer = town.post("village-post", samples.reading(samples.resident(), **members))
    assert answer.status_code == 200, answer.text
    outcome: dict[str, Any] = answer.json()["records"][0]
    return outcome


def title(town: Town, record: dict[str, Any]) -> str:
    """How the blood pressure of a record is called."""
    found: str = town.resource(record, "Observation")["code"]["coding"][0]["display"]
    return found


def line_of(town: Town, path: str, text: str) -> int:
    """Number of the first line of a site's file that has this text."""
    lines = (town.mappings / path).read_text("utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


def refused(town: Town) -> str:
    """What `map activate` says; the active set stays."""
    before = town.count("SELECT id FROM map_set WHERE active")
    with pytest.raises(MapError) as fault:
        town.command("map.activate")
    assert town.count("SELECT id FROM map_set WHERE active") == before
    return str(fault.value)


def test_an_edit_alone_changes_nothing(town: Town) -> None:
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE))
    assert title(town, posted(town)) == "血压"
    assert any("与生效的不同" in c["text"] for c in town.command("doctor")["checks"])


def test_a_map_that_does_not_check_is_refused_with_its_place_and_the_old_one_works_on(town: Town) -> None:
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE).replace("  bodySite = 测量部位", "  bodySide = 测量部位"))
    said = refused(town)
    assert f"{MAP}:{line_of(town, MAP, 'bodySide')}:3" in said
    assert "bodySite" in said  # the nearest element
    assert title(town, posted(town)) == "血压"


def test_a_profile_or_table_that_does_not_check_is_refused_with_its_place(town: Town) -> None:
    town.edit(PROFILE, lambda text: text.replace('"脉率" = "/bp/pulse"', '"脉搏率" = "/bp/pulse"'))
    assert f"{PROFILE}:{line_of(town, PROFILE, '脉搏率')}:" in refused(town)
    town.edit(PROFILE, lambda text: text.replace("脉搏率", "脉率"))
    town.edit(TABLE, lambda text: text.replace("entered-in-error", "in-error"))
    assert f"{TABLE}:{line_of(town, TABLE, 'in-error')}:1" in refused(town)
    assert posted(town)["state"] == "written"


def test_a_golden_that_differs_is_refused_with_the_difference_until_it_is_accepted(town: Town) -> None:
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE))
    said = refused(town)
    assert "examples/ordinary.out.json (已接受)" in said
    assert any(line.startswith("+") and line.endswith('"display": "血压(坐位)"') for line in said.splitlines())
    assert title(town, posted(town)) == "血压"
    address = town.service.url
    town.accept("village_reading")
    assert town.command("map.activate")["state"] == "active"
    assert title(town, posted(town)) == "血压(坐位)"
    assert town.service.url == address
    assert town.command("map.activate")["state"] == "unchanged"


def test_a_code_table_of_a_profile_takes_effect_at_the_next_message(town: Town) -> None:
    assert town.post("village-post", samples.reading(samples.resident(), state="7")).status_code == 202
    held = town.kept("village-post")
    town.edit(PROFILE, lambda text: text + '\n[codes."读数状态"]\n"7" = "1"\n"1" = "1"\n"9" = "9"\n')
    town.accept("village_reading")
    assert town.command("map.activate")["state"] == "active"
    assert posted(town, state="7")["state"] == "written"
    assert town.command("messages.replay", message=held.id)["state"] == "mapped"


def test_a_changed_key_line_is_refused_without_was(town: Town) -> None:
    town.edit(MAP, lambda text: text.replace(KEY, 'key("village-pressure", 机构代码, 读数编号)'))
    said = refused(town)
    assert f"{MAP}:{line_of(town, MAP, 'village-pressure')}:3" in said
    assert f"was {KEY}" in said
    first = posted(town)
    town.edit(MAP, lambda text: text.replace('key("village-pressure", 机构代码, 读数编号)', f'key("village-pressure", 机构代码, 读数编号) was {KEY}'))
    town.accept("village_reading")
    assert town.command("map.activate")["state"] == "active"
    second = posted(town)
    systems = [town.resource(r, "Observation")["identifier"][0]["system"].rpartition("/")[2] for r in (first, second)]
    assert systems == ["village-bp", "village-pressure"]


def test_messages_that_come_meanwhile_are_all_written_by_one_map_or_the_other(town: Town) -> None:
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE))
    town.accept("village_reading")
    stop = threading.Event()
    records: list[dict[str, Any]] = []

    def send() -> None:
        while not stop.is_set():
            records.append(posted(town))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        town.command("map.activate")
    finally:
        stop.set()
        sender.join()
    records.append(posted(town))
    titles = [title(town, r) for r in records]
    first = titles.index("血压(坐位)")
    assert set(titles[:first]) == {"血压"} and set(titles[first:]) == {"血压(坐位)"}


def test_remap_tells_what_would_change_and_then_does_it(town: Town) -> None:
    record = posted(town)
    (observation,) = [r["id"] for r in record["resources"] if r["type"] == "Observation"]
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE))
    town.accept("village_reading")
    town.command("map.activate")
    with town.nothing_written():
        preview = town.command("map.remap", preview=True)
    assert (preview["preview"], preview["updated"], preview["created"], preview["vanished"]) == (True, 1, 0, 0)
    assert preview["resources"]["updated"] == [f"Observation/{observation}"]
    assert title(town, record) == "血压"
    done = town.command("map.remap", dataset="village_reading")
    assert done["resources"] == preview["resources"]
    changed = town.fhir(f"Observation/{observation}")
    assert (changed["code"]["coding"][0]["display"], changed["meta"]["versionId"]) == ("血压(坐位)", "2")
    assert town.command("map.remap", preview=True)["updated"] == 0


def test_remap_after_a_changed_key_moves_the_resource(town: Town) -> None:
    record = posted(town)
    (old,) = [r["id"] for r in record["resources"] if r["type"] == "Observation"]
    town.edit(MAP, lambda text: text.replace(KEY, f'key("village-pressure", 机构代码, 读数编号) was {KEY}'))
    town.accept("village_reading")
    town.command("map.activate")
    preview, done = town.command("map.remap", preview=True), town.command("map.remap")
    assert preview["resources"] == done["resources"]
    assert (done["created"], done["resources"]["updated"]) == (1, [f"Observation/{old}"])
    assert town.fhir(f"Observation/{old}")["status"] == "entered-in-error"
    (new,) = done["resources"]["created"]
    assert town.fhir(new)["status"] == "final"


def test_explain_tells_where_each_element_came_from_under_the_active_map(town: Town) -> None:
    who = samples.resident()
    message = town.post("village-post", samples.reading(who)).json()["message"]
    (record,) = town.show(message)["records"]
    told = town.command("map.explain", record=record["id"])
    assert (told["dataset"], told["message"], told["position"]) == ("village_reading", message, "记录 1")
    systolic = next(x for x in told["lineage"] if x["path"] == "component[0].valueQuantity")
    (origin,) = [o for o in systolic["origins"] if o["field"] == "收缩压"]
    assert (origin["locator"], origin["raw"], systolic["functions"]) == ("/bp/systolic", "138", ["quantity"])
    assert systolic["line"].startswith(f"{MAP}:")
    assert '"value":138' in systolic["result"]
    name = next(x for x in told["lineage"] if x["path"] == "name[0].text")
    assert (name["resource"].split("/")[0], name["result"]) == ("Patient", who.name)


def test_coverage_shows_what_is_read_what_is_ignored_and_codes_by_volume(town: Town) -> None:
    for _ in range(2):
        town.post("village-post", samples.reading(samples.resident(), state="8"))
    volumes = {(v["source"], v["times"]) for v in town.command("map.volumes")}
    assert ("state", 2) in volumes
    file = town.root / "coverage.toml"
    file.write_text('mappings = "mappings"\n', "utf-8")
    done = CliRunner().invoke(app, ["map", "coverage", "village_reading", "--config", str(file)])
    assert done.exit_code == 0
    assert "village_reading/village_post: 已读" in done.output
    assert "忽略 采集程序版本: " in done.output
