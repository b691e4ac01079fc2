"""What an expression can give, told from R4's definitions before it is evaluated. An element that R4 does not have is null for ever: a remark.

https://hl7.org/fhirpath/#type-safety-and-strict-evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.fhir.elements import load
from gateway.fhir.shape import Shape, type_shape
from gateway.validation.fhirpath import syntax
from gateway.validation.fhirpath.items import named_slots

__all__ = ["Kinds", "Say", "kinds_below", "kinds_of"]

Say = Callable[[str], None]
"""Takes a remark, in Chinese."""

Kinds = frozenset["Shape | str"] | None
"""Shapes of objects and names of primitive types; None: anything."""

_SAME = frozenset({"where", "first", "last", "tail", "skip", "take", "single", "distinct", "exclude", "intersect", "trace"})
_EACH = frozenset({"where", "exists", "all", "select", "repeat", "iif", "aggregate"})
"""Functions whose arguments are evaluated on what the function is called on."""
_GIVES = {
    "boolean": "empty exists all not allTrue anyTrue allFalse anyFalse isDistinct subsetOf supersetOf hasValue startsWith endsWith contains matches",
    "integer": "count length indexOf toInteger",
    "decimal": "toDecimal",
    "string": "join upper lower trim replace replaceMatches substring toString getResourceKey getReferenceKey",
}
_BY_FUNCTION = {name: frozenset({kind}) for kind, names in _GIVES.items() for name in names.split()}
_LOGIC = frozenset({"and", "or", "xor", "implies", "in", "contains", "=", "~", "!=", "!~", "<", ">", "<=", ">="})
_BESIDE = frozenset({"extension", "id"})
"""What a primitive has below it."""
BOOLEAN: Kinds = frozenset({"boolean"})
INTEGER: Kinds = frozenset({"integer"})


def kinds_of(text: str, focus: Kinds, root: Kinds, say: Say) -> Kinds:
    """What an expression gives on a focus of these kinds. root: the resource's. Raises PathSyntaxError."""
    return _Walk(root, say).of(syntax.parse(text), focus)


def kinds_below(texts: Iterable[str], focus: Kinds, root: Kinds, say: Say) -> Kinds:
    """What `repeat` gives: the expressions on the focus and on all that they give. Raises PathSyntaxError."""
    trees = [syntax.parse(text) for text in texts]
    silent = _Walk(root, lambda remark: None)
    found: Kinds = frozenset()
    while found is not None:
        reached = _joined([found, *(silent.of(tree, _joined([focus, found])) for tree in trees)])
        if reached == found:
            break
        found = reached
    for tree in trees:
        _Walk(root, say).of(tree, _joined([focus, found]))
    return found


def _joined(parts: Iterable[Kinds]) -> Kinds:
    found: set[Shape | str] = set()
    for part in parts:
        if part is None:
            return None
        found |= part
    return frozenset(found)


class _Walk:
    """Goes over a tree, as `expression.spelled` writes it, and remarks what R4 does not have."""

    def __init__(self, root: Kinds, say: Say) -> None:
        self.root = root
        self.say = say

    def of(self, tree: syntax.Expression, focus: Kinds) -> Kinds:
        match tree:
            case syntax.This():
                return focus
            case syntax.Literal(_, type_):
                return frozenset({type_}) if type_ and type_ != "Quantity" else frozenset() if not type_ else None
            case syntax.Variable(name):
                return self.root if name in ("resource", "context") else INTEGER if name in ("rootResource", "$index") else None
            case syntax.Member(on, name):
                return self.member(on, name, focus)
            case syntax.Index(on, at):
                self.of(at, focus)
                return self.of(on, focus)
            case syntax.Unary(_, on):
                return self.of(on, focus)
            case syntax.TypeTest(operator, on, type_):
                return self.tested(operator, self.of(on, focus), type_)
            case syntax.Binary(operator, left, right):
                return self.combined(operator, self.of(left, focus), self.of(right, focus))
            case syntax.Call(on, name, arguments):
                return self.called(self.of(on, focus), name, arguments, focus)

    def member(self, on: syntax.Expression, name: str, focus: Kinds) -> Kinds:
        held = self.of(on, focus)
        if held is None or (type(on) is syntax.This and name[0].isupper()):
            return held
        parts = [_below(kind, name) for kind in held]
        if held and all(part == frozenset() for part in parts):
            self.say(f"R4 的 {'、'.join(sorted(_called(k) for k in held))} 没有元素 {name}, 总是空{_meant(held, name)}")
        return _joined(parts)

    def tested(self, operator: str, held: Kinds, type_: str) -> Kinds:
        name = type_.removeprefix("System.")
        name = name if name in load().types else name[0].lower() + name[1:]
        definition = load().types.get(name)
        if definition is None:
            self.say(f"R4 没有类型 {type_}, 总是空")
            return frozenset()
        if operator == "is":
            return BOOLEAN
        if definition.abstract:
            return held
        return frozenset({name if definition.kind == "primitive-type" else type_shape(name)})

    def combined(self, operator: str, left: Kinds, right: Kinds) -> Kinds:
        if operator in _LOGIC:
            return BOOLEAN
        if operator == "&":
            return frozenset({"string"})
        return _joined([left, right]) if operator == "|" else None

    def called(self, on: Kinds, name: str, arguments: tuple[syntax.Expression, ...], focus: Kinds) -> Kinds:
        inner = [self.of(a, on if name in _EACH else focus) for a in arguments]
        if name in _SAME:
            return on
        if name == "select":
            return inner[0] if inner else None
        if name == "iif":
            return _joined(inner[1:])
        if name == "extension":
            return frozenset({type_shape("Extension")})
        return _BY_FUNCTION.get(name)


def _below(kind: Shape | str, name: str) -> Kinds:
    """What `.name` gives; nothing where there is no such element."""
    if isinstance(kind, str):
        return _below(type_shape("Element"), name) if name in _BESIDE else frozenset()
    found: set[Shape | str] = set()
    for slot in named_slots(kind, name):
        if slot.kind == "resource":
            return None
        found.add(kind.below(slot) if slot.kind == "complex" else slot.type)
    return frozenset(found)


def _called(kind: Shape | str) -> str:
    return kind if isinstance(kind, str) else kind.name


def _meant(held: Iterable[Shape | str], name: str) -> str:
    """The way to write a choice that was written as in JSON (`valueQuantity`)."""
    for kind in held:
        slot = kind.slot(name) if isinstance(kind, Shape) else None
        if slot is not None and slot.element.choice:
            return f"; 应写 {slot.step}"
    return ""
