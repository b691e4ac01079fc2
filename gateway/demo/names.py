"""Invented names: surnames by rough frequency, compound ones and some with several readings among them; given names by chance."""

from __future__ import annotations

from random import Random

__all__ = ["given_name", "surname"]

_SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾萧田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范石"
_RARE = ("欧阳", "上官", "仇", "解", "单", "查", "盖", "缪", "乐", "区", "夏侯", "令狐")
_GIVEN = "云山溪石禾田松柏竹溪青白明远清和安宁平顺东南西北春夏秋冬晓晨雨雪岚霞月星河海川岭峰谷林森木土金玉珍宝福禄寿喜康健强壮文武学礼义仁智信勤俭"


def surname(chance: Random) -> str:
    """A surname; one in forty is rare or compound."""
    return chance.choice(_RARE) if chance.random() < 0.025 else chance.choice(_SURNAMES)


def given_name(chance: Random) -> str:
    """One or two characters."""
    return "".join(chance.choice(_GIVEN) for _ in range(1 if chance.random() < 0.2 else 2))
