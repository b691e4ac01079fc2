"""The one walk over a document: the header by branches, the body by data element codes in document order.

Templates disagree on structure (`structuredBody` or not; items in organizers, or flat, or nested in entryRelationship), so the body is
read as a stream of sections, entries, organizers and observations. A row of a group is an organizer that holds the group's data
element, or else begins at each observation of it and ends at the next one or with the section.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from adapters.cda.document import NAMESPACE, Document
from adapters.cda.plan import Asked, Branch, Group, Plan, Shape, Slots
from adapters.cda.reading import PROPERTIES
from gateway.errors import Finding
from gateway.record import Fields

__all__ = ["extract"]


def extract(document: Document, plan: Plan) -> tuple[Fields, list[Finding]]:
    """The document's fields and remarks. The plan must have been compiled for the document's namespace prefix."""
    walk = _Walk(plan)
    walk.descend(document.root, plan.branch, plan.shape, walk.slots)
    if plan.entries or plan.groups or plan.narratives:
        walk.body(document.root)
    for slot, name in plan.whole:
        plan.shape.put(walk.slots, slot, PROPERTIES[name](document), walk.findings)
    for slot, expression in plan.xpaths:
        _evaluate(walk, slot, expression, document.root)
    return walk.result(), walk.findings


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

    def descend(self, element: etree._Element, branch: Branch, shape: Shape, slots: Slots) -> None:
        """Follows a branch from its element down and takes what it asks for, into the document's slots or those of a group's row."""
        for slot, read, many, _whole, _asked in branch.takes:
            if text := read(element):
                if many or slots[slot] is not None:
                    shape.put(slots, slot, text, self.findings)
                else:
                    slots[slot] = text
        for group in branch.groups:
            row = group.shape.empty()
            self.descend(element, group.branch, group.shape, row)
            self._keep(group, row)
        below = branch.below
        if below:
            child = element[0] if len(element) else None
            while child is not None:  # from sibling to sibling: lxml's iterator costs twice that
                turn = below.get(child.tag)
                if turn is not None:
                    for following in turn.plain or turn.branches(child):
                        self.descend(child, following, shape, slots)
                child = child.getnext()
        for tag, turn in branch.deep.items():
            for found in element.iterdescendants(tag):
                for following in turn.branches(found):
                    self.descend(found, following, shape, slots)

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
        for sections, take in self.plan.narratives:
            if sections & names:
                self.plan.shape.put(self.slots, take.slot, take.read(section), self.findings)
        return names

    def _observation(self, element: etree._Element, names: frozenset[str], rows: list[_Row]) -> None:
        """Gives an observation, in a section of these names, to the document and to the groups that ask for its data element."""
        plan = self.plan
        code = element[0] if len(element) else None
        while code is not None and code.tag != plan.code_tag:
            code = code.getnext()
        if code is None or (aim := plan.aims.get(code.get("code", ""))) is None:
            return
        value = code.getnext()
        while value is not None and value.tag != plan.value_tag:
            value = value.getnext()
        wanted = [(aim.document, plan.shape, self.slots)] if aim.document is not None else []
        for index, start, entries in aim.groups:
            row = rows[index]
            if start is not None and (start.asked is None or _means(start.asked, code, names, plan.prefix)):
                if row.started:
                    self._keep(row.group, row.slots)
                    row.slots = row.group.shape.empty()
                row.started = True
            if row.started or row.cluster:
                wanted.append((entries, row.group.shape, row.slots))
        for entries, shape, slots in wanted:
            for slot, read, many, whole, asked in entries.takes:
                anchor = element if whole else value
                if anchor is None or (asked is not None and not _means(asked, code, names, plan.prefix)) or not (found := read(anchor)):
                    continue
                if many or slots[slot] is not None:
                    shape.put(slots, slot, found, self.findings)
                else:
                    slots[slot] = found
            if entries.below is not None:
                self.descend(element, entries.below, shape, slots)

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


def _means(asked: Asked, code: etree._Element, names: frozenset[str], prefix: str) -> bool:
    """Whether an observation with this code, in a section of these names, is what the locator means."""
    if asked.sections and not asked.sections & names:
        return False
    if not asked.role:
        return True
    qualifiers = [q.get("displayName", "").strip() for q in code.iterfind(f"{prefix}qualifier/{prefix}name")]
    return asked.role in qualifiers if qualifiers else asked.role == code.get("displayName", "").strip()


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
