"""Functions of the mapping notation: one file each, specification, examples and registration side by side.

A function takes the piped value first, then its arguments, and returns a value, None (absent), or a `Fault`. Absent in, absent out: the
engine never calls a function with an absent piped value (unless `absent=True`). Examples are its tests and its documentation.

    @function("quantity", takes="text", args=("unit",), gives="Quantity", doc="数值加 UCUM 单位",
              examples=[Example("5.60", ("mmol/L",), {"value": Decimal("5.60"), ...})])
    def quantity(value: str, unit: str) -> dict[str, Any] | Fault: ...

Types of `takes`/`gives`/`args`: `text` (a field's text, or a composite's whole text), `any` (whatever the field holds: text, composite
dict, list), FHIR type names (`date`, `dateTime`, `instant`, `decimal`, `Quantity`, `code`, `HumanName` ...), `unit` (a printed unit or a
UCUM code), `choice` (gives only: `Choice(type, value)` for `value[x]`). `env=True`: the function is called as f(env, value, *args). `memo=True`: what
it gave for recent texts is given again, so all of its arguments must be texts; nobody changes what it gave.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.errors import Fault
from gateway.fhir.ucum import Units, builtin_units

__all__ = ["REGISTRY", "Choice", "Env", "Example", "Fault", "Function", "function", "load_all"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A value for `value[x]` and its FHIR type, e.g. Choice("Quantity", {...}). `extra`: siblings to set where the line's element has
    them and the map does not write them itself (e.g. {"interpretation": [...]})."""

    type: str
    value: Any
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Env:
    """What a function may know beside its arguments. units: print forms of the active map set (`tables/units.csv`, the site's own over it)."""

    zone: str
    authority: str
    base: str
    organisation: str = ""
    units: Units = field(default_factory=builtin_units)


@dataclass(frozen=True, slots=True)
class Example:
    """value | f(args) gives `result`; a Fault in `result` is compared by code only."""

    value: Any
    args: tuple[Any, ...]
    result: Any


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function."""

    name: str
    call: Callable[..., Any]
    takes: str
    args: tuple[str, ...]
    optional: int  # how many of args, from the end, may be left out
    gives: str
    doc: str
    examples: Sequence[Example]
    env: bool
    absent: bool
    memo: bool = False


REGISTRY: dict[str, Function] = {}
Call = TypeVar("Call", bound=Callable[..., Any])


def function(
    name: str,
    *,
    takes: str = "text",
    args: tuple[str, ...] = (),
    optional: int = 0,
    gives: str,
    doc: str,
    examples: Sequence[Example],
    env: bool = False,
    absent: bool = False,
    memo: bool = False,
) -> Callable[[Call], Call]:
    """Registers a function of the notation. `doc` is one sentence in Chinese for `yifang map doc` and the mapping guide."""

    def register(call: Call) -> Call:
        if name in REGISTRY:
            raise ValueError(f"mapping function {name} is registered twice")
        REGISTRY[name] = Function(name, call, takes, args, optional, gives, doc, examples, env, absent, memo)
        return call

    return register


def load_all() -> dict[str, Function]:
    """Imports every file of this folder and returns the registry."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return REGISTRY
