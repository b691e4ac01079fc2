"""Python text for the lines of a block, element or fragment: dicts filled key by key, nothing written that has no data."""

from __future__ import annotations

from gateway.mapping import plan
from gateway.mapping.emit import Writer
from gateway.mapping.emit_values import ValueWriter
from gateway.mapping.fold import folded, has_data, writes_always
from gateway.mapping.values import walk

PRIMITIVE_FOR_TEXT = ("string", "markdown", "code", "uri", "id", "dateTime", "date")


class BodyWriter:
    """Writes bodies: the lines of blocks, elements and fragments."""

    def __init__(self, out: Writer, made: plan.MapPlan, values: ValueWriter) -> None:
        self.out, self.plan, self.values = out, made, values
        self.lossy = ""  # statement run when an Observation loses its value
        self.partial = ""  # statement run when a report loses a result
        self.residents = ""  # list that collects Patient references, "" where they are known beforehand

    def body(self, body: plan.Body, into: str, path: str, flag: str) -> None:
        """All lines of a body into the dict named `into`. path: f-string text of where that is; flag: local set when data was written."""
        for entry in body.entries:
            if isinstance(entry, plan.Set):
                self._set(body, entry, into, path, flag)
            elif isinstance(entry, plan.Sub):
                self._sub(body, entry, into, path, flag)

    def _set(self, body: plan.Body, entry: plan.Set, into: str, path: str, flag: str) -> None:
        if entry.when is None:
            self._assign(body, entry, into, path, flag)
            return
        test = self.values.condition(entry.when, entry.line)
        with self.out.under(f"if {test}:"):
            self._assign(body, entry, into, path, flag)

    def _assign(self, body: plan.Body, entry: plan.Set, into: str, path: str, flag: str) -> None:
        slot, value, line = entry.slot, entry.value, entry.line
        if isinstance(value, plan.Const):
            key, made = static_choice(slot, value), value.value
            several = slot.many and _repeated(body, slot)
            name = self.out.constant(made if not slot.many or several else [made])
            self.out.put(f"{into}[{key!r}] = " + (f"[*{into}.get({key!r}, E0), {name}]" if several else name))
            if entry.when is not None:
                self._mark(flag)
            self._trace(entry, path, key, name, into)
            return
        value_slot = slot.element.stem == "value" and body.type == "Observation"
        if value_slot and self.lossy:
            self.out.put("a = len(A)")
        name = self.values.value(value, line)
        if _whole_text(value, slot):
            name = self.values.text(value, line)
        if isinstance(value, plan.Link) and value.how == "inner":
            name = self._survivors(name, slot)
        test = f"if {name}:" if isinstance(value, plan.Link) or _claimed(value) else f"if {name} is not None:"
        if _claimed(value):  # there in any case: a claim without numbers is held, its draft shows an empty reference
            self._write(body, entry, into, path, name)
            self._mark(flag)
            return
        with self.out.under(test):
            self._write(body, entry, into, path, name)
            self._mark(flag)
        if isinstance(value, plan.Link) and value.how == "same":
            self.out.put(f"elif {name} is False: reference_lost(A, {line})")
        if value_slot and self.lossy:
            with self.out.under("elif len(A) != a and lost_since(A, a):"):
                self.out.put(self.lossy)

    def _survivors(self, name: str, slot: plan.Slot) -> str:
        kept = self.out.fresh()
        self.out.put(f"{kept} = [i for i in {name} if i]")
        if self.partial and slot.key == "result":
            with self.out.under(f"if len({kept}) != len({name}) and False in {name} or Z and not Z.isdisjoint(i['reference'] for i in {kept}):"):
                self.out.put(self.partial)
        if not slot.many:
            self.out.put(f"{kept} = {kept}[0] if {kept} else None")
        return kept

    def _write(self, body: plan.Body, entry: plan.Set, into: str, path: str, name: str) -> None:
        slot, value = entry.slot, entry.value
        if value.type == "choice" or (slot.open and value.type == "any"):
            keys = {t: slot.element.json_name(t) for t in slot.element.types} if slot.open else {slot.type: slot.key}
            table = self.out.constant(keys)
            extras = self.out.constant(sorted(set(body.elements) - {e.slot.key for e in body.entries if isinstance(e, plan.Set | plan.Sub)}))
            key = self.out.fresh()
            self.out.put(f"{key} = put_choice({into}, {table}, {name}, {extras}, A, {entry.line})")
            self._trace(entry, path, key, f"{into}.get({key})", into, dynamic=True)
            return
        key = static_choice(slot, value)
        several = slot.many and _repeated(body, slot)
        if slot.many:
            listed = name if value.many else f"[{name}]" if _single(value) else f"{name} if type({name}) is list else [{name}]"
            if several:
                rest = f"*{listed}" if value.many else name if _single(value) else f"*({listed})"
                self.out.put(f"{into}[{key!r}] = [*{into}.get({key!r}, E0), {rest}]")
            else:
                self.out.put(f"{into}[{key!r}] = {listed}")
        else:
            one = f"{name}[0]" if value.many and not isinstance(value, plan.Link) else name
            self.out.put(f"{into}[{key!r}] = {one}")
        self._resident(value, path, key)
        self._trace(entry, path, key, name, into)

    def _resident(self, value: plan.Value, path: str, key: str) -> None:
        """Notes the path of a Patient reference with its claim."""
        claim = resident_of(self.plan, value)
        if claim is not None and self.residents:
            self.out.put(f'{self.residents}.append((f"{_joined(path, key)}", c{claim}))')

    def _mark(self, flag: str) -> None:
        if flag:
            self.out.put(f"{flag} = True")

    def _trace(self, entry: plan.Set, path: str, key: str, name: str, into: str, dynamic: bool = False) -> None:
        if self.out.explain:
            where = f'f"{_joined(path, "")}" + str({key})' if dynamic else f'f"{_joined(path, key)}"'
            self.out.put(f"T.add({entry.line}, {where}, {name}, {self.reads(entry.value)})")

    def reads(self, value: plan.Value) -> str:
        """Tuple text of what a value reads: (field path, name, row)."""
        found = []
        for part in every(self.plan, value):
            if isinstance(part, plan.Read):
                row = f"r{part.depth}" if part.depth else "F"
                found.append(f"({part.field.path!r}, {part.component!r}, {row}.get({part.field.name!r}), {row}.get('@raw'))")
            elif isinstance(part, plan.Item):
                label = part.field.path if part.field else f"${part.component or 0}"
                found.append(f"({label!r}, {part.component!r}, {part.variable}, None)")
        return f"({', '.join(found)},)" if found else "()"

    def _sub(self, body: plan.Body, sub: plan.Sub, into: str, path: str, flag: str) -> None:
        constant = folded(sub)
        if constant is not None:
            key = sub.slot.key
            several = sub.slot.many and _repeated(body, sub.slot)
            name = self.out.constant([constant] if sub.slot.many else constant)
            self.out.put(f"{into}[{key!r}] = " + (f"[*{into}.get({key!r}, E0), *{name}]" if several else name))
            if self.out.explain:
                self.out.put(f'T.add({sub.line}, f"{_joined(path, key)}", {name}, ())')
            return
        if sub.when is None or sub.rows is not None:
            self._rows(body, sub, into, path, flag)
            return
        with self.out.under(f"if {self.values.condition(sub.when, sub.line)}:"):
            self._rows(body, sub, into, path, flag)

    def _rows(self, body: plan.Body, sub: plan.Sub, into: str, path: str, flag: str) -> None:
        if sub.rows is None:
            self._one(body, sub, into, path, flag)
            return
        with self.out.under(f"for i{sub.rows.variable[1:]}, {sub.rows.variable} in enumerate({rows_text(sub.rows)}):"):
            open_row(self.out, sub.rows)
            if sub.rows.is_group:
                with self.out.under(f"if '@held' in {sub.rows.variable}:"):
                    self.out.put("continue")
            if sub.when is not None:
                with self.out.under(f"if {self.values.condition(sub.when, sub.line)}:"):
                    self._one(body, sub, into, path, flag)
            else:
                self._one(body, sub, into, path, flag)

    def _one(self, body: plan.Body, sub: plan.Sub, into: str, path: str, flag: str) -> None:
        """One entry of an element: built, and written when it holds data and all that R4 requires."""
        out, slot = self.out, sub.slot
        made, own = out.fresh("e"), out.fresh("g")
        inner = _joined(path, slot.key)
        if slot.many and (out.explain or _has_resident(self.plan, sub.body)):
            index = out.fresh("j")
            out.put(f"{index} = len({into}.get({slot.key!r}) or E0)")
            inner += f"[{{{index}}}]"
        if out.explain:
            out.put(f"t{own} = T.mark()")
        needs_flag = has_data(sub.body)
        if sub.base is not None:
            base = self._base(sub.base, sub.slot)
            out.put(f"{made} = dict({base}) if {base} is not None else {{}}", f"{own} = {base} is not None")
        else:
            out.put(f"{made} = {{}}")
            if needs_flag:
                out.put(f"{own} = False")
        self.body(sub.body, made, inner, own if needs_flag or sub.base is not None else "")
        test = own if needs_flag or sub.base is not None else "True"
        with out.under(f"if {test}:"):
            self._finish(body, sub, into, made, flag, own)
        if out.explain:
            with out.under("else:"):
                out.put(f"T.cut(t{own})")

    def _base(self, base: plan.Set, slot: plan.Slot) -> str:
        got = self.out.fresh()
        if base.when is None:
            self.out.put(f"{got} = {self.values.value(base.value, base.line)}")
        else:
            self.out.put(f"{got} = None")
            with self.out.under(f"if {self.values.condition(base.when, base.line)}:"):
                self.out.put(f"{got} = {self.values.value(base.value, base.line)}")
        if self.out.explain:
            with self.out.under(f"if {got} is not None:"):
                self.out.put(f"T.add({base.line}, {slot.path.partition('.')[2]!r}, {got}, {self.reads(base.value)})")
        return got

    def _finish(self, body: plan.Body, sub: plan.Sub, into: str, made: str, flag: str, own: str) -> None:
        out = self.out
        missing = missing_text(sub.body, made)
        if missing:
            with out.under(f"if {missing}:"):
                out.put(f"missing(A, {sub.line}, {made}, {self._required(sub.body)})")
                if out.explain:
                    out.put(f"T.cut(t{own})")
            with out.under("else:"):
                self._append(body, sub, into, made, flag)
            return
        self._append(body, sub, into, made, flag)

    def _required(self, body: plan.Body) -> str:
        names = [e.name for e in body.elements.values() if e.min]
        return self.out.constant(names)

    def _append(self, body: plan.Body, sub: plan.Sub, into: str, made: str, flag: str) -> None:
        key = sub.slot.key
        if not sub.slot.many:
            self.out.put(f"{into}[{key!r}] = {made}")
        elif sub.rows is not None or _repeated(body, sub.slot):
            self.out.put(f"{into}[{key!r}] = [*{into}.get({key!r}, E0), {made}]")
        else:
            self.out.put(f"{into}[{key!r}] = [{made}]")
        self._mark(flag)


def missing_text(body: plan.Body, made: str) -> str:
    """Condition that something which R4 requires is not there; empty when the map itself guarantees all."""
    tests = []
    for element in body.elements.values():
        if not element.min or writes_always(body, element):
            continue
        keys = [element.json_name(t) for t in element.types] if element.choice else [element.name]
        if element.choice:
            tests.append(f"{made}.keys().isdisjoint({tuple(keys)!r})")
        else:
            tests.append(f"{keys[0]!r} not in {made}")
    return " or ".join(tests)


def static_choice(slot: plan.Slot, value: plan.Value) -> str:
    """JSON name of a slot for a value whose type is known."""
    if not slot.open:
        return slot.key
    types = slot.element.types
    if value.type in types:
        return slot.element.json_name(value.type)
    if value.type == "date" and "dateTime" in types:
        return slot.element.json_name("dateTime")
    for primitive in PRIMITIVE_FOR_TEXT:
        if primitive in types and value.type in ("text", "any", "string", "markdown", "code", "uri"):
            return slot.element.json_name(primitive)
    return slot.element.json_name(types[0])


def rows_text(rows: plan.Rows) -> str:
    """Python text of what an `each` repeats."""
    if isinstance(rows.source, plan.Item):
        holder = "F" if rows.source.variable == "r0" else rows.source.variable
        return f"{holder}.get({rows.source.component!r}) or E0"
    assert isinstance(rows.source, plan.Read)
    holder = f"r{rows.source.depth}" if rows.source.depth else "F"
    return f"{holder}.get({rows.source.field.name!r}) or E0"


def open_row(out: Writer, rows: plan.Rows) -> None:
    """Names that every row of a group has: its raw codes."""
    if rows.is_group:
        out.put(f"q{rows.variable[1:]} = {rows.variable}.get('@raw')")


def resident_of(made: plan.MapPlan, value: plan.Value) -> int | None:
    """Index of the person(...) let whose reference the value is."""
    if isinstance(value, plan.LetRead) and value.type == "resident":
        return value.index
    if isinstance(value, plan.Link) and made.block(value.block).type == "Patient":
        return made.block(value.block).resident
    return None


def every(made: plan.MapPlan, value: plan.Value) -> list[plan.Value]:
    """The value and all it is made of, lets included."""
    found: list[plan.Value] = []
    for part in walk(value):
        found += every(made, made.lets[part.index].value) if isinstance(part, plan.LetRead) else [part]
    return found


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _claimed(value: plan.Value) -> bool:
    return isinstance(value, plan.LetRead) and value.type == "resident"


def _whole_text(value: plan.Value, slot: plan.Slot) -> bool:
    """Whether a bare composite stands where a primitive is asked: its whole text is written."""
    return isinstance(value, plan.Read | plan.Item) and value.type == "any" and not slot.type[:1].isupper()


def _single(value: plan.Value) -> bool:
    """Whether a value is surely not a list."""
    return isinstance(value, plan.Translate | plan.CodeIn | plan.RefTo | plan.LetRead | plan.Link | plan.Read | plan.Item)


def _repeated(body: plan.Body, slot: plan.Slot) -> bool:
    return sum(1 for e in body.entries if isinstance(e, plan.Set | plan.Sub) and e.slot.key == slot.key) > 1 or slot.key == "identifier"


def _has_resident(made: plan.MapPlan, body: plan.Body) -> bool:
    return any(
        (isinstance(e, plan.Set) and resident_of(made, e.value) is not None) or (isinstance(e, plan.Sub) and _has_resident(made, e.body))
        for e in body.entries
    )
