"""Broken variants of valid resources, evenly over the kinds of fault; made without the validator.

    python -m tests.validation.mutants OUT --from FOLDER [--seed 7] [--each 300] [--skip NAMES]

Reads every `*.json` of FOLDER (`--skip`: a file with names to leave out, one a line) and writes OUT/<kind>-<number>-<source>.json. The same
input and seed give the same files.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.fhir.elements import R4, Element, load
from tests.validation.broken import INVARIANTS, NARRATIVES, SLICES, Break

Json = dict[str, Any]
Place = tuple[Json, str, Element, str]
"""(object, JSON name in it, element, type of its value)."""
LARGEST = 12_000
"""Bytes of a source: HAPI's validator takes seconds for large ones."""
DATES = ("2026-13-01", "2026-02-30", "01.02.2026", "2026-1-5", "not a date", "2026-05-01T25:00:00Z", "2026-05-01T08:30:00", "")
IDS = ("under_score", "with space", "/slash", "x" * 65, "中文", "")


def places(r4: R4, resource: Json) -> Iterator[Place]:
    """Every element that occurs in a resource, the resources in it included."""
    yield from _below(r4, resource, r4.types[resource["resourceType"]].elements)


def _below(r4: R4, holder: Json, elements: Any) -> Iterator[Place]:
    for name, value in list(holder.items()):
        found = r4.element(elements, name)
        if found is None:
            continue
        element, type_ = found
        yield holder, name, element, type_
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                if "resourceType" in item:
                    yield from places(r4, item)
                else:
                    yield from _below(r4, item, r4.children(element, type_))


def first(value: Any) -> Any:
    """The value, or the first of a list."""
    return value[0] if isinstance(value, list) and value else value


def put(place: Place, value: Any) -> None:
    """Replaces what stands at a place, in its list when it is one."""
    holder, name, _, _ = place
    if isinstance(holder[name], list):
        holder[name][0] = value
    else:
        holder[name] = value


def _pick(rng: random.Random, found: list[Place]) -> Place | None:
    return rng.choice(found) if found else None


def dropped(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A mandatory element is missing."""
    place = _pick(rng, [p for p in places(r4, resource) if p[2].min and p[1] not in ("resourceType",)])
    if place is None:
        return False
    place[0].pop(place[1])
    return True


def unknown(r4: R4, resource: Json, rng: random.Random) -> bool:
    """An element that R4 does not have."""
    objects = [resource, *(v for h, n, _, _ in places(r4, resource) if isinstance(v := first(h[n]), dict))]
    rng.choice(objects)[rng.choice(["colour", "valueBanana", "Status", "_name2", "identifiers"])] = rng.choice(["x", True, {"a": 1}])
    return True


def shape(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A list where one value stands, or the reverse."""
    place = _pick(rng, [p for p in places(r4, resource) if p[1] not in ("div",)])
    if place is None:
        return False
    holder, name, element, _ = place
    holder[name] = first(holder[name]) if element.many else [holder[name]]
    return True


def date(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A date that is none."""
    place = _pick(rng, [p for p in places(r4, resource) if p[3] in ("date", "dateTime", "instant") and isinstance(first(p[0][p[1]]), str)])
    if place is not None:
        put(place, rng.choice(DATES))
    return place is not None


def code(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A code outside a required value set."""
    bound = [p for p in places(r4, resource) if p[2].binding and p[2].binding.strength == "required" and r4.codes(p[2].binding.valueset)]
    place = _pick(rng, bound)
    if place is None:
        return False
    wrong: Any = rng.choice(["bogus", "FINAL", "unknown-code", "1"])
    system = next(s for s, _ in sorted(r4.codes(place[2].binding.valueset) or ()))  # type: ignore[union-attr]
    coding = {"system": system, "code": wrong}
    put(place, {"coding": [coding]} if place[3] == "CodeableConcept" else coding if place[3] == "Coding" else wrong)
    return True


def empty(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A text without characters."""
    place = _pick(rng, [p for p in places(r4, resource) if isinstance(first(p[0][p[1]]), str) and p[3] != "xhtml"])
    if place is not None:
        put(place, "")
    return place is not None


SAMPLES: Json = {"String": "x", "Boolean": True, "Integer": 1, "DateTime": "2026-01-02", "CodeableConcept": {"text": "x"}, "Quantity": {"value": 1}}


def two_values(r4: R4, resource: Json, rng: random.Random) -> bool:
    """Two types of one choice."""
    place = _pick(rng, [p for p in places(r4, resource) if p[2].choice])
    if place is None:
        return False
    holder, name, element, _ = place
    others = [element.json_name(t) for t in element.types if element.json_name(t) != name]
    known = [o for o in others if o.removeprefix(element.stem) in SAMPLES]
    other = rng.choice(known or others)
    holder[other] = SAMPLES.get(other.removeprefix(element.stem), {"text": "x"})
    return True


def reference(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A reference to a type that the element does not allow; every other one is contained."""
    found = [p for p in places(r4, resource) if p[3] == "Reference" and p[2].targets and "Resource" not in p[2].targets]
    place = _pick(rng, [p for p in found if isinstance(first(p[0][p[1]]), dict)])
    if place is None:
        return False
    wrong = next(t for t in ("Basic", "Binary") if t not in place[2].targets)
    if rng.random() < 0.5:
        put(place, {"reference": f"{wrong}/1"})
    else:
        resource.setdefault("contained", []).append({"resourceType": wrong, "id": "wrong", "code": {"text": "x"}})
        put(place, {"reference": "#wrong"})
    return True


def narrative(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A narrative that is not XHTML, or holds what is forbidden."""
    resource["text"] = {"status": "generated", "div": rng.choice(NARRATIVES)}
    return "text" in r4.types[resource["resourceType"]].elements


def bad_id(r4: R4, resource: Json, rng: random.Random) -> bool:
    """An id that is none."""
    resource["id"] = rng.choice(IDS)
    return True


def _broken(ways: list[tuple[str, Break]], resource: Json, rng: random.Random) -> bool:
    """Breaks the resource in a way of its type; every tenth time in one that any type has."""
    anything = rng.random() < 0.1
    breaks = [b for type_, b in ways if type_ == ("" if anything else resource["resourceType"])]
    rng.shuffle(breaks)
    return any(b(resource) for b in breaks)


def invariant(r4: R4, resource: Json, rng: random.Random) -> bool:
    """An invariant that does not hold."""
    return _broken(INVARIANTS, resource, rng)


def wrong_slice(r4: R4, resource: Json, rng: random.Random) -> bool:
    """A slice of a profile or extension of R4 that is missing or wrong."""
    return _broken(SLICES, resource, rng)


KINDS: dict[str, Callable[[R4, Json, random.Random], bool]] = {
    "dropped": dropped,
    "unknown": unknown,
    "shape": shape,
    "date": date,
    "code": code,
    "invariant": invariant,
    "empty": empty,
    "two-values": two_values,
    "reference": reference,
    "slice": wrong_slice,
    "narrative": narrative,
    "id": bad_id,
}


def mutants(sources: list[tuple[str, Json]], each: int, seed: int) -> Iterator[tuple[str, Json]]:
    """(name, broken resource): `each` of every kind, from sources that take turns by type."""
    r4 = load()
    rng = random.Random(seed)
    by_type: dict[str, list[tuple[str, Json]]] = {}
    for name, resource in sources:
        by_type.setdefault(resource["resourceType"], []).append((name, resource))
    for kind, change in KINDS.items():
        made = tried = 0
        types = sorted(by_type)
        while made < each and tried < each * 60:
            type_ = types[tried % len(types)]
            tried += 1
            name, original = rng.choice(by_type[type_])
            resource = copy.deepcopy(original)
            if change(r4, resource, rng) and resource != original:
                yield f"{kind}-{made:04}-{name}", resource
                made += 1


def main() -> None:
    """Writes the mutants."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--skip", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--each", type=int, default=300)
    given = parser.parse_args()
    skipped = set(given.skip.read_text().split()) if given.skip else set()
    files = [f for f in sorted(given.source.glob("*.json")) if f.name not in skipped and f.stat().st_size <= LARGEST]
    read = [(f.stem, json.loads(f.read_text("utf-8"))) for f in files]
    sources = [(n, r) for n, r in read if isinstance(r, dict) and load().is_resource(r.get("resourceType", ""))]
    given.out.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    for name, resource in mutants(sources, given.each, given.seed):
        counts[name.partition("-0")[0]] += 1
        (given.out / f"{name}.json").write_text(json.dumps(resource, ensure_ascii=False), "utf-8")
    print(sum(counts.values()), "mutants of", len({r["resourceType"] for _, r in sources}), "types:", dict(counts))


if __name__ == "__main__":
    main()
