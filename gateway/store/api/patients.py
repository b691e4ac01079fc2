"""A Patient that a client writes is a resident too: its identifiers are a claim, so that later records of the same number find it.

The claim holds the numbers that no other resident holds: a client that creates a second Patient with a known number gets a second
Patient, and records stay with the first until a person links the two (`yifang residents link`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from gateway import builtin
from gateway.identity.link import Claim
from gateway.identity.numbers import person_number
from gateway.record import PersonClaim, PersonNumber
from gateway.store.residents import Residents
from gateway.store.states import ResourceState
from gateway.terminology.tables import read_terms

__all__ = ["is_replaced", "numbers_of", "own_claim", "register", "retire", "spoken_for"]

Body = dict[str, Any]


@lru_cache(maxsize=4)
def _systems(base: str) -> tuple[dict[str, str], dict[str, str]]:
    """System -> name of the identifiers on which residents may be linked, with the systems that are accepted for them; name -> system."""
    text = (builtin.MAPPINGS / "tables" / "identifiers.csv").read_bytes()
    known = read_terms({"tables/identifiers.csv": text}).identifiers
    own = {name: i.system.replace("{base}", base) for name, i in known.items()}
    return {s.replace("{base}", base): name for name, i in known.items() if i.strong for s in (i.system, *i.accepts)}, own


def numbers_of(body: Body, base: str) -> tuple[PersonNumber, ...]:
    """The numbers that a Patient's identifiers say, strong ones first. One that breaks its rule is no number; nor is one marked `old`."""
    strong, systems = _systems(base)
    found: dict[tuple[str, str], PersonNumber] = {}
    for i in _dicts(body.get("identifier")):
        system, value = i.get("system"), i.get("value")
        if not isinstance(system, str) or not isinstance(value, str) or not value.strip() or i.get("use") == "old":
            continue
        name = strong.get(system)
        number = PersonNumber(system, value.strip(), False) if name is None else person_number(name, value, systems)[0]
        if number is not None:
            found.setdefault((number.system, number.value), number)
    return tuple(sorted(found.values(), key=lambda n: not n.strong))


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return (v for v in value if isinstance(v, dict)) if isinstance(value, list) else ()


def name_of(body: Body) -> str:
    """The first name as text: its `text`, or family and given names joined."""
    for n in _dicts(body.get("name")):
        text = n.get("text")
        if isinstance(text, str) and text:
            return text
        given = n.get("given")
        parts = [n.get("family"), *(given if isinstance(given, list) else ())]
        joined = " ".join(p for p in parts if isinstance(p, str))
        if joined:
            return joined
    return ""


def _text(body: Body, element: str, among: tuple[str, ...] = ()) -> str:
    value = body.get(element)
    return value if isinstance(value, str) and (not among or value in among) else ""


def own_claim(residents: Residents, state: ResourceState) -> Claim | None:
    """The claim that stands for what clients say of this Patient."""
    residents.load_whole([state.rid])
    id_ = residents.digests.get(_digest(state))
    return residents.claims.get(id_) if id_ is not None else None


def _digest(state: ResourceState) -> str:
    return f"api:{state.rid}"


def is_replaced(residents: Residents, state: ResourceState) -> bool:
    """Whether this Patient was linked away, so that it only points on."""
    return bool(state.version) and not state.deleted and not residents.of(state.rid)


def spoken_for(residents: Residents, state: ResourceState) -> bool:
    """Whether records speak of this resident."""
    own = own_claim(residents, state)
    return any(own is None or c.id != own.id for c in residents.of(state.rid))


def register(residents: Residents, state: ResourceState, body: Body, base: str) -> int:
    """Makes or changes the claim of this Patient after what the client says of it now; the claim's id. base: of the systems we issue."""
    own = own_claim(residents, state)
    said = numbers_of(body, base)
    if said:
        residents.load([PersonClaim(said)], ())  # everything that shares a number, locked against other processes
    held = {n for c in residents.claims.values() if c.patient != state.rid for n in c.all}
    numbers = tuple(n for n in said if (n.system, n.value) not in held)
    name, sex, born = name_of(body), _text(body, "gender", ("male", "female")), _text(body, "birthDate")
    if own is None:
        id_ = residents.unit.raw.number()
        residents.claims[id_] = Claim(id_, numbers, name, sex, born, state.rid, state.rid)
        residents.digests[_digest(state)] = id_
        residents.fresh.add(id_)
    elif (own.numbers, own.name, own.sex, own.birth_date) != (numbers, name, sex, born):
        id_ = own.id
        _change(residents, own, replace(own, numbers=numbers, name=name, sex=sex, birth_date=born))
    else:
        id_ = own.id
    residents.changed.add(state.rid)
    return id_


def _change(residents: Residents, before: Claim, now: Claim) -> None:
    """The numbers of a claim as they are now, in the tables too when it stands there already."""
    residents.claims[now.id] = now
    if now.id in residents.fresh:
        return
    raw = residents.unit.raw
    raw.many("DELETE FROM patient_number WHERE value = ? AND system = ? AND source_patient = ?", [(v, s, now.id) for s, v in before.all])
    raw.insert("patient_number", ("value", "system", "source_patient", "strong"), [(n.value, n.system, now.id, n.strong) for n in now.numbers])
    numbers = json.dumps([[n.system, n.value, n.strong] for n in now.numbers], ensure_ascii=False, separators=(",", ":"))
    raw.run("UPDATE source_patient SET numbers = ?, name = ?, sex = ?, birth_date = ? WHERE id = ?",
            [numbers, now.name, now.sex, now.birth_date, now.id])  # fmt: skip


def retire(residents: Residents, state: ResourceState) -> None:
    """A deleted Patient holds no number any more, so that no later record is led to it; what clients said of it ends."""
    own = own_claim(residents, state)
    if own is not None and own.numbers:
        _change(residents, own, replace(own, numbers=()))
    unit = residents.unit
    unit.load_covered(state.rid)
    for c in list(state.contributions.values()):
        unit.drop_contribution(c)
