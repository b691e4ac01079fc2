"""The whole county: deterministic, synthetic to the last number, every feed in use, every danger in its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.config import parse
from gateway.demo.dangers import Dangers
from gateway.demo.expected import record_key
from gateway.demo.feeds import FEEDS
from gateway.demo.life import Fact
from gateway.demo.parcel import Parcel, Rows
from gateway.demo.people import check_character
from gateway.demo.scenario import Scenario
from gateway.identity.numbers import id_card

CARD = re.compile(r"(?<!\d)(\d{17}[\dX]|\d{15})(?!\d)")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario(seed=2, residents=90)


@pytest.fixture(scope="module")
def parcels(scenario: Scenario) -> list[Parcel]:
    return scenario.parcels()


def text(parcel: Parcel) -> str:
    """What a parcel says, as far as it is text (workbooks are compressed)."""
    if isinstance(parcel.content, Rows):
        return json.dumps([[vendor.rows(r) for r in records] for vendor, records in parcel.content.tables], ensure_ascii=False)
    return parcel.content.decode("utf-8", "ignore") + parcel.content.decode("gb18030", "ignore")


def of(dangers: Dangers, source: str, number: str) -> Fact:
    return next(f for f in dangers.facts if f.source == source and number in f.fields.values())


def test_the_same_seed_gives_the_same_bytes(parcels: list[Parcel]) -> None:
    def stable(found: list[Parcel]) -> Iterator[tuple[str, str, object]]:
        for p in found:
            yield p.source, p.name, text(p) if isinstance(p.content, Rows) or not p.name.endswith(".xlsx") else len(p.content)

    assert list(stable(Scenario(seed=2, residents=90).parcels())) == list(stable(parcels))
    assert list(stable(Scenario(seed=3, residents=40).parcels())) != list(stable(parcels))


def test_every_feed_is_configured_and_in_use(scenario: Scenario, parcels: list[Parcel], tmp_path: Path) -> None:
    config = parse({"source": scenario.sources(tmp_path)})
    assert {s.name for s in config.source} == {p.source for p in parcels} == set(FEEDS)
    assert {s.adapter for s in config.source} == {"sqlview", "hl7v2", "cda", "sheet", "restjson"}
    assert all(s.silent_after for s in config.source)


def test_no_card_outside_area_39_anywhere(scenario: Scenario, parcels: list[Parcel]) -> None:
    seen = 0
    for words in [*(text(p) for p in parcels), *(str(sorted(f.fields.items())) for f in scenario.facts)]:
        for number in CARD.findall(words):
            card = id_card(number)
            if not hasattr(card, "code") or (len(number) == 18 and number[:17].isdigit() and check_character(number[:17]) == number[17]):
                seen += 1
                assert number.startswith("39"), number
    assert seen > 100


def test_every_record_has_a_stamp_and_versions_differ_in_it(scenario: Scenario) -> None:
    seen: dict[object, set[object]] = {}
    for fact in scenario.facts:
        stamps = seen.setdefault(record_key(fact), set())
        assert fact.stamp not in stamps, record_key(fact)
        stamps.add(fact.stamp)
    assert sum(len(s) > 1 for s in seen.values()) > 3


def test_a_database_is_filled_in_the_order_of_its_stamps(parcels: list[Parcel]) -> None:
    newest: dict[str, str] = {}
    for parcel in parcels:
        if isinstance(parcel.content, Rows) and not parcel.late:
            stamps = sorted(str(r["更新时间"]) for _, records in parcel.content.tables for r in records)
            assert newest.get(parcel.source, "") <= stamps[0]
            newest[parcel.source] = stamps[-1]


def test_some_rows_are_committed_after_newer_ones_of_their_view_and_within_lateness(scenario: Scenario, parcels: list[Parcel]) -> None:
    newest: dict[tuple[str, str], str] = {}
    stale: set[tuple[str, str]] = set()
    for parcel in parcels:
        if not isinstance(parcel.content, Rows):
            continue
        for vendor, records in parcel.content.tables:
            view = parcel.source, str(vendor.options["view"])
            stamps = [str(r["更新时间"]) for r in records]
            if parcel.late:
                behind = datetime.fromisoformat(newest[view]) - datetime.fromisoformat(min(stamps))
                assert timedelta(0) < behind < timedelta(seconds=float(vendor.options.get("lateness", 900)))
                stale.add(view)
            newest[view] = max(newest.get(view, ""), *stamps)
    assert {view for _, view in stale} >= {"v_mz_visit", "v_ehr_person"}
    judged = {key[2] for key in scenario.truth.expected}
    late = [r for p in parcels if p.late and isinstance(p.content, Rows) for _, records in p.content.tables for r in records]
    assert all(any(str(r.get("就诊号") or r.get("处方号") or r["健康档案编号"]) in value for value in judged) for r in late)


def test_some_parcels_come_twice_and_some_late(parcels: list[Parcel]) -> None:
    whole = [(p.source, p.content) for p in parcels if isinstance(p.content, bytes)]
    assert len(whole) > len(set(whole))
    numbers = [p.name for p in parcels if p.source == "people-lis" and re.fullmatch(r"PE\d{6}", p.name)]
    assert numbers != sorted(numbers)


def test_values_that_cannot_be_are_held_and_alarming_ones_are_not(scenario: Scenario) -> None:
    found = scenario.dangers
    assert of(found, "village-posts", "WX1001").fields["收缩压"] == "186"
    values = {f.fields["血糖"]: record_key(f) in found.held for f in found.facts if str(f.fields.get("读数编号", "")).startswith("WX00")}
    assert values == {"16.8": False, "3.5": False, "90": True}
    ((key, items),) = found.withheld.items()
    assert key[:2] == ("people-lis", "laboratory_report")
    assert items == {"GLU"}


def test_people_who_are_not_who_their_numbers_say(scenario: Scenario) -> None:
    found = scenario.dangers
    mother, child = found.followed["mother"], found.followed["child"]
    assert mother.fields["身份证号"] == child.fields["身份证号"]
    assert mother.fields["姓名"] != child.fields["姓名"]
    assert mother.resident != child.resident
    old = of(found, "chinese-his", "MZ2026900003")
    assert len(old.fields["身份证号"]) == 15
    wrong = of(found, "people-his", "MZ2026900004").fields["身份证号"]
    assert check_character(wrong[:17]) != wrong[17]
    newborn = of(found, "people-his", "MZ2026900005").fields
    assert "身份证号" not in newborn
    assert newborn["患者号"]


def test_corrections_go_to_and_fro(scenario: Scenario) -> None:
    states: dict[object, list[str]] = {}
    for fact in sorted(scenario.facts, key=lambda f: f.stamp):
        if fact.dataset == "laboratory_report":
            states.setdefault(record_key(fact), []).append(fact.fields["申请"][0]["报告状态"])
    assert {("2", "3", "4"), ("3", "4", "4"), ("3", "8")} <= {tuple(s) for s in states.values()}
    assert any(f.dataset == "prescription" and f.fields["处方状态"] == "9" for f in scenario.facts)


def test_broken_parcels_of_every_kind(parcels: list[Parcel]) -> None:
    broken = {p.name for p in parcels if p.broken}
    assert broken >= {"HALF001", "BAD0001", "说明.xml", "实体.xml", "截断.xml", "not-json"}
    assert "缺列.csv" in {p.name for p in parcels}
    assert "公式错误.xlsx" in {p.name for p in parcels}
    lie = next(p for p in parcels if p.name == "LIE0001")
    assert isinstance(lie.content, bytes)
    with pytest.raises(UnicodeDecodeError):
        lie.content.decode("utf-8")


def test_three_stories_follow_records_that_are_sent(scenario: Scenario) -> None:
    sent = {(f.source, record_key(f)[2]) for f in scenario.facts}
    assert len(scenario.stories) == 3
    assert {(source, key) for story in scenario.stories for source, _, key in story.steps} <= sent
