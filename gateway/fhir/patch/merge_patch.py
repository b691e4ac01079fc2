"""JSON Merge Patch on the JSON form of a resource (RFC 7396). R4 does not name it; clients of other servers (fhirpy's `patch`) send it.

An object is merged element by element, null takes an element away, anything else, lists too, stands instead of what was there. Objects and lists
that a patch leaves empty disappear, since R4 has none.
"""

from __future__ import annotations

from typing import Any

from gateway.fhir.json import Resource
from gateway.fhir.patch.fault import PatchFault, refused, same_resource
from gateway.fhir.patch.pruned import pruned

__all__ = ["apply_merge_patch"]


def apply_merge_patch(resource: Resource, change: Any) -> Resource:
    """The resource after this change. change: the decoded patch document. Raises Refused `bad-patch` when it is no object."""
    if type(change) is not dict:
        raise refused(PatchFault("JSON Merge Patch 应是一个对象", "bad-patch"), 0)
    return same_resource(resource, pruned(_merged(resource, change)))


def _merged(before: Any, change: Any) -> Any:
    if type(change) is not dict:
        return change
    made = dict(before) if type(before) is dict else {}
    for name, inside in change.items():
        if inside is None:
            made.pop(name, None)
        else:
            made[name] = _merged(made.get(name), inside)
    return made
