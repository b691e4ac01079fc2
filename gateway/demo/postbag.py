"""Puts facts into parcels, feed by feed: messages, files, requests, transactions, in the order in which the county sends them.

Within a feed that is not a database some parcels are late and some come twice; a front-end database is filled in the order of its stamps, as
a hospital's own transactions would, but for a few rows whose transaction took long: newer ones are committed, and read, before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from gateway.demo.containers import delimited, json_batch, workbook
from gateway.demo.documents import DEVIANT, TEMPLATE, laboratory_document, visit_document
from gateway.demo.feeds import FEEDS, Feed
from gateway.demo.life import Fact
from gateway.demo.messages import admission, analyser, encode, gbk_laboratory, standard_laboratory
from gateway.demo.parcel import Parcel, Rows
from gateway.demo.vendor import Vendor
from gateway.record import Fields

__all__ = ["pack", "shuffle"]

TRANSACTION = 60
"""Rows that a hospital system commits to its front-end database at once."""
OVERTAKEN, AFTER = 6, 20
"""Rows of a front-end database that are committed after a newer one, at most, and the rows that stand in a transaction before one is."""
BATCH = 25
"""Records in one request of an app."""
LATENESS = 900.0
"""Seconds that a row may be committed later than its stamp says, where the profile does not say so itself."""
LATE, TWICE = 0.06, 0.04
"""Shares of parcels that arrive late, and that come a second time."""

_TITLES = {"organisation": "机构", "staff": "人员"}
_WRITERS: dict[str, Callable[[Fact, str], str]] = {
    "people-lis": standard_laboratory,
    "chinese-lis": gbk_laboratory,
    "chinese-analyser": analyser,
}


def pack(facts: Iterable[Fact]) -> Iterator[Parcel]:
    """The parcels of all facts, each feed's in the order of stamps."""
    by_feed: dict[str, list[Fact]] = {}
    for fact in sorted(facts, key=lambda f: f.stamp):
        by_feed.setdefault(fact.source, []).append(fact)
    for name, mine in by_feed.items():
        feed = FEEDS[name]
        yield from _PACKERS[feed.adapter](feed, mine)


def shuffle(parcels: Sequence[Parcel], chance: Random) -> list[Parcel]:
    """All parcels in one order: feeds interleaved, some late, some twice; the directory first, databases in their own order."""
    totals: dict[str, int] = {}
    for parcel in parcels:
        totals[parcel.source] = totals.get(parcel.source, 0) + 1
    seen = dict.fromkeys(totals, 0)
    placed: list[tuple[float, int, Parcel]] = []
    for parcel in parcels:
        at = 0.01 + 0.98 * seen[parcel.source] / totals[parcel.source]
        seen[parcel.source] += 1
        if isinstance(parcel.content, bytes) and parcel.source != "directory":
            at += chance.random() * 0.3 if chance.random() < LATE else 0.0
            if not parcel.broken and chance.random() < TWICE:
                placed.append((at + chance.random() * 0.2, len(placed), again(parcel)))
        placed.append((0.0 if parcel.source == "directory" else at, len(placed), parcel))
    return [parcel for _, _, parcel in sorted(placed, key=lambda p: p[:2])]


def again(parcel: Parcel) -> Parcel:
    """The same bytes under another name: a sender that heard no answer."""
    stem, dot, ending = parcel.name.rpartition(".")
    return replace(parcel, name=f"{stem}-again.{ending}" if dot else f"{parcel.name}-again")


def _messages(feed: Feed, facts: Sequence[Fact]) -> Iterator[Parcel]:
    for number, fact in enumerate(facts, 1):
        control = f"{feed.name[:2].upper()}{number:06}"
        if fact.dataset == "hl7v2_adt":
            event = str(fact.fields["报文"])
            yield Parcel(feed.name, control, encode(partial(admission, event=event), fact, control))
        else:
            yield Parcel(feed.name, control, encode(_WRITERS[feed.name], fact, control))


def _documents(feed: Feed, facts: Sequence[Fact]) -> Iterator[Parcel]:
    style = TEMPLATE if feed.name == "people-documents" else DEVIANT
    for number, fact in enumerate(facts, 1):
        if fact.dataset == "cda_c0002":
            yield Parcel(feed.name, f"C0002-{number:05}.xml", visit_document(fact, style))
        else:
            yield Parcel(feed.name, f"C0007-{number:05}.xml", laboratory_document(fact, style))


def _requests(feed: Feed, facts: Sequence[Fact]) -> Iterator[Parcel]:
    for dataset, mine in _by_dataset(facts).items():
        for number, some in enumerate(_slices(mine, BATCH), 1):
            yield Parcel(feed.name, f"{dataset}-{number:04}", json_batch(feed.vendor(dataset), [f.fields for f in some]))


def _transactions(feed: Feed, facts: Sequence[Fact]) -> Iterator[Parcel]:
    some: list[Fact] = []
    number, left = 1, OVERTAKEN
    for fact in facts:
        some.append(fact)
        late = _overtaken(feed, some) if left and len(some) > AFTER else None
        if late is None and len(some) < TRANSACTION:
            continue
        yield Parcel(feed.name, f"commit-{number:04}", _rows(feed, [f for f in some if f is not late]))
        if late is not None:
            left -= 1
            yield Parcel(feed.name, f"commit-{number:04}-late", _rows(feed, [late]), late=True)
        some, number = [], number + 1
    if some:
        yield Parcel(feed.name, f"commit-{number:04}", _rows(feed, some))


def _rows(feed: Feed, facts: Sequence[Fact]) -> Rows:
    return Rows(tuple((feed.vendor(dataset), tuple(f.fields for f in mine)) for dataset, mine in _by_dataset(facts).items()))


def _overtaken(feed: Feed, facts: Sequence[Fact]) -> Fact | None:
    """The first record of the last one's view that may well be committed after it: stamped a little earlier, by less than the profile's
    `lateness`, and not written again meanwhile."""
    last, before = facts[-1], facts[:-1]
    vendor = feed.vendor(last.dataset)
    earliest = last.stamp - timedelta(seconds=float(vendor.options.get("lateness", LATENESS)) / 2)
    keys = [_key_of(vendor, f) if f.dataset == last.dataset else () for f in facts]
    found = (f for n, f in enumerate(before) if keys[n] and earliest < f.stamp < last.stamp and keys[n] not in keys[n + 1 :])
    return next(found, None)


def _key_of(vendor: Vendor, fact: Fact) -> tuple[str, ...]:
    return tuple(str(fact.fields.get(k, "")) for k in vendor.profile["key"])


def _files(feed: Feed, facts: Sequence[Fact]) -> Iterator[Parcel]:
    """The directory as one workbook; else one file of a dataset each quarter."""
    if feed.name == "directory":
        tables = {_TITLES[d]: (feed.vendor(d), [f.fields for f in mine]) for d, mine in _by_dataset(facts).items()}
        yield Parcel(feed.name, "机构与人员.xlsx", workbook(tables, "云溪县卫生机构与人员登记表"))
        return
    quarters: dict[str, list[Fact]] = {}
    for fact in facts:
        quarters.setdefault(f"{fact.stamp:%Y}Q{(fact.stamp.month + 2) // 3}", []).append(fact)
    for quarter, mine in quarters.items():
        for version, some in enumerate(_versions(mine), 1):
            vendor = feed.vendor(some[0].dataset)
            yield Parcel(feed.name, f"{quarter}-{version}.{_ending(vendor)}", sheet(vendor, [f.fields for f in some]))


def sheet(vendor: Vendor, records: Sequence[Fields]) -> bytes:
    """A vendor's export: CSV in GBK or UTF-8, or a workbook with a title row."""
    if vendor.name == "meter_csv":
        return delimited(vendor, records)
    if vendor.name.endswith("_csv"):
        return delimited(vendor, records, "gb18030")
    return workbook({str(vendor.options["sheet"]): (vendor, records)}, "导出表")


def _ending(vendor: Vendor) -> str:
    return "csv" if vendor.name.endswith("_csv") else "xlsx"


def _versions(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Facts split so that no file holds two versions of one record: the second goes into the next file."""
    files: list[tuple[set[tuple[str, ...]], list[Fact]]] = []
    for fact in facts:
        vendor = FEEDS[fact.source].vendor(fact.dataset)
        key = _key_of(vendor, fact)
        place = next((f for f in files if key not in f[0]), None)
        if place is None:
            place = (set(), [])
            files.append(place)
        place[0].add(key)
        place[1].append(fact)
    return [found for _, found in files]


def _by_dataset(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact.dataset, []).append(fact)
    return found


def _slices(facts: Sequence[Fact], size: int) -> Iterator[Sequence[Fact]]:
    for first in range(0, len(facts), size):
        yield facts[first : first + size]


_PACKERS: dict[str, Callable[[Feed, Sequence[Fact]], Iterator[Parcel]]] = {
    "hl7v2": _messages,
    "cda": _documents,
    "restjson": _requests,
    "sqlview": _transactions,
    "sheet": _files,
}
