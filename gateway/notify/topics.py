"""Topics as data: `profiles/topics/*.json` say what happens, and by what a Subscription may narrow it.

The files are SubscriptionTopics as R5 has them (https://hl7.org/fhir/R5/subscriptiontopic.html), since R4 has no such resource; of that this
reads resourceTrigger (resource, supportedInteraction, queryCriteria, fhirPathCriteria) and canFilterBy. `{base}` is the deployment's base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gateway.builtin import PROFILES
from gateway.errors import ConfigError
from gateway.fhir.elements import load
from gateway.fhir.json import decode
from gateway.fhir.parameters import branches
from gateway.fhir.path import Extractor, PathError
from gateway.fhir.query import Criterion, parse_query
from gateway.notify.criteria import Test, all_of

__all__ = ["FOLDER", "Topic", "Trigger", "read_topic", "topics"]

FOLDER = PROFILES / "topics"
_EXISTS = re.compile(r"\((?P<paths>.+)\)\.exists\(\)", re.S)
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trigger:
    """One way in which a topic happens. previous, current: what the version before and this one must pass, None: nothing is asked.
    on_create: what the test of `previous` counts for where there is none; on_delete: the same of `current`. both: they must both pass,
    else one does. paths: what must stand in the version before or in this one."""

    type: str
    interactions: frozenset[str]
    previous: Test | None = None
    current: Test | None = None
    on_create: bool = False
    on_delete: bool = False
    both: bool = False
    path_before: Extractor[str] | None = None
    path_now: Extractor[str] | None = None

    @property
    def looks_back(self) -> bool:
        """Whether it needs the version before."""
        return self.previous is not None or self.path_before is not None

    def happens(self, how: str, now: Body | None, before: Body | None) -> bool:
        """Whether this change is one. how: create | update | delete. now None: deleted; before None: there was none."""
        if how not in self.interactions:
            return False
        if self.path_now is not None and (now is None or not self.path_now(now)):
            return False
        if self.path_before is not None and (before is None or not self.path_before(before)):
            return False
        passed = []
        if self.previous is not None:
            passed.append(self.previous(before) if before is not None else self.on_create)
        if self.current is not None:
            passed.append(self.current(now) if now is not None else self.on_delete)
        return not passed or (all(passed) if self.both else any(passed))


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. filters: by resource type, the search parameters that a Subscription may narrow it with."""

    url: str
    title: str
    description: str
    triggers: tuple[Trigger, ...]
    filters: Mapping[str, frozenset[str]]

    @property
    def types(self) -> frozenset[str]:
        """Resource types of its triggers."""
        return frozenset(t.type for t in self.triggers)


@lru_cache(maxsize=16)
def topics(base: str, site: Path | None = None) -> Mapping[str, Topic]:
    """Every topic by its canonical URL: the built-in ones, and those in `topics/` of the site's profiles folder. base: the deployment's
    canonical base, without trailing slash. Raises ConfigError for a file that cannot be used."""
    folders = [FOLDER, *([site / "topics"] if site is not None else [])]
    found = (read_topic(path, base) for folder in folders for path in sorted(folder.glob("*.json")))
    return {topic.url: topic for topic in found}


def read_topic(path: Path, base: str) -> Topic:
    """A topic's file. Raises ConfigError for what this gateway cannot do of it."""
    text = path.read_text("utf-8")
    try:
        body = decode(text.replace("{base}", base).encode())
        triggers = tuple(_trigger(t) for t in body["resourceTrigger"])
        filters = {f["resource"]: frozenset(f["filterParameter"]) for f in body.get("canFilterBy", ())}
        return Topic(body["url"], body["title"], body["description"], triggers, filters)
    except (KeyError, TypeError, ValueError) as e:
        raise ConfigError(f"{path.name}: 不是可用的 SubscriptionTopic({type(e).__name__}: {e}); 见 docs/subscriptions.md") from e


def _trigger(said: Mapping[str, Any]) -> Trigger:
    type_ = said["resource"]
    query = said.get("queryCriteria", {})
    before, now = _paths(type_, said.get("fhirPathCriteria", ""))
    return Trigger(
        type=type_,
        interactions=frozenset(said["supportedInteraction"]),
        previous=_query(type_, query.get("previous")),
        current=_query(type_, query.get("current")),
        on_create=query.get("resultForCreate") == "test-passes",
        on_delete=query.get("resultForDelete") == "test-passes",
        both=query.get("requireBoth", False),
        path_before=before,
        path_now=now,
    )


def _query(type_: str, text: str | None) -> Test | None:
    criteria: tuple[Criterion, ...] = parse_query(text).criteria if text else ()
    return all_of(type_, criteria) if criteria else None


def _paths(type_: str, text: str) -> tuple[Extractor[str] | None, Extractor[str] | None]:
    """`(%previous.… | …).exists()` and `(%current.… | …).exists()` as walks; one of the two at a time."""
    if not text:
        return None, None
    found = _EXISTS.fullmatch(text.strip())
    if found is None:
        raise PathError(f"`{text}`: (… | …).exists() is expected")
    variables = set(re.findall(r"%(\w+)", found["paths"]))
    if variables not in ({"previous"}, {"current"}):
        raise PathError(f"`{text}`: either %previous or %current is expected")
    paths = branches(re.sub(r"%\w+", type_, found["paths"]))
    walk: Extractor[str] = Extractor(load(), type_, [(p, p) for p in paths])
    return (walk, None) if variables == {"previous"} else (None, walk)
