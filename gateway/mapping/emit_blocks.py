"""Python text of a whole map: claims and lets, then the blocks row by row, references between them settled on the way.

A block that is written before what refers to it simply leaves its reference behind (`R3`: the reference, a list of them by row, or a
dict of lists for deeper rows; None = not there, False = lost). One that is referred to earlier is announced first by its key alone;
when it is lost after all, `settle` takes its reference out again. `O`: results a person let pass (RELEASED).
"""

from __future__ import annotations

from gateway.mapping import plan
from gateway.mapping.emit import Program, Writer
from gateway.mapping.emit_bodies import BodyWriter, missing_text, open_row, resident_of, rows_text, static_choice
from gateway.mapping.emit_values import ValueWriter
from gateway.mapping.values import walk


def write(made: plan.MapPlan, explain: bool) -> Program:
    """The program of a map; the explaining build also reports every element it writes to `T`."""
    return _MapWriter(made, explain).whole()


class _MapWriter:
    def __init__(self, made: plan.MapPlan, explain: bool) -> None:
        self.plan = made
        self.out = Writer(explain)
        self.values = ValueWriter(self.out, made)
        self.bodies = BodyWriter(self.out, made, self.values)
        self.forward = forward_references(made)

    def whole(self) -> Program:
        """Fragments, then `run(F, A, D, C, W, T)`: fields in; findings, drafts, claims, withheld drafts and traces appended."""
        for fragment in self.plan.fragments.values():
            self._fragment(fragment)
        with self.out.under("def run(F, A, D, C, W, T):"):
            self.out.put("q0 = F.get('@raw')", "L = None", "Z = set()", "X = F.get('@clear')", "O = F.get('@released') or E0")
            for let in self.plan.lets:
                self._let(let)
            for block in self.plan.all_blocks:
                if fixed := self._fixed_residents(block.body):
                    self.out.once(fixed)
            for block in self.plan.all_blocks:
                levels = len(block.chain)
                self.out.put(f"R{block.index} = " + ("None" if levels == 0 else "[]" if levels == 1 else "{}"))
            for block in self.plan.blocks:
                if any(b.index in self.forward for b in _tree(self.plan, block)):
                    self._announce(block)
            for block in self.plan.blocks:
                self._block(block)
            self.out.put("if L or Z: settle(D, W, L, Z, A)")
        return self.out.finish()

    def _fragment(self, fragment: plan.FragmentPlan) -> None:
        trace = ", T" if self.out.explain else ""
        with self.out.under(f"def frag_{fragment.name}(x, A, n{trace}):"):
            if self.out.explain:
                self.out.put("T = Silent")
            self.out.put("a0 = len(A)", "b = {}", "g0 = False", "q0 = None")
            self.bodies.body(fragment.body, "b", "", "g0")
            self.out.put("if len(A) != a0: complete(A, a0, n)", "return b if g0 else None")

    def _let(self, let: plan.LetPlan) -> None:
        if isinstance(let.value, plan.Person):
            person = self.out.named(self.out.program.persons, "person", let.value)
            self.out.put(f"c{let.index} = {person}(F, A, {let.line})", f"C.append(c{let.index})")
            return
        name = self.values.value(let.value, let.line)
        self.out.put(f"l{let.index} = {name}")

    def _announce(self, block: plan.BlockPlan) -> None:
        """The references of blocks that earlier blocks refer to, by key and condition alone."""

        def inside() -> None:
            if block.index in self.forward and block.type != "Patient":
                self.out.put("A0 = []")
                parts, needed = self._key_parts(block)
                made = self.out.named(self.out.program.keyed, "key", ("key", block.type, self._key(block).namespace))
                self._store(block, f"{{'reference': {block.type + '/'!r} + {made}({parts})[0]}} if {needed or 'True'} else None")
            for entry in block.body.entries:
                if isinstance(entry, plan.BlockPlan) and any(b.index in self.forward for b in _tree(self.plan, entry)):
                    self._announce(entry)

        def absent() -> None:
            if block.index in self.forward:
                self._store(block, "None")

        self._loop(block, inside, absent)

    def _loop(self, block: plan.BlockPlan, inside: object, absent: object) -> None:
        """Repeats over the block's rows and asks its condition; both arguments write statements."""
        assert callable(inside) and callable(absent)

        def asked() -> None:
            if block.when is None:
                inside()
                return
            with self.out.under(f"if {self.values.condition(block.when, block.line)}:"):
                inside()
            with self.out.under("else:"):
                absent()

        if block.rows is None:
            asked()
            return
        level, rows = len(block.chain), self.out.once(rows_text(block.rows))
        with self.out.under(f"if {rows}:"):
            if level > 1 and block.type != "Patient":
                key = ", ".join(f"i{n}" for n in range(1, level))
                self.out.put(f"Q{block.index} = R{block.index}.setdefault(({key},), [])")
            self._beforehand(block, level)
            with self.out.under(f"for i{level}, {block.rows.variable} in enumerate({rows}):"):
                open_row(self.out, block.rows)
                asked()

    def _store(self, block: plan.BlockPlan, expression: str) -> None:
        """Leaves the block's reference where others find it: every row of a repeated block leaves exactly one, in order."""
        levels = len(block.chain)
        if levels == 0:
            self.out.put(f"R{block.index} = {expression}")
        else:
            self.out.put(f"{'R' if levels == 1 else 'Q'}{block.index}.append({expression})")

    def _beforehand(self, block: plan.BlockPlan, level: int) -> None:
        """What a repeated block reads from the rows around it is read once, before it repeats."""
        for value in _values(block):
            if (isinstance(value, plan.Read) and value.depth < level) or (
                isinstance(value, plan.RefTo)
                and all(isinstance(p, plan.Const) or (isinstance(p, plan.Read) and p.depth < level and p.type != "any") for p in value.parts)
            ):
                self.values.value(value, block.line)

    def _key(self, block: plan.BlockPlan) -> plan.Key:
        assert block.key is not None  # the checker refuses a block without one
        return block.key

    def _key_parts(self, block: plan.BlockPlan) -> tuple[str, str]:
        key = self._key(block)
        return self.values.parts(key.parts, key.line)

    def _block(self, block: plan.BlockPlan) -> None:
        self._loop(block, lambda: self._inside(block), lambda: self._absent(block))

    def _absent(self, block: plan.BlockPlan) -> None:
        if block.type != "Patient" and block.index not in self.forward:
            self._store(block, "None")

    def _inside(self, block: plan.BlockPlan) -> None:
        nested = [e for e in block.body.entries if isinstance(e, plan.BlockPlan)]
        if nested:
            self.out.put(f"D{block.index} = D", "D = []")
            for inner in nested:
                self._block(inner)
            self.out.put(f"D, N{block.index} = D{block.index}, D")
        if block.type == "Patient":
            self._patient(block)
        else:
            self._keyed(block)
        if nested:
            self.out.put(f"D.extend(N{block.index})")

    def _patient(self, block: plan.BlockPlan) -> None:
        self.out.put("b = {'resourceType': 'Patient'}", "g = False")
        self._mark()
        self.bodies.lossy = self.bodies.partial = ""
        self._open_residents(block)
        self.bodies.body(block.body, "b", "", "g")
        test = missing_text(block.body, "b")
        with self.out.under("if g:"):
            self._draft(block, "''", f"c{block.resident}" if block.resident is not None else "None")
        if test:
            self.out.put(f"if {test}: missing(A, {block.line}, b, {[e.name for e in block.body.elements.values() if e.min]!r})")

    def _keyed(self, block: plan.BlockPlan) -> None:
        out, key = self.out, self._key(block)
        parts, needed = self._key_parts(block)
        made = out.named(out.program.keyed, "key", ("key", block.type, key.namespace))
        if needed:
            with out.under(f"if not ({needed}):"):
                out.put(f"no_key(A, {key.line}, {parts})")
                self._lost(block, "")
            with out.under("else:"):
                self._write(block, made, parts)
        else:
            self._write(block, made, parts)

    def _write(self, block: plan.BlockPlan, made: str, parts: str) -> None:
        out, key = self.out, self._key(block)
        head = f"b = {{'resourceType': {block.type!r}"
        out.put(f"k, w = {made}({parts})")
        self._mark()
        identifier = f"{{'system': {made}_system, 'value': w}}"
        if key.slot is None:
            out.put(head + "}")
        else:
            out.put(head + f", 'identifier': {f'[{identifier}]' if key.slot.many else identifier}}}")
            if out.explain:
                reads = [self.bodies.reads(p) for p in key.parts]
                where = "identifier[0]" if key.slot.many else "identifier"
                out.put(f"T.add({key.line}, {where!r}, b['identifier'], ({'+'.join(reads)}))")
        self.bodies.lossy = "z = True" if block.type == "Observation" else ""
        self.bodies.partial = "p = True" if block.type == "DiagnosticReport" else ""
        self._open_residents(block)
        if self.bodies.lossy:
            out.put("z = False")
        if self.bodies.partial:
            out.put("p = False")
        self.bodies.body(block.body, "b", "", "")
        missing = missing_text(block.body, "b")
        if missing:
            with out.under(f"if {missing}:"):
                out.put(f"missing(A, {block.line}, b, {out.constant([e.name for e in block.body.elements.values() if e.min])})")
                self._lost(block, "k")
            with out.under("else:"):
                self._close(block)
        else:
            self._close(block)

    def _close(self, block: plan.BlockPlan) -> None:
        """The finished body becomes a draft, or is withheld when its row or its value is beyond possible limits."""
        out = self.out
        reasons = [f"'@held' in r{n}" for n in self._held_levels(block)]
        if _limited(block):
            reasons.append(f"limits(A, {block.line}, b)")
        if reasons:
            with out.under(f"if ({' or '.join(reasons)}) and {block.type + '/'!r} + k not in O:"):
                self._draft(block, "k", "None", "W")
                self._lost(block, "k")
            with out.under("else:"):
                self._keep(block)
        else:
            self._keep(block)

    def _keep(self, block: plan.BlockPlan) -> None:
        if self.bodies.partial:
            self.out.put("if p and b.get('status') in FINAL: b['status'] = 'partial'")
        if self.bodies.lossy:
            self.out.put("if z: Z.add('Observation/' + k)")
        self._draft(block, "k", "None")
        if block.index not in self.forward:
            self._store(block, f"{{'reference': {block.type + '/'!r} + k}}")

    def _held_levels(self, block: plan.BlockPlan) -> list[int]:
        """Depths of the rows around the block whose group has limits."""
        levels = []
        dataset = self.plan.dataset
        for depth, path in enumerate(block.chain, 1):
            group = dataset.group(path)
            if group is not None and any(f.limits for f in group.fields.values()):
                levels.append(depth)
        return levels

    def _draft(self, block: plan.BlockPlan, id_: str, person: str, into: str = "D") -> None:
        by = "''"
        if block.by is not None:
            by = f"({self.values.text(block.by, block.line)} or '')"
        clears = self._clears(block)
        clear = f"clears({self.out.constant(clears)}, F) if X else ()" if clears else "()"
        fixed = self._fixed_residents(block.body)
        resident = self.out.once(fixed) if fixed else "tuple(PP)" if self._residents(block.body) else "()"
        partial = "p" if self.bodies.partial else "False"
        former = f", {self._former(block.key)}" if block.key is not None and block.key.former is not None else ""
        told = f"{block.compose!r}, {by}, {person}, {resident}, {partial}, {clear}{former}"
        self.out.put(f"{into}.append(Draft({block.type!r}, {block.name!r}, {id_}, b, {told}))")
        if self.out.explain:
            self.out.put(f"T.close(tb, {block.name!r}, {block.type!r}, {id_})")

    def _former(self, key: plan.Key) -> str:
        """Python text of the id that the resource had under the key named by `was`, as a tuple; empty where that key is incomplete."""
        assert key.former is not None
        namespace, values = key.former
        parts, needed = self.values.parts(values, key.line)
        block = next(b for b in self.plan.all_blocks if b.key is key)
        made = self.out.named(self.out.program.keyed, "key", ("key", block.type, namespace))
        return f"({made}({parts})[0],) if {needed or 'True'} else ()"

    def _mark(self) -> None:
        if self.out.explain:
            self.out.put("tb = T.mark()")

    def _lost(self, block: plan.BlockPlan, id_: str) -> None:
        if block.index in self.forward:
            if id_:
                self.out.put(f"L = (L or set()) | {{{block.type + '/'!r} + {id_}}}")
        else:
            self._store(block, "False")
        if self.out.explain and id_:
            self.out.put("T.cut(tb)")

    def _open_residents(self, block: plan.BlockPlan) -> None:
        """Where the paths of Patient references depend on the record, a list collects them."""
        collects = self._residents(block.body) and not self._fixed_residents(block.body)
        self.bodies.residents = "PP" if collects else ""
        if collects:
            self.out.put("PP = []")

    def _fixed_residents(self, body: plan.Body) -> str:
        """Python text of the Patient references of a block, when each stands at one place in any case; else empty."""
        found = []
        for entry in body.entries:
            if isinstance(entry, plan.Sub) and self._residents(entry.body):
                return ""
            if isinstance(entry, plan.Set) and (claim := resident_of(self.plan, entry.value)) is not None:
                if entry.when is not None or not isinstance(entry.value, plan.LetRead):
                    return ""
                found.append(f"({static_choice(entry.slot, entry.value)!r}, c{claim})")
        return f"({', '.join(found)},)" if found else ""

    def _residents(self, body: plan.Body) -> bool:
        for entry in body.entries:
            if isinstance(entry, plan.Set) and resident_of(self.plan, entry.value) is not None:
                return True
            if isinstance(entry, plan.Sub) and self._residents(entry.body):
                return True
        return False

    def _clears(self, block: plan.BlockPlan) -> list[tuple[str, str]]:
        """(field name, element) of top-level fields whose emptying clears an element; message-shaped datasets only."""
        if not self.plan.dataset.message_shaped:
            return []
        found: list[tuple[str, str]] = []
        for entry in block.body.entries:
            if isinstance(entry, plan.Set):
                found += [(v.field.name, entry.slot.key) for v in walk(entry.value) if isinstance(v, plan.Read) and v.depth == 0]
            elif isinstance(entry, plan.Sub):
                if entry.rows is not None and isinstance(entry.rows.source, plan.Read) and entry.rows.source.depth == 0:
                    found.append((entry.rows.source.field.name, entry.slot.key))
                elif not entry.explicit:
                    sets = [e for e in entry.body.entries if isinstance(e, plan.Set)]
                    found += [(v.field.name, f"{entry.slot.key}.{e.slot.key}") for e in sets for v in walk(e.value) if isinstance(v, plan.Read)]
        return sorted(set(found))


def forward_references(made: plan.MapPlan) -> set[int]:
    """Indexes of blocks that something written before them refers to. Written order: nested blocks before their parent."""
    order: dict[int, int] = {}

    def number(block: plan.BlockPlan) -> None:
        for entry in block.body.entries:
            if isinstance(entry, plan.BlockPlan):
                number(entry)
        order[block.index] = len(order)

    for block in made.blocks:
        number(block)
    found = set()
    for block in made.all_blocks:
        for link in _links(block.body):
            target = made.block(link.block)
            if order[target.index] >= order[block.index]:
                found.add(target.index)
    return found


def _links(body: plan.Body) -> list[plan.Link]:
    found: list[plan.Link] = []
    for entry in body.entries:
        if isinstance(entry, plan.Set):
            found += [v for v in walk(entry.value) if isinstance(v, plan.Link)]
        elif isinstance(entry, plan.Sub):
            found += _links(entry.body) + ([v for v in walk(entry.base.value) if isinstance(v, plan.Link)] if entry.base else [])
    return found


def _values(block: plan.BlockPlan) -> list[plan.Value]:
    """Every value of a block, the key's and those of blocks inside it among them; conditions not."""
    found: list[plan.Value] = [v for p in (block.key.parts if block.key else ()) for v in walk(p)]

    def inside(body: plan.Body) -> None:
        for entry in body.entries:
            if isinstance(entry, plan.Set):
                found.extend(walk(entry.value))
            elif isinstance(entry, plan.BlockPlan):
                found.extend(_values(entry))
            elif isinstance(entry, plan.Sub):
                if entry.base is not None:
                    found.extend(walk(entry.base.value))
                inside(entry.body)

    inside(block.body)
    return found


def _tree(made: plan.MapPlan, block: plan.BlockPlan) -> list[plan.BlockPlan]:
    found = [block]
    for entry in block.body.entries:
        if isinstance(entry, plan.BlockPlan):
            found += _tree(made, entry)
    return found


def _limited(block: plan.BlockPlan) -> bool:
    """Whether the item table's limits concern this block: an Observation whose code and value come from the record."""
    if block.type != "Observation":
        return False
    sets = {e.slot.element.stem: e for e in block.body.entries if isinstance(e, plan.Set)}
    code = sets.get("code") or next((e.base for e in block.body.entries if isinstance(e, plan.Sub) and e.slot.key == "code" and e.base), None)
    return "value" in sets and code is not None and not isinstance(code.value, plan.Const)
