"""Which slice of a profile a value belongs to (https://hl7.org/fhir/R4/profiling.html#slicing)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.fhir.elements import load
from gateway.fhir.profiles import SPEC, matches
from gateway.fhir.references import parse_reference
from gateway.fhir.structure_values import Fault, Faults, below, fault
from gateway.validation.fhirpath.compile import compiled
from gateway.validation.fhirpath.items import Item, Items, is_type, plain
from gateway.validation.fhirpath.scope import Env
from gateway.validation.profile.places import Found, step
from gateway.validation.profile.tree import Node

if TYPE_CHECKING:
    from gateway.validation.profile.compile import Profiles

__all__ = ["Slice", "Slices", "slices_of"]

Belongs = Callable[[Item, Env], bool]
Inside = Mapping[str, Callable[[Item, Env], Faults] | None]


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: the test of its members, and how often it may occur."""

    node: Node
    belongs: Belongs
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of an element. closed: nothing else may stand there."""

    slices: Sequence[Slice]
    closed: bool

    def _of(self, item: Item, env: Env) -> int:
        """The number of the slice that an item belongs to; -1 for none."""
        for number, one in enumerate(self.slices):
            if one.belongs(item, env):
                return number
        return -1

    def judge(self, found: Found, env: Env, inside: Inside, stem: str, *, sub_extensions: bool) -> list[Fault]:
        """What is wrong with the values of the element. sub_extensions: every one must be of a slice, for its URL means nothing elsewhere."""
        faults: list[Fault] = []
        counts = [0] * len(self.slices)
        for place, item in found:
            number = self._of(item, env)
            if number >= 0:
                counts[number] += 1
                judge = inside[self.slices[number].node.slice]
                if judge is not None and (wrong := judge(item, env)) is not None:
                    faults += below(wrong, step(place))
            elif self.closed:
                faults += fault("wrong-slice", "不属于档案规定的任何切片, 而切片是封闭的", step(place))
            elif sub_extensions and ":" not in str(item[0].get("url", ":")):
                faults += fault("unknown-extension", f"扩展没有下级扩展 {str(item[0]['url'])[:60]}", step(place))
        for one, count in zip(self.slices, counts, strict=True):
            if count < one.low:
                faults += fault("missing-slice", f"切片 {one.node.slice} 至少要有 {one.low} 个, 现有 {count} 个", f".{stem}")
            if one.high is not None and count > one.high:
                faults += fault("wrong-cardinality", f"切片 {one.node.slice} 最多 {one.high} 个, 现有 {count} 个", f".{stem}")
        return faults


def slices_of(node: Node, inherited: Sequence[Node], profiles: Profiles) -> Slices:
    """The slices of an element; how they are told apart stands there, or in a base profile."""
    slicing: dict[str, Any] = next((n.said["slicing"] for n in (node, *inherited) if "slicing" in n.said), {})
    told = slicing.get("discriminator") or _default(node)
    made = []
    for one in node.slices:
        behind = [n for i in inherited for n in i.slices if n.slice == one.slice]
        tests = [t for d in told if (t := _test(one, behind, d["type"], d["path"], profiles)) is not None]
        if tests:
            high = one.said.get("max", "*")
            made.append(Slice(one, _all(tests), one.said.get("min", 0), None if high == "*" else int(high)))
    return Slices(made, slicing.get("rules") == "closed")


def _default(node: Node) -> list[dict[str, str]]:
    """Extensions are told apart by URL, choices by type."""
    if node.name in ("extension", "modifierExtension"):
        return [{"type": "value", "path": "url"}]
    return [{"type": "type", "path": "$this"}] if node.name.endswith("[x]") else []


def _all(tests: Sequence[Belongs]) -> Belongs:
    if len(tests) == 2:
        first, second = tests
        return lambda item, env: first(item, env) and second(item, env)
    return tests[0] if len(tests) == 1 else lambda item, env: all(t(item, env) for t in tests)


def _test(one: Node, behind: Sequence[Node], kind: str, path: str, profiles: Profiles) -> Belongs | None:
    """The test of one discriminator; None when the slice does not say what it expects there."""
    reach = compiled(path)
    if kind == "type":
        return _by_type(one, path, reach)
    if kind == "profile":
        return _by_profile(one, path, reach, profiles)
    if kind == "exists":
        node = one.below(path)
        return None if node is None else _by_presence(reach, node.said.get("max") != "0")
    expected = next((e for n in (one, *behind) if (e := _expected(n, path)) is not None), None)
    if expected is None:
        return None
    steps = path.split(".")
    if _PLAIN.issuperset(steps):
        seek = _seeker([s for s in steps if s != "$this"], expected)
        return lambda item, env: seek(item[0])
    return lambda item, env: any(expected(plain(value)) for value, _ in reach([item], env))


_PLAIN = frozenset("$this url code system coding type use category identifier".split())
"""Steps that lead to what JSON calls the same everywhere."""


def _seeker(steps: Sequence[str], expected: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether something at plain steps below a value is what is expected."""
    if not steps:
        return expected
    name, inner = steps[0], _seeker(steps[1:], expected)

    def seek(value: Any) -> bool:
        held = value.get(name) if type(value) is dict else None
        if type(held) is not list:
            return held is not None and inner(held)
        for one in held:  # noqa: SIM110  # a generator costs more than what it asks
            if inner(one):
                return True
        return False

    return seek


def _by_presence(reach: Callable[[Items, Env], Items], wanted: bool) -> Belongs:
    return lambda item, env: bool(reach([item], env)) is wanted


def _by_type(one: Node, path: str, reach: Callable[[Items, Env], Items]) -> Belongs | None:
    if path.endswith("resolve()"):
        urls = [p for t in _steps(one, path).types for p in t.get("targetProfile", ())]
        types = {u.removeprefix(SPEC) for u in urls}
        before = compiled(path.removesuffix("resolve()").removesuffix(".") or "$this")
        return lambda item, env: any(_target(value, env) in types for value, _ in before([item], env))
    node = one.below(path)
    codes = [t["code"] for t in node.types] if node is not None else []
    return (lambda item, env: any(is_type(kind, c) for _, kind in reach([item], env) for c in codes)) if codes else None


def _steps(one: Node, path: str) -> Node:
    return one.below(path.removesuffix("resolve()").removesuffix(".") or "$this") or one


def _target(value: Any, env: Env) -> str:
    literal = value.get("reference") if type(value) is dict else None
    if not isinstance(literal, str):
        return ""
    inside = env.resolve(literal) if literal.startswith(("#", "urn:")) else None
    return str(inside.get("resourceType")) if inside is not None else parse_reference(literal).type


def _by_profile(one: Node, path: str, reach: Callable[[Items, Env], Items], profiles: Profiles) -> Belongs | None:
    node = _steps(one, path)
    urls = [u for t in node.types for u in (t.get("targetProfile" if "resolve()" in path else "profile") or ())]
    return (lambda item, env: any(profiles.conforms(u, found, env) for found in reach([item], env) for u in urls)) if urls else None


def _expected(one: Node, path: str) -> Callable[[Any], bool] | None:
    """What a slice expects at a path: a fixed value, a pattern, a code of a required value set, or the URL of an extension's profile."""
    urls = [u for t in one.types if t["code"] == "Extension" for u in t.get("profile", ())]
    if path == "url" and urls:
        return lambda value: value in urls
    if path.startswith("extension('"):
        return _expected_in_extension(one, path)
    return _sought(one, [] if path == "$this" else path.split("."))


def _sought(node: Node, steps: Sequence[str]) -> Callable[[Any], bool] | None:
    """What a node, or a slice of what stands below it, expects at the remaining steps."""
    if node.exact is not None:
        return _at(node.exact, steps)
    if not steps:
        return _of_value_set(node)
    child = node.children.get(steps[0]) or node.children.get(f"{steps[0]}[x]")
    if child is None:
        return None
    return next((found for n in (child, *child.slices) if (found := _sought(n, steps[1:])) is not None), None)


def _expected_in_extension(one: Node, path: str) -> Callable[[Any], bool] | None:
    url, _, rest = path.removeprefix("extension('").partition("')")
    held = one.children.get("extension")
    for part in held.slices if held is not None else ():
        if any(url in t.get("profile", ()) for t in part.types) or (part.exact or ("", ""))[1] == url:
            return _expected(part, rest.removeprefix(".") or "$this")
    return None


def _at(exact: tuple[str, Any], rest: Sequence[str]) -> Callable[[Any], bool] | None:
    """The part of a fixed value or pattern at the remaining steps."""
    kind, wanted = exact
    for name in rest:
        if isinstance(wanted, list):
            wanted = wanted[0] if wanted else None
        wanted = wanted.get(name) if isinstance(wanted, dict) else None
    if wanted is None:
        return None
    if isinstance(wanted, list):
        options = wanted
        return lambda value: any(matches(value, w) for w in options)
    return (lambda value: value == wanted) if kind == "fixed" else (lambda value: matches(value, wanted))


def _of_value_set(node: Node) -> Callable[[Any], bool] | None:
    bound = node.said.get("binding", {})
    members = load().codes(bound["valueSet"]) if bound.get("strength") == "required" and "valueSet" in bound else None
    if members is None:
        return None

    def one_of(value: Any) -> bool:
        codings = value.get("coding", [value]) if isinstance(value, dict) else [{"code": value}]
        return any((c.get("system", s), c.get("code")) == (s, k) for c in codings for s, k in members)

    return one_of
