"""Whether a resource is R4 at all: its elements, their shape, number, format, codes and references (https://hl7.org/fhir/R4/validation.html).

Compiled per type from the R4 table. Of the invariants those are judged that the shape alone shows (ele-1, ext-1, dom-2, ref-1, txt-1, txt-2);
the others, profiles, and terminology beyond required bindings are judged by `gateway.validation`, which adds its rules to the same walk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.errors import Finding
from gateway.fhir.elements import Element
from gateway.fhir.shape import Shape, Slot, resource_shape, type_shape
from gateway.fhir.structure_values import (
    LOCAL,
    Fault,
    Faults,
    below,
    coding_fault,
    fault,
    narrative,
    primitive,
    primitive_test,
    reference,
    shown,
    unshaped,
)

__all__ = ["LIMIT", "Member", "One", "Structure", "check", "run"]

LIMIT = 100
"""Findings that are told of one resource."""

One = Callable[[Any], Faults]
"""Judges a value; None when it is well."""
Member = Callable[[Any, dict[str, Any]], Faults]
"""Judges what stands under a name, in the dict that it stands in."""


class Structure:
    """The compiled checks of all types. A subclass adds rules: they run on values that have their shape."""

    def __init__(self) -> None:
        self._checkers: dict[Shape, One] = {}

    def object_rules(self, shape: Shape) -> Sequence[One]:
        """Further checks of an object of this shape as a whole."""
        return ()

    def value_rules(self, slot: Slot) -> Sequence[One]:
        """Further checks of a complex value where it stands: what a binding or a reference's targets say."""
        found = reference(slot.element) if slot.type == "Reference" else coding_fault(slot.element)
        return () if found is None else (found,)

    def primitive_rules(self, slot: Slot) -> Sequence[One]:
        """Further checks of a primitive that has its format."""
        return ()

    def extra_rules(self, slot: Slot) -> Sequence[One]:
        """Further checks of what stands beside a primitive."""
        return ()

    def narrative(self, value: Any) -> Faults:
        """Check of Narrative.div."""
        return narrative(value)

    def resource(self, resource: Any) -> Faults:
        """A resource that is not contained: fragments must find their target in it (ref-1)."""
        faults = self.any_resource(resource)
        if not faults or not any(code == LOCAL for _, code, _, _ in faults):
            return faults
        contained = resource.get("contained")
        ids = [c.get("id") for c in contained if type(c) is dict] if type(contained) is list else []
        return [_fragment(f) for f in faults if f[1] != LOCAL or f[2] not in ids] or None

    def any_resource(self, resource: Any) -> Faults:
        """A resource by its resourceType."""
        if type(resource) is not dict:
            return fault("wrong-shape", "应是一个资源(JSON 对象)")
        shape = resource_shape(resource.get("resourceType"))
        if shape is None:
            return fault("unknown-type", f"resourceType 是 {shown(resource.get('resourceType'))}; 应是 FHIR R4 的资源类型", ".resourceType")
        return self.checker(shape)(resource)

    def contained(self, resource: Any) -> Faults:
        """A contained resource contains none itself (dom-2)."""
        faults = self.any_resource(resource)
        if type(resource) is dict and "contained" in resource:
            return (faults or []) + fault("wrong-shape", "contained 里的资源不能再有 contained (dom-2)", ".contained")
        return faults

    def checker(self, shape: Shape) -> One:
        """How an object of this shape is judged, compiled once."""
        made = self._checkers.get(shape)
        if made is None:
            made = self._checkers[shape] = _checker(self, shape)
        return made


_R4 = Structure()


def check(resource: Any, type_: str = "") -> list[Finding]:
    """What is wrong with a decoded resource; empty when nothing is. type_: the type that it must have, "" for any.

    Each finding has a FHIRPath expression as target (`Patient.name[0].given[1]`) and the severity `refuse`, or `note` for what may be kept all
    the same. Codes: unknown-type, wrong-type, unknown-element, wrong-shape, wrong-cardinality, missing-element, bad-value, code-not-allowed,
    bad-reference, unresolved-fragment, bad-narrative, too-deep.
    """
    return run(_R4, resource, type_)


def run(structure: Structure, resource: Any, type_: str = "") -> list[Finding]:
    """`check` with the rules of a structure."""
    if type(resource) is not dict:
        return [Finding("wrong-shape", "refuse", "资源应是一个 JSON 对象")]
    root = resource.get("resourceType")
    if type_ and root != type_:
        message = f"resourceType 是 {shown(root)}, 这里应是 {type_}; 请改正类型或地址"
        return [Finding("wrong-type", "refuse", message, target=f"{type_}.resourceType")]
    try:
        faults = structure.resource(resource)
    except RecursionError:
        return [Finding("too-deep", "refuse", f"{root} 的元素嵌套过深", target=str(root))]
    if not faults:
        return []
    return [_finding(root if resource_shape(root) is not None else "Resource", found) for found in faults[:LIMIT]]


def _finding(root: Any, found: Fault) -> Finding:
    path, code, message, severity = found
    return Finding(code, severity, f"{root}{path}: {message}", target=f"{root}{path}")


def _fragment(found: Fault) -> Fault:
    path, code, message, severity = found
    return found if code != LOCAL else (path, code, f"contained 里没有 id 是 {shown(message)} 的资源 (ref-1)", severity)


class _Members(dict[str, Member]):
    """Checks of a shape by JSON name, each compiled when it is first met."""

    __slots__ = ("shape", "structure")

    def __init__(self, structure: Structure, shape: Shape) -> None:
        self.structure = structure
        self.shape = shape

    def __missing__(self, name: str) -> Member:
        if name == "resourceType" and self.shape.resource:
            made: Member = _known
        else:
            own = name.removeprefix("_")
            slot = self.shape.slot(own)
            if slot is None or (name != own and (slot.kind != "primitive" or slot.attribute)):
                return _unknown(self.shape.name, name)
            made = _member(self.structure, self.shape, slot, beside=name != own)
        self[name] = made
        return made


def _known(value: Any, holder: dict[str, Any]) -> Faults:
    return None


def _unknown(shape: str, name: str) -> Member:
    shown_name = name[:64]
    return lambda value, holder: fault("unknown-element", f"{shape} 没有这个元素; 请改正名称或删去它", f".{shown_name}")


def _checker(structure: Structure, shape: Shape) -> One:
    """`Structure.checker` of a shape."""
    members = _Members(structure, shape)
    required = [(frozenset(_names(e)), e) for e in shape.required()]
    choices = [frozenset(_names(e)) for e in shape.elements.values() if e.choice]
    chosen = frozenset().union(*choices)
    extension = shape.name == "Extension"
    rules = structure.object_rules(shape)

    def check_object(value: Any) -> Faults:
        if type(value) is not dict:
            return fault("wrong-shape", "应是一个对象" if value is not None else "不能是 null")
        faults: Faults = None
        for name, inside in value.items():
            found = members[name](inside, value)
            if found is not None:
                faults = found if faults is None else faults + found
        for names, element in required:
            if names.isdisjoint(value):
                faults = (faults or []) + fault("missing-element", "必须有这个元素", f".{element.stem}")
        if chosen and not chosen.isdisjoint(value):
            for names in choices:
                if len({n.removeprefix("_") for n in names.intersection(value)}) > 1:
                    faults = (faults or []) + fault("wrong-cardinality", f"{'、'.join(sorted(names.intersection(value)))} 只能有一个")
            if extension and "extension" in value:
                faults = (faults or []) + fault("wrong-cardinality", "扩展要么有值, 要么有下级扩展, 不能都有 (ext-1)")
        elif extension and "extension" not in value:
            faults = (faults or []) + fault("missing-element", "扩展要有 value[x] 或下级扩展 (ext-1)")
        if not value:
            faults = (faults or []) + fault("missing-element", "对象是空的; 没有内容时不写这个元素 (ele-1)")
        return _judged(rules, value, faults) if rules else faults

    return check_object


def _judged(rules: Sequence[One], value: Any, faults: Faults) -> Faults:
    """What the rules find in a value besides; nothing where its shape is wrong."""
    if faults is not None and unshaped(faults):
        return faults
    for rule in rules:
        found = rule(value)
        if found is not None:
            faults = found if faults is None else faults + found
    return faults


def _names(element: Element) -> list[str]:
    """JSON names of an element, with those of its id and extensions."""
    names = [element.json_name(t) for t in element.types] if element.choice else [element.name]
    return [*names, *(f"_{n}" for n in names)]


def _member(structure: Structure, shape: Shape, slot: Slot, beside: bool) -> Member:
    """Check of what stands under a slot's name (or, `beside`, under its `_name`)."""
    step = f".{slot.step}"
    if beside:
        return _beside(structure, slot, step)
    one = _one(structure, shape, slot)
    if slot.many:
        return _many(slot, one, step)
    if slot.kind == "primitive":
        return _primitive(slot, one, step, structure.primitive_rules(slot))

    def check_scalar(value: Any, holder: dict[str, Any]) -> Faults:
        found = one(value)
        return None if found is None else _scalar(value, found, step)

    return check_scalar


def _primitive(slot: Slot, one: One, step: str, rules: Sequence[One]) -> Member:
    """`check_scalar` of a primitive, without a further call where all is well."""
    kinds, test = primitive_test(slot)
    if rules:
        return lambda value, holder: None if (found := one(value)) is None else _scalar(value, found, step)

    def check_primitive(value: Any, holder: dict[str, Any]) -> Faults:
        if type(value) in kinds and test(value):
            return None
        return _scalar(value, one(value) or [], step)

    return check_primitive


def _scalar(value: Any, found: list[Fault], step: str) -> Faults:
    return fault("wrong-shape", "只能有一个值, 不是列表", step) if type(value) is list else below(found, step)


def _many(slot: Slot, one: One, step: str) -> Member:
    """Check of a list; a primitive may be null where `_name` says something."""
    beside = f"_{slot.name}" if slot.kind == "primitive" else ""

    def check_list(value: Any, holder: dict[str, Any]) -> Faults:
        if type(value) is not list:
            return fault("wrong-shape", "应是列表", step)
        if not value:
            return fault("wrong-cardinality", "列表是空的; 没有值时不写这个元素", step)
        extras = holder.get(beside) if beside else None
        faults: Faults = None
        for number, item in enumerate(value):
            if item is None and type(extras) is list and number < len(extras) and extras[number] is not None:
                continue
            found = one(item)
            if found is not None:
                faults = (faults or []) + below(found, f"{step}[{number}]")
        maximum = slot.element.max
        if maximum is not None and len(value) > maximum:
            faults = (faults or []) + fault("wrong-cardinality", f"最多 {maximum} 个, 现有 {len(value)} 个", step)
        return faults

    return check_list


def _beside(structure: Structure, slot: Slot, step: str) -> Member:
    """Check of `_name`: id and extensions of a primitive, in a list as long as its values (https://hl7.org/fhir/R4/json.html#primitive)."""

    rules = structure.extra_rules(slot)

    def check_extra(value: Any) -> Faults:
        return _judged(rules, value, structure.checker(type_shape("Element"))(value))

    def check_beside(value: Any, holder: dict[str, Any]) -> Faults:
        if not slot.many:
            found = check_extra(value)
            return None if found is None else below(found, step)
        values = holder.get(slot.name)
        if type(value) is not list:
            return fault("wrong-shape", f"_{slot.name} 应是列表", step)
        if type(values) is list and len(values) != len(value):
            return fault("wrong-shape", f"{slot.name} 有 {len(values)} 项, _{slot.name} 有 {len(value)} 项; 应一样多, 空缺处写 null", step)
        faults: list[Fault] = []
        for number, item in enumerate(value):
            if item is not None or type(values) is not list:
                faults += below(check_extra(item) or (), f"{step}[{number}]")
        return faults or None

    return check_beside


def _one(structure: Structure, shape: Shape, slot: Slot) -> One:
    """Check of one value of a slot."""
    if slot.kind == "primitive":
        return _with_rules(primitive(slot), structure.primitive_rules(slot))
    if slot.kind == "xhtml":
        return structure.narrative
    if slot.kind == "resource":
        return structure.contained if slot.name == "contained" else structure.resource
    return _with_rules(structure.checker(shape.below(slot)), structure.value_rules(slot))


def _with_rules(whole: One, rules: Sequence[One]) -> One:
    if not rules:
        return whole

    def check_below(value: Any) -> Faults:
        return _judged(rules, value, whole(value))

    return check_below
