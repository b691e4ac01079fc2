"""Forms of codes whose systems are too large to be here: SNOMED CT identifiers, LOINC codes with their check digit.

https://confluence.ihtsdotools.org/display/DOCRELFMT/6.2+SCTID+Data+Type · https://loinc.org/kb/users-guide/. What fails is a misprint in every
edition; what passes need not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["FORMS", "is_loinc", "is_snomed"]

_SNOMED = re.compile(r"\d{6,18}(?:\s*[|:+].*)?", re.DOTALL)
_LOINC = re.compile(r"(\d{1,7})-(\d)")


def is_snomed(code: str) -> bool:
    """Whether a code may be a SNOMED CT identifier or an expression; what begins with no digit is of an older nomenclature and let pass."""
    return not code[:1].isdigit() or _SNOMED.fullmatch(code) is not None


def is_loinc(code: str) -> bool:
    """Whether a code may be LOINC's; parts, answers and groups (LP, LA, LL, LG, MTHU) have no check digit."""
    found = _LOINC.fullmatch(code)
    if found is None:
        return not code or code[:2].isalpha()
    digits = [int(d) for d in reversed(found[1])]
    total = sum(sum(divmod(d * 2, 10)) if place % 2 == 0 else d for place, d in enumerate(digits))
    return (10 - total % 10) % 10 == int(found[2])


FORMS: dict[str, Callable[[str], bool]] = {"http://snomed.info/sct": is_snomed, "http://loinc.org": is_loinc}
"""Tests by code system."""
