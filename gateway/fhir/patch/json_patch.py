"""JSON Patch on the JSON form of a resource (RFC 6902, https://hl7.org/fhir/R4/http.html#patch).

Paths are those of FHIR JSON, primitive extensions (`/_birthDate/extension/0`) included. Numbers are compared by value (`5.60` equals `5.6`) and keep
their digits. Lists and objects that a patch leaves empty disappear, since R4 has none.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException

from gateway.fhir.json import Resource
from gateway.fhir.patch.fault import PatchFault, refused, same_resource
from gateway.fhir.patch.pruned import pruned

__all__ = ["apply_json_patch"]


def apply_json_patch(resource: Resource, operations: Any) -> Resource:
    """The resource after these operations. operations: the decoded patch document (`gateway.fhir.json.decode`, so that decimals are exact).

    Raises Refused `bad-patch` when the document is no JSON Patch, `patch-failed` when an operation or its `test` fails.
    """
    if type(operations) is not list:
        raise refused(PatchFault("JSON Patch 应是操作的列表", "bad-patch"), 0)
    patches = [_patch(operation, number) for number, operation in enumerate(operations, 1)]
    document: Any = copy.deepcopy(resource)
    for number, (patch, operation) in enumerate(zip(patches, operations, strict=True), 1):
        try:
            document = patch.apply(document, in_place=True)
        except jsonpatch.InvalidJsonPatch:
            raise _told("操作缺少 value 或 from, 或它们的写法不对", number, operation, "bad-patch") from None
        except jsonpatch.JsonPatchTestFailed:
            raise _told("test 不成立: 那里的值与 value 不相等, 或没有值; 请重新读取资源后再改", number, operation) from None
        except (jsonpatch.JsonPatchException, JsonPointerException, TypeError):
            raise _told("路径在资源里不存在, 或不能在那里这样做; 请核对路径", number, operation) from None
    return same_resource(resource, pruned(document))


def _patch(operation: Any, number: int) -> jsonpatch.JsonPatch:
    """One operation, whole in itself, so that it can be told which one fails."""
    if type(operation) is not dict:
        raise refused(PatchFault("操作应是一个对象", "bad-patch"), number)
    try:
        return jsonpatch.JsonPatch([operation])
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError):
        raise _told(
            "不是 JSON Patch 操作; 应有 op (add、remove、replace、move、copy、test) 和以 / 开头的 path", number, operation, "bad-patch"
        ) from None


def _told(message: str, number: int, operation: dict[str, Any], code: str = "patch-failed") -> Exception:
    action, path = operation.get("op"), operation.get("path")
    return refused(PatchFault(message, code), number, action[:20] if type(action) is str else "", path if type(path) is str else "")
