"""From one message to rows: the walk over its segments, report by report and patient by patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from adapters.hl7v2 import charset, header
from adapters.hl7v2.compile import Unescape, compile_readers
from adapters.hl7v2.escape import unescaper
from adapters.hl7v2.header import Header, Separators
from adapters.hl7v2.layout import Scope, plan
from adapters.hl7v2.messages import messages
from adapters.hl7v2.options import ProfileOptions
from adapters.hl7v2.quality_control import quality_control_row
from gateway.adapter import Extract, Layout
from gateway.errors import Finding, Refused
from gateway.record import Fields, Row

_COMMENT = "NTE"


def compile_extract(layouts: Sequence[Layout]) -> Extract:
    """One function for all profiles of a source: each message goes to the first profile that takes its type."""
    profiles = [Profile(layout) for layout in layouts]

    def extract(content: bytes | BinaryIO) -> Iterator[Row]:
        parts = messages(content)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            yield from _rows(profiles, first, "")
            return
        for number, message in enumerate(_chain(first, second, parts), 1):
            yield from _tolerant(profiles, message, f"第 {number} 条报文")

    return extract


def _chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _tolerant(profiles: Sequence[Profile], message: bytes, place: str) -> Iterator[Row]:
    """A message of a file or batch that cannot be read is a row with that finding; the others go on."""
    try:
        yield from _rows(profiles, message, place)
    except Refused as e:
        yield Row(profiles[0].layout.dataset, {}, message, place, (e.finding,))


def _rows(profiles: Sequence[Profile], message: bytes, place: str) -> Iterator[Row]:
    preferred = next((p.layout.charset for p in profiles if p.layout.charset), "")
    decoded = charset.decode(message, preferred)
    head = header.read(decoded.text)
    position = "，".join(p for p in (place, f"MSH-10 {head.control_id}" if head.control_id else "") if p)
    profile = next((p for p in profiles if p.takes(head)), None)
    if profile is None:
        raise Refused(_unknown_type(head, [p.messages for p in profiles]))
    lines, joined = _lines(decoded.text, head.separators.field)
    found = decoded.findings + joined
    unescape = profile.unescaper(head.separators, decoded.charset)
    control = profile.options.quality_control
    if control is not None and control.matches(head):
        yield quality_control_row(lines, head, message, position, found, unescape)
        return
    for fields, findings in profile.read(lines, head.separators, unescape):
        yield Row(profile.layout.dataset, fields, message, position, found + findings)


def type_check(layouts: Sequence[Layout]) -> Callable[[Header], Finding | None]:
    """What tells from MSH alone, before a message is read, that no profile of the source takes it."""
    taken = [message_types(layout, ProfileOptions.model_validate(dict(layout.options))) for layout in layouts]

    def check(head: Header) -> Finding | None:
        return None if any(takes(types, head) for types in taken) else _unknown_type(head, taken)

    return check


def message_types(layout: Layout, options: ProfileOptions) -> tuple[str, ...]:
    """Message types that a profile takes; none named: all."""
    return tuple(layout.message) or tuple(options.message)


def takes(types: Sequence[str], head: Header) -> bool:
    """Whether a profile of these types takes this message: `ORU^R01`, or `ADT` for all triggers; all when it names none."""
    kind = head.type
    return not types or kind in types or kind.partition("^")[0] in types


def _unknown_type(head: Header, types: Sequence[Sequence[str]]) -> Finding:
    taken = "、".join(sorted({m for named in types for m in named})) or "(无)"
    return Finding(
        "unknown-message-type",
        "refuse",
        f"此来源不接收 {head.type or '(空)'} 报文; 已配置的是 {taken}。需要接收时把数据集加进此来源的 profiles, 再 `yifang messages replay`",
        source="MSH-9",
    )


def _lines(text: str, field: str) -> tuple[list[str], tuple[Finding, ...]]:
    """Segments; a line that is none is the rest of the one before (a raw line break inside a field)."""
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    lines = [line for line in text.split("\r") if line and not line.isspace()]
    if all((line[3:4] == field and line[:3].isascii()) or _bare(line) for line in lines):
        return lines, ()
    joined: list[str] = []
    for line in lines:
        if (line[3:4] == field and _bare(line[:3])) or _bare(line) or not joined:
            joined.append(line)
        else:
            joined[-1] += "\n" + line
    at = next(j[:3] for j in joined if "\n" in j)
    message = f"{at} 段的字段里有未转义的换行, 已接回原字段。请对方把换行写成 \\.br\\ 或分成多个 OBX/NTE 段"
    return joined, (Finding("raw-line-break", "note", message, source=at),)


def _bare(line: str) -> bool:
    return len(line) == 3 and line.isascii() and line.isalnum() and line.isupper()


@dataclass(slots=True)
class _Open:
    """A group that segments may still be added to."""

    scope: Scope
    row: Fields
    seen: set[str]


class Profile:
    """A compiled source profile."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.options = ProfileOptions.model_validate(dict(layout.options))
        self.messages = message_types(layout, self.options)
        self._top = plan(layout)
        compile_readers(self._top)
        scopes = list(self._top.every())[1:]
        self._grouped = {s.segment for s in scopes} | {x for s in scopes for x in s.leading}
        self._by = self._report()
        self._unescapers: dict[tuple[Separators, str], Unescape] = {}

    def takes(self, head: Header) -> bool:
        """Whether the profile takes this message."""
        return takes(self.messages, head)

    def unescaper(self, separators: Separators, codec: str) -> Unescape:
        """The unescape function for these separators and this charset, built once."""
        key = (separators, codec)
        found = self._unescapers.get(key)
        if found is None:
            if len(self._unescapers) > 64:  # a hostile sender may change separators with every message
                self._unescapers.clear()
            found = self._unescapers[key] = unescaper(separators, codec)
        return found

    def read(self, lines: Sequence[str], separators: Separators, unescape: Unescape) -> Iterator[tuple[Fields, tuple[Finding, ...]]]:
        """Rows of one message: one a patient, and one a report where the profile splits by report (`record_by`)."""
        begin = 0
        patients = [i for i, line in enumerate(lines) if line.startswith("PID")]
        for start in (*patients[1:], len(lines)):
            part = lines[begin:start] if begin == 0 else [lines[0], *lines[begin:start]]
            begin = start
            fields, findings = _Walk(self._top, self._grouped, separators, unescape).run(part)
            yield from self._split(fields, findings)

    def _split(self, fields: Fields, findings: tuple[Finding, ...]) -> Iterator[tuple[Fields, tuple[Finding, ...]]]:
        """One row a report where the profile says `record_by`; fields that inner groups hand up are taken from that report."""
        by, parts = self._by
        rows: list[Fields] = fields.get(by.name, []) if by is not None else []
        reports: dict[Any, list[Fields]] = {}
        for row in rows:
            number = next((v for cells in parts if (v := _joined([row.get(cell) for cell in cells]))), None)
            reports.setdefault(number, []).append(row)
        for report in reports.values() or [rows]:
            part = dict(fields)
            if by is not None and report:
                part[by.name] = report
            complete(self._top, part)
            yield part, findings

    def _report(self) -> tuple[Scope | None, tuple[tuple[str, ...], ...]]:
        """The group whose rows are split into reports, and the hidden fields (alternatives of joined cells) that number them."""
        wanted = self.options.record_by
        choice = next((c for c in self._top.choices if c.name == wanted), None)
        parts = tuple(tuple(f"^{cell}" for cell in cells) for cells in choice.parts) if choice else ((f"^{wanted}",),)
        names = {cell for cells in parts for cell in cells}
        by = next((child for child in self._top.children.values() if wanted and names & child.promoted.keys()), None)
        return by, parts


def promote(fields: Fields, rows: Sequence[Fields], child: Scope) -> None:
    """Hands up what was read in inner rows for the outer one: all values of a field that repeats, else the first."""
    for hidden, name in child.promoted.items():
        values = [row.pop(hidden) for row in rows if hidden in row]
        if values:
            fields[name] = [x for value in values for x in value] if isinstance(values[0], list) else values[0]


class _Walk:
    """One pass over the segments of one patient."""

    def __init__(self, top: Scope, grouped: set[str], separators: Separators, unescape: Unescape) -> None:
        self._grouped = grouped
        self._s = separators
        self._unescape = unescape
        self._stack = [_Open(top, {}, set())]
        self._waiting: dict[str, str] = {}
        self._findings: list[Finding] = []

    def run(self, lines: Sequence[str]) -> tuple[Fields, tuple[Finding, ...]]:
        for line in lines:
            segment = line[:3]
            if not self._into_group(segment, line) and not self._plain(segment, line) and segment in self._grouped:
                self._misplaced(segment)
        self._close(0)
        return self._stack[0].row, tuple(self._findings)

    def _into_group(self, segment: str, line: str) -> bool:
        if segment not in self._grouped:
            return False
        stack = self._stack
        for depth in range(len(stack) - 1, -1, -1):
            here = stack[depth]
            child = here.scope.children.get(segment)
            if child is not None and (not child.late or self._has_results(depth, segment)):
                self._close(depth)
                row: Fields = {}
                here.row.setdefault(child.name, []).append(row)
                stack.append(_Open(child, row, {segment}))
                for leading in child.leading:
                    if waiting := self._waiting.pop(leading, ""):
                        self._fill(stack[-1], leading, waiting)
                self._fill(stack[-1], segment, line)
                return True
            if segment in here.scope.leads:
                self._close(depth)
                self._waiting[segment] = line
                return True
        return False

    def _has_results(self, depth: int, segment: str) -> bool:
        for outer in self._stack[:depth]:
            sibling = outer.scope.children.get(segment)
            if sibling is not None and not sibling.late:
                return sibling.name in outer.row
        return True

    def _plain(self, segment: str, line: str) -> bool:
        for here in reversed(self._stack):
            if segment in here.scope.cells and segment != here.scope.segment:
                if segment not in here.seen:
                    here.seen.add(segment)
                    self._fill(here, segment, line)
                return True
        return False

    def _close(self, depth: int) -> None:
        while len(self._stack) > depth + 1:
            closed = self._stack.pop()
            complete(closed.scope, closed.row)

    def _fill(self, here: _Open, segment: str, line: str) -> None:
        reader = here.scope.readers.get(segment)
        if reader is not None:
            s = self._s
            reader(here.row, line, s.field, s.component, s.repetition, s.sub, self._unescape if s.escape in line else None)

    def _misplaced(self, segment: str) -> None:
        if segment == _COMMENT:
            text = "NTE 备注不在任何段组之后, 未写入。请对方把 NTE 放在它所说明的段后面"
            self._findings.append(Finding("segment-misplaced", "note", text, source=segment))
            return
        opens = "、".join(sorted(s.scope.segment or "MSH" for s in self._stack))
        text = f"{segment} 段的位置不对: 当前只打开了 {opens} 段组, 放不进去, 内容未写入。请对方按标准次序发送(ORC OBR NTE OBX NTE SPM)后重发"
        self._findings.append(Finding("segment-misplaced", "hold", text, source=segment))


def complete(scope: Scope, row: Fields) -> None:
    """Takes up what inner groups hand up, then puts together fields that have alternatives, conditions or grafted components."""
    for child in scope.giving:
        if rows := row.get(child.name):
            promote(row, rows, child)
    for choice in scope.choices:
        if choice.plain:
            if value := row.pop(choice.plain, None):
                row[choice.name] = value
            continue
        parts = [_joined([row.pop(cell, None) for cell in cells]) for cells in choice.parts]
        blocked = row.pop(choice.unless, None) if choice.unless else None
        value = next((p for p in parts if p), None)
        for number, part in choice.grafts:
            value = _graft(value, number, row.pop(part, None))
        if value and not blocked:
            row[choice.name] = value


def _joined(values: Sequence[Any]) -> Any:
    """One value as it is; several joined, absent when one of them is."""
    if len(values) == 1:
        return values[0]
    return "-".join(values) if all(values) else None


def _graft(value: Any, number: str, text: str | None) -> Any:
    if not text:
        return value
    if isinstance(value, list):
        return [{**value[0], number: text}, *value[1:]]
    return {**(value or {"": text}), number: text}
