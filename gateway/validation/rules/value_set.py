"""Value sets: systems are absolute, codes are codes of their system (https://hl7.org/fhir/R4/valueset.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, fault, shown
from gateway.validation.profile.compile import Profiles

__all__ = ["rule"]

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")


def rule(profiles: Profiles) -> One:
    """Check of a ValueSet."""
    known = profiles.definitions.code_known

    def faults(resource: dict[str, Any]) -> Iterator[Fault]:
        for kind in ("include", "exclude"):
            for number, part in enumerate(resource.get("compose", {}).get(kind, ())):
                system, place = part.get("system"), f".compose.{kind}[{number}]"
                if type(system) is not str:
                    continue
                if _ABSOLUTE.match(system) is None:
                    yield from fault("bad-system", f"system {shown(system)} 应是绝对网址", f"{place}.system")
                for at, concept in enumerate(part.get("concept", ())):
                    if known(system, str(concept.get("code"))) is False:
                        message = f"代码系统 {system} 没有代码 {shown(concept.get('code'))}"
                        yield from fault("unknown-code", message, f"{place}.concept[{at}].code")

    return lambda resource: list(faults(resource)) or None
