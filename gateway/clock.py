"""Time is injected: the system's clock in the product, a settable one in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Gives the present moment."""

    def now(self) -> datetime:
        """The present moment, timezone-aware."""
        ...


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """The present moment in UTC."""
        return datetime.now(UTC)


class SetClock:
    """A clock that stands still until told otherwise."""

    def __init__(self, start: datetime) -> None:
        self.value = start

    def now(self) -> datetime:
        """The moment it was last set to."""
        return self.value

    def advance(self, by: timedelta) -> None:
        """Moves the clock forward."""
        self.value += by
