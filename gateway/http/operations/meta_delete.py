"""Takes profiles, tags and security labels away from a resource.

https://hl7.org/fhir/R4/resource-operation-meta-delete.html
"""

from __future__ import annotations

from typing import Any

from gateway.http.call import Call, Reply
from gateway.http.operations.meta import said
from gateway.http.operations.meta_add import changed, same
from gateway.http.registry import operation

Body = dict[str, Any]


@operation("meta-delete", "instance", affects=True, definition="http://hl7.org/fhir/OperationDefinition/Resource-meta-delete")
async def meta_delete(call: Call) -> Reply:
    """200 with the meta as it is then; the change is a version of the resource. What is not there is passed over."""
    less = said(call)

    def remove(meta: Body) -> Body:
        left = {k: [o for o in meta.get(k, ()) if not any(same(v, o) for v in values)] for k, values in less.items()}
        return {k: v for k, v in (meta | left).items() if v != []}

    return await changed(call, remove)
