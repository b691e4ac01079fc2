"""Who reads: every read of the store takes a `Scope` (design: "Every read of the store takes a Scope")."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see; until there is access control only `Scope.all()` exists. caller: whom cursors are bound to."""

    caller: str

    @classmethod
    def all(cls, caller: str = "") -> Scope:
        """Everything."""
        return cls(caller)
