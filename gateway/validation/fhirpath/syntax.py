"""FHIRPath's text as a tree.

http://hl7.org/fhirpath/N1/grammar.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

__all__ = ["Binary", "Call", "Expression", "Index", "Literal", "Member", "PathSyntaxError", "This", "TypeTest", "Unary", "Variable", "parse"]


class PathSyntaxError(ValueError):
    """The text is no FHIRPath; says where."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal. type: string, integer, decimal, boolean, date, dateTime, time, Quantity, or "" for `{}`."""

    value: Any
    type: str


@dataclass(frozen=True, slots=True)
class This:
    """`$this`, or the focus an expression begins with."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`, `$index`, `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`on.name`."""

    on: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`on.name(arguments)`."""

    on: Expression
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`on[at]`."""

    on: Expression
    at: Expression


@dataclass(frozen=True, slots=True)
class Unary:
    """`-on`, `+on`."""

    operator: str
    on: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`on is type`, `on as type`."""

    operator: str
    on: Expression
    type: str


Expression = Literal | This | Variable | Member | Call | Index | Unary | Binary | TypeTest

_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/
    |(?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)?)
    |(?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    |(?P<variable>%(?:[A-Za-z_][\w-]*|`[^`]*`|'[^']*'|"[^"]*"))
    |(?P<special>\$(?:this|index|total))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign><=|>=|!=|!~|[-+*/|&=~<>.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LEVELS: list[frozenset[str]] = [
    frozenset({"implies"}),
    frozenset({"or", "xor"}),
    frozenset({"and"}),
    frozenset({"in", "contains"}),
    frozenset({"=", "~", "!=", "!~"}),
    frozenset({"<", ">", "<=", ">="}),
    frozenset({"|"}),
    frozenset({"is", "as"}),
    frozenset({"+", "-", "&"}),
    frozenset({"*", "/", "div", "mod"}),
]
"""Binary operators, the loosest first."""
_CALENDAR = re.compile(r"(?:year|month|week|day|hour|minute|second|millisecond)s?")
Token = tuple[str, str]


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The tree of an expression. Raises PathSyntaxError."""
    reader = _Reader(text)
    tree = reader.expression(0)
    if reader.kind:
        raise reader.fault()
    return tree


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PathSyntaxError(f"`{text[:200]}`: not understood from character {at}")
        if match.lastgroup is not None:
            found.append((match.lastgroup, match.group()))
        at = match.end()
    return [*found, ("", "")]


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 5 else _ESCAPES.get(m[1], m[1]), text[1:-1])


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    @property
    def word(self) -> str:
        return self.tokens[self.at][1]

    def fault(self) -> PathSyntaxError:
        return PathSyntaxError(f"`{self.text[:200]}`: unexpected `{self.word or 'end'}`")

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def expect(self, word: str) -> None:
        if self.word != word:
            raise self.fault()
        self.at += 1

    def expression(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self.unary()
        left = self.expression(level + 1)
        while self.kind in ("name", "sign") and self.word in _LEVELS[level]:
            operator = self.take()[1]
            if operator in ("is", "as"):
                left = TypeTest(operator, left, self.type_name())
            else:
                left = Binary(operator, left, self.expression(level + 1))
        return left

    def unary(self) -> Expression:
        if self.kind == "sign" and self.word in "+-":
            operator = self.take()[1]
            return Unary(operator, self.unary())
        return self.steps(self.term())

    def steps(self, on: Expression) -> Expression:
        while self.kind == "sign" and self.word in (".", "["):
            if self.take()[1] == "[":
                on = Index(on, self.expression(0))
                self.expect("]")
            elif self.word == "$this":
                self.take()
            else:
                on = self.invocation(on)
        return on

    def invocation(self, on: Expression) -> Expression:
        kind, word = self.take()
        if kind not in ("name", "quoted"):
            self.at -= 1
            raise self.fault()
        name = _unquoted(word) if kind == "quoted" else word
        if self.word != "(" or self.kind != "sign":
            return Member(on, name)
        self.take()
        if name in ("is", "as", "ofType"):
            tested = TypeTest("as" if name == "ofType" else name, on, self.type_name())
            self.expect(")")
            return tested
        arguments: list[Expression] = []
        while self.word != ")":
            arguments.append(self.expression(0))
            if self.word != ")":
                self.expect(",")
        self.take()
        return Call(on, name, tuple(arguments))

    def type_name(self) -> str:
        kind, word = self.take()
        if kind not in ("name", "quoted"):
            self.at -= 1
            raise self.fault()
        if self.word == "." and self.kind == "sign":
            self.take()
            return ("System." if word == "System" else "") + self.take()[1].strip("`")
        return word.strip("`")

    def term(self) -> Expression:
        kind, word = self.take()
        if kind == "number":
            return self.number(word)
        if kind == "string":
            return Literal(_unquoted(word), "string")
        if kind in ("date", "time"):
            return _moment(word)
        if kind == "variable":
            return Variable(word[1:].strip("`'\""))
        if kind == "special":
            return This() if word == "$this" else Variable(word)
        if word == "(":
            inside = self.expression(0)
            self.expect(")")
            return inside
        if word == "{":
            self.expect("}")
            return Literal(None, "")
        if word in ("true", "false"):
            return Literal(word == "true", "boolean")
        self.at -= 1
        return self.invocation(This())

    def number(self, word: str) -> Expression:
        value: Any = Decimal(word) if "." in word else int(word)
        unit = _unquoted(self.word) if self.kind == "string" else self.word if _CALENDAR.fullmatch(self.word) else ""
        if unit and self.kind in ("string", "name"):
            self.take()
            return Literal({"value": value, "code": unit}, "Quantity")
        return Literal(value, "decimal" if "." in word else "integer")


def _moment(word: str) -> Literal:
    if word.startswith("@T"):
        return Literal(word[2:], "time")
    return Literal(word[1:].removesuffix("T"), "dateTime" if "T" in word else "date")
