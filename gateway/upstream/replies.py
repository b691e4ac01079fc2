"""What an upstream FHIR server can answer to a transaction, as values (design/records.md, "Delivery to a FHIR server").

| answer | reply | what the sender does |
| --- | --- | --- |
| 2xx with a transaction-response that fits the request | Accepted | marks delivered, keeps the ETags |
| 401, 403, 407, TLS fault, 404/410/405 of the base, redirect | Paused | stops the destination and says so |
| 409, 423, 429, 408, 425, 5xx, time-out, reset, half a body, nonsense in a 2xx | Retry | again, with backoff, jitter and Retry-After |
| 400/404/422 naming an absent or deleted reference target (HAPI-1094 to HAPI-1096) | MissingTargets | brings the target, or waits for it |
| 412, and 409 with HAPI-0989 (what HAPI 8.8 answers to a stale If-Match) | VersionConflict | reads: equal content is success, else a hold |
| 409 naming a resource that still refers to one to be deleted | Referenced | sends what refers to it again, without the reference |
| other 4xx (400, 404, 413, 422 ...) | Rejected | splits the set to find the culprit |
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EntryResult:
    """One entry of the transaction-response, in the order of the request."""

    status: int
    etag: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server committed the whole Bundle."""

    entries: tuple[EntryResult, ...]


@dataclass(frozen=True, slots=True)
class Paused:
    """The destination cannot be used until a person acts. reason: Chinese, with the next step; never content of the Bundle."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A passing fault. after: seconds that the server asked to wait, or None."""

    code: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class MissingTargets:
    """References in the Bundle whose targets the server does not have, as `Type/id`. diagnostics: as in Rejected."""

    targets: tuple[str, ...]
    diagnostics: str = ""


@dataclass(frozen=True, slots=True)
class Referenced:
    """A deletion that the server refuses because these resources (`Type/id`; it names one at a time) still refer to the deleted one."""

    sources: tuple[str, ...]
    diagnostics: str = ""


@dataclass(frozen=True, slots=True)
class VersionConflict:
    """An If-Match did not hold: someone else wrote there, or a reply of ours was lost."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server refuses the content. diagnostics: its OperationOutcome text, kept with the delivery for a person, never logged."""

    status: int
    diagnostics: str


Reply = Accepted | Paused | Retry | MissingTargets | Referenced | VersionConflict | Rejected
