"""A profile as one check of a value (https://hl7.org/fhir/R4/profiling.html#resources).

A value conforms when it conforms to the base profile and to what each element of the differential says.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.fhir.profiles import SPEC, matches
from gateway.fhir.shape import Shape
from gateway.fhir.structure_values import Faults, below, fault, shown
from gateway.validation.definitions import Constraint, Definitions, ProfileDefinition
from gateway.validation.fhirpath.compile import compiled, is_true
from gateway.validation.fhirpath.items import Item, is_type, plain
from gateway.validation.fhirpath.scope import Env
from gateway.validation.invariants import NATIVE, failed
from gateway.validation.presence import Quick, quick
from gateway.validation.profile.bindings import Binding
from gateway.validation.profile.known import Known
from gateway.validation.profile.places import Placed, step
from gateway.validation.profile.slicing import slices_of
from gateway.validation.profile.targets import reference_targets
from gateway.validation.profile.tree import Node, tree

__all__ = ["Check", "Profiles"]

Check = Callable[[Item, Env], Faults]
"""Judges an item inside the resource of the Env."""


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
        own = _Compiler(self, definition).element(trees[0], trees[1:], Known.of_type(definition.type)) or (lambda item, env: None)
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

    def element(self, node: Node, inherited: list[Node], known: Known) -> Check | None:
        """Check of one item of an element; None when nothing is said beyond R4. inherited: the same element in the base profiles."""
        said = [self._exact(node), self._types(node, known), self._bound(node), *_constraints(node)]
        said.append(reference_targets(node, self.profiles.definitions))
        for child in node.children.values():
            said.append(self._child(child, [found for i in inherited if (found := i.children.get(child.name)) is not None], known.child(child.name)))
        checks = [check for check in said if check is not None]
        return checks[0] if len(checks) == 1 else _one_by_one(checks) if checks else None

    def _exact(self, node: Node) -> Check | None:
        exact = node.exact
        if exact is None:
            return None
        kind, wanted = exact

        def told() -> Faults:
            return fault("wrong-fixed", f"应是 {shown(wanted)}, 这是档案规定的值")

        if kind == "fixed":
            return lambda item, env: None if plain(item[0]) == wanted else told()
        return lambda item, env: None if matches(plain(item[0]), wanted) else told()

    def _types(self, node: Node, known: Known) -> Check | None:
        """The types of a choice, and the profiles that a value of a type must meet (one of them); None when R4 allows no others."""
        codes = [_type_name(t["code"]) for t in node.types]
        profiled = {_type_name(t["code"]): t["profile"] for t in node.types if t.get("profile") and t["code"] != "Extension"}
        if not codes or (not profiled and known.only(codes)):
            return None

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

    def _child(self, child: Node, inherited: list[Node], known: Known) -> Check | None:
        """Check of what stands in an element below: how often, each of it, and its slices; None when nothing is said beyond R4."""
        low, most = known.narrowed(child.said)
        each = self.element(child, inherited, known)
        slices = slices_of(child, inherited, self.profiles)
        inside = {
            s.node.slice: self.element(s.node, [n for i in inherited for n in i.slices if n.slice == s.node.slice], known) for s in slices.slices
        }
        if not low and most is None and each is None and not slices.slices:
            return None
        placed = Placed(child.name)
        url, stem = self.definition.url, child.name.removesuffix("[x]")
        extension = self.extension and child.name == "extension"
        wanting = any(s.low for s in slices.slices)

        def check(item: Item, env: Env) -> Faults:
            found = placed(item)
            faults: Faults = None
            if not found and not low and not wanting:
                return None
            if len(found) < low:
                faults = fault("missing-element", f"档案 {url} 要求至少 {low} 个", f".{stem}")
            elif most is not None and len(found) > most:
                faults = fault("wrong-cardinality", f"档案 {url} 只允许 {most} 个, 现有 {len(found)} 个", f".{stem}")
            if each is not None:
                for place, one in found:
                    if (wrong := each(one, env)) is not None:
                        faults = [*(faults or ()), *below(wrong, step(place))]
            if slices.slices and (wrong := slices.judge(found, env, inside, stem, sub_extensions=extension)):
                faults = [*(faults or ()), *wrong]
            return faults

        return check


def _one_by_one(checks: list[Check]) -> Check:
    def check(item: Item, env: Env) -> Faults:
        faults: Faults = None
        for one in checks:
            found = one(item, env)
            if found is not None:
                faults = found if faults is None else faults + found
        return faults

    return check


def _constraints(node: Node) -> list[Check]:
    """The invariants that a profile adds at an element."""
    rows = (r for r in node.said.get("constraint", ()) if r["key"] not in NATIVE and "expression" in r)
    return [_invariant(Constraint(r["key"], r["severity"] == "error", r["expression"], r.get("human", ""))) for r in rows]


def _type_name(code: str) -> str:
    """A FHIRPath system type as the primitive that it stands for."""
    return code.rpartition(".")[2][0].lower() + code.rpartition(".")[2][1:] if code.startswith("http://hl7.org/fhirpath/") else code


def _invariant(constraint: Constraint) -> Check:
    evaluate = compiled(constraint.expression)
    fault_ = failed(constraint)
    own = "%" not in constraint.expression and "resolve" not in constraint.expression
    tests: dict[Shape, Quick] = {}

    def check(item: Item, env: Env) -> Faults:
        value, kind = item
        if own and type(kind) is Shape and type(value) is dict:
            test = tests.get(kind)
            if test is None:
                test = tests[kind] = quick(constraint.expression, kind)
            return None if test(value) else fault_
        inside = Env(env.resource, env.root, [item], resolve=env.resolve)
        return None if is_true(evaluate([item], inside)) else fault_

    return check
