"""Every command: help, exit codes, JSON (docs/commands.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from typer.main import get_command

from gateway.builtin import MAPPINGS
from gateway.cli import app
from gateway.config import load
from gateway.http.receipts import WORDS
from gateway.occupancy import occupy
from tests.cli.conftest import Done, Yifang
from tests.village import body, id_card, reading

ISSUE = """demo serve ingest map·run map·check map·test map·doc map·explain map·coverage map·activate map·remap messages·list messages·show
messages·replay holds·list holds·show holds·release holds·reject residents·link residents·unlink deliveries deliveries·resume
deliveries·reconcile subscriptions subscriptions·restart doctor init token reindex validate views·list views·run""".split()


def names(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command that can be called, as words."""
    below = [n for name, c in getattr(command, "commands", {}).items() for n in names(c, (*path, name))]
    return below + ([path] if not below or command.invoke_without_command else [])


ALL = names(get_command(app))


def test_all_the_commands_are_there() -> None:
    assert {"·".join(n) for n in ALL} == set(ISSUE)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_that_says_what_it_does(yifang: Yifang, words: tuple[str, ...]) -> None:
    done = yifang(*words, "--help")
    assert done.code == 0
    assert "Usage: yifang" in done.out or "Usage: " in done.out
    assert len(done.out.split("\n\n")) > 1


def ingested(yifang: Yifang, county: Path, *readings: dict[str, Any]) -> Done:
    """Takes readings in from a file."""
    file = county / "readings.json"
    file.write_bytes(body(*readings))
    return yifang("ingest", "village-posts", file, "--json")


def test_what_init_writes_loads_and_is_never_overwritten(yifang: Yifang, county: Path) -> None:
    config = load(county / "yifang.toml")
    assert [s.name for s in config.source] == ["village-posts"]
    assert config.mappings == county / "mappings"
    again = yifang("init")
    assert (again.code, "已存在" in again.err) == (2, True)


def test_ingest_tells_each_finding_and_ends_with_1_when_a_person_must_look(yifang: Yifang, county: Path) -> None:
    assert ingested(yifang, county, reading(1, 20)).code == 0
    assert ingested(yifang, county, reading(1, 20)).json[0]["state"] == "repeat"
    held = ingested(yifang, county, reading(2, 20, glucose={"value": "90", "timing": "1"}))
    assert (held.code, held.json[0]["state"]) == (1, "held")
    plain = yifang("ingest", "village-posts", county / "readings.json")
    assert WORDS["repeat"] in plain.out or "90 mmol/L" in plain.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["ingest", "nobody", "yifang.toml"], 2, "已有: village-posts"),
        (["ingest", "village-posts", "missing.json"], 2, "没有这个文件"),
        (["messages", "show", "123456"], 2, "yifang messages list"),
        (["messages", "replay", "123456"], 2, "没有编号为 123456"),
        (["holds", "release", "123456"], 2, "123456"),
        (["holds", "reject", "123456"], 2, "reason"),
        (["deliveries", "resume", "nowhere"], 2, "没有名为 nowhere 的 [[destination]]"),
        (["map", "explain", "last"], 2, "还没有任何记录"),
        (["map", "explain", "x"], 2, "不是记录编号"),
        (["map", "run", "village_reading/nobody", "yifang.toml"], 2, "已有: "),
        (["residents", "link", "a", "b"], 2, "a"),
        (["doctor", "--config", "elsewhere.toml"], 2, "yifang init"),
        (["serve", "--host", "0.0.0.0"], 2, "访问控制尚未启用"),
        (["serve", "--database", "mysql://x/y"], 2, "postgresql"),
        (["serve", "--port", "70000"], 2, "port"),
        (["frobnicate"], 2, "frobnicate"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_wrong_use_is_a_sentence_and_exit_code_2(yifang: Yifang, county: Path, arguments: list[str], code: int, says: str) -> None:
    done = yifang(*arguments)
    assert done.code == code, done
    assert says in done.err
    assert "Traceback" not in done.err


def test_a_busy_database_is_exit_code_3(yifang: Yifang, county: Path) -> None:
    with occupy(county / "data"):
        done = yifang("messages", "list")
    assert (done.code, "另一个 yifang 进程" in done.err) == (3, True)


def test_a_bug_is_exit_code_4_and_tells_no_text(yifang: Yifang, county: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise RuntimeError("欧阳禾 390121195803140267")

    monkeypatch.setattr("gateway.cli.data.run", bug)
    done = yifang("messages", "list")
    assert (done.code, "RuntimeError" in done.err, "欧阳" in done.err, "3901" in done.err) == (4, True, False, False)


def test_a_hold_is_listed_shown_released_and_cannot_be_decided_twice(yifang: Yifang, county: Path) -> None:
    ingested(yifang, county, reading(3, 22, bp={"systolic": "310", "diastolic": "86"}))
    (hold,) = yifang("holds", "list", "--json").json
    assert (hold["code"], hold["state"], hold["source"]) == ("impossible-value", "open", "village-posts")
    assert hold["key"] == ["390121103101", "R20260401-0003"]
    listed = yifang("holds", "list").out
    assert ("310" in listed, "390121103101 / R20260401-0003" in listed) == (True, True)
    assert yifang("holds", "show", hold["id"], "--json").json["sides"]
    released = yifang("holds", "release", hold["id"], "--by", "Dr. Tian", "--json")
    assert (released.code, released.json["state"]) == (0, "written")
    assert yifang("holds", "release", hold["id"]).code == 3, "decided already"
    assert yifang("holds", "list", "--json").json == []
    (decided,) = yifang("holds", "list", "--state", "released", "--json").json
    assert decided["decided_by"] == "Dr. Tian"


def test_a_hold_that_is_rejected_keeps_its_reason_and_writes_nothing(yifang: Yifang, county: Path) -> None:
    ingested(yifang, county, reading(4, 24, bp={"systolic": "310", "diastolic": "86"}))
    (hold,) = yifang("holds", "list", "--json").json
    assert yifang("holds", "reject", hold["id"], "--reason", "unit error").code == 0
    (decided,) = yifang("holds", "list", "--state", "rejected", "--json").json
    assert (decided["reason"], decided["decided_by"]) == ("unit error", "operator")


def test_messages_are_listed_shown_given_back_and_replayed(yifang: Yifang, county: Path) -> None:
    ingested(yifang, county, reading(5, 26))
    (message,) = yifang("messages", "list", "--json").json
    assert (message["state"], message["name"]) == ("mapped", "readings.json")
    assert yifang("messages", "list", "--state", "refused", "--json").json == []
    shown, record = (json.loads(line) for line in yifang("messages", "show", message["id"], "--json").out.splitlines())
    assert (shown["counts"], record["state"]) == ({"written": 1}, "written")
    table = yifang("messages", "show", message["id"]).out
    assert (str(record["id"]) in table, "--after" in table) == (True, False)
    assert yifang("messages", "show", message["id"], "--content").out.encode() == body(reading(5, 26))
    replayed = yifang("messages", "replay", message["id"], "--json")
    assert (replayed.code, replayed.json[0]["message"]) == (0, message["id"])
    explained = yifang("map", "explain", record["id"], "--json").json
    assert explained["record"] == record["id"]
    systolic = next(line for line in explained["lineage"] if line["origins"] and line["origins"][0]["locator"] == "/bp/systolic")
    assert (systolic["origins"][0]["raw"], systolic["functions"]) == ("138", ["quantity"])
    assert "/bp/systolic" in yifang("map", "explain", "last").out
    authority = load(county / "yifang.toml").source[0].authority
    resident = uuid5(NAMESPACE_URL, f"{authority}|urn:oid:2.16.156.10011.1.3|{id_card(26)}")
    subjects = {line["result"] for line in explained["lineage"] if line["path"] == "subject"}
    assert [json.loads(s) for s in subjects] == [{"type": "Patient", "reference": f"urn:uuid:{resident}"}]


def test_residents_are_linked_and_taken_apart(yifang: Yifang, county: Path) -> None:
    ids = []
    for n, person in ((6, 28), (7, 30)):
        done = ingested(yifang, county, reading(n, person))
        ids += [r["id"] for r in done.json[0]["records"][0]["resources"] if r["type"] == "Patient"]
    linked = yifang("residents", "link", *ids, "--by", "Dr. Tian", "--json")
    assert (linked.code, linked.json["survivor"] in ids) == (0, True)
    away = next(i for i in ids if i != linked.json["survivor"])
    assert yifang("residents", "unlink", away).code == 0
    assert yifang("residents", "unlink", away).code in (2, 3)


def test_doctor_and_deliveries_tell_how_things_are(yifang: Yifang, county: Path) -> None:
    config = county / "yifang.toml"
    config.write_text(config.read_text("utf-8") + '\n[[destination]]\nname = "away"\nurl = "http://127.0.0.1:9/fhir"\n', "utf-8")
    ingested(yifang, county, reading(8, 32))
    (row,) = yifang("deliveries", "--json").json
    assert (row["destination"], row["state"]) == ("away", "running")
    assert row["waiting"] >= 1
    done = yifang("doctor", "--json")
    assert done.code == 0, done.out
    assert {"配置", "映射文件", "数据库", "磁盘", "来源 village-posts", "目的地 away"} <= {c["name"] for c in done.json["checks"]}
    assert yifang("deliveries", "resume", "away", "--json").json["state"] == "running"


def test_a_token_and_its_hash_fit_together(yifang: Yifang) -> None:
    from gateway.config import token_hash

    words = yifang("token").out.split()
    assert token_hash(words[words.index("token:") + 1]) == words[words.index("token_sha256:") + 1]


SAMPLES = [
    ("village-posts", "restjson", ["village_reading/village_post"], "", body(reading(9, 34)), "reading.json"),
    ("lis", "hl7v2", ["hl7v2_oru/standard"], "{ port = 0 }", "clinical/hl7v2_oru/examples/ordinary.hl7", ""),
    ("documents", "cda", ["cda_c0007/wst500"], "{}", "clinical/cda_c0007/examples/ordinary.xml", ""),
    (
        "meters",
        "sheet",
        ["village_reading/meter_csv"],
        '{ folder = "inbox" }',
        "流水号,导出时间,身份证,姓名,性别,测量时间,收缩压(kPa),舒张压(kPa)\n"
        "77,2026-04-01 09:00,390121195803140267,欧阳禾,女,2026-04-01 08:30,18.4,11.5\n",
        "meter.csv",
    ),
]


@pytest.mark.parametrize(("name", "adapter", "profiles", "options", "content", "file"), SAMPLES, ids=[s[1] for s in SAMPLES])
def test_a_file_of_every_adapter_is_taken_in(
    yifang: Yifang, county: Path, name: str, adapter: str, profiles: list[str], options: str, content: bytes | str, file: str
) -> None:
    table = [f'[[source]]\nname = "{name}"\nadapter = "{adapter}"\nprofiles = {json.dumps(profiles)}\norganisation = "390121103101"']
    table += ['authority = "https://yifang.invalid/systems/x"', *([f"options = {options}"] if options else [])]
    (county / "yifang.toml").write_text("\n".join(table), "utf-8")
    path = county / file if file else MAPPINGS / str(content)
    if file:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = yifang("ingest", name, path, "--json")
    assert done.code == 0, done
    assert done.json[0]["state"] == "mapped"
    assert {r["type"] for record in done.json[0]["records"] for r in record["resources"]} >= {"Patient", "Observation"}
