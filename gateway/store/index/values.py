"""Encoders: one value of one FHIR type becomes keys, intervals or texts (https://hl7.org/fhir/R4/search.html#ptypes).

Tokens: forms `code` (posted), `both` (system|code) and `system` (system|). References: `Type/id` or the absolute URL, and the identifier.
Every value also gives the key that says its slot is present. What comes again and again (codes, units, the patient of a report's
results) is worked out once and kept.
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
Forms = tuple[tuple[int, ...], tuple[int, ...]]
"""(keys with postings, keys without)."""
NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")
SPECIAL = "http://terminology.hl7.org/CodeSystem/special-values"
LONGEST = 200
"""Characters of a string that stand in the table; longer ones are compared whole from the row."""
LONGEST_SYSTEM = 500
"""Characters of an identifier's system that its table keeps: an index row of PostgreSQL has a limit."""


def encoder(keys: Keys, slot: Slot, type_: str, main: bool = False) -> Encode:
    """The encoder for values of this type in this slot. main: its dates order the resources of its type."""
    if slot.kind == "date":
        return _date(keys, slot, type_, main)
    makers: dict[str, Callable[[Keys, Slot, str], Encode]] = {
        "token": _token,
        "reference": _reference,
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
    if type_ == "Identifier":
        return _identifier(keys, slot)
    present = slot.present

    @lru_cache(maxsize=4096)
    def forms(system: str, code: str | None) -> Forms:
        whole = (keys.key(slot.name, "system", system),) if system else ()
        if code is None:
            return (), (present, *whole)
        own, both = keys.key(slot.name, "code", code), keys.key(slot.name, "both", system, code)
        return ((own,), (present, both, *whole)) if slot.posted else ((), (present, own, both, *whole))

    def put(system: Any, code: Any, draft: Draft) -> None:
        posted, rest = forms(system if type(system) is str else "", code if type(code) is str else None)
        draft.posted += posted
        draft.keys += rest

    def coding(value: Any, draft: Draft) -> None:
        if isinstance(value, dict):
            put(value.get("system"), value.get("code"), draft)
        else:
            draft.keys.append(present)

    def concept(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if isinstance(value, dict) and isinstance(value.get("coding"), list):
            for one in value["coding"]:
                if isinstance(one, dict):
                    put(one.get("system"), one.get("code"), draft)

    def contact(value: Any, draft: Draft) -> None:
        if isinstance(value, dict):
            put(value.get("use"), value.get("value"), draft)
        else:
            draft.keys.append(present)

    def boolean(value: Any, draft: Draft) -> None:
        put(SPECIAL, "true" if value else "false", draft)

    def code(value: Any, draft: Draft) -> None:
        if isinstance(value, str):
            put(slot.systems.get(value), value, draft)
        else:
            draft.keys.append(present)

    by_type = {"Coding": coding, "CodeableConcept": concept, "ContactPoint": contact, "boolean": boolean}
    return by_type.get(type_, code)


def _identifier(keys: Keys, slot: Slot) -> Encode:
    """Identifiers hardly ever come twice: their keys are hashed from prefixes, and not kept."""
    present = slot.present
    of_code = keys.under(slot.name, "code")
    of_number = keys.under(slot.name.partition(":")[0], "identifier")

    @lru_cache(maxsize=1024)
    def under(system: str) -> tuple[Callable[[str], int], int]:
        return keys.under(slot.name, "both", system), keys.key(slot.name, "system", system)

    def identifier(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if not isinstance(value, dict):
            return
        system, number = value.get("system"), value.get("value")
        system = system if isinstance(system, str) else ""
        of_both, whole = under(system)
        if system:
            draft.keys.append(whole)
        if isinstance(number, str):
            (draft.posted if slot.posted else draft.keys).append(of_code(number))
            draft.keys.append(of_both(number))
            if slot.table:
                draft.identifiers[of_number(number), system[:LONGEST_SYSTEM], number] = None

    return identifier


def _reference(keys: Keys, slot: Slot, type_: str) -> Encode:
    present = slot.present

    def literal(text: str) -> tuple[tuple[int, ...], str]:
        if text.startswith("#"):
            return (), ""
        target = parse_reference(text, keys.base)
        if target.base or not target.type:
            whole = text.partition("/_history/")[0]
            forms = {whole, whole.partition("|")[0]} if type_ != "Reference" else {whole}
            return tuple(keys.key(slot.name, "to", form) for form in sorted(forms)), target.type
        return (keys.key(slot.name, "to", target.local),), target.type

    @lru_cache(maxsize=8192)
    def forms(text: str | None, named: str | None, system: str, number: str | None) -> Forms:
        posted: list[int] = []
        rest = [present]
        if text is not None:
            places, found = literal(text)
            posted += places
            named = (found or named) if type_ == "Reference" else None
        if named is not None:
            rest.append(keys.key(slot.name, "present", named))
        if number is not None:
            posted.append(keys.key(slot.name, "identifier", number))
            rest.append(keys.key(slot.name, "identifier", system, number))
        return (tuple(posted), tuple(rest)) if slot.posted else ((), (*posted, *rest))

    def text(value: Any, draft: Draft) -> None:
        posted, rest = forms(value if type(value) is str else None, None, "", None)
        draft.posted += posted
        draft.keys += rest

    last: tuple[Any, Any, tuple[int, ...], tuple[int, ...]] = (None, None, (), ())

    def reference(value: Any, draft: Draft) -> None:
        nonlocal last
        if not isinstance(value, dict):
            draft.keys.append(present)
            return
        target = value.get("reference")
        held, place, posted, rest = last
        if value is held and target == place:  # the resources of one record share their references; the writer changes only where they point
            draft.posted += posted
            draft.keys += rest
            return
        named, identifier = value.get("type"), value.get("identifier")
        system = number = None
        if isinstance(identifier, dict):
            system, number = identifier.get("system"), identifier.get("value")
        posted, rest = forms(
            target if type(target) is str else None,
            named if type(named) is str else None,
            system if type(system) is str else "",
            number if type(number) is str else None,
        )
        last = value, target, posted, rest
        draft.posted += posted
        draft.keys += rest

    return reference if type_ == "Reference" else text


def _date(keys: Keys, slot: Slot, type_: str, main: bool) -> Encode:
    def date(value: Any, draft: Draft) -> None:
        draft.keys.append(slot.present)
        if isinstance(value, str):
            found = interval(value, keys.zone)
        elif isinstance(value, dict):
            found = timing(value, keys.zone) if type_ == "Timing" else period(value, keys.zone)
        else:
            found = None
        if found is not None:
            draft.spans.append((slot.dates, *found))
            if main:
                draft.main.append(found)

    return date


def _string(keys: Keys, slot: Slot, type_: str) -> Encode:
    names = {"HumanName": NAME_PARTS, "Address": ADDRESS_PARTS}.get(type_, ("text",))
    own = keys.key(slot.name, "text")

    def string(value: Any, draft: Draft) -> None:
        draft.keys.append(slot.present)
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
    def units(system: str | None, code: str | None, unit: str | None) -> tuple[int, ...]:
        forms: dict[tuple[str, ...], None] = {("amount",): None}
        forms |= {("amount", text): None for text in (code, unit) if text is not None}
        if system is not None and code is not None:
            forms["amount", system, code] = None
        return tuple(keys.key(slot.name, *form) for form in forms)

    def put(low: int, high: int, unit: Any, draft: Draft) -> None:
        system = code = print_ = None
        if isinstance(unit, dict):
            system, code, print_ = unit.get("system"), unit.get("code"), unit.get("unit")
            if type_ == "Money":
                system, code = "urn:iso:std:iso:4217", unit.get("currency")
        said = [text if type(text) is str else None for text in (system, code, print_)]
        draft.amounts += [(key, low, high) for key in units(*said)]

    def quantity(value: Any, draft: Draft) -> None:
        draft.keys.append(slot.present)
        number = _number(value.get("value") if isinstance(value, dict) else value)
        if number is None:
            return
        comparator = value.get("comparator") if isinstance(value, dict) else None
        put(LOWEST if comparator in ("<", "<=") else number, HIGHEST if comparator in (">", ">=") else number, value, draft)

    def range_(value: Any, draft: Draft) -> None:
        draft.keys.append(slot.present)
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
        draft.keys.append(slot.present)
        if isinstance(value, str):
            (draft.posted if slot.posted else draft.keys).append(keys.key(slot.name, "uri", value))
            if slot.table:
                draft.texts.append((own, value))
                draft.strings[own, value[:LONGEST]] = None

    return uri
