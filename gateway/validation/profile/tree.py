"""The elements of a profile as a tree with slices (https://hl7.org/fhir/R4/elementdefinition.html)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Node", "tree"]


@dataclass(slots=True)
class Node:
    """What a profile says of one element. name: the step (`component`, `value[x]`, `valueQuantity`); slice: its slice, "" for the element.

    said: the ElementDefinition's parts; children by step; slices in their order.
    """

    name: str
    slice: str = ""
    said: dict[str, Any] = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)
    slices: list[Node] = field(default_factory=list)

    @property
    def exact(self) -> tuple[str, Any] | None:
        """("fixed" or "pattern", value) when the element is held to one."""
        for key, value in self.said.items():
            if key.startswith(("fixed", "pattern")):
                return ("fixed" if key.startswith("fixed") else "pattern"), value
        return None

    @property
    def types(self) -> list[dict[str, Any]]:
        """The types that the profile allows."""
        return list(self.said.get("type", ()))

    def below(self, path: str) -> Node | None:
        """The node at a path of plain steps below this one; itself for `$this`."""
        node: Node | None = self
        for step in path.split("."):
            if node is not None and step != "$this":
                node = node.children.get(step) or node.children.get(f"{step}[x]")
        return node


def tree(elements: Iterable[dict[str, Any]]) -> Node:
    """The root of a profile's elements; each stands where its id says."""
    root: Node | None = None
    for element in elements:
        steps = _id(element).split(".")
        if root is None:
            root = Node(steps[0])
        node = root
        for step in steps[1:]:
            node = _entered(node, step)
        node.said = element
    return root if root is not None else Node("")


def _id(element: dict[str, Any]) -> str:
    """The id of an element; made of path and slice name when it has none."""
    slice_name = element.get("sliceName")
    return str(element.get("id") or (f"{element['path']}:{slice_name}" if slice_name else element["path"]))


def _entered(node: Node, step: str) -> Node:
    name, _, slice_name = step.partition(":")
    child = node.children.setdefault(name, Node(name))
    if not slice_name:
        return child
    for known in child.slices:
        if known.slice == slice_name:
            return known
    child.slices.append(Node(name, slice_name))
    return child.slices[-1]
