"""Faults of a patch, told with the number of the operation."""

from __future__ import annotations

from typing import Any

from gateway.errors import Finding, Refused
from gateway.fhir.json import Resource

__all__ = ["PatchFault", "refused", "same_resource"]

LONGEST_PATH = 200
"""Characters of a path that are told."""


class PatchFault(Exception):
    """Why one operation fails; becomes Refused with the operation's number. message: Chinese, without values of the resource."""

    def __init__(self, message: str, code: str = "patch-failed") -> None:
        super().__init__(code)
        self.message, self.code = message, code


def refused(fault: PatchFault, number: int, action: str = "", path: str = "") -> Refused:
    """The refusal of operation `number` (from 1; 0 for the whole patch)."""
    told = " ".join(p for p in (action, path[:LONGEST_PATH]) if p)
    place = f"第 {number} 个操作{f' ({told})' if told else ''}: " if number else "补丁: "
    return Refused(Finding(fault.code, "refuse", place + fault.message, target=path[:LONGEST_PATH], source=f"operation {number}" if number else ""))


def same_resource(before: Resource, after: Any) -> Resource:
    """The patched resource. Raises Refused when it is none any more, or another one: type and id are not a patch's to change."""
    if type(after) is not dict or after.get("resourceType") != before.get("resourceType") or after.get("id") != before.get("id"):
        raise refused(PatchFault("不能改变 resourceType 和 id; 请从补丁里去掉这样的操作"), 0)
    return after
