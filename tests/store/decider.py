"""A gateway process that writes records and clients' resources of a few residents and links and unlinks them meanwhile.

`python -m tests.store.decider FOLDER URL SEED IDS...` with the ids of their Patients. It says `ready`,
begins at the first line of its standard input, and ends with the number of decisions that took effect.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from gateway.errors import Conflict
from gateway.store.api.asks import Ask, Origin
from gateway.store.api.mentions import Rids
from gateway.store.api.writes import Writes
from gateway.store.work import Work
from tests.records.county import County, form, observation

RESIDENTS = [
    {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"},
    {"id": ["390000197505050024"], "name": "王丙", "sex": "female", "born": "1975-05-05"},
    {"local": ["L-3"], "name": "赵丁"},
    {"local": ["L-4"], "name": "钱戊"},
]
STAMP = "2026-01-02T08:00:00.000000Z"
RECORDS, DECISIONS, CALLERS = 40, 30, 4


def record(seed: int, n: int) -> dict[str, object]:
    """The nth record of a process: a reading of one of the residents; every fifth is shared with the other process."""
    key = f"shared-{n}" if n % 5 == 0 else f"{seed}-{n}"
    return form(key, STAMP, [observation(key, f"读数{n}")], person=RESIDENTS[n % len(RESIDENTS)])


def put(county: County, seed: int, n: int, patients: list[str]) -> None:
    """A client's Observation of one of these Patients, who may be linked away by then."""
    number = f"client-{seed}-{n}"
    body = {"status": "final", "code": {"text": "接口"}, "identifier": [{"value": number}],
            "subject": {"reference": f"Patient/{patients[n % len(patients)]}"}}  # fmt: skip
    writes = Writes([Ask("update", "Observation", number, body)], Origin("ward", "39", "PUT"), county.config.base, Rids())
    county.gateway.writer.submit(Work(command=writes, joins=True)).result(120)


def work(county: County, seed: int, patients: list[str]) -> int:
    """Sends and decides, all at once; how many decisions took effect."""
    chance = Random(seed)

    def decide(two: list[str], link: bool) -> int:
        try:
            if link:
                county.gateway.link(*two, by="test")
            else:
                county.gateway.unlink(two[0], by="test")
        except Conflict:
            return 0  # they are linked, or parted, already
        return 1

    with ThreadPoolExecutor(CALLERS) as callers:
        decided = [callers.submit(decide, chance.sample(patients, 2), chance.random() < 0.5) for _ in range(DECISIONS)]
        sent = [callers.submit(county.send, record(seed, n)) for n in range(RECORDS)]
        wrote = [callers.submit(put, county, seed, n, patients) for n in range(RECORDS)]
        assert {f.result(120).state for f in sent} <= {"mapped", "repeat"}
        for written in wrote:
            written.result(120)
        return sum(f.result(120) for f in decided)


def main(folder: str, url: str, seed: str, *patients: str) -> None:
    """The command."""
    with County(Path(folder), url) as county:
        print("ready", flush=True)
        sys.stdin.readline()
        print(work(county, int(seed), list(patients)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
