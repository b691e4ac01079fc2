"""The registry of interactions and operations: routes, CapabilityStatement and docs/api.md follow from it.

One file each in `gateway/http/interactions/` and `gateway/http/operations/`; the decorator is the registration.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gateway.http.call import Call, Reply

__all__ = ["Handler", "Interaction", "Operation", "Registry", "interaction", "operation", "registry"]

Handler = Callable[[Call], Awaitable[Reply]]
Level = Literal["system", "type", "instance"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One way to call an interaction. code: of http://hl7.org/fhir/restful-interaction, "" for what that code system does not name (conditional
    forms, capabilities). shape: path below the base, `T` a type, `i` an id, `v` a version, `C` a type or `*` of a compartment. lasting: it may
    take long, and is answered later to whom prefers that (gateway/http/asynchronous.py)."""

    code: str
    level: Level
    method: str
    shape: str
    handle: Handler
    summary: str
    clause: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One $operation. types: resource types it is defined on, empty: all. affects: it changes something, so that GET is refused. lasting: as
    for an interaction."""

    name: str
    levels: tuple[Level, ...]
    types: tuple[str, ...]
    affects: bool
    definition: str
    handle: Handler
    summary: str
    clause: str
    lasting: bool = False


_INTERACTIONS: list[Interaction] = []
_OPERATIONS: list[Operation] = []


def _told(handle: Handler) -> tuple[str, str]:
    """First line of the module's docstring, and its clause."""
    text = (importlib.import_module(handle.__module__).__doc__ or "").strip()
    clause = next((line.strip() for line in text.splitlines() if line.strip().startswith("https://")), "")
    return text.splitlines()[0] if text else "", clause


def interaction(code: str, level: Level, method: str, *shapes: str, lasting: bool = False) -> Callable[[Handler], Handler]:
    """Registers a handler for a method and one or more paths."""

    def register(handle: Handler) -> Handler:
        for shape in shapes:
            _INTERACTIONS.append(Interaction(code, level, method, shape, handle, *_told(handle), lasting))
        return handle

    return register


def operation(
    name: str, *levels: Level, definition: str, types: tuple[str, ...] = (), affects: bool = False, lasting: bool = False
) -> Callable[[Handler], Handler]:
    """Registers the handler of `$name`."""

    def register(handle: Handler) -> Handler:
        _OPERATIONS.append(Operation(name, levels, types, affects, definition, handle, *_told(handle), lasting))
        return handle

    return register


class Registry:
    """What is registered, ready for routing."""

    def __init__(self, interactions: list[Interaction], operations: list[Operation]) -> None:
        self.interactions = interactions
        self.operations = operations
        self.routes: dict[str, dict[str, Interaction]] = {}
        for i in interactions:
            self.routes.setdefault(i.shape, {})[i.method] = i
        self.lasting = frozenset([i.handle for i in interactions if i.lasting] + [o.handle for o in operations if o.lasting])

    def operation(self, name: str, level: Level, type_: str) -> Operation | None:
        """The operation of this name at this level, on this type."""
        return next((o for o in self.operations if o.name == name and level in o.levels and (not o.types or type_ in o.types or not type_)), None)


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Everything that the modules of `interactions` and `operations` register."""
    for package in ("gateway.http.interactions", "gateway.http.operations"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
    return Registry(_INTERACTIONS, _OPERATIONS)
