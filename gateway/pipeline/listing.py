"""Which records a receipt lists: of a message of very many, the first and those that need a person; the rest is counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.errors import Finding
from gateway.record import RecordOutcome, Tally

__all__ = ["LISTED", "Listing"]

LISTED = 1000
"""So many records are listed from the first on, and so many more of those that were held or refused. A county's file has a hundred
thousand rows of twenty resources each: the store knows them all (gateway/store/outcomes.py), a receipt has to fit into memory."""


@dataclass(slots=True)
class Listing:
    """Outcomes in the order of the rows. rest: what is not among them. reason: the finding that a protocol answer quotes, the first that
    holds or refuses."""

    outcomes: list[RecordOutcome] = field(default_factory=list)
    rest: Tally | None = None
    reason: Finding | None = None
    _first: int = 0
    _grave: int = 0

    def add(self, outcomes: Iterable[RecordOutcome]) -> None:
        """Takes the next outcomes."""
        for outcome in outcomes:
            if self.reason is None:
                self.reason = next((f for f in outcome.findings if f.severity in ("hold", "refuse")), None)
            first = self._first < LISTED
            if first or (outcome.state in ("held", "refused") and self._grave < LISTED):
                self._first += first
                self._grave += not first
                self.outcomes.append(outcome)
            else:
                self.rest = self.rest or Tally()
                self.rest.add(outcome)

    @property
    def repeated(self) -> bool:
        """Whether there are records, and every one was a repeat."""
        known = {o.state for o in self.outcomes} | (self.rest.records.keys() if self.rest is not None else set())
        return known == {"repeat"}
