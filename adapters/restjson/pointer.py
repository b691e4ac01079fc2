"""Locators of JSON: a member's name, or a JSON pointer (RFC 6901) relative to the record or group it stands in."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["Path", "fault", "parse", "resolve"]

Path = tuple[str, ...]
_ESCAPE = re.compile(r"~(?![01])")


def fault(locator: str) -> str | None:
    """What is wrong with a locator, in Chinese; None when nothing is."""
    if not locator.strip():
        return "定位符为空; 应为成员名(如 `sbp`)或 JSON 指针(如 `/vitals/sbp`)"
    if locator != locator.strip():
        return f"定位符“{locator}”首尾有空格; 请去掉"
    if locator.startswith("/") and _ESCAPE.search(locator):
        return f"JSON 指针“{locator}”里的 ~ 应写作 ~0, / 应写作 ~1"
    if locator.startswith("/") and "" in locator[1:].split("/"):
        return f"JSON 指针“{locator}”有空的一段; 请去掉多余的 /"
    return None


def parse(locator: str) -> Path:
    """The steps of a well-formed locator."""
    if not locator.startswith("/"):
        return (locator,)
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in locator[1:].split("/"))


def resolve(value: Any, path: Path) -> Any:
    """What stands at the path; None when nothing does. Digits step into an array."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
