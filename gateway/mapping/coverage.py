"""`yifang map coverage`: which source columns no map reads, which are deliberately ignored, which codes have no translation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import Finding
from gateway.mapping.catalogue import Entry
from gateway.mapping.profile import Profile


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a form as one vendor carries it. state: read | ignored | unread | not-sent. reason: of what is ignored."""

    field: str
    label: str
    locator: str
    state: str
    reason: str = ""


@dataclass(slots=True)
class Coverage:
    """One profile of a dataset: its columns, the vendor's columns beside them that are not read, codes without translation by volume."""

    dataset: str
    profile: str
    columns: list[Column]
    ignored_columns: dict[str, str]
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def unread(self) -> list[Column]:
        """Columns that arrive and that no map reads, without a reason."""
        return [c for c in self.columns if c.state == "unread"]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        columns = [{"field": c.field, "label": c.label, "locator": c.locator, "state": c.state, "reason": c.reason} for c in self.columns]
        codes = [{"source": source, "message": message, "times": times} for (source, message), times in self.codes.most_common()]
        return {"dataset": self.dataset, "profile": self.profile, "columns": columns, "ignored": self.ignored_columns, "codes": codes}


def coverage(entry: Entry, findings: Iterable[Finding] = ()) -> list[Coverage]:
    """The coverage of every profile of a dataset; findings (of stored records) give the codes without translation by volume."""
    codes = Counter((f.source, f.message) for f in findings if f.code in ("untranslated-code", "unknown-code"))
    return [_of_profile(entry, name, profile, codes) for name, profile in sorted(entry.profiles.items())]


def _of_profile(entry: Entry, name: str, profile: Profile, codes: Counter[tuple[str, str]]) -> Coverage:
    locators = profile.locators()
    used = {path for path, _ in entry.plan.used} if entry.plan else set()
    ignored = entry.plan.ignored if entry.plan else {}
    ordering = {n.replace(".", "/") for n in (*(n for keys in profile.keys for n in keys), *profile.stamps)}
    columns = []
    for made in entry.dataset.all_fields():
        locator = locators.get(made.path, "")
        shaped = entry.dataset.message_shaped
        if made.path in ignored:
            state = "ignored"
        elif made.path in used or made.path in ordering or made.identifier.startswith("@"):
            state = "read" if locator or shaped or made.name in profile.constants else "not-sent"
        else:
            state = "unread"
        columns.append(Column(made.path, made.label, locator or (made.name if shaped else ""), state, ignored.get(made.path, "")))
    return Coverage(entry.name, name, columns, dict(profile.ignored), codes)
