"""Encoders: the values of one element become keys, intervals or texts (https://hl7.org/fhir/R4/search.html#ptypes).

Tokens: forms `code` (posted), `both` (system|code; posted of a main code) and `system` (system|). References: `Type/id` or the absolute
URL, and the identifier.
Every value also gives the key that says its slot is present. All slots of an element are filled at once: what comes again and again
(codes, units, the patient of a report's results) is worked out once for all of them, as packed keys, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import Any

from gateway.fhir.references import parse_reference
from gateway.fhir.time import interval, period, timing
from gateway.store.index.folding import normalised
from gateway.store.index.pinyin import sounds
from gateway.store.index.slots import Draft, Keys, Slot, Use
from gateway.store.index.spans import HIGHEST, LOWEST, packed, sortable
from gateway.store.index.units import base_of

__all__ = ["LONGEST", "Encode", "encoder"]

Encode = Callable[[Any, Draft], None]
Number = Decimal | int | float
Forms = tuple[tuple[int, ...], tuple[bytes, ...]]
"""(keys with postings, packed keys without)."""
NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")
SPECIAL = "http://terminology.hl7.org/CodeSystem/special-values"
LONGEST = 200
"""Characters of a string that stand in the table; longer ones are compared whole from the row."""


def encoder(keys: Keys, uses: Sequence[Use]) -> Encode:
    """The encoder for the values of one element: puts them into every slot that uses them."""
    groups: dict[tuple[str, str, Any], list[Use]] = {}
    for use in uses:
        apart = None if use.slot.kind == "reference" else use.test  # references are chosen inside, by what is kept
        groups.setdefault((use.slot.kind, use.type, apart), []).append(use)
    encoders = [_chosen(test, _MAKERS[kind](keys, group)) for (kind, _, test), group in groups.items()]
    if len(encoders) == 1:
        return encoders[0]

    def all_of(value: Any, draft: Draft) -> None:
        for encode in encoders:
            encode(value, draft)

    return all_of


def _chosen(test: Callable[[Any], bool] | None, encode: Encode) -> Encode:
    if test is None:
        return encode

    def chosen(value: Any, draft: Draft) -> None:
        if test(value):
            encode(value, draft)

    return chosen


def _present(uses: Iterable[Use]) -> bytes:
    return packed([use.slot.present for use in uses])


def _token(keys: Keys, uses: Sequence[Use]) -> Encode:
    type_, slots = uses[0].type, [use.slot for use in uses]
    if type_ == "Identifier":
        return _identifier(keys, slots)
    present = _present(uses)

    def put_together(told: Iterable[tuple[Slot, str]], code: str | None) -> Forms:
        """The forms of a code with the system that each slot knows for it."""
        posted: list[int] = []
        both: list[int] = []
        whole: list[int] = []
        for slot, system in told:
            if system:
                whole.append(keys.key(slot.name, "system", system))
            if code is not None:
                drives = slot.posted and code not in slot.usual
                (posted if drives else both).append(keys.key(slot.name, "code", code))
                (posted if drives and slot.whole else both).append(keys.key(slot.name, "both", system, code))
        return tuple(posted), tuple(packed(part) for part in (both, whole) if part)

    @lru_cache(maxsize=1024)
    def forms(system: str, code: str | None) -> Forms:
        return put_together([(slot, system) for slot in slots], code)

    @lru_cache(maxsize=1024)
    def bound(code: str) -> Forms:
        return put_together([(slot, slot.systems.get(code, "")) for slot in slots], code)

    def put(system: Any, code: Any, draft: Draft) -> None:
        posted, rest = forms(system if type(system) is str else "", code if type(code) is str else None)
        draft.posted += posted
        draft.keys += rest

    def coding(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is dict:
            put(value.get("system"), value.get("code"), draft)

    def concept(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is dict and type(codings := value.get("coding")) is list:
            for one in codings:
                if type(one) is dict:
                    put(one.get("system"), one.get("code"), draft)

    def contact(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is dict:
            systems = [said if type(said := value.get(name)) is str else "" for name in ("use", "system")]
            for system in dict.fromkeys(systems):  # R4 takes the use for the system; servers in the field take the system
                put(system, value.get("value"), draft)

    def boolean(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        put(SPECIAL, "true" if value else "false", draft)

    def code(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is str:
            posted, rest = bound(value)
            draft.posted += posted
            draft.keys += rest

    by_type = {"Coding": coding, "CodeableConcept": concept, "ContactPoint": contact, "boolean": boolean}
    return by_type.get(type_, code)


def _identifier(keys: Keys, slots: Sequence[Slot]) -> Encode:
    """Identifiers hardly ever come twice: their keys are hashed from prefixes, and not kept."""
    present = packed([slot.present for slot in slots])
    of_codes = [(keys.under(slot.name, "code"), slot.posted) for slot in slots]
    of_numbers = [keys.under(type_, "identifier") for type_ in dict.fromkeys(slot.name.partition(":")[0] for slot in slots if slot.table)]

    @lru_cache(maxsize=1024)
    def under(system: str) -> tuple[list[Callable[[str], int]], bytes]:
        whole = [keys.key(slot.name, "system", system) for slot in slots] if system else []
        return [keys.under(slot.name, "both", system) for slot in slots], packed(whole)

    def identifier(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is not dict:
            return
        system, number = value.get("system"), value.get("value")
        system = system if type(system) is str else ""
        of_both, whole = under(system)
        if whole:
            draft.keys.append(whole)
        if type(number) is not str:
            return
        own = [both(number) for both in of_both]
        for of_code, posted in of_codes:
            (draft.posted if posted else own).append(of_code(number))
        draft.keys.append(packed(own))
        for of_number in of_numbers:
            key = of_number(number)
            draft.posted.append(key)
            draft.identifiers[key, system, number] = None

    return identifier


def _reference(keys: Keys, uses: Sequence[Use]) -> Encode:
    literal = uses[0].type in ("Reference", "Resource")
    to = {use.slot: keys.under(use.slot.name, "to") for use in uses}

    @lru_cache(maxsize=256)
    def chosen(named: str | None, there: str | None) -> tuple[list[tuple[Callable[[str], int], bool]], list[Slot], tuple[bytes, ...]]:
        """For a reference that names a type itself (`there`) or beside it (`named`): the hashes of where it points and whether these
        have postings, the slots it fills, and the keys that say so."""
        example = {"reference": f"{there}/x" if there else None, "type": named}
        slots = [use.slot for use in uses if use.test is None or use.test(example)]
        present = [slot.present for slot in slots]
        if type_ := (there or named) if literal else None:
            present += [keys.key(slot.name, "present", type_) for slot in slots]
        return [(to[slot], slot.posted) for slot in slots], slots, (packed(present),) if present else ()

    def places(text: str) -> tuple[str | None, list[str]]:
        """The type that a reference names, and the texts it is found by."""
        type_, _, id_ = text.partition("/")
        if literal and text.isascii() and id_.isalnum() and type_.isalpha() and type_[0].isupper():  # nearly all: Type/id
            return type_, [text]
        if text.startswith("#"):
            return None, [] if literal else [text]
        target = parse_reference(text, keys.base)
        whole = text.partition("/_history/")[0] if target.base or not target.type else target.local
        versioned = {f"{whole}/_history/{target.version}"} if target.version else set()
        return target.type or None, sorted({whole} | versioned if literal else {whole, whole.partition("|")[0]} | versioned)

    @lru_cache(maxsize=1024)
    def forms(text: str | None, named: str | None, system: str, number: str | None) -> Forms:
        there, forms_ = places(text) if text is not None else (None, [])
        hashes, slots, present = chosen(named, there)
        posted: list[int] = []
        own: list[int] = []
        for form in forms_:
            for key, driving in hashes:
                (posted if driving else own).append(key(form))
        if number is not None:
            for slot in slots:
                (posted if slot.posted else own).append(keys.key(slot.name, "identifier", number))
                own.append(keys.key(slot.name, "identifier", system, number))
        return tuple(posted), (*present, packed(own)) if own else present

    def text(value: Any, draft: Draft) -> None:
        posted, rest = forms(value if type(value) is str else None, None, "", None)
        draft.posted += posted
        draft.keys += rest

    def reference(value: Any, draft: Draft) -> None:
        if type(value) is not dict:
            draft.keys += forms(None, None, "", None)[1]
            return
        target, named, identifier = value.get("reference"), value.get("type"), value.get("identifier")
        system = number = None
        if type(identifier) is dict:
            system, number = identifier.get("system"), identifier.get("value")
        posted, rest = forms(
            target if type(target) is str else None,
            named if type(named) is str else None,
            system if type(system) is str else "",
            number if type(number) is str else None,
        )
        draft.posted += posted
        draft.keys += rest

    def inline(value: Any, draft: Draft) -> None:
        """A resource that stands where the expression ends (Bundle.entry.resource)."""
        type_, id_ = (value.get("resourceType"), value.get("id")) if type(value) is dict else (None, None)
        text(f"{type_}/{id_}" if type(type_) is str and type(id_) is str else None, draft)

    return {"Reference": reference, "Resource": inline}.get(uses[0].type, text)


def _date(keys: Keys, uses: Sequence[Use]) -> Encode:
    present, slots, main = _present(uses), [use.slot.dates for use in uses], any(use.main for use in uses)
    type_, zone = uses[0].type, keys.zone

    @lru_cache(maxsize=1024)
    def covered(text: str) -> tuple[int, int] | None:
        return interval(text, zone)

    def date(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is str:
            found = covered(value)
        elif type(value) is dict:
            found = timing(value, zone) if type_ == "Timing" else period(value, zone)
        else:
            found = None
        if found is not None:
            draft.spans += [(slot, *found) for slot in slots]
            if main:
                draft.main.append(found)

    return date


def _string(keys: Keys, uses: Sequence[Use]) -> Encode:
    names = {"HumanName": NAME_PARTS, "Address": ADDRESS_PARTS}.get(uses[0].type, ("text",))
    present = _present(uses)
    own = [(keys.key(use.slot.name, "text"), use.slot.table) for use in uses]
    heard = [keys.key(use.slot.name, "pinyin") for use in uses if use.slot.table and (use.type == "HumanName" or _named(use.slot))]

    def string(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if heard:
            read = sound(value) if type(value) is dict else sounds(normalised(value), given) if type(value) is str else ()
            for key in heard:
                draft.texts += [(key, one) for one in read]
                draft.strings |= dict.fromkeys([(key, one) for one in read])
        for text in [value] if type(value) is str else parts(value):
            for key, table in own:
                draft.texts.append((key, text))
                if table:
                    draft.strings[key, normalised(text)[:LONGEST]] = None

    given = any(_named(use.slot) == "given" for use in uses)

    def sound(value: dict[str, Any]) -> dict[str, None]:
        """How a Chinese name, and each part of it, is read."""
        text, family, given = value.get("text"), value.get("family"), value.get("given")
        family = family if type(family) is str else ""
        given = "".join(g for g in given if type(g) is str) if type(given) is list else ""
        read = dict.fromkeys([*sounds(normalised(family + given)), *sounds(normalised(given), True), *sounds(normalised(family))])
        return read | dict.fromkeys(sounds(normalised(text)) if type(text) is str else ())

    def parts(value: Any) -> Iterator[str]:
        if type(value) is dict:
            for name in names:
                found = value.get(name, ())
                yield from [f for f in (found if type(found) is list else [found]) if type(f) is str]

    return string


def _named(slot: Slot) -> str:
    """`family` or `given` for a slot of that part of a name."""
    return next((part for part in ("family", "given") if slot.name.endswith(f".name.{part}#string")), "")


def _quantity(keys: Keys, uses: Sequence[Use]) -> Encode:
    present, type_ = _present(uses), uses[0].type

    @lru_cache(maxsize=1024)
    def units(system: str | None, code: str | None, unit: str | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Keys of the number as it stands, and in base units."""
        forms: dict[tuple[str, ...], None] = {("amount",): None}
        forms |= {("amount", text): None for text in (code, unit) if text is not None}
        base = base_of(system, code)
        if base is None and system is not None and code is not None:
            forms["amount", system, code] = None
        own = tuple(keys.key(use.slot.name, *form) for use in uses for form in forms)
        return own, tuple(keys.key(use.slot.name, "base", base.dimension) for use in uses) if base else ()

    def put(low: Number | None, high: Number | None, unit: Any, draft: Draft) -> None:
        """low, high: None where the amount is open."""
        system = code = print_ = None
        if type(unit) is dict:
            system, code, print_ = unit.get("system"), unit.get("code"), unit.get("unit")
            if type_ == "Money":
                system, code = "urn:iso:std:iso:4217", unit.get("currency")
        system, code = system if type(system) is str else None, code if type(code) is str else None
        plain, canonical = units(system, code, print_ if type(print_) is str else None)
        first, last = LOWEST if low is None else sortable(low), HIGHEST if high is None else sortable(high)
        draft.amounts += [(key, first, last) for key in plain]
        if canonical and (base := base_of(system, code)) is not None:
            first, last = LOWEST if low is None else sortable(base.of(low)), HIGHEST if high is None else sortable(base.of(high))
            draft.amounts += [(key, first, last) for key in canonical]

    def quantity(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        number = _number(value.get("value") if type(value) is dict else value)
        if number is not None:
            comparator = value.get("comparator") if type(value) is dict else None
            put(None if comparator in ("<", "<=") else number, None if comparator in (">", ">=") else number, value, draft)

    def range_(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is dict:
            ends = [end if type(end := value.get(n)) is dict else {} for n in ("low", "high")]
            low, high = (_number(end.get("value")) for end in ends)
            if low is not None or high is not None:
                put(low, high, ends[0] or ends[1], draft)

    return range_ if type_ == "Range" else quantity


def _number(value: Any) -> Number | None:
    """A finite number that a double can hold."""
    if type(value) is bool or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        return value if isfinite(float(value)) else None
    except (InvalidOperation, OverflowError, ValueError):
        return None


def _uri(keys: Keys, uses: Sequence[Use]) -> Encode:
    present, slots = _present(uses), [use.slot for use in uses]
    own = [keys.key(slot.name, "text") for slot in slots if slot.table]

    @lru_cache(maxsize=1024)
    def forms(value: str) -> Forms:
        posted = tuple(keys.key(slot.name, "uri", value) for slot in slots if slot.posted)
        rest = [keys.key(slot.name, "uri", value) for slot in slots if not slot.posted]
        return posted, (packed(rest),) if rest else ()

    def uri(value: Any, draft: Draft) -> None:
        draft.keys.append(present)
        if type(value) is str:
            posted, rest = forms(value)
            draft.posted += posted
            draft.keys += rest
            for key in own:
                draft.texts.append((key, value))
                draft.strings[key, value[:LONGEST]] = None

    return uri


_MAKERS: dict[str, Callable[[Keys, Sequence[Use]], Encode]] = {
    "token": _token,
    "reference": _reference,
    "date": _date,
    "string": _string,
    "quantity": _quantity,
    "uri": _uri,
}
