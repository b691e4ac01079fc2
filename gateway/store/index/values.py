"""Encoders: one value of one FHIR type becomes keys, intervals or texts (https://hl7.org/fhir/R4/search.html#ptypes).

Tokens: forms `code` (posted), `both` (system|code) and `system` (system|). References: `Type/id` or the absolute URL, and the identifier.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from gateway.fhir.references import parse_reference
from gateway.fhir.time import interval, period, timing
from gateway.store.index.slots import Draft, Keys, Slot
from gateway.store.index.spans import HIGHEST, LOWEST, sortable

__all__ = ["LONGEST", "LONGEST_SYSTEM", "Encode", "encoder", "normalised"]

Encode = Callable[[Any, Draft], None]
NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")
LONGEST = 200
"""Characters of a string that stand in the table; longer ones are compared whole from the row."""
LONGEST_SYSTEM = 500
"""Characters of an identifier's system that its table keeps: an index row of PostgreSQL has a limit."""


def encoder(keys: Keys, slot: Slot, type_: str) -> Encode:
    """The encoder for values of this type in this slot."""
    makers: dict[str, Callable[[Keys, Slot, str], Encode]] = {
        "token": _token,
        "reference": _reference,
        "date": _date,
        "string": _string,
        "quantity": _quantity,
        "uri": _uri,
    }
    return makers[slot.kind](keys, slot, type_)


@lru_cache(maxsize=8192)
def normalised(text: str) -> str:
    """Text as strings are compared: width and case folded, accents off, blanks joined."""
    wide = unicodedata.normalize("NFKC", text).casefold()
    if not wide.isascii():
        wide = "".join(c for c in unicodedata.normalize("NFD", wide) if not unicodedata.combining(c))
    return " ".join(wide.split())


def _token(keys: Keys, slot: Slot, type_: str) -> Encode:
    @lru_cache(maxsize=4096)
    def forms(system: str, code: str) -> tuple[int, tuple[int, ...]]:
        own = keys.key(slot.name, "code", code)
        rest = [keys.key(slot.name, "both", system, code)]
        return own, (*rest, keys.key(slot.name, "system", system)) if system else tuple(rest)

    def put(system: Any, code: Any, draft: Draft) -> None:
        if not isinstance(code, str):
            if isinstance(system, str):
                draft.keys[keys.key(slot.name, "system", system)] = None
            return
        own, rest = forms(system if isinstance(system, str) else "", code)
        (draft.posted if slot.posted else draft.keys)[own] = None
        for key in rest:
            draft.keys[key] = None

    def coding(value: Any, draft: Draft) -> None:
        if isinstance(value, dict):
            put(value.get("system"), value.get("code"), draft)

    def concept(value: Any, draft: Draft) -> None:
        if isinstance(value, dict) and isinstance(value.get("coding"), list):
            for one in value["coding"]:
                coding(one, draft)

    def identifier(value: Any, draft: Draft) -> None:
        if isinstance(value, dict):
            system, number = value.get("system"), value.get("value")
            put(system, number, draft)
            if slot.table and isinstance(number, str):
                resource_type = slot.name.partition(":")[0]
                own = system[:LONGEST_SYSTEM] if isinstance(system, str) else ""
                draft.identifiers[keys.key(resource_type, "identifier", number), own, number] = None

    def contact(value: Any, draft: Draft) -> None:
        if isinstance(value, dict):
            put(value.get("use"), value.get("value"), draft)

    def boolean(value: Any, draft: Draft) -> None:
        put("http://terminology.hl7.org/CodeSystem/special-values", "true" if value else "false", draft)

    def code(value: Any, draft: Draft) -> None:
        if isinstance(value, str):
            put(slot.systems.get(value), value, draft)

    by_type = {"Coding": coding, "CodeableConcept": concept, "Identifier": identifier, "ContactPoint": contact, "boolean": boolean}
    return by_type.get(type_, code)


def _reference(keys: Keys, slot: Slot, type_: str) -> Encode:
    @lru_cache(maxsize=8192)
    def literal(text: str) -> tuple[tuple[int, ...], str]:
        if text.startswith("#"):
            return (), ""
        target = parse_reference(text, keys.base)
        if target.base or not target.type:
            whole = text.partition("/_history/")[0]
            forms = {whole, whole.partition("|")[0]} if type_ != "Reference" else {whole}
            return tuple(keys.key(slot.name, "to", form) for form in sorted(forms)), target.type
        return (keys.key(slot.name, "to", target.local),), target.type

    def put(places: tuple[int, ...], draft: Draft) -> None:
        for key in places:
            (draft.posted if slot.posted else draft.keys)[key] = None

    def text(value: Any, draft: Draft) -> None:
        if isinstance(value, str):
            put(literal(value)[0], draft)

    def reference(value: Any, draft: Draft) -> None:
        if not isinstance(value, dict):
            return
        named = value.get("type")
        if isinstance(value.get("reference"), str):
            places, found = literal(value["reference"])
            put(places, draft)
            named = found or named
        if isinstance(named, str):
            draft.keys[keys.key(slot.name, "present", named)] = None
        identifier = value.get("identifier")
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            system = identifier.get("system")
            key = keys.key(slot.name, "identifier", identifier["value"])
            (draft.posted if slot.posted else draft.keys)[key] = None
            draft.keys[keys.key(slot.name, "identifier", system if isinstance(system, str) else "", identifier["value"])] = None

    return reference if type_ == "Reference" else text


def _date(keys: Keys, slot: Slot, type_: str) -> Encode:
    def date(value: Any, draft: Draft) -> None:
        if isinstance(value, str):
            found = interval(value, keys.zone)
        elif isinstance(value, dict):
            found = timing(value, keys.zone) if type_ == "Timing" else period(value, keys.zone)
        else:
            found = None
        if found is not None:
            draft.spans.append((slot, *found))

    return date


def _string(keys: Keys, slot: Slot, type_: str) -> Encode:
    names = {"HumanName": NAME_PARTS, "Address": ADDRESS_PARTS}.get(type_, ("text",))
    own = keys.key(slot.name, "text")

    def string(value: Any, draft: Draft) -> None:
        for text in [value] if isinstance(value, str) else parts(value):
            draft.texts.append((own, text))
            if slot.table:
                draft.strings[own, normalised(text)[:LONGEST]] = None

    def parts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for name in names:
                found = value.get(name, ())
                yield from [f for f in (found if isinstance(found, list) else [found]) if isinstance(f, str)]

    return string


def _quantity(keys: Keys, slot: Slot, type_: str) -> Encode:
    @lru_cache(maxsize=512)
    def units(system: Any, code: Any, unit: Any) -> tuple[int, ...]:
        forms: dict[tuple[str, ...], None] = {("amount",): None}
        forms |= {("amount", text): None for text in (code, unit) if isinstance(text, str)}
        if isinstance(system, str) and isinstance(code, str):
            forms["amount", system, code] = None
        return tuple(keys.key(slot.name, *form) for form in forms)

    def put(low: int, high: int, unit: Any, draft: Draft) -> None:
        unit = {k: v for k, v in unit.items() if isinstance(v, str)} if isinstance(unit, dict) else {}
        system, code = (unit.get("system"), unit.get("code")) if type_ != "Money" else ("urn:iso:std:iso:4217", unit.get("currency"))
        for key in units(system, code, unit.get("unit")):
            draft.amounts[key, low, high] = None

    def quantity(value: Any, draft: Draft) -> None:
        number = _number(value.get("value") if isinstance(value, dict) else value)
        if number is None:
            return
        comparator = value.get("comparator") if isinstance(value, dict) else None
        put(LOWEST if comparator in ("<", "<=") else number, HIGHEST if comparator in (">", ">=") else number, value, draft)

    def range_(value: Any, draft: Draft) -> None:
        if isinstance(value, dict):
            ends = [end if isinstance(end := value.get(n), dict) else {} for n in ("low", "high")]
            low, high = (_number(end.get("value")) for end in ends)
            if low is not None or high is not None:
                put(LOWEST if low is None else low, HIGHEST if high is None else high, ends[0] or ends[1], draft)

    return range_ if type_ == "Range" else quantity


def _number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        return sortable(value)
    except (InvalidOperation, OverflowError, ValueError):
        return None


def _uri(keys: Keys, slot: Slot, type_: str) -> Encode:
    own = keys.key(slot.name, "text")

    def uri(value: Any, draft: Draft) -> None:
        if isinstance(value, str):
            (draft.posted if slot.posted else draft.keys)[keys.key(slot.name, "uri", value)] = None
            if slot.table:
                draft.texts.append((own, value))
                draft.strings[own, value[:LONGEST]] = None

    return uri
