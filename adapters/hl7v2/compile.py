"""One Python function per segment and layout: only the fields and components that the map reads are cut out of the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from adapters.hl7v2.layout import Cell, Scope
from gateway.record import CLEAR

Unescape = Callable[[str], str]
Reader = Callable[[dict[str, Any], str, str, str, str, str, "Unescape | None"], None]
"""reader(row, line, field, component, repetition, sub, unescape): fills the row from one segment; unescape None when the line has none."""


_NUMBERS = tuple(str(i) for i in range(1, 100))
"""Names of components; no data type has more."""


def compile_readers(top: Scope) -> None:
    """Gives every scope its readers, segment -> function."""
    source = _Source()
    scopes = list(top.every())
    names = [{segment: source.reader(segment, cells) for segment, cells in scope.cells.items()} for scope in scopes]
    space: dict[str, Any] = {"whole": whole, "pick": pick}
    exec(compile("\n".join(source.lines), "<hl7v2 layout>", "exec"), space)
    for scope, named in zip(scopes, names, strict=True):
        scope.readers = {segment: space[name] for segment, name in named.items()}


def whole(value: str, component: str, sub: str, unescape: Unescape | None) -> dict[str, str]:
    """Every component of a composite, and the subcomponents where there are several; the text as a whole under ""."""
    text = unescape(value) if unescape else value
    if component not in value and sub not in value:
        return {"": text, "1": text}
    found = {"": text}
    if not unescape and sub not in value:
        for name, part in zip(_NUMBERS, value.split(component, len(_NUMBERS) - 1), strict=False):
            if part and (text := part.strip()) and text != '""':
                found[name] = text
        return found
    for i, part in enumerate(value.split(component), 1):
        if part and (text := part.strip()) and text != '""':
            found[str(i)] = unescape(text) if unescape else text
            if sub in text:
                for j, piece in enumerate(text.split(sub), 1):
                    if inner := piece.strip():
                        found[f"{i}.{j}"] = unescape(inner) if unescape else inner
    return found


def pick(value: str, component: str, repetition: str, number: int, where: tuple[int, str] | None) -> str:
    """The repetition with this number, or whose component says what `where` asks; "" when there is none."""
    if where is None:
        parts = value.split(repetition)
        return parts[number - 1] if number <= len(parts) else ""
    at, wanted = where
    for part in value.split(repetition):
        pieces = part.split(component)
        if len(pieces) >= at and pieces[at - 1].strip() == wanted:
            return part
    return ""


class _Source:
    """Source text of the generated functions."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._cutters: dict[frozenset[str], str] = {}
        self._count = 0

    def reader(self, segment: str, cells: list[Cell]) -> str:
        name = f"read_{segment}_{self._count}"
        self._count += 1
        shift = 1 if segment in ("MSH", "FHS", "BHS") else 0
        last = max(c.path.field for c in cells) - shift
        body = [line for cell in cells for line in self._cell(cell, cell.path.field - shift)]
        self.lines += [
            f"def {name}(row, line, fs, cs, rs, ss, u):",
            f"    f = line.split(fs, {last + 1})",
            "    n = len(f)",
            *(f"    {line}" for line in body),
        ]
        return name

    def _cell(self, cell: Cell, index: int) -> Iterator[str]:
        path = cell.path
        if index == 0:  # MSH-1, the field separator itself
            yield f"row[{cell.name!r}] = fs"
            return
        yield f"if n > {index} and (v := f[{index}].strip()):"
        if not cell.name.startswith("@"):
            clear = f"    if v == '\"\"': row.setdefault({CLEAR!r}, []).append({cell.name.lstrip('^')!r})"
            if not (cell.composite or cell.repeats or path.where is not None or path.repetition or path.component or path.first):
                yield from (clear, f"    elif u is None: row[{cell.name!r}] = v", f"    elif x := u(v).strip(): row[{cell.name!r}] = x")
                return
            yield clear + "; v = ''"
        if path.where is not None or path.repetition:
            yield f"    v = pick(v, cs, rs, {path.repetition}, {path.where!r})"
        many = cell.repeats and not (path.where is not None or path.repetition)
        if path.first and not path.component:
            yield f"    v = v[:{path.first}]"
        cut = self._cut(cell)
        if many:
            yield f"    x = [y for r in v.split(rs) if (y := {cut('r')})] if rs in v else ([y] if v and (y := {cut('v')}) else None)"
        else:
            if cell.composite or path.component:
                yield "    if rs in v: v = v[:v.index(rs)]"
            yield f"    x = {cut('v')} if v else None"
            if cell.repeats:
                yield "    if x: x = [x]"
        yield f"    if x: row[{cell.name!r}] = x"

    def _cut(self, cell: Cell) -> Callable[[str], str]:
        """Source of an expression from the text of one repetition (a variable's name) to the value, falsy when there is none."""
        path = cell.path
        if path.component:
            part = self._define(_component(path.component, path.sub, path.first))
            if cell.composite:
                cutter = self._cutter(cell.components)
                return lambda v: f"{cutter}(w, ss, '\\0', u) if (w := {part}({v}, cs, ss)) else None"
            return lambda v: f"((w if u is None else u(w)) if (w := {part}({v}, cs, ss)) else None)"
        if cell.composite:
            cutter = self._cutter(cell.components)
            return lambda v: f"{cutter}({v}, cs, ss, u)"
        return lambda v: f"({v} if u is None else u({v})).strip()"

    def _cutter(self, components: frozenset[str]) -> str:
        if components not in self._cutters:
            body = _whole_cutter(components) if "" in components else _cutter(sorted(components, key=_order))
            self._cutters[components] = self._define(body)
        return self._cutters[components]

    def _define(self, body: list[str]) -> str:
        name = f"cut_{self._count}"
        self._count += 1
        self.lines += [body[0].format(name=name), *body[1:]]
        return name


def _whole_cutter(components: frozenset[str]) -> list[str]:
    """All components; a first subcomponent that the map asks for is the component itself where there is only one."""
    firsts = sorted(c.partition(".")[0] for c in components if c.endswith(".1"))
    return [
        "def {name}(v, cs, ss, u):",
        "    if u is None and cs not in v and ss not in v: return {{'': v, '1': v{}}}".format(", '1.1': v" if "1" in firsts else ""),
        "    if v[:1] == cs and not v.strip(cs + ss + ' '): return None",
        "    d = whole(v, cs, ss, u)",
        *(f"    if '{first}' in d: d.setdefault('{first}.1', d['{first}'])" for first in firsts),
        "    return d",
    ]


def _order(component: str) -> tuple[int, ...]:
    return tuple(int(part) for part in component.split("."))


def _component(component: int, sub: int, first: int) -> list[str]:
    lines = [
        "def {name}(v, cs, ss):",
        f"    p = v.split(cs, {component})",
        f"    v = p[{component - 1}].strip() if len(p) >= {component} else ''",
    ]
    if sub:
        lines += [f"    p = v.split(ss, {sub})", f"    v = p[{sub - 1}].strip() if len(p) >= {sub} else ''"]
    return [*lines, f"    return '' if v == '\"\"' else v{f'[:{first}]' if first else ''}"]


def _cutter(components: list[str]) -> list[str]:
    """A function that cuts these components out of a composite; None when the composite has nothing but separators."""
    firsts: dict[int, list[int]] = {}
    for name in components:
        first, _, sub = name.partition(".")
        firsts.setdefault(int(first), []).append(int(sub.split(".")[0] or 0) if sub else 0)
    last = max(firsts, default=1)
    lines = [
        "def {name}(v, cs, ss, u):",
        "    if v[:1] == cs and not v.strip(cs + ss + ' '): return None",
        "    d = {'': v if u is None else u(v)}",
        f"    p = v.split(cs, {last})",
        "    n = len(p)",
    ]
    for position, subs in sorted(firsts.items()):
        lines += [f"    if n > {position - 1} and (x := p[{position - 1}].strip()) and x != '\"\"':"]
        if 0 in subs:
            lines += [f"        d['{position}'] = x if u is None else u(x)"]
        inner = sorted(number for number in subs if number)
        if inner:
            lines += [f"        q = x.split(ss, {inner[-1]})"]
            lines += [f"        if len(q) > {i - 1} and (y := q[{i - 1}].strip()): d['{position}.{i}'] = y if u is None else u(y)" for i in inner]
    return [*lines, "    return d"]
