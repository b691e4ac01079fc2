"""Right-hand sides resolved: fields, built-in forms, functions and fragments, with the type that comes out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gateway.mapping import model, plan
from gateway.mapping.fields import Field, Group
from gateway.mapping.functions import Function
from gateway.mapping.model import Fault, Place
from gateway.mapping.scope import Scope
from gateway.terminology.tables import Terms, nearest

CODED = ("CodeableConcept", "Coding", "code")
BUILTIN_ATOMS = ("key", "person", "ref", "code", "system", "profile", "authority")
BUILTIN_PIPES = ("table", "code_in", "authority", "or_else")


class Unresolved(Exception):
    """A value that cannot be resolved; its fault has been recorded."""


class Values:
    """Resolves expressions of one map. `line` is the LineInfo that fields and functions are noted in."""

    def __init__(self, made: plan.MapPlan, terms: Terms, functions: dict[str, Function], profiles: frozenset[str], faults: list[Fault]) -> None:
        self.plan, self.terms, self.functions, self.profiles, self.faults = made, terms, functions, profiles, faults
        self.block_names: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {}  # name -> (type, chain)
        self.line = plan.LineInfo(Place("", 0, 0), "", "")

    def wrong(self, place: Place, code: str, message: str, expected: str = "", step: str = "") -> Unresolved:
        """Records a fault; raise what it returns."""
        self.faults.append(Fault(place, code, message, expected, step))
        return Unresolved(code)

    def value(self, expr: model.Expr, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        """The resolved value; slot tells what the element asks for. Raises Unresolved after recording the fault."""
        if isinstance(expr, model.Literal):
            number = isinstance(expr.value, Decimal)
            return plan.Const(
                "decimal" if number else "text", False, expr.place, _number(expr.value) if isinstance(expr.value, Decimal) else expr.value
            )
        if isinstance(expr, model.Ref):
            return self.ref(expr, scope)
        if isinstance(expr, model.Call):
            return self._atom(expr, scope, slot)
        found = self.value(expr.source, scope, None)
        for call in expr.calls:
            found = self._pipe(found, call, scope, slot)
        return found

    def ref(self, ref: model.Ref, scope: Scope) -> plan.Value:
        """A field, alias, let or block."""
        first, rest = ref.parts[0], ref.parts[1:]
        if first.startswith("$"):
            return self._input(ref, scope)
        alias = scope.alias(first)
        if alias is not None and alias.group is not None:
            if not rest:
                return plan.Item("row", False, ref.place, f"r{alias.depth}", None, "")
            return self._field(ref, alias.group, alias.depth, rest[0], rest[1:], scope)
        if alias is not None and alias.field is not None:
            self._use(alias.field, ".".join(rest))
            return plan.Item(_type(alias.field, rest), False, ref.place, f"r{alias.depth}", alias.field, ".".join(rest))
        for let in self.plan.lets:
            if let.name == first and not rest:
                let.used = True
                self._copy_reads(let.line)
                return plan.LetRead(let.value.type, let.value.many, ref.place, let.index)
        if first in self.block_names and not rest:
            return self._link(ref, scope)
        if first == "authority" and not rest:
            return plan.AuthorityOf("uri", False, ref.place, None)
        return self._field(ref, scope.top, 0, first, rest, scope)

    def _field(self, ref: model.Ref, group: Group, depth: int, name: str, rest: tuple[str, ...], scope: Scope) -> plan.Value:
        found = group.fields.get(name)
        if found is None:
            known = list(group.fields) if depth else [*scope.names(), *(let.name for let in self.plan.lets), *self.block_names]
            if name in group.groups:
                raise self.wrong(ref.place, "group-as-value", f"{ref.text} 是一个组, 不是字段", "组里的字段", f"用 each {ref.text} as 名称 展开它")
            raise self.wrong(
                ref.place,
                "unknown-field",
                f"没有字段 {ref.text}{nearest(name, known)}",
                f"{self.plan.dataset.folder}/fields.csv 里的字段",
                "改正字段名, 或在 fields.csv 里加上它",
            )
        if rest and not found.composite:
            raise self.wrong(ref.place, "not-composite", f"{found.name} 没有分量, 不能写 {ref.text}", "字段名本身", f"写作 {found.name}")
        self._use(found, ".".join(rest))
        return plan.Read(_type(found, rest), found.repeats and not rest, ref.place, found, depth, ".".join(rest))

    def _use(self, found: Field, component: str) -> None:
        self.plan.used.add((found.path, component))
        if found not in self.line.fields:
            self.line.fields.append(found)
        self.line.constant = False

    def _copy_reads(self, line: int) -> None:
        info = self.plan.lines[line]
        self.line.fields += [f for f in info.fields if f not in self.line.fields]
        self.line.functions += info.functions
        self.line.constant = self.line.constant and info.constant

    def _input(self, ref: model.Ref, scope: Scope) -> plan.Value:
        if not scope.fragment:
            raise self.wrong(ref.place, "input-outside", f"{ref.text} 只能写在 fragment 里面", "字段名", "改成字段名")
        self.line.constant = False
        component = ".".join((ref.parts[0][1:], *ref.parts[1:]))
        return plan.Item("any" if component == "0" else "text", False, ref.place, "x", None, "" if component == "0" else component)

    def _link(self, ref: model.Ref, scope: Scope) -> plan.Value:
        name = ref.parts[0]
        _, chain = self.block_names[name]
        self.line.constant = False
        if chain == scope.rows[: len(chain)]:
            return plan.Link("Reference", False, ref.place, name, "same", len(chain))
        if scope.rows == chain[: len(scope.rows)]:
            return plan.Link("Reference", True, ref.place, name, "inner", len(scope.rows))
        if scope.chain == chain[: len(scope.chain)]:
            return plan.Link("Reference", True, ref.place, name, "inner", len(scope.chain))
        raise self.wrong(
            ref.place,
            "block-out-of-reach",
            f"从这里够不到块 {name}: 它按另一个组重复",
            "同一组、外层组、内层组的块, 或不重复的块",
            "把块写到同一个组里, 或改用 ref(...)",
        )

    def _atom(self, call: model.Call, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        builtin: dict[str, Callable[[model.Call, Scope, plan.Slot | None], plan.Value]] = {
            "person": self._person,
            "ref": self._ref_to,
            "code": self._code,
            "system": self._system,
            "profile": self._profile,
        }
        if call.name in builtin:
            return builtin[call.name](call, scope, slot)
        if call.name == "key":
            raise self.wrong(
                call.place,
                "key-misplaced",
                "key(...) 只能写作 identifier = key(...) 或 id = key(...)",
                "资源块的 identifier 行",
                "移到块的 identifier 行",
            )
        if call.name in self.functions and call.args:
            source = self.value(call.args[0], scope, None)
            return self._pipe(source, model.Call(call.name, call.args[1:], call.place), scope, slot)
        raise self._unknown_function(call)

    def _unknown_function(self, call: model.Call) -> Unresolved:
        known = [*self.functions, *BUILTIN_ATOMS, *BUILTIN_PIPES, *self.plan.fragments]
        return self.wrong(
            call.place, "unknown-function", f"没有函数 {call.name}{nearest(call.name, known)}", "docs/mapping-guide.md 里列出的函数", "改正函数名"
        )

    def _pipe(self, source: plan.Value, call: model.Call, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        if call.name in self.plan.fragments:
            self._arity(call, 0, 0)
            fragment = self.plan.fragments[call.name]
            fragment.used = True
            self._use_fragment(fragment, source)
            return plan.InFragment(fragment.type, source.many, call.place, fragment.name, source)
        self.line.functions.append(call.name)
        if call.name == "table":
            return self._table(source, call, slot)
        if call.name == "code_in":
            self._arity(call, 1, 1)
            system = self._named(call, 0, self.terms.code_systems, "unknown-codesystem", "codesystems.csv 里没有代码系统")
            return plan.CodeIn(_coded(slot), source.many, call.place, system, source)
        if call.name == "authority":
            self._arity(call, 0, 0)
            return plan.AuthorityOf("uri", source.many, call.place, source)
        if call.name == "or_else":
            self._arity(call, 1, 1)
            other = self.value(call.args[0], scope, slot)
            return plan.OrElse(source.type if source.type == other.type else "any", source.many or other.many, call.place, source, other)
        function = self.functions.get(call.name)
        if function is None:
            raise self._unknown_function(call)
        self._arity(call, len(function.args) - function.optional, len(function.args))
        args = tuple(self.value(a, scope, None) for a in call.args)
        return plan.Applied(function.gives, source.many and function.takes != "any", call.place, function, source, args)

    def _use_fragment(self, fragment: plan.FragmentPlan, source: plan.Value) -> None:
        """Notes the components that the fragment reads of the field that it is applied to."""
        if isinstance(source, plan.Read | plan.Item) and source.field is not None:
            prefix = f"{source.component}." if source.component else ""
            for component in _components(fragment.body):
                self.plan.used.add((source.field.path, prefix + component))

    def _table(self, source: plan.Value, call: model.Call, slot: plan.Slot | None) -> plan.Value:
        self._arity(call, 1, 1)
        name = self._text(call, 0)
        if name not in self.terms.tables:
            raise self.wrong(
                call.args[0].place,
                "unknown-table",
                f"没有对照表 {name}{nearest(name, self.terms.tables)}",
                f"mappings/tables/{name}.csv",
                "改正表名, 或加上这张表",
            )
        wanted = _coded(slot)
        binding = slot.element.binding if slot else None
        made = plan.Translate(
            wanted, source.many, call.place, name, source, wanted == "code" or (binding is not None and binding.strength == "required")
        )
        self.plan.tables.setdefault(name, []).append(made)
        return made

    def _person(self, call: model.Call, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        parts = tuple(self.value(a, scope, None) for a in call.args)
        for part in parts:
            if not isinstance(part, plan.Read) or not part.field.identifier:
                raise self.wrong(
                    part.place,
                    "not-an-identifier",
                    "person(...) 里的字段没有写明是哪一种号码",
                    "fields.csv 的 identifier 列: 号码名、local:名称 或 @cx",
                    "在 fields.csv 里补上 identifier 列",
                )
        if not parts:
            raise self.wrong(call.place, "arguments", "person() 没有参数", "至少一个号码字段", "写上号码字段")
        return plan.Person("resident", False, call.place, parts)

    def _ref_to(self, call: model.Call, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        self._arity(call, 3, None)
        parts = tuple(self.value(a, scope, None) for a in call.args[2:])
        return plan.RefTo("Reference", False, call.place, self._text(call, 0), self._text(call, 1), parts)

    def _code(self, call: model.Call, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        self._arity(call, 2, 3)
        system = self._named(call, 0, self.terms.code_systems, "unknown-codesystem", "codesystems.csv 里没有代码系统")
        code, wanted = self._text(call, 1), _coded(slot)
        display = self._text(call, 2) if len(call.args) == 3 else self.terms.display(system, code)
        coding = {"system": system, "code": code} | ({"display": display} if display else {})
        made: Any = {"CodeableConcept": {"coding": [coding]}, "Coding": coding, "code": code}[wanted]
        return plan.Const(wanted, False, call.place, made)

    def _system(self, call: model.Call, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        self._arity(call, 1, 1)
        known = {name: i.system for name, i in self.terms.identifiers.items()}
        return plan.Const("uri", False, call.place, self._named(call, 0, known, "unknown-identifier", "identifiers.csv 里没有号码"))

    def _profile(self, call: model.Call, scope: Scope, slot: plan.Slot | None) -> plan.Value:
        self._arity(call, 1, 1)
        name = self._text(call, 0)
        if name not in self.profiles:
            raise self.wrong(
                call.args[0].place,
                "unknown-profile",
                f"没有规范 {name}{nearest(name, self.profiles)}",
                "profiles/ 里的 StructureDefinition",
                "改正名称",
            )
        return plan.Const("canonical", False, call.place, f"{{base}}/StructureDefinition/{name}")

    def _named(self, call: model.Call, at: int, known: dict[str, str], code: str, message: str) -> str:
        name = self._text(call, at)
        if name not in known:
            raise self.wrong(call.args[at].place, code, f"{message} {name}{nearest(name, known)}", "表里已有的名称", "改正名称, 或在表里加上它")
        return known[name]

    def _text(self, call: model.Call, at: int) -> str:
        arg = call.args[at]
        if not isinstance(arg, model.Literal) or not isinstance(arg.value, str):
            raise self.wrong(arg.place, "not-a-literal", f"{call.name} 的第 {at + 1} 个参数要在这里写明", "引号里的文字", "改成引号里的文字")
        return arg.value

    def _arity(self, call: model.Call, least: int, most: int | None) -> None:
        given = len(call.args)
        if given < least or (most is not None and given > most):
            span = f"{least}" if most == least else f"{least} 个以上" if most is None else f"{least} 到 {most}"
            raise self.wrong(call.place, "arguments", f"{call.name} 写了 {given} 个参数", f"{span} 个参数", "补上或删去参数")


def _number(value: Decimal) -> int | Decimal:
    return int(value) if value == value.to_integral_value() and "." not in str(value) else value


def _type(found: Field, rest: tuple[str, ...]) -> str:
    return "any" if found.composite and not rest else "text"


def _coded(slot: plan.Slot | None) -> str:
    """Which coded type the element asks for; CodeableConcept where nothing says so."""
    if slot is None:
        return "CodeableConcept"
    if slot.open:
        return next((t for t in CODED if t in slot.element.types), "CodeableConcept")
    return slot.type if slot.type in CODED else "code" if slot.type in ("string", "uri", "id") else "CodeableConcept"


def _components(body: plan.Body) -> set[str]:
    """Components of its input that a fragment's body reads."""
    found: set[str] = set()
    for entry in body.entries:
        if isinstance(entry, plan.Sub):
            found |= _components(entry.body)
        elif isinstance(entry, plan.Set):
            found |= {v.component for v in walk(entry.value) if isinstance(v, plan.Item) and v.variable == "x"}
    return found


def walk(value: plan.Value) -> list[plan.Value]:
    """The value and all it is made of."""
    inner: list[plan.Value] = []
    for name in ("source", "other"):
        part = getattr(value, name, None)
        if isinstance(part, plan.Value):
            inner += walk(part)
    for name in ("args", "parts"):
        for part in getattr(value, name, ()):
            inner += walk(part)
    return [value, *inner]
