"""What a criterion is compiled against: indexer, plan, terminology; how it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.errors import Finding, Refused
from gateway.fhir.query import Criterion, split, unescape
from gateway.store.index.keys import Indexer, Plan

__all__ = ["Asked", "Code", "NoTerms", "Terms", "allow", "refused", "system_value"]

Code = tuple[str, str]
"""(system, code)."""


class Terms(Protocol):
    """Terminology, as far as `:in`, `:below` and `:above` need it. None: not known here."""

    def members(self, valueset: str) -> frozenset[Code] | None:
        """Codes of a value set, by its URL or `ValueSet/id`."""

    def below(self, system: str, code: str) -> frozenset[Code] | None:
        """A code of a system with its descendants."""

    def above(self, system: str, code: str) -> frozenset[Code] | None:
        """A code of a system with its ancestors."""


class NoTerms:
    """No terminology."""

    def members(self, valueset: str) -> frozenset[Code] | None:
        """None."""
        return None

    def below(self, system: str, code: str) -> frozenset[Code] | None:
        """None."""
        return None

    def above(self, system: str, code: str) -> frozenset[Code] | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a criterion is asked: of which type, with which keys and terminology."""

    indexer: Indexer
    plan: Plan
    terms: Terms


def allow(criterion: Criterion, *modifiers: str) -> None:
    """Raises Refused for a modifier that is not among these."""
    if criterion.modifier not in modifiers:
        served = "、".join(f":{m}" for m in modifiers if m) or "无"
        raise refused(criterion, "unsupported-modifier", f"修饰符 :{criterion.modifier} 在此不支持; 可用: {served}")


def refused(criterion: Criterion, code: str, message: str) -> Refused:
    """A refusal that names the parameter."""
    return Refused(Finding(code, "refuse", f"检索参数 {criterion.name}: {message}", source=criterion.name))


def system_value(criterion: Criterion, value: str) -> tuple[str, bool, str]:
    """(system, whether one was given, value) of `system|value` or `value`."""
    parts = [unescape(p) for p in split(value, "|")]
    if len(parts) > 2:
        raise refused(criterion, "bad-value", "应写成 值、系统|值、|值 或 系统|; 值里的 | 要写成 \\|")
    return ("", False, parts[0]) if len(parts) == 1 else (parts[0], True, parts[1])
