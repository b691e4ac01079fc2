"""Commands on a site's data: functions of (site, arguments) that give JSON values, so that they run here or in the gateway that serves.

@command("holds.list")
def listing(site: Site, *, state: str = "open", limit: int = 100) -> list[dict]: ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.errors import NotFound, YifangError

if TYPE_CHECKING:  # a command that runs in the gateway that serves needs no site of its own
    from gateway.site import Site

__all__ = ["REGISTRY", "command", "execute"]

REGISTRY: dict[str, Callable[..., Any]] = {}


def command(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a command under its name."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in REGISTRY:
            raise ValueError(f"command {name} is registered twice")
        REGISTRY[name] = function
        return function

    return register


def load_all() -> dict[str, Callable[..., Any]]:
    """Imports every file of this folder and returns the registry."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return REGISTRY


def execute(site: Site, name: str, arguments: dict[str, Any]) -> Any:
    """Runs a command; NotFound for an unknown one, YifangError for arguments that do not fit."""
    function = load_all().get(name)
    if function is None:
        raise NotFound(f"没有名为 {name} 的命令; 命令行与运行中的网关版本可能不一致")
    try:
        return function(site, **arguments)
    except TypeError as e:
        if e.__traceback__ is not None and e.__traceback__.tb_next is None:
            raise YifangError(f"命令 {name} 的参数不对: 命令行与运行中的网关版本可能不一致") from e
        raise
