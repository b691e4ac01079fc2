"""Tokens: codes, codings, identifiers, flags (https://hl7.org/fhir/R4/search.html#token)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.fhir.query import Criterion, split, unescape
from gateway.store.index.folding import normalised
from gateway.store.index.keys import Field
from gateway.store.index.match.asked import Asked, Code, allow, refused, system_value
from gateway.store.index.match.row import Alternatives, Condition, PostingRange, posted
from gateway.store.index.reading import extracted
from gateway.store.index.slots import Slot

__all__ = ["token"]


def token(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """`code`, `system|code`, `|code`, `system|`, with :not, :text, :of-type, :in, :not-in, :below, :above."""
    allow(criterion, "", "not", "text", "of-type", "in", "not-in", "below", "above")
    if criterion.modifier == "text":
        return _text(asked, found, criterion)
    if criterion.modifier == "of-type":
        return _of_type(asked, found, criterion)
    if criterion.modifier in ("in", "not-in", "below", "above"):
        return _coded(asked, found, criterion)
    either = Alternatives()
    for value in criterion.values:
        system, named, code = system_value(criterion, value)
        for slot, _ in found.slots:
            key = asked.indexer.key
            if not code:
                either.key(key(slot.name, "system", system), None)
                continue
            own = key(slot.name, "code", code)
            wanted = key(slot.name, "both", system, code) if named else own
            if slot.table:
                either.key(wanted, _identifier(asked, code))
            else:
                either.key(wanted, _posted(slot, code, own, wanted))
    return either.condition(negated=criterion.modifier == "not")


def _posted(slot: Slot, code: str, own: int, wanted: int) -> list[PostingRange] | None:
    """The postings of a code: of the code with its system where those are kept. None when it has none."""
    return None if code in slot.usual else posted(slot, wanted if slot.whole else own)


def _identifier(asked: Asked, number: str) -> list[PostingRange]:
    """The postings of an identifier's number, whatever its system."""
    key = asked.indexer.key(asked.plan.type, "identifier", number)
    return [PostingRange(key), PostingRange(key | 1)]


def _coded(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#modifiers: by what a value set or code system says."""
    either = Alternatives()
    for system, code in _codes(asked, found, criterion):
        for slot, _ in found.slots:
            key = asked.indexer.key
            own = key(slot.name, "code", code)
            wanted = key(slot.name, "both", system, code) if system else own
            either.key(wanted, _posted(slot, code, own, wanted))
    return either.condition(negated=criterion.modifier == "not-in")


def _codes(asked: Asked, found: Field, criterion: Criterion) -> Iterable[Code]:
    codes: set[Code] = set()
    for value in criterion.values:
        if criterion.modifier in ("in", "not-in"):
            known = asked.terms.members(unescape(value))
            if known is None:
                raise refused(criterion, "unknown-valueset", f"这里没有值集 `{unescape(value)[:200]}`; 先把 ValueSet 资源写入网关, 或直接列出代码")
            codes |= known
            continue
        system, named, code = system_value(criterion, value)
        look = asked.terms.below if criterion.modifier == "below" else asked.terms.above
        systems = [system] if named else sorted({s for slot, _ in found.slots for s in slot.systems.values()})
        held = [known for s in systems if (known := look(s, code)) is not None]
        if not held:
            raise refused(criterion, "unknown-codesystem", f"这里没有代码系统 `{system[:200]}` 的层级; 先把 CodeSystem 资源写入网关, 或直接列出代码")
        codes.update(*held)
    return sorted(codes)


def _text(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """`:text`: the words that stand beside the code begin with, or hold, what is asked."""
    wanted = [normalised(unescape(value)) for value in criterion.values]
    read = extracted(asked.indexer.r4, asked.plan.type, found.parameter.expression)

    def content(resource: Mapping[str, Any]) -> bool:
        return any(part in normalised(text) for _, _, value in read(resource) for text in _words(value) for part in wanted)

    present = Alternatives()
    for slot, _ in found.slots:
        present.key(slot.present, None)
    return Condition(present.test(), needles=tuple(present.keys), content=content)


def _words(value: Any) -> Iterable[str]:
    """Text and displays of a CodeableConcept, Coding or Identifier (its type)."""
    if not isinstance(value, dict):
        return
    codings = value.get("coding")
    shown = [c.get("display") for c in codings if isinstance(c, dict)] if isinstance(codings, list) else []
    yield from (text for text in (value.get("text"), value.get("display"), *shown) if isinstance(text, str))
    yield from _words(value.get("type"))


def _of_type(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """`:of-type=system|code|value`: an identifier by its type and its value."""
    wanted: list[tuple[str, str, str]] = []
    for value in criterion.values:
        parts = [unescape(p) for p in split(value, "|")]
        if len(parts) != 3 or not all(parts):
            raise refused(criterion, "bad-value", ":of-type 的值应写成 系统|类型代码|编号")
        wanted.append((parts[0], parts[1], parts[2]))
    read = extracted(asked.indexer.r4, asked.plan.type, found.parameter.expression)

    def content(resource: Mapping[str, Any]) -> bool:
        return any(_is_of(value, *one) for _, type_, value in read(resource) if type_ == "Identifier" for one in wanted)

    numbered = Alternatives()
    for _, _, number in wanted:
        for slot, _ in found.slots:
            own = asked.indexer.key(slot.name, "code", number)
            numbered.key(own, _identifier(asked, number) if slot.table else _posted(slot, number, own, own))
    return Condition(numbered.test(), numbered.driver, needles=tuple(numbered.keys), content=content)


def _is_of(identifier: Any, system: str, code: str, number: str) -> bool:
    if not isinstance(identifier, dict) or identifier.get("value") != number:
        return False
    type_ = identifier.get("type")
    codings = type_.get("coding") if isinstance(type_, dict) else None
    return isinstance(codings, list) and any(isinstance(c, dict) and c.get("system") == system and c.get("code") == code for c in codings)
