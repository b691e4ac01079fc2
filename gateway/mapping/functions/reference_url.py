"""The address of another resource of the same map, for elements of type url (https://hl7.org/fhir/R4/datatypes.html#Attachment)."""

from __future__ import annotations

from typing import Any

from gateway.mapping.functions import Example, Fault, function


@function(
    "reference_url",
    takes="any",
    gives="url",
    doc="同一映射里另一个块的地址, 如附件指向 Binary",
    examples=[
        Example({"reference": "Binary/yabc"}, (), "Binary/yabc"),
        Example("Binary/yabc", (), Fault("not-a-reference", "")),
    ],
)
def reference_url(value: Any) -> str | Fault:
    """`Type/id` of a block's reference."""
    if isinstance(value, dict) and isinstance(value.get("reference"), str):
        return str(value["reference"])
    return Fault("not-a-reference", "reference_url 前面应为本映射的一个块名(它的引用), 请改成块名")
