"""What travels through the gateway: incoming bytes, rows, records, claims on residents, drafts of resources.

bytes --adapter--> Row --source profile--> Record --map--> MapResult(drafts, claims, findings) --writer--> resources
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal

from gateway.errors import Finding

Fields = dict[str, Any]
"""Field name -> value. A value is text (`str`, never blank), a composite (`dict` of text by component: `"1"`, `"4.2"`, and `""` for the
whole text), a group row (`dict`, itself Fields), or a list of these where the field or group repeats. Absent in the source = absent key.
Numbers are kept as the text the sender wrote (`5.60`). Key `"@raw"` of a row holds the vendor's own codes of translated fields."""

RAW = "@raw"
CLEAR = "@clear"
"""Key of a row that lists the fields the sender emptied on purpose (HL7 `""`): list of names, the fields themselves are absent. What the
map would write from them is cleared in this record's contribution; a field that is merely absent says nothing."""


IN_PART = "application/x-yifang-part"
"""Media type of what is kept of a message that was too large or broke off: its head, and what tells the rest. It is never mapped."""


RELEASED = "@released"
"""Key of a record's fields that the pipeline sets: `Type/id` of single results beyond possible limits that a person let pass."""


@dataclass(slots=True)
class Incoming:
    """One message as it arrived.

    content: the bytes, or for a file of any size a function that opens it anew (it is stored in chunks and read as a stream).
    name: how a person finds it again (file name, MSH-10); never patient data. checkpoint: the adapter's own position (watermark),
    made durable in the same commit as the message. refused: set when protocol or container refused it; it is then kept, not mapped.
    waits_for: what the sender waits for. `stored`: it needs to know only that the message is durable, so while others of its source are in
    work it is answered `accepted` at once and mapped afterwards, in its place in the order (gateway/pipeline/lane.py).
    """

    content: bytes | Callable[[], BinaryIO]
    media_type: str = "application/octet-stream"
    name: str = ""
    peer: str = ""
    charset: str = ""
    checkpoint: str | None = None
    refused: Finding | None = None
    findings: tuple[Finding, ...] = ()
    sent: datetime | None = None
    waits_for: Literal["outcome", "stored"] = "outcome"


@dataclass(slots=True)
class Row:
    """One business record as the adapter found it, fields named by the dataset, codes still the vendor's.

    unit: the bytes of the smallest re-sendable unit (an HL7 message, a row with its change stamp, a JSON record); the same unit again
    is a repeat. position: where in the message, for people (`随访!第12行`, `记录 3`). findings of severity `hold` keep it from being mapped.
    """

    dataset: str
    fields: Fields
    unit: bytes
    position: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Record:
    """One business record of a dataset, in national codes. Identity is (authority, dataset, key)."""

    authority: str
    dataset: str
    key: tuple[str, ...]
    stamp: str  # sorts as text: UTC `2026-01-31T08:00:00.000000Z`; "" when the source has none
    fields: Fields
    digest: str  # sha-256 of `unit`, hex
    position: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonNumber:
    """One number of a person. Strong: valid and national (居民身份证 GB 11643, 健康档案编号), so residents may be linked on it."""

    system: str
    value: str
    strong: bool


@dataclass(slots=True)
class PersonClaim:
    """What a record says of who its person is. `reference` is one dict shared by all drafts that point at this person; the resolve
    step writes `reference["reference"] = "Patient/<id>"` into it inside the writer's transaction, and all of them follow."""

    numbers: tuple[PersonNumber, ...]  # in order of strength
    name: str = ""
    sex: str = ""  # male | female | ""
    birth_date: str = ""  # YYYY-MM-DD or ""
    reference: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Text that identifies the claim's source patient: its numbers, in order."""
        return "\x1e".join(f"{n.system}\x1f{n.value}" for n in self.numbers)


Compose = Literal["one", "latest", "merge"]


@dataclass(slots=True)
class Draft:
    """One resource that a record speaks of, before it is resolved and composed.

    id: derived from the key line; "" for Patient, whose id is allotted. body: the resource as plain dicts (numbers that carry
    precision are Decimal), without id and meta.versionId/lastUpdated. by: value that orders `latest by`. patients: paths of Patient
    references in body with the claim each came from. person: the claim that a Patient draft is about. clear: dotted element paths
    that the record empties on purpose (from `CLEAR`; HL7 `""`); they count in `delta` profiles, where absence says nothing. was: id that
    the resource had before the map's key line changed (`was key(...)`); what this record says of that one ends.
    """

    type: str
    block: str
    id: str
    body: dict[str, Any]
    compose: Compose = "one"
    by: str = ""
    person: PersonClaim | None = None
    patients: tuple[tuple[str, PersonClaim], ...] = ()
    partial: bool = False
    clear: tuple[str, ...] = ()
    was: tuple[str, ...] = ()


@dataclass(slots=True)
class MapResult:
    """What a map made of one record. With a finding of severity `hold`, drafts are still given (a person looks at them) but not written."""

    drafts: list[Draft]
    claims: list[PersonClaim]
    findings: list[Finding]
    destination: str = ""  # "" = resources; "quality_control" = the side table for QC messages
    withheld: list[Draft] = field(default_factory=list)
    """Single results beyond possible limits: not written until a person releases them, their report meanwhile `partial`."""

    @property
    def held(self) -> bool:
        """Whether nothing of the record may be written until a person decides."""
        return any(f.severity in ("hold", "refuse") for f in self.findings)


@dataclass(slots=True)
class RecordOutcome:
    """What became of one record. state: written | unchanged | repeat | older | held | refused | failed."""

    position: str
    dataset: str
    key: tuple[str, ...]
    state: str
    findings: tuple[Finding, ...] = ()
    resources: tuple[tuple[str, str, int], ...] = ()  # (type, id, version) it wrote
    record: int = 0


@dataclass(slots=True)
class Tally:
    """Records by state, findings by severity, resource versions written."""

    records: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    resources: int = 0

    def add(self, outcome: RecordOutcome) -> None:
        """Counts one record."""
        self.records[outcome.state] += 1
        for finding in outcome.findings:
            self.findings[finding.severity] += 1
        self.resources += len(outcome.resources)


@dataclass(slots=True)
class Receipt:
    """What became of one message, known only after the commit. state: mapped | held | partly (some records held or refused) |
    refused | repeat | stored (durable, to be mapped by replay) | accepted (durable, being mapped; only for a sender that waits for no
    more: what becomes of it stands with the message). reason: the finding that a protocol answer quotes, if any. rest: how many records
    a large message has beyond the outcomes that are listed here; the store has them all."""

    message: int
    state: str
    outcomes: list[RecordOutcome] = field(default_factory=list)
    reason: Finding | None = None
    rest: Tally | None = None

    @property
    def tally(self) -> Tally:
        """All records, listed or not."""
        rest = self.rest
        whole = Tally() if rest is None else Tally(rest.records.copy(), rest.findings.copy(), rest.resources)
        for outcome in self.outcomes:
            whole.add(outcome)
        return whole

    @property
    def findings(self) -> list[Finding]:
        """Findings of all records, in order; the message's own first."""
        own = [self.reason] if self.reason is not None else []
        return own + [f for o in self.outcomes for f in o.findings]
