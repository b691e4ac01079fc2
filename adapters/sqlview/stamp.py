"""Change stamps of a view: date-times, their many spellings as text, or growing numbers; how far back is read again; their JSON form."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

__all__ = ["Stamp", "earlier", "from_json", "rendered", "to_json"]

Stamp = datetime | date | Decimal | int | str
"""What the database driver gives and takes for the stamp column."""

_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y%m%d%H%M%S",
    "%Y%m%d",
)


def earlier(stamp: Stamp, seconds: float) -> Stamp:
    """The stamp so many seconds before. Days move by whole days, rounded up; numbers by that many units. A text of unknown spelling
    stays: then nothing is read again, which the poll remarks."""
    if isinstance(stamp, datetime):
        return stamp - timedelta(seconds=seconds)
    if isinstance(stamp, date):
        return stamp - timedelta(days=-(-seconds // 86_400))
    if isinstance(stamp, str):
        spelling = spelling_of(stamp)
        if spelling is None:
            return stamp
        return _written(datetime.strptime(stamp, spelling) - timedelta(seconds=seconds), spelling)
    return stamp - int(seconds)


def spelling_of(stamp: str) -> str | None:
    """The `strptime` format of a text stamp; None when it is none of the known ones."""
    for spelling in _FORMATS:
        try:
            if _written(datetime.strptime(stamp, spelling), spelling) == stamp or spelling.endswith("%f"):
                return spelling  # a fraction of any length is one spelling
        except ValueError:
            continue
    return None


def _written(moment: datetime, spelling: str) -> str:
    text = moment.strftime(spelling)
    if spelling.endswith("%z") and not text.endswith("Z"):
        text = f"{text[:-2]}:{text[-2:]}"
    return text


def rendered(now: datetime, like: Stamp) -> Stamp:
    """The moment `now` (in the source's zone), spelled like another stamp of the view; a number stays what it was."""
    if isinstance(like, datetime):
        return now if like.tzinfo is not None else now.replace(tzinfo=None)
    if isinstance(like, date):
        return now.date()
    if isinstance(like, str):
        spelling = spelling_of(like)
        return _written(now, spelling) if spelling is not None else like
    return like


def to_json(stamp: Stamp) -> list[str]:
    """Type and text, so that the database gets back what it gave."""
    match stamp:
        case datetime():
            return ["datetime", stamp.isoformat()]
        case date():
            return ["date", stamp.isoformat()]
        case Decimal():
            return ["decimal", str(stamp)]
        case int():
            return ["int", str(stamp)]
        case _:
            return ["text", stamp]


def from_json(pair: list[Any]) -> Stamp:
    """Reads what `to_json` wrote."""
    kind, text = pair
    match kind:
        case "datetime":
            return datetime.fromisoformat(text)
        case "date":
            return date.fromisoformat(text)
        case "decimal":
            return Decimal(text)
        case "int":
            return int(text)
        case _:
            return str(text)
