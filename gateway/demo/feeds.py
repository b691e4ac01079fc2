"""The feeds of the county: which system of which institution sends what, by which protocol, under whose authority.

A feed is one [[source]] of yifang.toml. Feeds of one system share its authority, because a record's identity hangs on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.demo.containers import make_views
from gateway.demo.vendor import Vendor

__all__ = ["FEEDS", "VILLAGES_OF", "Feed", "feed_of", "sources"]

AUTHORITY = "https://yunxi.invalid/systems/"
POLL = 0.2
"""Seconds between looks at a folder or a view: short, because the demo waits for it."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed. system: last part of the authority; profiles: `dataset/profile`; place: folder or database below the root, "" where
    the feed listens itself or is posted to."""

    name: str
    adapter: str
    system: str
    organisation: str
    profiles: tuple[str, ...]
    place: str = ""

    def vendor(self, dataset: str) -> Vendor:
        """How this feed's vendor writes a dataset. Raises LookupError when the feed does not carry it."""
        for profile in self.profiles:
            carried, _, name = profile.partition("/")
            if carried == dataset:
                return Vendor.load(dataset, name)
        raise LookupError(f"{self.name} carries no {dataset}")


VILLAGES_OF = {town: tuple(f"390121{town}{v}" for v in ("101", "102", "103")) for town in ("101", "102", "103")}
"""Last three digits of a township's code -> its villages."""

PEOPLE, CHINESE = "390121001", "390121002"


def _lead_hospitals() -> Iterator[Feed]:
    his = ("outpatient_visit/his_view", "prescription/his_view")
    for name, code in (("people", PEOPLE), ("chinese", CHINESE)):
        yield Feed(f"{name}-his", "sqlview", f"{name}-his", code, his, f"{name}-his.db")
        yield Feed(f"{name}-adt", "hl7v2", f"{name}-his", code, ("hl7v2_adt/standard",))
    yield Feed("people-lis", "hl7v2", "people-lis", PEOPLE, ("hl7v2_oru/standard",))
    yield Feed("chinese-lis", "hl7v2", "chinese-lis", CHINESE, ("hl7v2_oru/lis_gbk",))
    yield Feed("chinese-analyser", "hl7v2", "chinese-analyser", CHINESE, ("hl7v2_oru/analyser_m",))
    for name, code, profile in (("people", PEOPLE, "wst500"), ("chinese", CHINESE, "xingkang")):
        yield Feed(f"{name}-documents", "cda", f"{name}-emr", code, (f"cda_c0007/{profile}", f"cda_c0002/{profile}"), f"{name}-documents")


def _lower_levels() -> Iterator[Feed]:
    his = ("outpatient_visit/his_view", "prescription/his_view")
    for name, code in (("centre", "390121101002"), ("cloudridge", "390121101001"), ("lakeside", "390121102001"), ("sandriver", "390121103001")):
        yield Feed(f"{name}-his", "sqlview", f"{name}-his", code, his, f"{name}-his.db")
    yield Feed("centre-lis", "sqlview", "centre-lis", "390121101002", ("laboratory_report/ruijian_view",), "centre-lis.db")
    yield Feed("lakeside-lis", "sheet", "lakeside-lis", "390121102001", ("laboratory_report/anyan_csv",), "lakeside-lis")
    yield Feed("sandriver-referrals", "sqlview", "sandriver-his", "390121103001", ("referral_out/township_view",), "sandriver-referrals.db")
    yield Feed("referral-platform", "restjson", "referral-platform", "390121", ("referral_out/referral_platform_json",))
    yield Feed("platform-b", "sqlview", "platform-b", "390121", ("resident_profile/vendor_b_view",), "platform-b.db")
    yield Feed("visit-app", "restjson", "visit-app", "390121", ("hypertension_followup/phone_app",))
    yield Feed("village-posts", "restjson", "village-posts", "390121", ("village_reading/village_post",))
    yield Feed("directory", "sheet", "bureau", "390121", ("organisation/county_xlsx", "staff/county_xlsx"), "directory")


def _villages() -> Iterator[Feed]:
    """Villages whose software is their own: exports carry no organisation, so each village is a feed."""
    for v in VILLAGES_OF["102"]:
        yield Feed(f"a-profiles-{v[6:]}", "sheet", "vendor-a", v, ("resident_profile/vendor_a_xlsx",), f"a-profiles-{v[6:]}")
        yield Feed(f"a-visits-{v[6:]}", "sheet", "vendor-a", v, ("hypertension_followup/vendor_a_csv",), f"a-visits-{v[6:]}")
    for v in VILLAGES_OF["103"]:
        yield Feed(f"c-visits-{v[6:]}", "sheet", "vendor-c", v, ("hypertension_followup/vendor_c_xlsx",), f"c-visits-{v[6:]}")
        yield Feed(f"meter-{v[6:]}", "sheet", "meters", v, ("village_reading/meter_csv",), f"meter-{v[6:]}")


FEEDS: dict[str, Feed] = {feed.name: feed for feed in (*_lead_hospitals(), *_lower_levels(), *_villages())}


def feed_of(dataset: str, institution: str) -> str:
    """The feed that carries a dataset of an institution (laboratory reports name theirs themselves); LookupError when there is none."""
    town = institution[6:9]
    if dataset in ("organisation", "staff"):
        return "directory"
    if dataset == "resident_profile":
        return f"a-profiles-{institution[6:]}" if town == "102" else "platform-b"
    if dataset == "hypertension_followup":
        return {"101": "visit-app", "102": f"a-visits-{institution[6:]}", "103": f"c-visits-{institution[6:]}"}[town]
    if dataset == "village_reading":
        return f"meter-{institution[6:]}" if town == "103" else "village-posts"
    if dataset == "referral_out":
        return "sandriver-referrals" if town == "103" else "referral-platform"
    for feed in FEEDS.values():
        if feed.organisation == institution and any(p.startswith(f"{dataset}/") for p in feed.profiles):
            return feed.name
    raise LookupError(f"nobody sends {dataset} of {institution}")


def sources(root: Path) -> list[dict[str, Any]]:
    """The [[source]] entries of yifang.toml, with folders and front-end databases below `root`; makes the databases with empty views, so
    that polling finds them."""
    found = []
    for feed in FEEDS.values():
        options: dict[str, Any] = {}
        if feed.adapter in ("sheet", "cda"):
            options = {"folder": str(root / feed.place), "poll": POLL, "settle": 0.0}
        elif feed.adapter == "sqlview":
            url = f"sqlite:///{root / feed.place}"
            options = {"url": url, "poll": POLL}
            _front_end(url, feed)
        elif feed.adapter == "hl7v2":
            options = {"host": "127.0.0.1", "port": 0}
        entry = {"name": feed.name, "adapter": feed.adapter, "profiles": list(feed.profiles), "authority": AUTHORITY + feed.system}
        found.append(entry | {"organisation": feed.organisation, "silent_after": 24.0, "options": options})
    return found


def _front_end(url: str, feed: Feed) -> None:
    root = sa.make_url(url).database
    assert root is not None, "front-end databases of the demo are files"
    Path(root).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for profile in feed.profiles:
            make_views(connection, feed.vendor(profile.partition("/")[0]))
