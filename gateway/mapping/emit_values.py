"""Python text for right-hand sides and conditions. Every value ends in a local name; None is absent."""

from __future__ import annotations

from collections.abc import Callable

from gateway.mapping import plan
from gateway.mapping.emit import Writer

KEY_FORMS = {"date": "key_date", "datetime": "key_moment"}
"""Field types whose text has one form in keys (gateway/mapping/keys.py)."""
LITERAL_OPS = {"=": "==", "!=": "!="}


class ValueWriter:
    """Writes values of one map. Names: F the record's fields, r1.. rows, q0.. their raw codes, c0.. claims, l0.. lets, x a fragment's input."""

    def __init__(self, out: Writer, made: plan.MapPlan) -> None:
        self.out, self.plan = out, made

    def value(self, value: plan.Value, line: int) -> str:
        """Statements that leave the value in a name, which is returned."""
        if isinstance(value, plan.Const):
            return self.out.constant(value.value)
        if isinstance(value, plan.LetRead):
            return f"c{value.index}.reference" if value.type == "resident" else f"l{value.index}"
        if isinstance(value, plan.Read):
            row = f"r{value.depth}" if value.depth else "F"
            return self._component(self.out.once(f"{row}.get({value.field.name!r})"), value.component)
        if isinstance(value, plan.Item):
            return self._component(value.variable, value.component)
        if isinstance(value, plan.Link):
            return self.link(value)
        writers: dict[type, Callable[..., str]] = {
            plan.Applied: self._applied,
            plan.Translate: self._translate,
            plan.CodeIn: self._code_in,
            plan.AuthorityOf: self._authority,
            plan.OrElse: self._or_else,
            plan.InFragment: self._fragment,
            plan.RefTo: self._ref_to,
        }
        return writers[type(value)](value, line)

    def _component(self, whole: str, component: str) -> str:
        if not component:
            return whole
        return self.out.once(f"{whole}.get({component!r}) if type({whole}) is dict else None if {whole} is None else part({whole}, {component!r})")

    def _put(self, expression: str) -> str:
        name = self.out.fresh()
        self.out.put(f"{name} = {expression}")
        return name

    def text(self, value: plan.Value, line: int) -> str:
        """Like `value`, but a composite gives its whole text."""
        name = self.value(value, line)
        if isinstance(value, plan.Read | plan.Item) and value.type == "any":
            every = f"[whole(i) for i in {name}]" if value.many else f"whole({name})"
            return self.out.once(f"{every} if {name} is not None else None")
        if isinstance(value, plan.Applied | plan.OrElse | plan.CodeIn | plan.LetRead) and value.type not in ("text", "code", "string"):
            return self._put(f"as_text({name})")
        return name

    def _each(self, name: str, many: bool, write: Callable[[str], None]) -> str:
        """Applies `write` (which assigns its argument anew) to a value that is there, or to every value of a list."""
        if not name.startswith("v"):  # a constant, let, claim, row or shared value: not ours to assign
            name = self._put(name)
        with self.out.under(f"if {name} is not None:"):
            if not many:
                write(name)
                return name
            one, all_ = self.out.fresh(), self.out.fresh()
            self.out.put(f"{all_} = []")
            with self.out.under(f"for {one} in {name}:"):
                write(one)
                self.out.put(f"if {one} is not None: {all_}.extend({one}) if type({one}) is list else {all_}.append({one})")
            self.out.put(f"{name} = {all_} or None")
        return name

    def _applied(self, value: plan.Applied, line: int) -> str:
        function = value.function
        source = self.value(value.source, line) if function.takes == "any" else self.text_for(function.takes, value.source, line)
        args = [self.value(a, line) if t == "any" else self.text_for(t, a, line) for a, t in zip(value.args, function.args, strict=False)]
        call = self.out.named(self.out.program.functions, "f", function)

        def write(name: str) -> None:
            self.out.put(f"{name} = {call}({', '.join((name, *args))})", f"if type({name}) is Fault: {name} = fault(A, {line}, {name})")

        if function.absent:
            name = self._put(source)
            write(name)
            return name
        if value.many:
            return self._each(source, True, write)
        name = self.out.fresh()
        made = self.out.once(f"{call}({', '.join((source, *args))}) if {source} is not None else None")
        self.out.put(f"if type({name} := {made}) is Fault: {name} = fault(A, {line}, {name})")
        return name

    def text_for(self, takes: str, value: plan.Value, line: int) -> str:
        """The value as a function's parameter of this type wants it."""
        return self.text(value, line) if takes in ("text", "unit") else self.value(value, line)

    def _translate(self, value: plan.Translate, line: int) -> str:
        table = self.out.named(self.out.program.tables, "T", value)
        source = value.source
        name = self.text(source, line)
        if not isinstance(source, plan.Read) or source.many or source.component:
            raw = "None" if not isinstance(source, plan.Read) else f"(q{source.depth} or E0D).get({source.field.name!r})"

            def write(one: str) -> None:
                self.out.put(f"{one} = {table}_hit.get({one}) or {table}(A, {line}, {one}, {_raw_of(source, one, raw)})")

            return self._each(name, value.many, write)
        got = self.out.fresh()
        raw_name = self.out.once(f"None if q{source.depth} is None else q{source.depth}.get({source.field.name!r})")
        with self.out.under(f"if {raw_name} is None:"):
            self.out.put(f"{got} = None if {name} is None else {table}_hit.get({name}) or {table}(A, {line}, {name}, None)")
        with self.out.under("else:"):
            self.out.put(f"{got} = {table}_pair.get(({name}, {raw_name})) or {table}(A, {line}, {name}, {raw_name})")
        return got

    def _code_in(self, value: plan.CodeIn, line: int) -> str:
        name = self.text(value.source, line)
        if value.type == "code":
            return name
        system = self.out.constant(value.system)
        coding = f'{{"system": {system}, "code": %s}}'
        made = coding if value.type == "Coding" else f'{{"coding": [{coding}]}}'
        return self._each(name, value.many, lambda one: self.out.put(f"{one} = {made % one}"))

    def _authority(self, value: plan.AuthorityOf, line: int) -> str:
        if value.source is None:
            return "AUTHORITY"
        return self._put(f"authority_of({self.text(value.source, line)})")

    def _or_else(self, value: plan.OrElse, line: int) -> str:
        name = self._put(self.value(value.source, line))
        with self.out.under(f"if {name} is None:"):
            self.out.put(f"{name} = {self.value(value.other, line)}")
        return name

    def _fragment(self, value: plan.InFragment, line: int) -> str:
        source = self.value(value.source, line)
        trace = ", T" if self.out.explain else ""
        return self._each(source, value.many, lambda one: self.out.put(f"{one} = frag_{value.fragment}({one}, A, {line}{trace})"))

    def _ref_to(self, value: plan.RefTo, line: int) -> str:
        parts, missing = self.parts(value.parts, line)
        made = self.out.named(self.out.program.keyed, "ref", ("ref", value.target, value.namespace))
        return self.out.once(f"{made}({parts}) if {missing} else None" if missing else f"{made}({parts})")

    def parts(self, parts: tuple[plan.Value, ...], line: int) -> tuple[str, str]:
        """Python text of a key's parts as a tuple, and the condition that all that must be there are."""
        names, needed = [], []
        for part in parts:
            name = self.text(part, line)
            form = KEY_FORMS.get(part.field.type) if isinstance(part, plan.Read | plan.Item) and part.field is not None and not part.many else None
            if form is not None:
                name = self.out.once(f"{form}({name}) if {name} is not None else None")
            optional = isinstance(part, plan.Read) and part.field.required == "optional-key"
            if isinstance(part, plan.Const):
                names.append(repr(str(part.value)))
            elif optional:
                names.append(f"({name} or '')")
            else:
                names.append(name)
                needed.append(f"{name} is not None")
        return f"({', '.join(names)},)", " and ".join(needed)

    def link(self, value: plan.Link) -> str:
        """Reference of a block: a dict, None, or for inner rows a list that holds False for what was lost."""
        target = self.plan.block(value.block)
        if target.type == "Patient":
            return f"c{target.resident}.reference"
        levels, at = len(target.chain), value.depth
        rows = [f"i{n}" for n in range(1, at + 1)]
        if value.how == "same":
            if levels == 0:
                return f"R{target.index}"
            if levels == 1:
                return self._put(f"at(R{target.index}, {rows[0]})")
            return self._put(f"at(R{target.index}.get({_tuple(rows[:-1])}), {rows[-1]})")
        if levels == 1:
            return f"R{target.index}"
        if at == levels - 1:
            return self._put(f"R{target.index}.get({_tuple(rows)}, E0)")
        return self._put(f"below(R{target.index}, {_tuple(rows)})")

    def condition(self, cond: plan.Condition, line: int) -> str:
        """Python text of a condition; reads are put before it."""
        if isinstance(cond, plan.Not):
            return f"not ({self.condition(cond.part, line)})"
        if isinstance(cond, plan.All | plan.Either):
            word = " and " if isinstance(cond, plan.All) else " or "
            return "(" + word.join(self.condition(p, line) for p in cond.parts) + ")"
        return self._compare(cond, line)

    def _compare(self, cond: plan.Compare, line: int) -> str:
        source = cond.source
        name = self.value(source, line) if cond.op == "present" else self.text(source, line)
        if cond.op == "present":
            return f"{name} is not None" if not isinstance(source, plan.Link) else f"bool({name})"
        values = [self.text(v, line) if not isinstance(v, plan.Const) else self.out.constant(v.value) for v in cond.values]
        texts = all(isinstance(v, plan.Const) and isinstance(v.value, str) for v in cond.values)
        if source.many:
            return f"any_is({name}, {cond.op!r}, ({', '.join(values)},))"
        if texts and cond.op in LITERAL_OPS:
            test = f"{name} {LITERAL_OPS[cond.op]} {values[0]}"
            return test if cond.op == "=" else f"({name} is not None and {test})"
        if texts and cond.op in ("in", "not in"):
            return f"({name} is not None and {name} {cond.op} {_tuple(values)})"
        return f"compare({name}, {cond.op!r}, ({', '.join(values)},))"


def _raw_of(source: plan.Value, one: str, raw: str) -> str:
    """The sender's own code of one value of a repeating field: its `@raw` is a dict national -> raw there."""
    if not isinstance(source, plan.Read):
        return "None"
    return f"raw_of({raw}, {one})" if source.many else raw


def _tuple(parts: list[str]) -> str:
    return f"({', '.join(parts)},)" if parts else "()"
