"""`person(...)` at run time: the numbers and demographics by which a record says who its person is."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from gateway.errors import Fault, Finding
from gateway.identity.numbers import person_number
from gateway.mapping import plan
from gateway.mapping.fields import Dataset, Field
from gateway.mapping.functions import REGISTRY
from gateway.record import PersonClaim, PersonNumber
from gateway.terminology.tables import IdentifierSystem

_SEX = {"1": "male", "2": "female", "M": "male", "F": "female", "男": "male", "女": "female", "男性": "male", "女性": "female"}
_DATE = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})")
_OID = re.compile(r"[0-2](\.\d+){3,}")
Report = Callable[[list[Finding], int, Fault], Any]


def portable_reference(authority: str, strongest: PersonNumber) -> str:
    """How a Patient is pointed at where no database says which one it is: the same for the same number of the same authority."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{authority}|{strongest.system}|{strongest.value}')}"


class Persons:
    """Makes the claim of one `person(...)` line for one source."""

    def __init__(
        self,
        line: plan.Person,
        dataset: Dataset,
        identifiers: Mapping[str, IdentifierSystem],
        authority: str,
        base: str,
        portable: bool,
        report: Report,
    ) -> None:
        self.parts = [(p.field, p.component) for p in line.parts if isinstance(p, plan.Read)]
        self.identifiers, self.authority, self.base, self.portable, self.report = identifiers, authority, base, portable, report
        self.systems = {name: i.system.replace("{base}", base) for name, i in identifiers.items()}
        top = dataset.top.fields.values()
        self.name, self.sex, self.birth = (next((f for f in top if f.identifier == mark), None) for mark in ("@name", "@sex", "@birth-date"))

    def __call__(self, fields: Mapping[str, Any], findings: list[Finding], line: int) -> PersonClaim:
        """The claim; without any number a hold finding is added."""
        numbers: dict[tuple[str, str], PersonNumber] = {}
        for field, component in self.parts:
            value = fields.get(field.name)
            for one in value if isinstance(value, list) else (value,):
                found = self._number(field, component, one, findings, line) if one is not None else None
                if found is not None:
                    numbers.setdefault((found.system, found.value), found)
        ordered = tuple(sorted(numbers.values(), key=lambda n: not n.strong))
        if not ordered:
            labels = "、".join(dict.fromkeys(f.label for f, _ in self.parts))
            message = f"没有可用的身份号码({labels}), 不知道是谁的记录; 请补上其中一个号码后重发, 或人工确认"
            self.report(findings, line, Fault("no-person-number", message, "hold"))
        claim = PersonClaim(ordered, self._name(fields), self._sex(fields), self._birth(fields))
        if self.portable and ordered:
            claim.reference["reference"] = portable_reference(self.authority, ordered[0])
        return claim

    def _number(self, field: Field, component: str, value: Any, findings: list[Finding], line: int) -> PersonNumber | None:
        kind = field.identifier
        if kind.startswith("@cx"):
            return self._cx(kind.partition(":")[2], value, findings, line)
        text = value.get(component, "") if isinstance(value, dict) else value
        if not text:
            return None
        if kind.startswith("local:"):
            return PersonNumber(f"{self.authority}/ids/{kind.removeprefix('local:')}", text.strip(), False)
        return self._known(kind, text, findings, line)

    def _known(self, name: str, text: str, findings: list[Finding], line: int) -> PersonNumber | None:
        number, fault = person_number(name, text, self.systems)
        if fault is not None:
            self.report(findings, line, fault)
        return number

    def _cx(self, default: str, value: Any, findings: list[Finding], line: int) -> PersonNumber | None:
        """HL7 v2 CX: 1 number, 4 assigning authority, 5 type code."""
        parts = value if isinstance(value, dict) else {"1": value}
        text = parts.get("1") or parts.get("")
        if not text:
            return None
        oid = parts.get("4.2") or ""
        for name, known in self.identifiers.items():
            systems = (known.system, *known.accepts)
            if oid and any(s.removeprefix("urn:oid:") == oid for s in systems):
                return self._known(name, text, findings, line)
        for name, known in self.identifiers.items():
            if known.strong and known.type_code and known.type_code == parts.get("5"):
                return self._known(name, text, findings, line)
        assigner = parts.get("4.1") or parts.get("4") or default
        return PersonNumber(authority_of(self.authority, assigner), text.strip(), False)

    def _name(self, fields: Mapping[str, Any]) -> str:
        value = _first(fields, self.name)
        if isinstance(value, dict):
            made = REGISTRY["xpn_text"].call(value) if "xpn_text" in REGISTRY else value.get("", "")
            return made if isinstance(made, str) else ""
        return (value or "").strip()

    def _sex(self, fields: Mapping[str, Any]) -> str:
        return _SEX.get(_text(_first(fields, self.sex)), "")

    def _birth(self, fields: Mapping[str, Any]) -> str:
        """A day that the calendar has, else "": it stands in the Patient, and servers refuse 30 February."""
        found = _DATE.match(_text(_first(fields, self.birth)))
        try:
            return date(int(found[1]), int(found[2]), int(found[3])).isoformat() if found else ""
        except ValueError:
            return ""


def authority_of(authority: str, assigner: str | None) -> str:
    """URI of an assigner: its own where it is a URI or OID, else below the sender's authority."""
    if not assigner:
        return f"{authority}/ids"
    if assigner.startswith(("urn:", "http://", "https://")):
        return assigner
    return f"urn:oid:{assigner}" if _OID.fullmatch(assigner) else f"{authority}/ids/{assigner}"


def _first(fields: Mapping[str, Any], field: Field | None) -> Any:
    value = fields.get(field.name) if field is not None else None
    return (value[0] if value else None) if isinstance(value, list) else value


def _text(value: Any) -> str:
    return (value.get("") or value.get("1") or "") if isinstance(value, dict) else value or ""
