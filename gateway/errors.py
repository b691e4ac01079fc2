"""Expected faults are values (`Finding`); exceptions are for bugs, I/O and input refused as a whole.

YifangError
├── ConfigError        yifang.toml, a profile or an option is wrong; the text names the key and the next step
├── MapError           a map, table or profile does not check; carries the faults with file:line:column
├── Refused            a whole message is refused by protocol or container; carries the Finding that is answered
├── NotFound           what a person or client asked for is not there
├── Conflict           what was asked contradicts the present state
├── TransientError     worth trying again (a database that is away, a 503)
└── TerminalError      trying again changes nothing (a 422, a wrong certificate)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["note", "drop", "hold", "refuse"]
"""note: written and remarked · drop: the element is left out · hold: nothing of the record is written until a person decides ·
refuse: answered and kept as `refused` (design/records.md, "Severity is data")."""

RANK: dict[str, int] = {"note": 0, "drop": 1, "hold": 2, "refuse": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """An expected fault or remark, as data.

    code: stable kebab-case name, e.g. `unknown-code`. message: Chinese, for a person: what, where, expected, next step.
    target: FHIR path written or left out, e.g. `Observation.valueQuantity`. source: the locator as the sender knows it
    (`收缩压(mmHg)`, `OBX-5`). line: `file.map:line:column`. Messages may quote values: they are kept with the record, never logged.
    """

    code: str
    severity: Severity
    message: str
    target: str = ""
    source: str = ""
    line: str = ""

    def at(self, *, target: str = "", source: str = "", line: str = "") -> Finding:
        """The same finding with the places filled that it did not name itself."""
        return replace(self, target=self.target or target, source=self.source or source, line=self.line or line)

    def as_dict(self) -> dict[str, str]:
        """Plain JSON form; empty places are left out."""
        pairs = {"code": self.code, "severity": self.severity, "message": self.message}
        pairs |= {k: v for k, v in (("target", self.target), ("source", self.source), ("line", self.line)) if v}
        return pairs


@dataclass(frozen=True, slots=True)
class Fault:
    """An expected fault that a check or a function of the notation returns instead of (or beside) a value.

    message: Chinese; says what was found and what was expected; the engine adds target, source column and map line.
    severity None: that of the field in fields.csv, else `drop`. value: what may be written all the same (with severity `note`).
    """

    code: str
    message: str
    severity: Severity | None = None
    value: Any = None


def worst(findings: Sequence[Finding]) -> Severity | None:
    """The gravest severity among the findings, or None when there are none."""
    return max((f.severity for f in findings), key=RANK.__getitem__, default=None)


class YifangError(Exception):
    """Base of all exceptions raised on purpose."""


class ConfigError(YifangError):
    """The configuration is wrong; the text names the key and the next step."""


class MapError(YifangError):
    """A map, table, fields.csv or source profile does not check. `faults` are lines `file:line:column: message`."""

    def __init__(self, faults: Sequence[object]) -> None:
        super().__init__("\n".join(str(f) for f in faults))
        self.faults = tuple(faults)


class Refused(YifangError):
    """A whole message is refused; `finding` is what the sender is told."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)  # never the message: it may quote patient data
        self.finding = finding


class NotFound(YifangError):
    """What was asked for does not exist."""


class Conflict(YifangError):
    """What was asked contradicts the present state."""


class TransientError(YifangError):
    """Worth trying again later."""


class TerminalError(YifangError):
    """Trying again changes nothing; a person must act."""


BY_NAME: dict[str, type[YifangError]] = {e.__name__: e for e in (ConfigError, MapError, NotFound, Conflict, TransientError, TerminalError)}
"""How a fault of a command that ran in another process is raised here again."""
