"""`Idempotency-Key`: a request that comes again gets what the first one wrote, and writes nothing.

The key is bound to the client, the method, the address and the body; kept for KEEP.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.api.asks import Denied, Wrote
from gateway.store.unit import Unit

__all__ = ["KEEP", "Once"]

KEEP = 24 * 3600 * 1_000_000
"""µs for which a key is known."""


@dataclass(frozen=True, slots=True)
class Once:
    """One keyed request. digest: of method, address and body."""

    client: str
    key: str
    digest: str

    def before(self, unit: Unit) -> list[Wrote] | Denied | None:
        """What the same request wrote before; Denied `key-reused` when the key came with another request; None when it is new."""
        unit.raw.lock([f"request:{self.client}\x1f{self.key}"])
        found = unit.raw.rows("SELECT digest, answer, time FROM request_log WHERE client = ? AND key = ?", [self.client, self.key])
        if not found or found[0][2] <= unit.now - KEEP:
            return None
        digest, answer, _ = found[0]
        return [Wrote(*row) for row in json.loads(answer)] if digest == self.digest else Denied("key-reused", "")

    def after(self, unit: Unit, wrote: Sequence[Wrote]) -> None:
        """Keeps what was written, and forgets what is old."""
        unit.raw.run("DELETE FROM request_log WHERE time <= ?", [unit.now - KEEP])
        answer = json.dumps([[w.type, w.id, w.version, w.time, w.how] for w in wrote], separators=(",", ":"))
        unit.raw.insert("request_log", ("client", "key", "digest", "answer", "time"), [(self.client, self.key, self.digest, answer, unit.now)])
