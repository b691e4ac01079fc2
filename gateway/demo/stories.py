"""Three stories of the demo, told at its end from source to FHIR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.demo.county import County
from gateway.demo.dangers import Dangers
from gateway.demo.expected import record_key
from gateway.demo.feeds import FEEDS
from gateway.demo.life import Fact
from gateway.demo.people import Resident

__all__ = ["Story", "stories"]

Step = tuple[str, str, tuple[str, ...]]
"""Source, dataset, record key."""


@dataclass(frozen=True, slots=True)
class Story:
    """title, text: in Chinese, for people; steps: the records it follows, in order."""

    title: str
    text: str
    steps: list[Step]


def stories(county: County, people: Sequence[Resident], dangers: Dangers) -> list[Story]:
    """The stories whose records this county has."""
    told = [
        (
            "村里量到 186/112",
            "村医用手机上传一条血压读数, 两小时后乡镇卫生院开出转诊单。网关把读数写成 Observation(并提示超过警戒值), "
            "把转诊单写成 ServiceRequest 和 Task, 挂在同一位居民名下。",
            ("reading", "referral"),
        ),
        (
            "一份检验报告从初步到更正",
            "检验科先发初步结果, 再发最终报告, 后来更正一项。三条报文是同一份报告的三个版本; "
            "标识、单位和 LOINC 都在, 另一家医院可以据此互认, 不必重做。",
            ("corrected",),
        ),
        (
            "用母亲身份证挂号的孩子",
            "母亲昨天自己看过病, 今天用自己的身份证给孩子挂号。号码相同, 姓名和出生日期不同, 网关不把两人并成一人, 而是各建一份并提示核对。",
            ("mother", "child"),
        ),
    ]
    found = []
    for title, text, words in told:
        steps = [_step(dangers.followed[word]) for word in words if word in dangers.followed]
        if steps:
            found.append(Story(title, text, steps))
    return found


def _step(fact: Fact) -> Step:
    """A fact as its feed's profile names the record: laboratory messages have a dataset of their own."""
    _, dataset, key = record_key(fact)
    profile = FEEDS[fact.source].profiles[0]
    carried = dataset if dataset != "laboratory_report" else profile.partition("/")[0]
    return fact.source, carried, key
