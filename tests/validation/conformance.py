"""How far our validator and HAPI's agree, file by file; what `make conformance` prints.

    python -m tests.validation.conformance [--examples FOLDER] [--cases FOLDER] [--each 270] [--no-hapi]

examples: R4's example resources (https://hl7.org/fhir/R4/downloads.html); mutants are made of those that HAPI passes. cases: resources of
FHIR/fhir-test-cases with `expected.json` ([{file, errors}]). A folder that is not there is left out, and told. Exit 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json as plain_json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gateway.fhir import json
from gateway.validation.files import validate
from gateway.validation.validator import Validator
from tests.validation.hapi import KEPT, Hapi, running
from tests.validation.mutants import KINDS, LARGEST, mutants
from tests.validation.samples import patient, pressure

VALIDATOR = Validator()
BUNDLE = KEPT.parent / "bundle.json"


def invalid(file: Path) -> bool:
    """Our verdict."""
    return not validate(VALIDATOR, file).valid


def examples(hapi: Hapi, folder: Path) -> bool:
    """No false alarm on a file that HAPI passes."""
    files = sorted(folder.glob("*.json"))
    theirs = hapi.verdicts(files)
    alarms = [f.name for f in files if not theirs[f] and invalid(f)]
    caught = sum(invalid(f) for f in files if theirs[f])
    wrong = sum(bool(v) for v in theirs.values())
    print(
        f"examples    {len(files)} files; HAPI passes {len(files) - wrong}, of which ours refuses {len(alarms)}; HAPI refuses {wrong}, ours {caught}"
    )
    for name in alarms:
        print(f"  false alarm: {name}")
    return not alarms


def broken(hapi: Hapi, folder: Path, each: int) -> bool:
    """Of what HAPI catches 99 % are caught, kind by kind."""
    files = [f for f in sorted(folder.glob("*.json")) if f.stat().st_size <= LARGEST]
    passed = [f for f, error in hapi.verdicts(files).items() if not error]
    sources = [(f.stem, resource) for f in passed if isinstance(resource := plain_json.loads(f.read_bytes()), dict)]
    made = KEPT.parent / "mutants"
    made.mkdir(parents=True, exist_ok=True)
    by_kind: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for name, resource in mutants(sources, each, seed=7):
        file = made / f"{name}.json"
        file.write_text(plain_json.dumps(resource, ensure_ascii=False), "utf-8")
        by_kind[next(k for k in sorted(KINDS, key=len, reverse=True) if name.startswith(f"{k}-"))].append(file)
    good = True
    print(f"mutants     {sum(map(len, by_kind.values()))} of {len({r['resourceType'] for _, r in sources})} types")
    for kind, group in by_kind.items():
        caught = [f for f, error in hapi.verdicts(group).items() if error]
        both = sum(map(invalid, caught))
        share = both / len(caught) if caught else 1.0
        good &= share >= 0.99
        print(f"  {kind:12} {len(group):5}  HAPI {len(caught):5}  both {both:5}  {share:7.2%}")
    return good


def cases(hapi: Hapi, folder: Path) -> bool:
    """More errors caught and fewer clean files refused than by HAPI."""
    rows = plain_json.loads((folder / "expected.json").read_text("utf-8"))
    theirs = hapi.verdicts({folder / r["file"] for r in rows})
    counts: Counter[tuple[str, bool]] = Counter()
    for row in rows:
        file, wrong = folder / row["file"], bool(row["errors"])
        counts["all", wrong] += 1
        counts["ours", wrong] += invalid(file)
        counts["HAPI", wrong] += bool(theirs[file])
    for name in ("ours", "HAPI"):
        wrong, clean = (f"{counts[name, w]} of {counts['all', w]}" for w in (True, False))
        print(f"cases       {name}: catches {wrong}, refuses {clean} clean")
    return counts["ours", True] > counts["HAPI", True] and counts["ours", False] < counts["HAPI", False]


def best(run: Callable[[], object], runs: int) -> float:
    """Microseconds of the fastest of so many runs."""
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return min(found) * 1e6


def county_bundle() -> dict[str, Any]:
    """A hundred residents."""
    base = "http://example.org/fhir"
    people = [
        patient(
            id=f"p{n}",
            identifier=[{"system": "urn:oid:2.16.156.10011", "value": f"39012119800101{n:04}"}],
            gender="female" if n % 2 else "male",
            birthDate=f"19{n % 80 + 10}-05-01",
            telecom=[{"system": "phone", "value": "0631-5550000", "use": "home"}],
            address=[{"use": "home", "text": "示例县第一村", "district": "示例县"}],
            text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>张三, 示例县第一村</p></div>'},
        )
        for n in range(100)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": f"{base}/Patient/{p['id']}", "resource": p} for p in people]}


def speed(hapi: Hapi | None) -> bool:
    """A Bundle of 100 Patients 50 times as fast as HAPI, warm; a blood pressure in 100 µs."""
    BUNDLE.parent.mkdir(parents=True, exist_ok=True)
    BUNDLE.write_bytes(json.encode(county_bundle()))
    bundle, one = county_bundle(), pressure()
    ours, blood = best(lambda: VALIDATOR.check(bundle), 50), best(lambda: VALIDATOR.check(one), 2000)
    print(f"speed       a blood pressure {blood:.0f} µs (target 100)")
    if hapi is None:
        return blood <= 100
    theirs = hapi.microseconds(BUNDLE, 30)
    print(f"speed       100 Patients: ours {ours / 1000:.1f} ms, HAPI {theirs / 1000:.1f} ms: {theirs / ours:.0f} times (target 50)")
    return blood <= 100 and theirs >= 50 * ours


def main() -> Iterable[bool]:
    """Prints the tables; yields whether each target is met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=Path, default=Path("../shared/data/r4-examples"))
    parser.add_argument("--cases", type=Path, default=Path("../shared/data/validator-cases"))
    parser.add_argument("--each", type=int, default=270)
    parser.add_argument("--no-hapi", action="store_true")
    given = parser.parse_args()
    if given.no_hapi:
        yield speed(None)
        return
    with running() as hapi:
        for folder, judge in ((given.examples, examples), (given.cases, cases)):
            if folder.is_dir():
                yield judge(hapi, folder)
            else:
                print(f"{folder} is not there: left out")
        if given.examples.is_dir():
            yield broken(hapi, given.examples, given.each)
        yield speed(hapi)


if __name__ == "__main__":
    sys.exit(0 if all(list(main())) else 1)
