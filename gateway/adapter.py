"""The adapter contract: code for one protocol or container.

An adapter (1) compiles the locators of a source profile to a function from bytes to rows and (2) for protocols that listen, poll or
watch, runs an inbound feed that hands whole messages to the intake and answers the sender from the receipt. It knows nothing of
FHIR, maps or the store. A new protocol is one folder under `adapters/` and one entry-point line in group `gateway.adapters`; it
passes `tests/adapters/contract.py`. docs/adapters/contract.md is the page for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ValidationInfo

from gateway.clock import Clock
from gateway.config import SourceConfig
from gateway.errors import Finding
from gateway.record import Incoming, Receipt, RecordOutcome, Row

__all__ = ["Adapter", "BaseModel", "Extract", "Feed", "GroupLayout", "Intake", "Layout", "LocalPath", "SourceConfig", "local"]

Extract = Callable[[bytes | BinaryIO], Iterator[Row]]
"""Whole message in, rows out, lazily: memory stays bounded when the content is a stream. Raises `Refused` when the message as a whole
cannot be read (undecodable, not XML, DOCTYPE, unknown message type); a fault of one row is a finding of that row and the rest goes on."""


def local(path: Path, info: ValidationInfo) -> Path:
    """A path of [source.options] as the gateway uses it: a relative one is taken from the folder of the configuration file, which is
    `folder` of the validation context."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path


LocalPath = Annotated[Path, AfterValidator(local)]
"""Type of every option that is a path."""


@dataclass(frozen=True, slots=True)
class GroupLayout:
    """Where a repeating group is. `each`: the adapter's locator of the repetition (JSON pointer, XPath, segment group, child view);
    `rows`: alternatively fixed repetitions, one mapping field -> locator each (药物名称1, 药物名称2 ...)."""

    each: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, GroupLayout] = field(default_factory=dict)
    rows: Sequence[Mapping[str, str]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """What an adapter compiles: one source profile. Field names are the dataset's.

    split: field -> regular expression that splits one cell into several values (multiple choice `1,3,5`).
    key, stamp: the profile's key fields and its stamp field; flat sources put the rows of one record together by them.
    composites / repeats: fields whose value is a dict of components / a list (message-shaped datasets).
    used: for message-shaped datasets the paths that the map reads, e.g. `PID-5.1.1`, `OBR/OBX/OBX-5`; others need not be extracted.
    """

    dataset: str
    profile: str  # dataset/profile name, for messages to people
    fields: Mapping[str, str]
    groups: Mapping[str, GroupLayout] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)  # [options] of the profile, checked by Adapter.profile_options
    split: Mapping[str, str] = field(default_factory=dict)
    composites: frozenset[str] = frozenset()
    repeats: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    charset: str = ""
    zone: str = "Asia/Shanghai"
    key: Sequence[str] = ()
    stamp: str = ""
    message: Sequence[str] = ()  # message-shaped profiles: which messages it takes (`message = [...]` of the profile), e.g. "ORU^R01"


class Intake(Protocol):
    """Where a feed hands its messages over. All methods are safe from any thread or task of the feed."""

    async def accept(self, incoming: Incoming) -> Receipt:
        """Returns only after the commit, so that an acknowledgement may be sent. Waits when the gateway is behind (back-pressure).
        Raises TransientError when the message could not be stored: answer AE, 503, or nothing, and let the sender try again."""
        ...

    def outcomes(self, message: int) -> Iterator[RecordOutcome]:
        """What became of every record of a message (`Receipt.message`), in the order of its rows; a receipt lists only some of very many.
        Read piece by piece while it is gone through, so not in an event loop."""
        ...

    def checkpoint(self) -> str | None:
        """The last durable checkpoint of this source."""
        ...

    def remark(self, finding: Finding) -> None:
        """Reports a finding of the source itself (lost column, broken connection), shown by `yifang doctor` and the metrics."""
        ...

    def alive(self) -> None:
        """Tells that the source answered, even when it had nothing new (a source that fell silent is reported)."""
        ...


@dataclass(frozen=True, slots=True)
class Feed:
    """What an inbound feed gets. extracts: (dataset, function) for each profile of the source, in the order of the configuration."""

    source: SourceConfig
    options: BaseModel  # the adapter's own `options`, validated
    layouts: Sequence[Layout]
    intake: Intake
    clock: Clock
    ready: Callable[[str], None]  # call once with the address or place listened on, e.g. "mllp://127.0.0.1:2575"


@runtime_checkable
class Adapter(Protocol):
    """One protocol or container. Instances are stateless; the entry point names a module-level instance called `adapter`."""

    name: str
    options: type[BaseModel]  # [source.options] in yifang.toml
    profile_options: type[BaseModel]  # [options] in a source profile

    def compile(self, layouts: Sequence[Layout]) -> Extract:
        """One function for all profiles of a source (an MLLP feed carries ORU and ADT); each row names its dataset.
        Raises ConfigError naming profile, field and locator when a locator cannot be understood."""
        ...

    def check_locator(self, locator: str) -> str | None:
        """None when the locator is well formed, else what is wrong, in Chinese; used by `yifang map check`."""
        ...

    async def run(self, feed: Feed) -> None:
        """Runs the inbound feed until cancelled. Passive adapters (HTTP bodies only) return at once. Cancelling must leave no
        message half accepted. Faults of the outside world are remarked and retried with backoff, never raised."""
        ...
