"""Paths of FHIRPath Patch as steps (https://hl7.org/fhir/R4/fhirpatch.html, https://hl7.org/fhir/R4/fhirpath.html#simple).

A path must lead to places in the resource, so only what selects elements is understood: members, `[n]`, `where(…)`, `first()`, `last()`, `single()`,
`ofType(T)`, `as(T)`, `(… as T)`, `extension('url')`. Inside `where` any FHIRPath may stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gateway.fhir.patch.fault import PatchFault

__all__ = ["Step", "parse_steps"]

LONGEST = 2000
"""Characters of a path."""
_NAME = re.compile(r"`([A-Za-z_]\w*)`|([A-Za-z_]\w*)", re.ASCII)
_INDEX = re.compile(r"\[\s*([0-9]{1,9})\s*\]", re.ASCII)
_TYPE = re.compile(r"(?:FHIR\s*\.\s*)?([A-Za-z]+)", re.ASCII)
_AS = re.compile(r"as\s+(?:FHIR\s*\.\s*)?([A-Za-z]+)", re.ASCII)
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ALONE = frozenset({"first", "last", "single"})


@dataclass(frozen=True, slots=True)
class Step:
    """kind: member | index | where | first | last | single | type | extension. text: name, number, criteria, type or URL."""

    kind: str
    text: str = ""


@lru_cache(maxsize=512)
def parse_steps(path: str) -> tuple[Step, ...]:
    """The steps of a path, the first of them a member. Raises PatchFault `bad-patch` when it is not understood."""
    if len(path) > LONGEST:
        raise PatchFault(f"路径超过 {LONGEST} 个字符", "bad-patch")
    steps, at = _parse(path, 0)
    if at != len(path) or not steps or steps[0].kind != "member":
        raise _unclear(at)
    return tuple(steps)


def _unclear(at: int) -> PatchFault:
    return PatchFault(
        f"路径从第 {at + 1} 个字符起看不懂; 可用: 元素名、[n]、where(…)、first()、last()、single()、ofType(…)、(… as …)、extension('…')", "bad-patch"
    )


def _parse(path: str, at: int) -> tuple[list[Step], int]:
    """Steps from here to the end or to what no path goes on with: an unmatched parenthesis, ` as T`."""
    steps: list[Step] = []
    at = _skip(path, at)
    if path[at : at + 1] == "(":
        steps, at = _parse(path, at + 1)
        cast = _AS.match(path, at)
        if cast is not None:
            steps.append(Step("type", cast.group(1)))
            at = _skip(path, cast.end())
        if path[at : at + 1] != ")":
            raise _unclear(at)
        at += 1
    else:
        at = _invocation(path, at, steps)
    while True:
        at = _skip(path, at)
        index = _INDEX.match(path, at)
        if index is not None:
            steps.append(Step("index", index.group(1)))
            at = index.end()
        elif path[at : at + 1] == ".":
            at = _invocation(path, _skip(path, at + 1), steps)
        else:
            return steps, at


def _skip(path: str, at: int) -> int:
    """Position of the next character that is no blank."""
    while at < len(path) and path[at].isspace():
        at += 1
    return at


def _invocation(path: str, at: int, steps: list[Step]) -> int:
    """A member or a function; returns where it ends."""
    name = _NAME.match(path, at)
    if name is None:
        raise _unclear(at)
    if path[name.end() : name.end() + 1] != "(":
        steps.append(Step("member", name.group(1) or name.group(2)))
        return name.end()
    end = _closing(path, name.end())
    steps.append(_function(name.group(2) or "", path[name.end() + 1 : end].strip(), at))
    return end + 1


def _closing(path: str, opening: int) -> int:
    """Position of the parenthesis that closes the one at `opening`; strings and back-quoted names are passed over."""
    depth, at = 0, opening
    while at < len(path):
        letter = path[at]
        if letter in "'`":
            at = _quoted(path, at, letter)
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise _unclear(opening)


def _quoted(path: str, at: int, quote: str) -> int:
    """Position of the closing quote."""
    at += 1
    while at < len(path) and path[at] != quote:
        at += 2 if path[at] == "\\" else 1
    return at


def _function(name: str, argument: str, at: int) -> Step:
    if name in _ALONE and not argument:
        return Step(name)
    if name == "where" and argument:
        return Step("where", argument)
    if name in ("ofType", "as") and (type_ := _TYPE.fullmatch(argument)) is not None:
        return Step("type", type_.group(1))
    if name == "extension" and (url := _STRING.fullmatch(argument)) is not None:
        return Step("extension", re.sub(r"\\(.)", r"\1", url.group(1)))
    raise _unclear(at)
