"""The FHIRPath of R4's search parameters, compiled to a walk over the keys that a resource really has.

An `Extractor` takes many expressions of one type and finds the values of all of them in one pass. The subset: member access (choice
elements by their stem), `.ofType(T)`, `as T`, `.where(field='text')`, `.where(resolve() is T)`, `[n]`, parentheses, and
`X.exists() and X != false`. Anything else is refused when it is compiled (https://hl7.org/fhir/R4/search.html, SearchParameter.expression).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gateway.fhir.elements import R4, Element

__all__ = ["Extractor", "Given", "PathError", "Step", "Value", "parse_path", "refers_to"]

_TOKEN = re.compile(
    r"(?:(?P<where>\.where\(\s*(?P<field>\w+)\s*=\s*'(?P<text>[^']*)'\s*\))"
    r"|(?P<target>\.where\(\s*resolve\(\)\s+is\s+(?P<resource>\w+)\s*\))"
    r"|(?P<cast>\.ofType\(\s*(?P<type>\w+)\s*\)|\.as\(\s*(?P<as1>\w+)\s*\)|\s+as\s+(?P<as2>\w+))"
    r"|(?P<index>\[\s*(?P<n>\d+)\s*\])"
    r"|(?P<name>\.?[A-Za-z]\w*))"
)
_FLAG = re.compile(r"\s*([\w.]+)\.exists\(\)\s+and\s+\1\s*!=\s*false\s*")

S = TypeVar("S", bound=Hashable)
D = TypeVar("D")
Value = tuple[S, str, Any]
"""(which expression, FHIR type, value)."""
Given = tuple[S, str, Callable[[Any], bool] | None]
"""(which expression, FHIR type of its values, which of them count)."""


class PathError(ValueError):
    """The expression is outside the subset, or names an element that R4 does not have."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: kind is member | cast | where | target | index; text its name, type, `field=text`, resource type or number."""

    kind: str
    text: str


def parse_path(expression: str) -> tuple[str, list[Step]]:
    """Root type and steps of an expression without `|`. Raises PathError."""
    flat = expression
    while (stripped := re.sub(r"(?<!\w)\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"\1", flat)) != flat:
        flat = stripped
    flat = flat.strip()
    if flat.startswith("."):
        raise PathError(f"`{expression}`: starts with no type")
    steps: list[Step] = []
    at = 0
    while at < len(flat):
        found = _TOKEN.match(flat, at)
        if found is None:
            raise PathError(f"`{expression}`: not understood from character {at}")
        at = found.end()
        steps.append(_step(found))
    if not steps or steps[0].kind != "member":
        raise PathError(f"`{expression}`: starts with no type")
    return steps[0].text, steps[1:]


def _step(found: re.Match[str]) -> Step:
    if found["where"]:
        return Step("where", f"{found['field']}={found['text']}")
    if found["target"]:
        return Step("target", found["resource"])
    if found["cast"]:
        return Step("cast", found["type"] or found["as1"] or found["as2"])
    if found["index"]:
        return Step("index", found["n"])
    return Step("member", found["name"].lstrip("."))


@dataclass(slots=True)
class _Node(Generic[S]):
    """Where a walk stands: what it gives here, where it goes by JSON name, and the same under a condition."""

    gives: list[tuple[S, str]] = field(default_factory=list)
    members: dict[str, _Node[S]] = field(default_factory=dict)
    conditions: list[tuple[Callable[[Any], bool], str, _Node[S]]] = field(default_factory=list)
    picks: dict[int, _Node[S]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place(Generic[S]):
    """A node with what R4 says of it: the type of its value, the elements below, or the choice that is still open."""

    node: _Node[S]
    type: str
    below: Mapping[str, Element]
    parent: _Node[S] | None = None
    name: str = ""


class Extractor(Generic[S]):
    """Finds the values of many expressions of one type in one pass. expressions: (which, expression without `|`).

    Raises PathError when an expression does not compile. `elements` of the walk come from the R4 table.
    """

    __slots__ = ("_flags", "_root", "type")

    def __init__(self, r4: R4, type_: str, expressions: Iterable[tuple[S, str]]) -> None:
        self.type = type_
        self._root: _Node[S] = _Node()
        self._flags: list[tuple[S, tuple[str, ...]]] = []
        for which, expression in expressions:
            self._add(r4, which, expression)

    def _add(self, r4: R4, which: S, expression: str) -> None:
        flag = _FLAG.fullmatch(expression)
        root, steps = parse_path(flag.group(1) if flag else expression)
        if root not in r4.ancestors(self.type) and root not in r4.types:
            raise PathError(f"`{expression}`: {root} is no type")
        if flag:
            element = r4.types[self.type].elements.get(steps[0].text + "[x]") or r4.types[self.type].elements[steps[0].text]
            self._flags.append((which, tuple(element.json_name(t) for t in element.types)))
            return
        places = [_Place(self._root, self.type, r4.types[self.type].elements)]
        for step in steps:
            places = [after for place in places for after in _advance(r4, place, step)]
            if not places:
                raise PathError(f"`{expression}`: R4 has no `{step.text}` there")
        for place in places:
            place.node.gives.append((which, place.type))

    def __call__(self, resource: Mapping[str, Any]) -> list[Value[S]]:
        """Values in the order of the resource's own keys. An element that holds something else than R4 says gives what it holds."""
        found: list[Value[S]] = []
        _walk(self._root, resource, found)
        for which, names in self._flags:
            found.append((which, "boolean", any(resource.get(n, False) is not False for n in names)))
        return found

    def into(self, take: Callable[[list[Given[S]]], Callable[[Any, D], None]],
             around: Callable[[str, Callable[[Any, D], None]], Callable[[Any, D], None]] = lambda _, put: put,
             ) -> Callable[[Mapping[str, Any], D], None]:  # fmt: skip
        """The same walk as one function made of closures: the values of an element go straight to what `take` made for all that is
        given there, together with the second argument of the walk. For the hot path of the index. around: may wrap what an element of
        the resource itself (by its JSON name) is given to."""
        walk = _one(self._root, take, around)
        flags = [(take([(which, "boolean", None)]), names) for which, names in self._flags]

        def walked(resource: Mapping[str, Any], into: D) -> None:
            walk(resource, into)
            for put, names in flags:
                put(any(resource.get(n, False) is not False for n in names), into)

        return walked if flags else walk


def _advance(r4: R4, place: _Place[S], step: Step) -> list[_Place[S]]:
    """Where a step leads; none when R4 has nothing there."""
    if step.kind == "member":
        return _members(r4, place, step.text)
    if step.kind == "cast":
        return [place] if place.type.lower() == step.text.lower() else []
    if step.kind == "index" and place.parent is not None:
        node = place.parent.members.setdefault(f"{place.name}", place.node).picks.setdefault(int(step.text), _Node())
        return [_Place(node, place.type, place.below)]
    field_, _, text = step.text.partition("=")
    test = refers_to(step.text) if step.kind == "target" else (lambda value: isinstance(value, dict) and value.get(field_) == text)
    known = next((n for _, label, n in place.node.conditions if label == f"{step.kind}:{step.text}"), None)
    if known is None:
        known = _Node()
        place.node.conditions.append((test, f"{step.kind}:{step.text}", known))
    return [_Place(known, place.type, place.below)]


def _members(r4: R4, place: _Place[S], name: str) -> list[_Place[S]]:
    """The element of this name, or every type of the choice of this stem."""
    element = place.below.get(name) or place.below.get(name + "[x]")
    if element is None:
        return []
    after = []
    for type_ in element.types or ("BackboneElement",):
        json_name = element.json_name(type_)
        node = place.node.members.setdefault(json_name, _Node())
        after.append(_Place(node, type_, r4.children(element, type_), place.node, json_name))
        if not element.choice:
            break
    return after


def _walk(node: _Node[S], value: Any, found: list[Value[S]]) -> None:
    """Collects what the node and those below it give for this value."""
    if isinstance(value, list):
        for n, picked in node.picks.items():
            if n < len(value):
                _walk(picked, value[n], found)
        for item in value:
            _walk_one(node, item, found)
    else:
        if 0 in node.picks:
            _walk(node.picks[0], value, found)
        _walk_one(node, value, found)


def _walk_one(node: _Node[S], value: Any, found: list[Value[S]]) -> None:
    for which, type_ in node.gives:
        found.append((which, type_, value))
    members = node.members
    if members and isinstance(value, dict):
        for name, below in value.items():
            after = members.get(name)
            if after is None:
                continue
            if type(below) is list or after.picks:
                _walk(after, below, found)
            else:
                _walk_one(after, below, found)
    for test, _, chosen in node.conditions:
        if test(value):
            _walk_one(chosen, value, found)


def _many(node: _Node[S], take: Callable[[list[Given[S]]], Callable[[Any, D], None]]) -> Callable[[Any, D], None]:
    """`_walk` of a node as a function."""
    one = _one(node, take)
    picks = [(n, _one(picked, take)) for n, picked in node.picks.items()]

    def walk(value: Any, into: D) -> None:
        if type(value) is not list:
            one(value, into)
        else:
            for item in value:
                one(item, into)

    def picking(value: Any, into: D) -> None:
        held = value if type(value) is list else [value]
        for n, pick in picks:
            if n < len(held):
                pick(held[n], into)
        walk(value, into)

    return picking if picks else walk


def _one(node: _Node[S], take: Callable[[list[Given[S]]], Callable[[Any, D], None]],
         around: Callable[[str, Callable[[Any, D], None]], Callable[[Any, D], None]] = lambda _, put: put) -> Callable[[Any, D], None]:  # fmt: skip
    """`_walk_one` of a node as a function. What conditions choose of the value itself is given together with what it always gives."""
    given: list[Given[S]] = [(which, type_, None) for which, type_ in node.gives]
    conditions = []
    for test, _, chosen in node.conditions:
        given += [(which, type_, test) for which, type_ in chosen.gives]
        if chosen.members or chosen.conditions:
            conditions.append((test, _one(_Node(members=chosen.members, conditions=chosen.conditions), take)))
    put = take(given) if given else None
    members = {name: around(name, _many(below, take)) for name, below in node.members.items()}
    if put is not None and not members and not conditions:
        return put
    after = members.get

    def walk(value: Any, into: D) -> None:
        if put is not None:
            put(value, into)
        if members and isinstance(value, dict):
            for name, below in value.items():
                found = after(name)
                if found is not None:
                    found(below, into)
        for test, chosen in conditions:
            if test(value):
                chosen(value, into)

    return walk


def refers_to(type_: str) -> Callable[[Any], bool]:
    """Test whether a Reference names this type: by its literal reference, else by `type`. What it points at is not fetched."""

    def test(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        reference = value.get("reference")
        if isinstance(reference, str) and reference.partition("/_history/")[0].rsplit("/", 2)[-2:-1] == [type_]:
            return True
        return value.get("type") == type_

    return test
