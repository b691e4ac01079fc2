"""One source profile -> a plan for a single walk over the document: what to take where, dispatched on data element codes and tags.

A field's alternatives get one slot each; the walk fills slots, and `Shape.fields` makes the record's fields of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lxml import etree

from adapters.cda.locators import Entry, Locator, Narrative, Path, Step, Whole, XPath, parse
from adapters.cda.reading import Read, follows, reader
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError, Finding
from gateway.record import Fields

__all__ = ["Aim", "Asked", "Branch", "Group", "Plan", "Shape", "Slots", "Take", "compile_plan"]

Slots = list[str | list[str] | None]


BOUND = 1000
"""OIDs of which one place of a path remembers where it goes on."""


class Asked(NamedTuple):
    """Which observations of a data element a locator means: those in one of these sections (none named: in any), those of this role."""

    sections: frozenset[str]
    role: str


class Take(NamedTuple):
    """Fill this slot with what `read` finds in an element, a section or an observation's value. many: the field repeats; whole: read the
    observation itself, not its value; asked: which observations are meant, None for all of their data element."""

    slot: int
    read: Read
    many: bool = False
    whole: bool = False
    asked: Asked | None = None


@dataclass(slots=True)
class Turn:
    """Where paths go on at elements of one tag. plain: the branches, when no brackets choose between them."""

    prefix: str
    ways: list[tuple[Step, Branch]] = field(default_factory=list)
    plain: list[Branch] | None = field(default_factory=list)
    known: dict[str, list[Branch]] = field(default_factory=dict)  # by @root, an OID

    def branches(self, element: etree._Element) -> list[Branch]:
        """Those that go on from this element."""
        if self.plain is not None:
            return self.plain
        root = element.get("root")
        found = self.known.get(root) if root is not None else None
        if found is None:
            found = [branch for step, branch in self.ways if follows(element, step, self.prefix)]
            if root is not None and len(self.known) < BOUND:
                self.known[root] = found
        return found

    def branch(self, step: Step) -> Branch:
        """The branch of this step, made when it is not there."""
        for known, branch in self.ways:
            if known == step:
                return branch
        made = Branch()
        self.ways.append((step, made))
        self.plain = None if any(known.which for known, _ in self.ways) else [branch for _, branch in self.ways]
        return made


@dataclass(slots=True)
class Branch:
    """A place in the tree of elements: what to take here and where to go on. Tags carry the document's namespace prefix."""

    takes: list[Take] = field(default_factory=list)
    below: dict[str, Turn] = field(default_factory=dict)
    deep: dict[str, Turn] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)


@dataclass(slots=True)
class Shape:
    """The fields of one level (the document, or a row of a group) and where each gets its value from."""

    locators: list[str] = field(default_factory=list)  # by slot
    names: list[str] = field(default_factory=list)  # by slot
    repeats: set[int] = field(default_factory=set)
    parts: list[tuple[str, tuple[int, ...], re.Pattern[str] | None]] = field(default_factory=list)

    def empty(self) -> Slots:
        """Fresh slots."""
        return [None] * len(self.names)

    def put(self, slots: Slots, slot: int, value: str | None, findings: list[Finding]) -> None:
        """Fills a slot. The first value stands; a different second one in a single field is remarked, a repeating field keeps all."""
        if not value:
            return
        old = slots[slot]
        if old is None:
            slots[slot] = [value] if slot in self.repeats else value
        elif isinstance(old, list):
            old.append(value)
        elif old != value:
            name, where = self.names[slot], self.locators[slot]
            text = f"{name} 在文档里出现多次且内容不同, 只取第一个; 若都要, 请在 fields.csv 里把该字段设为可重复或放进组"
            remark = Finding("repeated-value", "note", text, source=where)
            if remark not in findings:
                findings.append(remark)

    def fields(self, slots: Slots) -> Fields:
        """The record's fields: for each the first alternative that has a value."""
        found: Fields = {}
        for name, alternatives, splitter in self.parts:
            if splitter is None and len(alternatives) == 1:
                if (value := slots[alternatives[0]]) is not None:
                    found[name] = value
                continue
            for slot in alternatives:
                value = slots[slot]
                if value is not None:
                    found[name] = [v for part in splitter.split(value) if (v := part.strip())] if splitter and isinstance(value, str) else value
                    break
        return found


@dataclass(slots=True)
class Group:
    """A repeating group: rows start at an observation of `start` (an organizer is one row), or at each element the group hangs on."""

    name: str
    start: Take | None = None
    element: str = ""
    shape: Shape = field(default_factory=Shape)
    entries: dict[str, Entries] = field(default_factory=dict)
    branch: Branch = field(default_factory=Branch)


@dataclass(slots=True)
class Entries:
    """What one level takes from the observations of a data element: from the value, and by paths below them."""

    takes: list[Take] = field(default_factory=list)
    below: Branch | None = None

    def place(self, slot: int, entry: Entry, prefix: str, many: bool) -> None:
        """Adds a locator. Paths that hold for every observation are followed together."""
        if entry.path.steps and not entry.sections and not entry.role:
            self.below = self.below or Branch()
            _hang(self.below, entry.path.steps, prefix).takes.append(Take(slot, reader(Path((), entry.path.attribute), prefix), many))
        else:
            self.takes.append(_take(slot, entry, prefix, many))


@dataclass(slots=True)
class Aim:
    """What an observation of one data element is wanted for: by the document, and by groups (index, what starts a row if it does)."""

    document: Entries | None = None
    groups: list[tuple[int, Take | None, Entries]] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """Everything to take from one document."""

    dataset: str
    prefix: str
    shape: Shape = field(default_factory=Shape)
    entries: dict[str, Entries] = field(default_factory=dict)
    narratives: list[tuple[frozenset[str], Take]] = field(default_factory=list)  # sections, what to take of them
    branch: Branch = field(default_factory=Branch)
    whole: list[tuple[int, str]] = field(default_factory=list)
    xpaths: list[tuple[int, etree.XPath]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    elements: list[Group] = field(default_factory=list)
    rows: dict[str, list[Shape]] = field(default_factory=dict)  # fixed repetitions share the document's slots

    code_tag: str = ""
    value_tag: str = ""
    aims: dict[str, Aim] = field(default_factory=dict)  # by data element
    by_section: bool = False  # whether anything depends on the section

    def close(self) -> Plan:
        """Computes what the walk looks up, once everything was placed."""
        self.code_tag, self.value_tag = self.prefix + "code", self.prefix + "value"
        self.aims = {element: Aim(entries) for element, entries in self.entries.items()}
        for index, group in enumerate(self.groups):
            for element in dict.fromkeys((group.element, *group.entries)):
                starts = group.start if element == group.element else None
                self.aims.setdefault(element, Aim()).groups.append((index, starts, group.entries.get(element) or Entries()))
        takes = [t for level in (self.entries, *(g.entries for g in self.groups)) for e in level.values() for t in e.takes]
        takes += [g.start for g in self.groups if g.start]
        self.by_section = bool(self.narratives) or any(t.asked and t.asked.sections for t in takes)
        return self


Complain = Callable[[str, str, str], ConfigError]


def compile_plan(layout: Layout, prefix: str) -> Plan:
    """The plan of one profile for documents with this namespace prefix. Raises ConfigError naming profile, field and locator."""

    def complain(name: str, locator: str, why: str) -> ConfigError:
        return ConfigError(f"来源配置 {layout.profile}: 字段 {name} 的定位 `{locator}`: {why}")

    plan = Plan(layout.dataset, prefix)
    _level(plan.shape, layout.fields, layout, _placer(plan, complain), complain)
    for name, group in layout.groups.items():
        if group.groups:
            raise complain(name, "、".join(group.groups), "CDA 的组里不能再嵌套组; 请把内层组改为外层的字段或另设一组")
        if group.rows:
            plan.rows[name] = [_fixed(plan, row, layout, complain) for row in group.rows]
        if group.each:
            _group(plan, name, group, layout, complain)
    return plan.close()


def _level(shape: Shape, fields: Mapping[str, str], layout: Layout, place: Callable[[str, int, Locator], None], complain: Complain) -> None:
    for name, locator in fields.items():
        alternatives: list[int] = []
        for one in _parsed(name, locator, complain):
            slot = len(shape.names)
            shape.names.append(name)
            shape.locators.append(locator)
            if name in layout.repeats:
                shape.repeats.add(slot)
            place(name, slot, one)
            alternatives.append(slot)
        splitter = re.compile(layout.split[name]) if name in layout.split else None
        shape.parts.append((name, tuple(alternatives), splitter))


def _fixed(plan: Plan, row: Mapping[str, str], layout: Layout, complain: Complain) -> Shape:
    """One fixed repetition: its fields are read like the document's own, into slots of the document."""
    before = len(plan.shape.parts)
    _level(plan.shape, row, layout, _placer(plan, complain), complain)
    own = Shape(parts=plan.shape.parts[before:])
    del plan.shape.parts[before:]
    return own


def _placer(plan: Plan, complain: Complain) -> Callable[[str, int, Locator], None]:
    def place(name: str, slot: int, locator: Locator) -> None:
        if isinstance(locator, Entry):
            plan.entries.setdefault(locator.element, Entries()).place(slot, locator, plan.prefix, slot in plan.shape.repeats)
        elif isinstance(locator, Narrative):
            read = reader(Path((Step(locator.tag),)), plan.prefix)
            plan.narratives.append((frozenset(locator.sections), Take(slot, read, slot in plan.shape.repeats)))
        elif isinstance(locator, Whole):
            plan.whole.append((slot, locator.property))
        elif isinstance(locator, XPath):
            plan.xpaths.append((slot, etree.XPath(locator.expression)))
        else:
            read = reader(Path((), locator.attribute), plan.prefix)
            _hang(plan.branch, locator.steps, plan.prefix).takes.append(Take(slot, read, slot in plan.shape.repeats))

    return place


def _group(plan: Plan, name: str, layout: GroupLayout, whole: Layout, complain: Complain) -> None:
    starts = _parsed(name, layout.each, complain)
    if len(starts) != 1 or not isinstance(starts[0], (Entry, Path)):
        raise complain(name, layout.each, "组的 each 应为一个数据元编码(如 DE04.30.019.00)或一条元素路径(如 authenticator)")
    start = starts[0]
    group = Group(name)

    def place(field_name: str, slot: int, locator: Locator) -> None:
        if isinstance(start, Entry) and isinstance(locator, Entry):
            group.entries.setdefault(locator.element, Entries()).place(slot, locator, plan.prefix, slot in group.shape.repeats)
        elif isinstance(start, Path) and isinstance(locator, Path):
            read = reader(Path((), locator.attribute), plan.prefix)
            _hang(group.branch, locator.steps, plan.prefix).takes.append(Take(slot, read, slot in group.shape.repeats))
        else:
            raise complain(f"{name}.{field_name}", str(layout.fields[field_name]), "组内的定位应与 each 同类: 都是数据元编码, 或都是相对的元素路径")

    _level(group.shape, layout.fields, whole, place, complain)
    if isinstance(start, Entry):
        group.start, group.element = _take(-1, start, plan.prefix, many=False), start.element
        plan.groups.append(group)
    else:
        if start.attribute:
            raise complain(name, layout.each, "组的 each 指向元素, 不应以 @属性 结尾")
        _hang(plan.branch, start.steps, plan.prefix).groups.append(group)
        plan.elements.append(group)


def _take(slot: int, entry: Entry, prefix: str, many: bool) -> Take:
    asked = Asked(frozenset(entry.sections), entry.role) if entry.sections or entry.role else None
    return Take(slot, reader(entry.path, prefix, value=True), many, bool(entry.path.steps), asked)


def _hang(branch: Branch, steps: Sequence[Step], prefix: str) -> Branch:
    """The branch at the end of these steps, made when it is not there."""
    for step in steps:
        branch = (branch.deep if step.deep else branch.below).setdefault(prefix + step.tag, Turn(prefix)).branch(step)
    return branch


def _parsed(name: str, locator: str, complain: Complain) -> tuple[Locator, ...]:
    try:
        return parse(locator)
    except ValueError as wrong:
        raise complain(name, locator, str(wrong)) from None
