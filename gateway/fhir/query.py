"""Search query strings: parameters, modifiers, chains, prefixes and escapes (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from gateway.errors import Finding, Refused

__all__ = ["PREFIXES", "Criterion", "Include", "Query", "SortKey", "escape", "parse_criterion", "parse_query", "prefixed", "split", "unescape"]

PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
CONTROLS = frozenset({"_summary", "_elements", "_contained", "_containedType", "_format", "_pretty", "_score"})
INCLUDES = ("_include", "_revinclude")
MAX_COUNT = 1000
DEFAULT_COUNT = 20
TOTALS = ("none", "estimate", "accurate")
_NAME = re.compile(r"(?P<code>[^:.]+)(?::(?P<modifier>[^.]+))?(?:\.(?P<chain>.+))?")
_PREFIX = re.compile(r"([a-z]{2})(?=[-+.\d])")
_SPECIAL = re.compile(r"[\\,|$]")
_ESCAPED = re.compile(r"\\([\\,|$])")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of a search: any of `values` must match, and all criteria must.

    code: `subject` of `subject:Patient.name:exact=…`; modifier: `Patient`; chain: `name:exact`. Values keep their escapes of `|` and `$`.
    """

    code: str
    modifier: str
    chain: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the caller wrote it."""
        return self.code + (f":{self.modifier}" if self.modifier else "") + (f".{self.chain}" if self.chain else "")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`."""

    code: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or, when `reverse`, `_revinclude` (https://hl7.org/fhir/R4/search.html#include).

    source: type that holds the reference, parameter: its search parameter (`*` = every reference), target: type it must point at ("" =
    any). iterate: applied to what was included, too.
    """

    reverse: bool
    source: str
    parameter: str
    target: str
    iterate: bool
    text: str  # as the caller wrote it, `_include:iterate=…`


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search. types: of `_type`, for a search over several. controls: what shapes the answer and not the matches (`_summary`,
    `_elements` ...), as written. pairs: everything, as written."""

    criteria: tuple[Criterion, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int = DEFAULT_COUNT
    total: str = ""
    controls: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def parse_query(query: str | Iterable[tuple[str, str]]) -> Query:
    """A query string, or its pairs already decoded, as a Query. Raises Refused for a `_count`, `_sort`, `_total` or `_include` that says
    nothing."""
    pairs = tuple(parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else query)
    criteria: list[Criterion] = []
    controls: list[tuple[str, str]] = []
    includes: list[Include] = []
    types: tuple[str, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count, total = DEFAULT_COUNT, ""
    for name, value in pairs:
        control = name.partition(":")[0]
        if name == "_count":
            count = _count(value)
        elif name == "_sort":
            sort = tuple(SortKey(code.removeprefix("-"), code.startswith("-")) for code in value.split(",") if code not in ("", "-"))
        elif name == "_total":
            total = _total(value)
        elif name == "_type":
            types += tuple(t for t in value.split(",") if t and t not in types)
        elif control in INCLUDES:
            includes.append(_include(name, value))
        elif control in CONTROLS:
            controls.append((name, value))
        elif value.strip(","):
            criteria.append(parse_criterion(name, tuple(v for v in split(value, ",") if v)))
    if ("_summary", "count") in controls:
        count = 0  # https://hl7.org/fhir/R4/search.html#summary
    return Query(tuple(criteria), sort, count, total, tuple(controls), types, tuple(includes), pairs)


def parse_criterion(name: str, values: tuple[str, ...]) -> Criterion:
    """A parameter name with modifier and chain, and its values. The rest of a `_has` stands in `modifier`. Raises Refused for a name that is
    none, and for NUL, which no value of R4 holds and PostgreSQL takes for no text (https://hl7.org/fhir/R4/datatypes.html#string)."""
    if any("\0" in value for value in values):
        raise Refused(Finding("bad-value", "refuse", f"检索参数 {name} 的值里有 NUL 字符(%00); 请去掉", source=name))
    if name.startswith("_has:"):
        return Criterion("_has", name[5:], "", values)
    found = _NAME.fullmatch(name)
    if found is None:
        raise Refused(Finding("bad-parameter", "refuse", f"检索参数名 `{name}` 写法不对; 应为 参数名、参数名:修饰符 或 参数名.链", source=name))
    return Criterion(found["code"], found["modifier"] or "", found["chain"] or "", values)


def _include(name: str, value: str) -> Include:
    control, _, modifier = name.partition(":")
    source, *rest = value.split(":")
    if modifier not in ("", "iterate", "recurse") or not source or len(rest) > 2 or (source != "*" and not rest):
        expected = "应为 资源类型:参数、资源类型:参数:目标类型 或 资源类型:*, 修饰符只有 :iterate"
        raise Refused(Finding("bad-include", "refuse", f"`{name}={value[:80]}` 写法不对; {expected}", source=name))
    parameter, target = [*rest, "", ""][:2]
    return Include(control == "_revinclude", source, parameter or "*", target, modifier != "", f"{name}={value}")


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise Refused(Finding("bad-count", "refuse", f"_count 应为不小于 0 的整数, 收到 `{value[:20]}`", source="_count"))
    return min(int(value), MAX_COUNT)


def _total(value: str) -> str:
    if value not in TOTALS:
        raise Refused(Finding("bad-total", "refuse", f"_total 只能是 none、estimate 或 accurate, 收到 `{value[:20]}`", source="_total"))
    return value


def split(text: str, separator: str) -> list[str]:
    r"""Parts of a value between separators that no `\` stands before; the parts keep their escapes."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    r"""The value that an escaped text stands for: `\,` `\|` `\$` `\\` lose their backslash."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def escape(text: str) -> str:
    r"""The text as the value of a parameter: `|` `$` `,` and `\` get a backslash."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def prefixed(text: str) -> tuple[str, str]:
    """Prefix and rest of a date, number or quantity: `ge2026-01` -> ("ge", "2026-01"); no prefix is `eq`."""
    found = _PREFIX.match(text)
    if found is None or found.group(1) not in PREFIXES:
        return "eq", text
    return found.group(1), text[2:]
