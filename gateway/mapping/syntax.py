"""Parser of the notation: text of a `.map` file to its syntax tree, with faults that say what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from gateway.mapping.lexer import Line, Word, lines
from gateway.mapping.model import (
    Assign,
    Block,
    Call,
    Cond,
    Each,
    Element,
    Expr,
    Fault,
    Fragment,
    Ignore,
    Item,
    Junction,
    Let,
    Literal,
    MapTree,
    Negated,
    Pipe,
    Place,
    Ref,
    Test,
)

RESERVED = frozenset(
    {"map", "from", "let", "fragment", "ignore", "because", "each", "as", "when", "was", "latest", "by", "merge", "and", "or", "not", "in"}
)
_COMPARE = frozenset({"=", "!=", "<", "<=", ">", ">="})
_TYPE = re.compile(r"[A-Z][A-Za-z]+")
_ELEMENT = re.compile(r"[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*(\[x\])?")
T = TypeVar("T")


class Wrong(Exception):
    """A line that does not parse; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def parse(text: str, file: str) -> tuple[MapTree, list[Fault]]:
    """The tree of a map file and what is wrong in it; a line that cannot be read is left out of the tree, with all that is below it."""
    faults: list[Fault] = []
    tree = MapTree(file, place=Place(file, 1, 1))
    rows = list(lines(text, file, faults))
    _Parser(file, rows, faults).whole(tree)
    return tree, faults


class _Parser:
    """Reads logical lines one after the other; `at` is the next line."""

    def __init__(self, file: str, rows: list[Line], faults: list[Fault]) -> None:
        self.file, self.rows, self.faults, self.at = file, rows, faults, 0

    def whole(self, tree: MapTree) -> None:
        """The file: a header, then lets, blocks, fragments and ignores at the left margin."""
        if not self.rows or self.rows[0].words[0].text != "map":
            at = self.rows[0] if self.rows else None
            place = Place(self.file, at.number if at else 1, at.words[0].column if at else 1)
            self.faults.append(Fault(place, "no-header", "文件没有以 map 开头", "map 名称 from 数据集", "在第一行写 map 名称 from 数据集"))
        while self.at < len(self.rows):
            row = self.rows[self.at]
            if row.indent:
                self._misplaced(row, 0)
                self._skip_below(-1 if self.at == 0 else 0)
                continue
            self._guard(row, lambda line: self._statement(tree, line))

    def _guard(self, row: Line, read: Callable[[_Line], object]) -> None:
        """Reads one line and what is below it; on a fault both are skipped."""
        self.at += 1
        mark = self.at
        try:
            read(_Line(self.file, row))
        except Wrong as wrong:
            self.faults.append(wrong.fault)
            self.at = mark
            self._skip_below(row.indent)

    def _skip_below(self, indent: int) -> None:
        while self.at < len(self.rows) and self.rows[self.at].indent > indent:
            self.at += 1

    def _misplaced(self, row: Line, expected: int) -> None:
        place = Place(self.file, row.number, row.indent + 1)
        want = "顶格" if expected == 0 else f"缩进 {expected} 格"
        self.faults.append(Fault(place, "indentation", f"缩进了 {row.indent} 格, 与上文不符", want, "同一层的各行对齐, 下一层多缩进两格"))

    def _statement(self, tree: MapTree, line: _Line) -> None:
        word = line.peek()
        if word.text == "map" and word.kind == "ref":
            line.next()
            tree.place = line.place(word)
            tree.name = line.name("映射的名称")
            tree.dataset = line.name("数据集的名称") if line.take("from") else tree.name
            line.end()
        elif word.text == "let":
            line.next()
            place = line.place(line.peek())
            name = line.name("名称")
            line.expect("=")
            tree.lets.append(Let(name, line.expr(), place))
            line.end()
        elif word.text == "ignore":
            tree.ignores.append(_ignore(line))
        elif word.text == "fragment":
            tree.fragments.append(self._fragment(line))
        elif _TYPE.fullmatch(word.text):
            tree.blocks.append(self._block(line))
        else:
            raise line.wrong(
                word,
                "statement",
                f"这里不能写 {word.text or '空行'}",
                "let、ignore、fragment 或资源类型(如 Observation)加块名",
                "元素行要缩进到所属的块下面",
            )

    def _fragment(self, line: _Line) -> Fragment:
        line.next()
        place = line.place(line.peek())
        name = line.name("片段的名称")
        line.expect("(")
        takes = []
        while line.peek().text != ")":
            takes.append(line.name("输入的类型, 如 HL7 XAD"))
        line.expect(")")
        line.expect("->")
        gives = line.name("FHIR 数据类型, 如 Address")
        line.end()
        return Fragment(name, tuple(takes), gives, self._items(line), place)

    def _block(self, line: _Line) -> Block:
        first = line.next()
        name = line.name("块名")
        each = line.each()
        compose, by = "one", None
        if line.take("latest"):
            line.expect("by")
            compose, by = "latest", line.ref()
        elif line.take("merge"):
            compose = "merge"
        when = line.when()
        line.end()
        return Block(first.text, name, each, compose, by, when, self._items(line), line.place(first))

    def _items(self, line: _Line) -> tuple[Item, ...]:
        """The lines below this one; at least one is expected."""
        parent = line.row
        if self.at >= len(self.rows) or self.rows[self.at].indent <= parent.indent:
            raise line.wrong(
                line.last(), "nothing-below", "没有 = 和值, 下面也没有缩进的元素行", "= 值, 或下面缩进两格的元素行", "补上值或元素行, 或删去这一行"
            )
        indent = self.rows[self.at].indent
        found: list[Item] = []
        while self.at < len(self.rows) and (row := self.rows[self.at]).indent > parent.indent:
            if row.indent != indent:
                self._misplaced(row, indent)
                self.at += 1
                continue
            self._guard(row, lambda below: found.append(self._item(below)))
        return tuple(found)

    def _item(self, line: _Line) -> Item:
        word = line.peek()
        if word.kind == "ref" and _TYPE.fullmatch(word.text):
            return self._block(line)
        if word.kind != "ref" or not _ELEMENT.fullmatch(word.text) or word.text in RESERVED:
            raise line.wrong(
                word, "element", f"这里不能写 {word.text or '空行'}", "FHIR 元素名, 如 status 或 period.end", "改成元素名; 字段名写在等号右边"
            )
        line.next()
        path, place = tuple(word.text.split(".")), line.place(word)
        if line.take("="):
            expr = line.expr()
            was = line.call() if line.take("was") else None
            when = line.when()
            line.end()
            return Assign(path, expr, was, when, place)
        each, when = line.each(), line.when()
        line.end("= 和值, 或 each、when 加下面缩进的行")
        return Element(path, each, when, self._items(line), place)


def _ignore(line: _Line) -> Ignore:
    place = line.place(line.next())
    refs = [line.ref()]
    while line.take(","):
        refs.append(line.ref())
    line.expect("because", 'because "原因"')
    word = line.next()
    if word.kind != "string" or not word.text.strip():
        raise line.wrong(word, "reason", "没有写不读这些字段的原因", '引号里的原因, 如 because "纸面签名"', "在 because 后面写明原因")
    line.end()
    return Ignore(tuple(refs), word.text, place)


class _Line:
    """The words of one line, read from left to right."""

    def __init__(self, file: str, row: Line) -> None:
        self.file, self.row, self.at = file, row, 0

    def place(self, word: Word) -> Place:
        """Where the word stands."""
        return Place(self.file, self.row.number, word.column)

    def peek(self) -> Word:
        """The next word, not taken."""
        return self.row.words[self.at]

    def last(self) -> Word:
        """The end of the line."""
        return self.row.words[-1]

    def next(self) -> Word:
        """The next word, taken; the end is never passed."""
        word = self.peek()
        self.at = min(self.at + 1, len(self.row.words) - 1)
        return word

    def take(self, text: str) -> bool:
        """Takes the next word when it is this operator or reserved word."""
        if self.peek().kind in ("op", "ref") and self.peek().text == text:
            self.next()
            return True
        return False

    def wrong(self, word: Word, code: str, message: str, expected: str, next_step: str) -> Wrong:
        """A fault at this word."""
        return Wrong(Fault(self.place(word), code, message, expected, next_step))

    def expect(self, text: str, expected: str = "") -> None:
        """Takes this operator or reserved word, or faults."""
        if not self.take(text):
            got = self.peek()
            raise self.wrong(got, "syntax", f"这里是 {got.text or '行尾'}", expected or text, f"在这里补上 {expected or text}")

    def end(self, expected: str = "行尾") -> None:
        """The line must be over."""
        if self.peek().kind != "end":
            raise self.wrong(self.peek(), "syntax", f"多出来的 {self.peek().text}", expected, "删去它, 或另起一行")

    def name(self, what: str) -> str:
        """A plain name without dots."""
        word = self.next()
        if word.kind != "ref" or "." in word.text or word.text in RESERVED:
            raise self.wrong(word, "name", f"这里是 {word.text or '行尾'}", what, f"在这里写{what}")
        return word.text

    def ref(self) -> Ref:
        """A field, alias, let or block."""
        word = self.next()
        if word.kind != "ref" or word.text in RESERVED:
            raise self.wrong(word, "field", f"这里是 {word.text or '行尾'}", "字段名", "在这里写数据集 fields.csv 里的字段名")
        return Ref(tuple(word.text.split(".")), self.place(word))

    def each(self) -> Each | None:
        """`each REF as NAME`, or nothing."""
        if not self.take("each"):
            return None
        ref = self.ref()
        self.expect("as", "as 名称")
        place = self.place(self.peek())
        return Each(ref, self.name("每一行的名称"), place)

    def when(self) -> Cond | None:
        """`when COND`, or nothing."""
        return self._either("or", lambda: self._either("and", self._test)) if self.take("when") else None

    def _either(self, word: str, part: Callable[[], Cond]) -> Cond:
        parts = [part()]
        while self.take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _test(self) -> Cond:
        if self.take("not"):
            return Negated(self._test())
        if self.take("("):
            inner = self._either("or", lambda: self._either("and", self._test))
            self.expect(")")
            return inner
        ref = self.ref()
        word = self.peek()
        if word.kind == "op" and word.text in _COMPARE:
            self.next()
            return Test(ref, word.text, (self._value(),), ref.place)
        negative = self.take("not")
        if negative or word.text == "in":
            self.expect("in")
            self.expect("(")
            values = [self._value()]
            while self.take(","):
                values.append(self._value())
            self.expect(")")
            return Test(ref, "not in" if negative else "in", tuple(values), ref.place)
        return Test(ref, "present", (), ref.place)

    def _value(self) -> Literal | Ref:
        word = self.peek()
        if word.kind in ("string", "number"):
            self.next()
            return Literal(word.text if word.kind == "string" else Decimal(word.text), self.place(word))
        return self.ref()

    def expr(self) -> Expr:
        """`atom | call | call`."""
        place = self.place(self.peek())
        source = self._atom()
        calls = []
        while self.take("|"):
            calls.append(self.call())
        return Pipe(source, tuple(calls), place) if calls else source

    def _atom(self) -> Expr:
        word = self.peek()
        if word.kind in ("string", "number"):
            return self._value()
        if word.kind != "ref" or word.text in RESERVED:
            raise self.wrong(word, "value", f"这里是 {word.text or '行尾'}", '值: "文字"、数字、字段名或函数', "在这里写值")
        following = self.row.words[self.at + 1]
        return self.call() if following.kind == "op" and following.text == "(" else self.ref()

    def call(self) -> Call:
        """`name` or `name(expr, ...)`."""
        place = self.place(self.peek())
        name = self.name("函数名")
        args: list[Expr] = []
        if self.take("(") and not self.take(")"):
            args.append(self.expr())
            while self.take(","):
                args.append(self.expr())
            self.expect(")", "逗号或右括号 )")
        return Call(name, tuple(args), place)
