"""Syntax tree to plan: every name looked up, every path found in R4, dotted lines gathered into elements. Collects faults, never stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.fhir.elements import R4, Element
from gateway.fhir.profiles import Profile as ProfileRules
from gateway.mapping import model, plan
from gateway.mapping.fields import Dataset, Field, Group
from gateway.mapping.functions import Function
from gateway.mapping.model import Fault, Place
from gateway.mapping.scope import Alias, Scope
from gateway.mapping.values import Unresolved, Values
from gateway.terminology.tables import Terms, nearest


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What maps are resolved against."""

    r4: R4
    terms: Terms
    functions: dict[str, Function]
    profiles: Mapping[str, ProfileRules]


def resolve(tree: model.MapTree, dataset: Dataset, known: Knowledge, faults: list[Fault]) -> plan.MapPlan:
    """The plan of a map; lines with a fault are left out of it."""
    return _Resolver(tree, dataset, known, faults).whole()


class _Resolver:
    def __init__(self, tree: model.MapTree, dataset: Dataset, known: Knowledge, faults: list[Fault]) -> None:
        self.tree, self.dataset, self.known, self.faults = tree, dataset, known, faults
        self.plan = plan.MapPlan(tree.name, tree.file, dataset)
        self.values = Values(self.plan, known.terms, known.functions, frozenset(known.profiles), faults)
        self.block = ""

    def fault(self, place: Place, code: str, message: str, expected: str = "", step: str = "") -> None:
        """Records a fault."""
        self.faults.append(Fault(place, code, message, expected, step))

    def whole(self) -> plan.MapPlan:
        """Ignores, lets, fragments, then blocks."""
        scope = Scope(self.dataset.top)
        self._ignores()
        self._names(self.tree.blocks, scope)
        for let in self.tree.lets:
            self._let(let, scope)
        for fragment in self.tree.fragments:
            self._declare(fragment)
        for fragment in self.tree.fragments:
            if fragment.name in self.plan.fragments and self.plan.fragments[fragment.name].place == fragment.place:
                made = self.plan.fragments[fragment.name]
                self.block = fragment.name
                self._fill(made.body, fragment.items, Scope(Group("", ()), (), (), 0, True), None)
        for block in self.tree.blocks:
            self._block(block, scope, None)
        return self.plan

    def _ignores(self) -> None:
        named: dict[tuple[str, ...], dict[str, Field]] = {}  # by name (`组.字段`, or a bare name at the top), by group, by HL7 v2 segment
        for f in self.dataset.all_fields() if self.tree.ignores else ():
            path = (*f.group, f.name)
            for n in range(1, len(path) + 1):
                named.setdefault(path[:n], {})[f.path] = f
            if "-" in f.name:
                named.setdefault((f.name.split("-")[0],), {})[f.path] = f
        for ignore in self.tree.ignores:
            for ref in ignore.refs:
                found = named.get(tuple(ref.parts))
                if not found:
                    known = [f.name for f in self.dataset.all_fields()]
                    self.fault(
                        ref.place, "unknown-field", f"没有字段 {ref.text}{nearest(ref.parts[-1], known)}", "fields.csv 里的字段、组或段", "改正或删去"
                    )
                for place in found or ():
                    self.plan.ignored[place] = ignore.reason

    def _names(self, items: list[model.Block], scope: Scope) -> None:
        """Block names with their chains, before any line refers to them."""
        for block in items:
            inner = scope
            if block.each is not None:
                rows = self._rows(block.each, scope, quiet=True)
                inner = scope.within(rows[1], rows[0].path, True) if rows else scope
            if block.name in self.values.block_names:
                self.fault(block.place, "block-twice", f"块名 {block.name} 用了两次", "每个块一个名称", "给其中一个改名")
            self.values.block_names[block.name] = (block.type, inner.chain)
            self._names([i for i in block.items if isinstance(i, model.Block)], inner)

    def _rows(self, each: model.Each, scope: Scope, quiet: bool = False) -> tuple[plan.Rows, Alias] | None:
        """The rows of an `each` and the alias it gives; None with a fault when it repeats nothing."""
        group, depth, parts = scope.top, 0, each.ref.parts
        alias = scope.alias(parts[0])
        if alias is not None and alias.group is not None and len(parts) > 1:
            group, depth, parts = alias.group, alias.depth, parts[1:]
        name = parts[0]
        made_depth = scope.depth + 1
        if scope.alias(each.name) is not None and not quiet:
            self.fault(each.place, "alias-twice", f"名称 {each.name} 在外层已经用了", "另一个名称", "换一个名称")
        if len(parts) == 1 and name in group.groups:
            inner = group.groups[name]
            source: plan.Value = plan.Item("row", True, each.place, f"r{depth}", None, name)
            rows = plan.Rows(source, inner.path, f"r{made_depth}", True, each.place)
            return rows, Alias(each.name, made_depth, inner, None)
        found = group.fields.get(name) if len(parts) == 1 else None
        if found is not None and found.repeats:
            if not quiet:
                self.plan.used.add((found.path, ""))
            source = plan.Read("any", True, each.place, found, depth, "")
            path = (*found.group, found.name)
            rows = plan.Rows(source, path, f"r{made_depth}", False, each.place)
            return rows, Alias(each.name, made_depth, None, found)
        if not quiet:
            known = [*group.groups, *(f.name for f in group.fields.values() if f.repeats)]
            message = f"{each.ref.text} 不重复, 不能 each" if found is not None else f"没有组 {each.ref.text}{nearest(name, known)}"
            self.fault(each.ref.place, "each", message, "重复的组, 或 repeats=yes 的字段", "改正名称, 或在 fields.csv 里写明 repeats")
        return None

    def _line(self, place: Place, target: str) -> int:
        self.plan.lines.append(plan.LineInfo(place, target, self.block))
        self.values.line = self.plan.lines[-1]
        return len(self.plan.lines) - 1

    def _let(self, let: model.Let, scope: Scope) -> None:
        if any(known.name == let.name for known in self.plan.lets):
            self.fault(let.place, "let-twice", f"{let.name} 已经有值", "每个名称只写一次", "换一个名称, 或删去这一行")
            return
        line = self._line(let.place, let.name)
        try:
            value = self.values.value(let.expr, scope, None)
        except Unresolved:
            value = plan.Const("any", False, let.place, None)
        self.plan.lets.append(plan.LetPlan(len(self.plan.lets), let.name, value, line, let.place))

    def _declare(self, fragment: model.Fragment) -> None:
        definition = self.known.r4.types.get(fragment.gives)
        if definition is None or definition.kind != "complex-type":
            self.fault(
                fragment.place, "unknown-type", f"{fragment.gives} 不是 FHIR R4 数据类型", "如 Address、HumanName、ContactPoint", "改正 -> 后面的类型"
            )
            return
        if fragment.name in self.plan.fragments:
            self.fault(fragment.place, "fragment-twice", f"片段 {fragment.name} 写了两次", "每个片段一个名称", "删去其中一个")
            return
        body = plan.Body(fragment.gives, definition.elements, fragment.name)
        self.plan.fragments[fragment.name] = plan.FragmentPlan(fragment.name, fragment.takes, fragment.gives, body, fragment.place)

    def _block(self, block: model.Block, scope: Scope, parent: plan.BlockPlan | None) -> plan.BlockPlan | None:
        if not self.known.r4.is_resource(block.type):
            known = self.known.r4.resource_types()
            self.fault(block.place, "unknown-type", f"{block.type} 不是 FHIR R4 资源{nearest(block.type, known)}", "FHIR R4 资源类型", "改正资源类型")
            return None
        self.block = block.name
        line = self._line(block.place, block.type)
        rows, inner = None, scope
        if block.each is not None:
            found = self._rows(block.each, scope)
            if found is None:
                return None
            rows, inner = found[0], scope.within(found[1], found[0].path, True)
        body = plan.Body(block.type, self.known.r4.types[block.type].elements, block.type)
        made = plan.BlockPlan(
            len(self.plan.all_blocks),
            block.type,
            block.name,
            rows,
            inner.chain,
            block.compose,
            None,
            None,
            body,
            None,
            None,
            [],
            line,
            block.place,
            parent,
        )
        self.plan.all_blocks.append(made)
        if parent is None:
            self.plan.blocks.append(made)
        made.when = self._condition(block.when, inner)
        if block.by is not None:
            try:
                made.by = self.values.ref(block.by, inner)
            except Unresolved:
                made.by = None
        if block.type == "Patient":
            made.resident = self._resident(block)
        self._fill(body, block.items, inner, made)
        self.block = parent.name if parent else ""
        if parent is not None:
            parent.body.entries.append(made)
        return made

    def _resident(self, block: model.Block) -> int | None:
        """The person(...) let that a Patient block is about: named by `id = NAME`, else the first one."""
        lets = [let for let in self.plan.lets if isinstance(let.value, plan.Person)]
        named = [i.expr.text for i in block.items if isinstance(i, model.Assign) and i.path == ("id",) and isinstance(i.expr, model.Ref)]
        for let in lets:
            if not named or let.name == named[0]:
                let.used = True
                return let.index
        self.fault(block.place, "no-person", "Patient 块不知道是谁", "let 名称 = person(号码字段, ...)", "在 map 行下面写 let 患者 = person(...)")
        return None

    def _fill(self, body: plan.Body, items: tuple[model.Item, ...], scope: Scope, block: plan.BlockPlan | None) -> None:
        """The lines of a block (block given), element or fragment."""
        for item in items:
            if isinstance(item, model.Block):
                if block is None:
                    self.fault(item.place, "block-in-element", "资源块不能写在元素里面", "块的下一层", f"把 {item.type} {item.name} 移到块的下一层")
                else:
                    self._block(item, scope, block)
                    self.block = block.name
            elif isinstance(item, model.Assign):
                self._assign(body, item, scope, block)
            else:
                self._element(body, item, scope)

    def _element(self, body: plan.Body, item: model.Element, scope: Scope) -> None:
        place, line = item.place, self._line(item.place, f"{body.path}.{'.'.join(item.path)}")
        holder = self._holder(body, item.path[:-1], place)
        slot = self._slot(holder, item.path[-1], place) if holder else None
        if holder is None or slot is None:
            return
        rows, inner = None, scope
        if item.each is not None:
            found = self._rows(item.each, scope)
            if found is None:
                return
            rows, inner = found[0], scope.within(found[1], found[0].path, False)
        when = self._condition(item.when, inner)
        sub = plan.Sub(slot, self._body(slot), rows, when, True, line)
        if slot.open or not sub.body.elements:
            self.fault(place, "no-children", f"{slot.path} 下面不能再写元素", "这个元素的值", f"写作 {item.path[-1]} = 值")
            return
        holder.entries.append(sub)
        self._fill(sub.body, item.items, inner, None)

    def _body(self, slot: plan.Slot) -> plan.Body:
        children = {} if slot.open else dict(self.known.r4.children(slot.element, slot.type))
        return plan.Body(slot.type, children, slot.path)

    def _holder(self, body: plan.Body, path: tuple[str, ...], place: Place) -> plan.Body | None:
        """The body that the last step of a dotted path stands in; elements between are gathered, one for all lines of the body."""
        for name in path:
            slot = self._slot(body, name, place)
            if slot is None:
                return None
            sub = next((e for e in body.entries if isinstance(e, plan.Sub) and e.slot.key == slot.key and not e.explicit), None)
            if sub is None:
                whole = [e for e in body.entries if isinstance(e, plan.Set) and e.slot.key == slot.key]
                sub = plan.Sub(slot, self._body(slot), None, None, False, self.plan.lines.index(self.values.line))
                if len(whole) == 1 and not whole[0].value.many:
                    sub.base = whole[0]
                    body.entries.remove(whole[0])
                body.entries.append(sub)
            body = sub.body
            if not body.elements:
                self.fault(place, "no-children", f"{slot.path} 没有下一层元素", "这个元素的值", "去掉点号后面的部分")
                return None
        return body

    def _slot(self, body: plan.Body, name: str, place: Place) -> plan.Slot | None:
        found = body.elements.get(name)
        path = f"{body.path}.{name}"
        if found is not None and found.choice:
            return plan.Slot(found, found.stem, "", path)
        if found is not None and found.types == ("Resource",):
            self.fault(place, "not-in-r4", f"{path} 不能由映射写入", "独立的资源块", "另写一个资源块, 用块名引用它")
            return None
        hit = self.known.r4.element(body.elements, name)
        if hit is None:
            names = [n for e in body.elements.values() for n in ((e.name,) if not e.choice else (e.name, *(e.json_name(t) for t in e.types)))]
            self.fault(place, "not-in-r4", f"{body.path} 在 FHIR R4 里没有元素 {name}{nearest(name, names)}", "R4 元素名", "改正元素名")
            return None
        return plan.Slot(hit[0], name, hit[1], path)

    def _assign(self, body: plan.Body, item: model.Assign, scope: Scope, block: plan.BlockPlan | None) -> None:
        line = self._line(item.place, f"{body.path}.{'.'.join(item.path)}")
        if block is not None and len(item.path) == 1 and isinstance(item.expr, model.Call) and item.expr.name == "key":
            self._key(body, item, item.expr, scope, block, line)
            return
        if block is not None and block.type == "Patient" and item.path == ("id",):
            return
        if item.was is not None:
            self.fault(item.was.place, "was-misplaced", "was 只能写在 key(...) 后面", "identifier = key(...) was key(...)", "删去 was")
        holder = self._holder(body, item.path[:-1], item.place)
        slot = self._slot(holder, item.path[-1], item.place) if holder else None
        if holder is None or slot is None:
            return
        self.values.line = self.plan.lines[line]
        try:
            value = self.values.value(item.expr, scope, slot)
        except Unresolved:
            return
        when = self._condition(item.when, scope)
        if block is not None and item.path == ("meta", "profile") and isinstance(value, plan.Const):
            block.profiles.append(str(value.value).rsplit("/", 1)[-1])
        holder.entries.append(plan.Set(slot, value, when, line))

    def _key(self, body: plan.Body, item: model.Assign, call: model.Call, scope: Scope, block: plan.BlockPlan, line: int) -> None:
        name = item.path[0]
        slot = None if name == "id" else self._slot(body, name, item.place)
        if name not in ("id", "identifier") or (slot is None and name != "id"):
            self.fault(item.place, "key-misplaced", f"key(...) 不能写给 {name}", "identifier = key(...) 或 id = key(...)", "改成 identifier")
            return
        if block.key is not None:
            self.fault(item.place, "key-twice", f"块 {block.name} 有两个 key", "每个资源块恰好一个 key(...)", "删去其中一行")
            return
        if len(call.args) < 2 or not isinstance(call.args[0], model.Literal):
            self.fault(call.place, "arguments", "key 的参数不够", 'key("命名空间", 机构代码, 号码, ...)', "补上命名空间和号码字段")
            return
        try:
            parts = tuple(self.values.value(a, scope, None) for a in call.args[1:])
        except Unresolved:
            return
        was = key_text(item.was, scope) if item.was else ""
        former = self._former(item.was, scope) if item.was else None
        block.key = plan.Key(str(call.args[0].value), parts, slot, line, key_text(call, scope), was, item.place, former)

    def _former(self, call: model.Call, scope: Scope) -> tuple[str, tuple[plan.Value, ...]] | None:
        """Namespace and parts of `was key(...)`: the resource that stands under it is ended when the one under the new key is written."""
        if call.name != "key" or len(call.args) < 2 or not isinstance(call.args[0], model.Literal):
            self.fault(call.place, "arguments", "was 后面应是原来的 key", 'was key("命名空间", 机构代码, 号码, ...)', "照抄原来的 key(...)")
            return None
        line, self.values.line = self.values.line, plan.LineInfo(Place("", 0, 0), "", "")
        try:
            return str(call.args[0].value), tuple(self.values.value(a, scope, None) for a in call.args[1:])
        except Unresolved:
            return None
        finally:
            self.values.line = line

    def _condition(self, cond: model.Cond | None, scope: Scope) -> plan.Condition | None:
        """A condition resolved; its fields count as read, but not as sources of what the line writes."""
        line, self.values.line = self.values.line, plan.LineInfo(Place("", 0, 0), "", "")
        try:
            return self._test(cond, scope) if cond is not None else None
        finally:
            self.values.line = line

    def _test(self, cond: model.Cond, scope: Scope) -> plan.Condition | None:
        if isinstance(cond, model.Negated):
            part = self._test(cond.cond, scope)
            return plan.Not(part) if part else None
        if isinstance(cond, model.Junction):
            parts = tuple(p for p in (self._test(c, scope) for c in cond.parts) if p is not None)
            return plan.All(parts) if cond.word == "and" else plan.Either(parts)
        try:
            source = self.values.ref(cond.ref, scope)
            return plan.Compare(source, cond.op, tuple(self.values.value(v, scope, None) for v in cond.values))
        except Unresolved:
            return None


def key_text(call: model.Call, scope: Scope | None = None) -> str:
    """A key line in one spelling, to see whether a map edit changed an identity: `"htn-bp", 健康档案编号, 用药/名称`."""
    return ", ".join(_spelled(a, scope) for a in call.args)


def _spelled(expr: model.Expr, scope: Scope | None) -> str:
    if isinstance(expr, model.Literal):
        return f'"{expr.value}"'
    if isinstance(expr, model.Ref):
        alias = scope.alias(expr.parts[0]) if scope else None
        if alias is not None:
            return "/".join((*(alias.group.path if alias.group else (alias.field.path,) if alias.field else ()), *expr.parts[1:]))
        return expr.text
    if isinstance(expr, model.Call):
        return f"{expr.name}({', '.join(_spelled(a, scope) for a in expr.args)})"
    return " | ".join((_spelled(expr.source, scope), *(_spelled(c, scope) for c in expr.calls)))


__all__ = ["Element", "Knowledge", "key_text", "resolve"]
