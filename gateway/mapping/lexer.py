"""Lines and words of the notation: comments off, indentation measured, every word with its column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.mapping.model import Fault, Place

_STEP = r"(?:[A-Z][A-Z0-9]{2}-\d+|\w+)"
_WORD = re.compile(
    r'(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))"
    rf"|(?P<ref>(?:\$\w+|{_STEP})(?:\.{_STEP})*(?:\[x\])?)"
    r"|(?P<op>->|!=|<=|>=|[=<>|(),*])"
)
_BLANK = re.compile(r"[ \t]+")
_LOOKALIKE = str.maketrans("＝|（），“”＃．", '=|(),""#.')


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line; kind is string, number, ref, op or end."""

    kind: str
    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line: its indentation in columns and its words, the last of kind `end`."""

    number: int
    indent: int
    words: tuple[Word, ...]


def lines(text: str, file: str, faults: list[Fault]) -> Iterator[Line]:
    """Logical lines with content; a line whose parentheses are open goes on in the next one. Faults are collected, the line skipped."""
    held: list[Word] = []
    start, indent, depth = 0, 0, 0
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        words = _words(raw, Place(file, number, 1), faults)
        if words is None:
            held, depth = [], 0
            continue
        if not words:
            continue
        if not held:
            start, indent = number, words[0].column - 1
        held += words
        depth += sum((w.text == "(") - (w.text == ")") for w in words if w.kind == "op")
        if depth <= 0:
            yield Line(start, indent, (*held, Word("end", "", len(raw) + 1)))
            held, depth = [], 0
    if held:
        faults.append(Fault(Place(file, start, held[0].column), "open-parenthesis", "括号没有配对", "与 ( 配对的 )", "在这一行补上 )"))


def _words(raw: str, place: Place, faults: list[Fault]) -> list[Word] | None:
    """Words of one physical line, [] for a blank or comment, None when it cannot be read (the fault is added)."""
    found: list[Word] = []
    at = 0
    lead = raw[: len(raw) - len(raw.lstrip())]
    if "\t" in lead and raw.strip() and not raw.lstrip().startswith("#"):
        faults.append(Fault(Place(place.file, place.line, lead.index("\t") + 1), "tab", "缩进里有制表符", "每层两个空格", "把制表符换成空格"))
        return None
    while at < len(raw):
        if blank := _BLANK.match(raw, at):
            at = blank.end()
            continue
        if raw[at] == "#":
            break
        word = _WORD.match(raw, at)
        if word is None:
            faults.append(_unreadable(raw, at, place))
            return None
        kind = str(word.lastgroup)
        text_ = re.sub(r"\\(.)", r"\1", word.group()[1:-1]) if kind == "string" else word.group()
        found.append(Word(kind, text_, at + 1))
        at = word.end()
    return found


def _unreadable(raw: str, at: int, place: Place) -> Fault:
    where = Place(place.file, place.line, at + 1)
    letter = raw[at]
    if letter == '"':
        return Fault(where, "open-string", "引号没有配对", '一行之内用 " 结束的文字', '在文字末尾补上 "')
    plain = letter.translate(_LOOKALIKE)
    if plain != letter:
        return Fault(where, "full-width", f"全角符号 {letter}", f"半角符号 {plain}", f"把 {letter} 换成 {plain}")
    return Fault(where, "unreadable", f"看不懂的符号 {letter}", "字段名、函数、引号里的文字或 = | ( ) ,", "删去或改写这个符号")
