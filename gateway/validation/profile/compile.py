"""A profile as one check of a value (https://hl7.org/fhir/R4/profiling.html#resources).

A value conforms when it conforms to the base profile and to what each element of the differential says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.fhir.profiles import SPEC, matches
from gateway.fhir.shape import Shape, Slot
from gateway.fhir.structure_values import Fault, Faults, below, fault, shown
from gateway.validation.definitions import Constraint, Definitions, ProfileDefinition
from gateway.validation.fhirpath.compile import compiled, is_true
from gateway.validation.fhirpath.items import Item, is_type, named_slots, plain
from gateway.validation.fhirpath.scope import Env
from gateway.validation.invariants import NATIVE, failed
from gateway.validation.profile.bindings import Binding
from gateway.validation.profile.slicing import slices_of
from gateway.validation.profile.targets import reference_targets
from gateway.validation.profile.tree import Node, tree

__all__ = ["Check", "Profiles"]

Check = Callable[[Item, Env], Faults]
"""Judges an item inside the resource of the Env."""
Placed = tuple[str, Item]
"""The step that leads to an item, and the item."""


class Profiles:
    """Compiled profiles by URL, each made when it is first met."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._checks: dict[str, Check | None] = {}

    def check(self, url: str) -> Check | None:
        """The check of a profile; None when its definition is not here."""
        url = url.partition("|")[0]
        if url not in self._checks:
            definition = self.definitions.profile(url)
            self._checks[url] = None if definition is None else self._deferred(url)
            if definition is not None:
                self._checks[url] = self._compiled(definition)
        return self._checks[url]

    def lineage(self, definition: ProfileDefinition) -> list[Node]:
        """The trees of a profile and of the profiles that it is based on, nearest first."""
        trees = []
        found: ProfileDefinition | None = definition
        while found is not None:
            trees.append(tree(found.elements))
            found = self.definitions.profile(found.base) if found.base != SPEC + found.type else None
        return trees

    def conforms(self, url: str, item: Item, env: Env) -> bool:
        """Whether an item has no error by a profile; a type of R4 is asked by its name, an unknown profile is met."""
        check = self.check(url)
        if check is not None:
            return not any(severity == "refuse" for *_, severity in check(item, env) or ())
        return is_type(item[1], url.removeprefix(SPEC)) if url.startswith(SPEC) else True

    def _deferred(self, url: str) -> Check:
        """Stands for a profile that is being compiled, where it names itself."""

        def later(item: Item, env: Env) -> Faults:
            made = self._checks[url]
            return None if made is None else made(item, env)

        return later

    def _compiled(self, definition: ProfileDefinition) -> Check:
        trees = self.lineage(definition)
        base = self.check(definition.base) if definition.base != SPEC + definition.type else None
        own = _Compiler(self, definition).element(trees[0], trees[1:])
        type_ = definition.type

        def check(item: Item, env: Env) -> Faults:
            if not is_type(item[1], type_):
                return fault("wrong-type", f"这里的类型应是 {type_}")
            found = own(item, env)
            if base is not None and (further := base(item, env)) is not None:
                return further if found is None else found + further
            return found

        return check


class _Compiler:
    """Makes the checks of one profile's nodes."""

    def __init__(self, profiles: Profiles, definition: ProfileDefinition) -> None:
        self.profiles = profiles
        self.definition = definition
        self.extension = definition.type == "Extension"

    def element(self, node: Node, inherited: list[Node]) -> Check:
        """Check of one item of an element. inherited: the same element in the base profiles."""
        checks = [c for c in (self._exact(node), self._types(node), self._bound(node), *self._constraints(node)) if c is not None]
        if targets := reference_targets(node, self.profiles.definitions):
            checks.append(targets)
        for child in node.children.values():
            checks.append(self._child(child, [found for i in inherited if (found := i.children.get(child.name)) is not None]))

        def check(item: Item, env: Env) -> Faults:
            faults: Faults = None
            for one in checks:
                found = one(item, env)
                if found is not None:
                    faults = found if faults is None else faults + found
            return faults

        return check

    def _exact(self, node: Node) -> Check | None:
        exact = node.exact
        if exact is None:
            return None
        kind, wanted = exact

        def check(item: Item, env: Env) -> Faults:
            value = plain(item[0])
            if value == wanted if kind == "fixed" else matches(value, wanted):
                return None
            return fault("wrong-fixed", f"应是 {shown(wanted)}, 这是档案规定的值")

        return check

    def _types(self, node: Node) -> Check | None:
        """The types of a choice, and the profiles that a value of a type must meet (one of them)."""
        types = node.types
        if not types or not node.name:
            return None
        codes = [_type_name(t["code"]) for t in types]
        profiled = {_type_name(t["code"]): t["profile"] for t in types if t.get("profile") and t["code"] != "Extension"}

        def check(item: Item, env: Env) -> Faults:
            if not any(is_type(item[1], c) for c in codes):
                return fault("wrong-type", f"档案只允许 {'、'.join(codes)}")
            for code, urls in profiled.items():
                if is_type(item[1], code) and not any(self.profiles.conforms(u, item, env) for u in urls):
                    first = self.profiles.check(urls[0])
                    return (first(item, env) if first is not None else None) or fault("wrong-type", f"不符合档案 {'、'.join(urls)}")
            return None

        return check

    def _bound(self, node: Node) -> Check | None:
        bound = node.said.get("binding")
        if not bound or "valueSet" not in bound or bound["strength"] not in ("required", "extensible"):
            return None
        binding = Binding.of(bound["strength"], bound["valueSet"], self.profiles.definitions)
        return None if binding is None else binding.check

    def _constraints(self, node: Node) -> list[Check]:
        found = []
        for row in node.said.get("constraint", ()):
            if row["key"] not in NATIVE and "expression" in row:
                found.append(_invariant(Constraint(row["key"], row["severity"] == "error", row["expression"], row.get("human", ""))))
        return found

    def _child(self, child: Node, inherited: list[Node]) -> Check:
        """Check of what stands in an element below: how often, each of it, and its slices."""
        low, high = child.said.get("min", 0), child.said.get("max", "*")
        most = None if high == "*" else int(high)
        each = self.element(child, inherited)
        slices = slices_of(child, inherited, self.profiles)
        inside = {s.node.slice: self.element(s.node, [n for i in inherited for n in i.slices if n.slice == s.node.slice]) for s in slices.slices}
        name = child.name
        extension = self.extension and name == "extension"

        def check(item: Item, env: Env) -> Faults:
            found = _placed(item, name)
            faults: list[Fault] = []
            if len(found) < low:
                faults += fault("missing-element", f"档案 {self.definition.url} 要求至少 {low} 个", f".{name.removesuffix('[x]')}")
            if most is not None and len(found) > most:
                faults += fault(
                    "wrong-cardinality", f"档案 {self.definition.url} 只允许 {most} 个, 现有 {len(found)} 个", f".{name.removesuffix('[x]')}"
                )
            for step, one in found:
                faults += below(each(one, env) or (), step)
            if slices.slices:
                faults += slices.judge(found, env, inside, name, sub_extensions=extension)
            return faults or None

        return check


def _type_name(code: str) -> str:
    """A FHIRPath system type as the primitive that it stands for."""
    return code.rpartition(".")[2][0].lower() + code.rpartition(".")[2][1:] if code.startswith("http://hl7.org/fhirpath/") else code


def _invariant(constraint: Constraint) -> Check:
    evaluate = compiled(constraint.expression)
    fault_ = failed(constraint)

    def check(item: Item, env: Env) -> Faults:
        inside = Env(env.resource, env.root, [item], resolve=env.resolve)
        return None if is_true(evaluate([item], inside)) else fault_

    return check


def _placed(item: Item, name: str) -> list[Placed]:
    """The values of an element with the steps that lead to them; `value[x]`, `valueQuantity` and `component` are all names."""
    value, kind = item
    if type(kind) is str or type(value) is not dict:
        return _beside(item, name)
    stem = name.removesuffix("[x]")
    slots = named_slots(kind, stem) if name != stem else _slots(kind, name)  # type: ignore[arg-type]  # a Shape, as it is no name
    found: list[Placed] = []
    for slot in slots:
        held = value.get(slot.name)
        if held is None and slot.kind == "primitive" and f"_{slot.name}" in value:
            found.append((f".{slot.step}", (None, slot.type)))
        elif type(held) is list:
            found += [(f".{slot.step}[{n}]", (v, _kind(kind, slot, v))) for n, v in enumerate(held)]  # type: ignore[arg-type]
        elif held is not None:
            found.append((f".{slot.step}", (held, _kind(kind, slot, held))))  # type: ignore[arg-type]
    return found


def _beside(item: Item, name: str) -> list[Placed]:
    """Below a primitive there is only what a general evaluation finds."""
    value, _ = item
    if name != "extension" or not hasattr(value, "extra"):
        return []
    return [(f".extension[{n}]", e) for n, e in enumerate(compiled("extension")([item], Env([], [], [])))]


def _slots(kind: Shape, name: str) -> tuple[Slot, ...]:
    slot = kind.slot(name)
    return named_slots(kind, name) if slot is None else (slot,)


def _kind(shape: Shape, slot: Slot, value: Any) -> Shape | str:
    if slot.kind in ("primitive", "xhtml"):
        return slot.type
    if slot.kind == "resource":
        from gateway.fhir.shape import resource_shape

        return resource_shape(value.get("resourceType")) or slot.type
    return shape.below(slot)
