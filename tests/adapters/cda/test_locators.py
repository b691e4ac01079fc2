"""Locators: what is understood, what is refused and how it is said."""

from __future__ import annotations

import pytest

from adapters.cda import adapter
from adapters.cda.locators import Entry, Narrative, Path, Step, Whole, parse
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError
from tests.adapters.cda.layouts import layout, small


@pytest.mark.parametrize(
    ("locator", "parsed"),
    [
        ("DE04.30.015.00", Entry("DE04.30.015.00", Path())),
        ("DE05.01.024.00/@code", Entry("DE05.01.024.00", Path((), "code"))),
        ("DE05.10.130.00[中医证候代码]/@code", Entry("DE05.10.130.00", Path((), "code"), "中医证候代码")),
        ("DE04.50.134.00/effectiveTime/low/@value", Entry("DE04.50.134.00", Path((Step("effectiveTime"), Step("low")), "value"))),
        ("section(检验报告|18717-9)/DE06.00.179.00", Entry("DE06.00.179.00", Path(), "", ("检验报告", "18717-9"))),
        ("section(10154-3)/text", Narrative(("10154-3",), "text")),
        ("document/charset", Whole("charset")),
        (
            "recordTarget/patientRole/id[1.4|1.7]/@extension",
            Path((Step("recordTarget"), Step("patientRole"), Step("id", ("1.4", "1.7"))), "extension"),
        ),
        ("componentOf//wholeOrganization[1.26]/name", Path((Step("componentOf"), Step("wholeOrganization", ("1.26",), True), Step("name")))),
    ],
)
def test_parsed(locator: str, parsed: object) -> None:
    assert parse(locator) == (parsed,)
    assert adapter.check_locator(locator) is None


def test_alternatives_stand_in_order() -> None:
    assert parse("DE04.30.016.00 || DE04.30.015.00/@unit") == (Entry("DE04.30.016.00", Path()), Entry("DE04.30.015.00", Path((), "unit")))


@pytest.mark.parametrize(
    ("locator", "says"),
    [
        ("", "空"),
        ("DE04.30.15", "DE04.30.015.00"),
        ("title ||", "空"),
        ("document/colour", "charset"),
        ("section(检验报告", "section("),
        ("section(检验报告)/标题", "text"),
        ("recordTarget/[1.3]", "元素名"),
        ("recordTarget/@", "属性名"),
        ("recordTarget/", "没有写完"),
        ("recordTarget//", "元素名"),
        ("xpath://[", "XPath"),
        ("收缩压", "元素名"),
    ],
)
def test_what_is_wrong_is_said_in_chinese(locator: str, says: str) -> None:
    assert says in (adapter.check_locator(locator) or "")


def test_every_locator_of_the_built_in_profiles_is_well_formed() -> None:
    for dataset in ("cda_c0007", "cda_c0002"):
        made = layout(dataset)
        locators = [*made.fields.values(), *(locator for group in made.groups.values() for locator in (group.each, *group.fields.values()))]
        assert [locator for locator in locators if adapter.check_locator(locator)] == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (small({"姓名": "DE02.1"}), "字段 姓名"),
        (small({}, {"结果": GroupLayout(each="DE04.30.019.00", fields={"代码": "title"})}), "同类"),
        (small({}, {"结果": GroupLayout(each="xpath://entry", fields={})}), "each"),
        (small({}, {"结果": GroupLayout(each="authenticator/@typeCode", fields={})}), "@"),
        (small({}, {"申请": GroupLayout(each="DE04.30.019.00", groups={"结果": GroupLayout()})}), "嵌套"),
        (small({}, options={"max_byte": 1}), "max_byte"),
        (Layout("test", "test/untyped", {"标题": "title"}), "C0007"),
    ],
)
def test_a_profile_that_cannot_be_compiled_names_itself_and_the_place(wrong: Layout, says: str) -> None:
    with pytest.raises(ConfigError, match="test/") as fault:
        adapter.compile([wrong])
    assert says in str(fault.value)


def test_two_profiles_of_one_source_cannot_take_the_same_document() -> None:
    with pytest.raises(ConfigError, match="C0007"):
        adapter.compile([layout("cda_c0007"), small({"标题": "title"})])
