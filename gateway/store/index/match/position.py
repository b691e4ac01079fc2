"""Locations near a place (https://hl7.org/fhir/R4/location.html#positional)."""

from __future__ import annotations

from collections.abc import Mapping
from math import asin, cos, radians, sin, sqrt
from typing import Any

from gateway.fhir.query import Criterion, split, unescape
from gateway.store.index.match.asked import Asked, allow, refused
from gateway.store.index.match.row import Condition

__all__ = ["near"]

EARTH = 6371.0088
"""Mean radius in km (IUGG)."""
KILOMETRES = {"": 1.0, "km": 1.0, "m": 0.001, "[mi_us]": 1.609347, "[mi_i]": 1.609344}
DISTANCE = 10.0
"""km, when the search names none."""


def near(asked: Asked, criterion: Criterion) -> Condition:
    """`latitude|longitude|distance|unit` of Location.position (WGS 84)."""
    allow(criterion, "")
    circles = [_circle(criterion, value) for value in criterion.values]

    def content(resource: Mapping[str, Any]) -> bool:
        position = resource.get("position")
        if not isinstance(position, dict):
            return False
        try:
            here = float(position["latitude"]), float(position["longitude"])
        except (KeyError, TypeError, ValueError):
            return False
        return any(_kilometres(here, (lat, lon)) <= radius for lat, lon, radius in circles)

    return Condition(None, content=content)


def _circle(criterion: Criterion, value: str) -> tuple[float, float, float]:
    parts = [unescape(p) for p in split(value, "|")] + ["", ""]
    try:
        radius = float(parts[2]) * KILOMETRES[parts[3]] if parts[2] else DISTANCE
        return float(parts[0]), float(parts[1]), radius
    except (IndexError, KeyError, ValueError):
        raise refused(criterion, "bad-value", "near 应写成 纬度|经度|距离|单位(km、m、[mi_us])") from None


def _kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance by the haversine formula."""
    (lat1, lon1), (lat2, lon2) = ((radians(x), radians(y)) for x, y in (a, b))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH * asin(sqrt(half))
