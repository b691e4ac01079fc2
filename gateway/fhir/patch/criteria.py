"""The criteria of `where(…)` in a path: `field = 'text'` directly, any other FHIRPath by fhirpathpy (https://hl7.org/fhir/R4/fhirpath.html)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gateway.fhir.patch.fault import PatchFault

__all__ = ["compile_criteria"]

Criteria = Callable[[Any, str], bool]
"""(value of an element, its type: `HumanName` or `Patient.contact`) -> whether it is meant."""

_EQUAL = re.compile(r"(?:\$this\.)?([a-z]\w*)\s*=\s*(?:'([^'\\]*)'|(true|false))", re.ASCII)
_REACHING_OUT = re.compile(r"\b(?:resolve|trace|memberOf|conformsTo)\s*\(", re.ASCII)


@lru_cache(maxsize=512)
def compile_criteria(text: str) -> Criteria:
    """The criteria as a function. Raises PatchFault `bad-patch` when they are not FHIRPath, or reach beyond the resource."""
    equal = _EQUAL.fullmatch(text)
    if equal is not None and equal.group(1) not in ("value", "true", "false"):  # `value` may be a choice: `valueString`
        return _equality(equal.group(1), equal.group(2) if equal.group(3) is None else equal.group(3) == "true")
    if _REACHING_OUT.search(text):
        raise PatchFault("where 里不能用 resolve、trace、memberOf 或 conformsTo; 路径只能指向资源本身", "bad-patch")
    return _fhirpath(text)


def _equality(name: str, wanted: str | bool) -> Criteria:
    def equal(value: Any, type_: str) -> bool:
        found = value.get(name) if type(value) is dict else None
        if type(found) is list:
            return found == [wanted]
        return type(found) is type(wanted) and found == wanted

    return equal


def _fhirpath(text: str) -> Criteria:
    from fhirpathpy import compile as compile_path  # takes 0.1 s: only where it is needed
    from fhirpathpy.engine.nodes import ResourceNode
    from fhirpathpy.models import models

    _check_syntax(text)
    node: Any = ResourceNode
    try:
        evaluate: Any = compile_path(text, models["r4"], {"traceFn": _silent})
    except Exception:  # it raises whatever it meets
        raise PatchFault("where 里的条件算不出来; 请改用更简单的条件", "bad-patch") from None

    def meant(value: Any, type_: str) -> bool:
        try:
            found: list[Any] = evaluate(node(copy.deepcopy(value), type_))
        except Exception:  # functions that it lacks, and types that do not compare
            raise PatchFault("where 里的条件算不出来; 请改用更简单的条件") from None
        return found == [True]

    return meant


def _check_syntax(text: str) -> None:
    """Raises PatchFault unless the whole text is one expression: fhirpathpy leaves out what it does not understand (`use = 'a' or`)."""
    from antlr4 import CommonTokenStream, InputStream
    from antlr4.error.ErrorListener import ErrorListener
    from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
    from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

    class Strict(ErrorListener):  # type: ignore[misc]  # antlr4 has no types
        def syntaxError(self, *_: Any) -> None:  # noqa: N802  # the name that antlr4 calls
            raise PatchFault("where 里的条件不是有效的 FHIRPath", "bad-patch")

    lexer: Any = FHIRPathLexer(InputStream(text))
    parser: Any = FHIRPathParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(Strict())
    parser.entireExpression()


def _silent(*_: Any) -> None:
    """What `trace` would print stays unsaid."""
