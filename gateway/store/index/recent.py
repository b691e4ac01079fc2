"""What an element gives is worked out once for a value that comes again and again: the status, code, patient or time of a report's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.fhir.json import encode
from gateway.store.index.slots import Draft

__all__ = ["remembering"]

Put = Callable[[Any, Draft], None]
MOST = 512
"""Values remembered of one element; then it begins anew."""
LONGEST = 1000
"""Characters of a value's JSON; longer ones hardly ever come twice."""
OWN = frozenset({"id", "identifier"})
"""Elements whose values belong to one resource."""


def remembering(name: str, put: Put) -> Put:
    """The same as `put`, the encoder of the element of this name, which depends on nothing but the value."""
    if name in OWN:
        return put
    known: dict[str | bytes, tuple[list[int], bytes, Draft | None]] = {}

    def recalled(value: Any, draft: Draft) -> None:
        mark = value if type(value) is str else encode(value)
        found = known.get(mark)
        if found is None:
            part = Draft()
            put(value, part)
            found = part.posted, b"".join(dict.fromkeys(part.keys)), part if part.more else None
            if len(mark) <= LONGEST:
                if len(known) >= MOST:
                    known.clear()
                known[mark] = found
        posted, keys, part_ = found
        draft.posted += posted
        draft.keys.append(keys)
        if part_ is not None:
            draft.add(part_)

    return recalled
