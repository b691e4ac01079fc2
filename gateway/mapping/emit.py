"""Writes the Python text of a map: one function `run`, two builds (fast, and explaining) from one plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.mapping import plan


@dataclass(slots=True)
class Program:
    """Python text of one map and what its names stand for; `constants`, `functions` ... are bound when the map meets a source."""

    text: str = ""
    constants: dict[str, Any] = field(default_factory=dict)  # K3 -> value, `{base}` not yet replaced
    functions: dict[str, Any] = field(default_factory=dict)  # f3 -> Function
    tables: dict[str, plan.Translate] = field(default_factory=dict)  # T3 -> translation
    persons: dict[str, plan.Person] = field(default_factory=dict)  # person3 -> numbers
    keyed: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # key3, ref3 -> ("key" or "ref", type, namespace)


class Writer:
    """Indented Python text, fresh names, and the program's pool of constants."""

    def __init__(self, explain: bool) -> None:
        self.explain = explain
        self.program = Program()
        self._lines: list[str] = []
        self._depth = 0
        self._count = 0
        self._pool: dict[str, str] = {}
        self._known: list[dict[str, str]] = [{}]

    def put(self, *statements: str) -> None:
        """Adds statements at the present indentation."""
        self._lines += ["    " * self._depth + s for s in statements]

    @contextmanager
    def under(self, head: str) -> Iterator[None]:
        """A compound statement; what is put inside is its body (`pass` when nothing is)."""
        self.put(head)
        self._depth += 1
        self._known.append({})
        mark = len(self._lines)
        yield
        if len(self._lines) == mark:
            self.put("pass")
        self._known.pop()
        self._depth -= 1

    def fresh(self, stem: str = "v") -> str:
        """A new local name."""
        self._count += 1
        return f"{stem}{self._count}"

    def once(self, expression: str) -> str:
        """Name of an expression's value, computed where it first stands and taken from there by all that follows below it. The expression
        must be pure, and what it names must not be assigned again; its own name (`h3`) never is."""
        for scope in reversed(self._known):
            if expression in scope:
                return scope[expression]
        name = self._known[-1][expression] = self.fresh("h")
        self.put(f"{name} = {expression}")
        return name

    def constant(self, value: Any) -> str:
        """Name of a prebuilt value, or the literal itself for short texts and numbers without `{base}`."""
        if isinstance(value, str) and "{base}" not in value:
            return repr(value)
        if value is None or isinstance(value, bool | int):
            return repr(value)
        name = self._pool.get(repr(value))
        if name is None:
            name = self._pool[repr(value)] = self.fresh("K")
            self.program.constants[name] = value
        return name

    def named(self, pool: dict[str, Any], stem: str, thing: Any) -> str:
        """Name of a function, table or person in one of the program's pools; the same thing gets the same name."""
        for name, known in pool.items():
            if known is thing or known == thing:
                return name
        name = self.fresh(stem)
        pool[name] = thing
        return name

    def finish(self) -> Program:
        """The program with its text."""
        self.program.text = "\n".join(self._lines) + "\n"
        return self.program
