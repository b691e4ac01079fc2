"""A change of a Subscription's status by the gateway: resource, timeline and row in one transaction, on the version that it was decided on.

https://hl7.org/fhir/R4/subscription.html: a client says `requested` or `off`; `active` and `error` are the server's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.store.api.asks import Ask, Denied, Origin
from gateway.store.api.mentions import Rids
from gateway.store.api.writes import Replayed, Writes
from gateway.store.apply import Applier
from gateway.store.unit import Unit

__all__ = ["ACTOR", "Change", "Status"]

ACTOR = "@notify"
"""Who writes these versions; no client of the configuration can have this name."""
TYPE = "Subscription"
Status = Literal["requested", "active", "error", "off"]
_ROW = (
    "UPDATE subscription SET version = ?, state = ?, error = ?, spoken = CASE WHEN ? = 'active' THEN ? ELSE spoken END, due = ?, attempts = 0, "
    "failing = NULL, worker = NULL, lease = NULL WHERE id = ?"
)


@dataclass(frozen=True, slots=True)
class Change:
    """A command of the writer. version: that must still be current; None: whatever is. reason: why, in Chinese, "" for none; never content
    of a resource. base: as for writes by API."""

    id: str
    version: int | None
    status: Status
    reason: str
    base: str
    rids: Rids

    def __call__(self, unit: Unit, applier: Applier) -> Denied | None:
        """None when it was done; Denied when another version stands there by now."""
        unit.load_resources(names={(TYPE, self.id)})
        state = unit.by_name.get((TYPE, self.id))
        if state is None or not state.version or state.deleted or self.version not in (None, state.version):
            return Denied("version", TYPE, self.id, state.version if state is not None else 0)
        body = {"resourceType": TYPE, "id": self.id, **state.plain(), "status": self.status}
        body.pop("error", None)
        if self.reason:
            body["error"] = self.reason
        ask = Ask("update", TYPE, self.id, body, state.version)
        result = Writes([ask], Origin(ACTOR, "", "Subscription.status"), self.base, self.rids)(unit, applier)
        if isinstance(result, (Denied, Replayed)):
            return result if isinstance(result, Denied) else None
        unit.raw.run(_ROW, (result[0].version, self.status, self.reason or None, self.status, unit.now, unit.now, self.id))
        return None
