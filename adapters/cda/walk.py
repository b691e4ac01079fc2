"""The one walk over a document: the header by branches, the body by data element codes in document order.

Templates disagree on structure (`structuredBody` or not; items in organizers, or flat, or nested in entryRelationship), so the body is
read as a stream of sections, entries, organizers and observations. A row of a group is an organizer that holds the group's data
element, or else begins at each observation of it and ends at the next one or with the section.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from adapters.cda.document import NAMESPACE, Document
from adapters.cda.plan import Branch, Group, Plan, Shape, Slots, Take
from adapters.cda.reading import PROPERTIES, follows
from gateway.errors import Finding
from gateway.record import Fields

__all__ = ["extract"]


def extract(document: Document, plan: Plan) -> tuple[Fields, list[Finding]]:
    """The document's fields and remarks. The plan must have been compiled for the document's namespace prefix."""
    walk = _Walk(plan)
    walk.descend(document.root, plan.branch, walk.slots, None)
    if plan.entries or plan.groups or plan.narratives:
        walk.body(document.root)
    for slot, name in plan.whole:
        plan.shape.put(walk.slots, slot, PROPERTIES[name](document), walk.findings)
    for slot, expression in plan.xpaths:
        _evaluate(walk, slot, expression, document.root)
    return walk.result(), walk.findings


_Seen = tuple[etree._Element, etree._Element, etree._Element | None, frozenset[str]]
"""An observation, its code, its value if it has one, and what its section is called."""


@dataclass(slots=True)
class _Row:
    """The row of a group that observations are put into at present."""

    group: Group
    slots: Slots
    started: bool = False
    cluster: bool = False


@dataclass(slots=True)
class _Walk:
    plan: Plan
    slots: Slots = field(init=False)
    rows: dict[str, list[Fields]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slots = self.plan.shape.empty()

    def descend(self, element: etree._Element, branch: Branch, slots: Slots, group: Group | None) -> None:
        """Follows a branch from its element down and takes what it asks for, into the document's slots or those of a group's row."""
        shape = group.shape if group else self.plan.shape
        for take in branch.takes:
            shape.put(slots, take.slot, take.read(element), self.findings)
        for inner in branch.groups:
            row = inner.shape.empty()
            self.descend(element, inner.branch, row, inner)
            self._keep(inner, row)
        if branch.below:
            for child in element:
                for step, following in branch.below.get(child.tag, ()):
                    if not step.which or follows(child, step, self.plan.prefix):
                        self.descend(child, following, slots, group)
        for tag, wanted in branch.deep.items():
            for found in element.iterdescendants(tag):
                for step, following in wanted:
                    if not step.which or follows(found, step, self.plan.prefix):
                        self.descend(found, following, slots, group)

    def body(self, root: etree._Element) -> None:
        """Reads sections, entries, organizers and observations in document order."""
        plan, prefix = self.plan, self.plan.prefix
        section_tag, entry_tag, organizer_tag, observation_tag = (prefix + t for t in ("section", "entry", "organizer", "observation"))
        names: frozenset[str] = frozenset()
        rows = [_Row(group, group.shape.empty()) for group in plan.groups]
        tags = (section_tag, entry_tag, organizer_tag, observation_tag) if rows else (section_tag, observation_tag)
        cluster = False
        for element in root.iter(*tags):
            tag = element.tag
            if tag == observation_tag:
                self._observation(element, names, rows)
            elif tag == section_tag:
                self._close(rows)
                cluster = False
                if plan.by_section:
                    names = self._section(element)
            elif tag == organizer_tag:
                self._close(rows, cluster=True)
                cluster = True
            elif cluster:
                self._close(rows)
                cluster = False
        self._close(rows)

    def _section(self, section: etree._Element) -> frozenset[str]:
        """Takes the section's narratives and returns what it is called."""
        names = _names(section, self.plan.prefix)
        for take in self.plan.narratives:
            if take.sections & names:
                self.plan.shape.put(self.slots, take.slot, take.read(section), self.findings)
        return names

    def _observation(self, element: etree._Element, names: frozenset[str], rows: list[_Row]) -> None:
        """Gives an observation to the document and to the groups that ask for its data element."""
        plan = self.plan
        code = element[0] if len(element) else None
        if code is None or code.tag != plan.code_tag:
            code = next((child for child in element if child.tag == plan.code_tag), None)
        aim = plan.aims.get(code.get("code", "")) if code is not None else None
        if code is None or aim is None:
            return
        value = code.getnext()
        while value is not None and value.tag != plan.value_tag:
            value = value.getnext()
        seen = (element, code, value, names)
        if aim.takes:
            self._take(aim.takes, plan.shape, self.slots, seen)
        for index, starts, takes in aim.groups:
            row = rows[index]
            if starts is not None and (starts.plain or _means(starts, code, names, plan.prefix)):
                if row.started:
                    self._keep(row.group, row.slots)
                    row.slots = row.group.shape.empty()
                row.started = True
            if row.started or row.cluster:
                self._take(takes, row.group.shape, row.slots, seen)

    def _take(self, takes: list[Take], shape: Shape, slots: Slots, seen: _Seen) -> None:
        """Fills slots from an observation or from its value, where section and role are those that the locator means."""
        observation, code, value, names = seen
        for take in takes:
            if take.plain or _means(take, code, names, self.plan.prefix):
                anchor = observation if take.whole else value
                if anchor is None or not (found := take.read(anchor)):
                    continue
                old = slots[take.slot]
                if old is None and not take.many:
                    slots[take.slot] = found
                elif old != found:
                    shape.put(slots, take.slot, found, self.findings)

    def _close(self, rows: list[_Row], *, cluster: bool = False) -> None:
        """Ends the rows that are open; with `cluster` an organizer begins, whose observations belong together in any order."""
        for row in rows:
            if row.started:
                self._keep(row.group, row.slots)
            if row.started or row.cluster:
                row.slots = row.group.shape.empty()
            row.started, row.cluster = False, cluster

    def _keep(self, group: Group, slots: Slots) -> None:
        found = group.shape.fields(slots)
        if found:
            self.rows.setdefault(group.name, []).append(found)

    def result(self) -> Fields:
        """The record's fields: the document's, fixed repetitions and groups."""
        fields = self.plan.shape.fields(self.slots)
        for name, shapes in self.plan.rows.items():
            fixed = [row for shape in shapes if (row := shape.fields(self.slots))]
            if fixed:
                fields[name] = fixed
        for name, rows in self.rows.items():
            fields[name] = fields.get(name, []) + rows
        return fields


def _means(take: Take, code: etree._Element, names: frozenset[str], prefix: str) -> bool:
    """Whether an observation with this code, in a section of these names, is what the locator means."""
    if take.sections and not take.sections & names:
        return False
    if not take.role:
        return True
    qualifiers = [q.get("displayName", "").strip() for q in code.iterfind(f"{prefix}qualifier/{prefix}name")]
    return take.role in qualifiers if qualifiers else take.role == code.get("displayName", "").strip()


def _names(section: etree._Element, prefix: str) -> frozenset[str]:
    """What a section is called: code and displayName of its code, and its title. Many carry a displayName only."""
    found: set[str] = set()
    for child in section:
        if child.tag == prefix + "code":
            found |= {child.get("code", "").strip(), child.get("displayName", "").strip()}
        elif child.tag == prefix + "title" and child.text:
            found.add(child.text.strip())
    return frozenset(found - {""})


def _evaluate(walk: _Walk, slot: int, expression: etree.XPath, root: etree._Element) -> None:
    """The fallback: runs once the walk is done, on the tree with its namespace taken away."""
    if root.tag.startswith(NAMESPACE):
        for element in root.iter():
            element.tag = etree.QName(element).localname
    found = expression(root)
    values = found if isinstance(found, list) else [found]
    for value in values:
        if isinstance(value, etree._Element):
            text = " ".join("".join(str(part) for part in value.itertext()).split())
        elif isinstance(value, float) and value.is_integer():
            text = str(int(value))
        else:
            text = str(value).strip()
        walk.plan.shape.put(walk.slots, slot, text, walk.findings)
