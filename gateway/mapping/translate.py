"""Code translation at run time: each code's FHIR value is built once and then found by one dict look-up.

The values are shared by all resources that carry the code: whoever changes a body copies on write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.errors import Fault, Finding, Severity
from gateway.mapping import plan
from gateway.terminology.tables import Code, CodeTable

Report = Callable[[list[Finding], int, Fault], Any]
BOUND = 20_000  # codes are many, senders' mistakes are more


class Translator:
    """`table(name)` for one line, one source profile and one authority. `hit`: code -> value; `pair`: (code, sender's code) -> value."""

    def __init__(self, line: plan.Translate, table: CodeTable, authority: str, base: str, report: Report) -> None:
        source = line.source
        self.field = source.field if isinstance(source, plan.Read | plan.Item) else None
        self.type, self.required, self.table, self.base, self.report = line.type, line.required, table, base, report
        self.severity: Severity = (self.field.severity if self.field else None) or "hold"  # of a `code`: as fields.csv says of the field
        self.national: dict[str, Code] = {c.code: c for c in (self.field.codes or ())} if self.field else {}
        self.local = f"{authority}/codes/{self.field.name}" if self.field else ""
        self.hit: dict[str | None, Any] = {}
        self.pair: dict[tuple[str | None, str], Any] = {}
        self._unknown: dict[tuple[str | None, str | None], tuple[Any, Fault | None]] = {}

    def __call__(self, findings: list[Finding], line: int, code: str | None, raw: str | None) -> Any:
        """The value of a code met for the first time; with a finding when the table does not know it."""
        rows = self.table.rows.get(code) if code is not None else None
        if rows is not None and (rows[0].target.code or not self.required):
            made = self._value(code or "", raw)
            memo: dict[Any, Any] = self.hit if raw is None else self.pair
            if len(memo) < BOUND:
                memo[code if raw is None else (code, raw)] = made
            return made
        known = self._unknown.get((code, raw))
        if known is None:
            if len(self._unknown) > BOUND:
                self._unknown.clear()
            known = self._unknown[code, raw] = self._untranslated(code, raw)
        if known[1] is not None:
            self.report(findings, line, known[1])
        return known[0]

    def _untranslated(self, code: str | None, raw: str | None) -> tuple[Any, Fault | None]:
        """What is written for a code that the table does not know, and what is said of it."""
        shown = raw if raw is not None else code
        if self.required:
            left = "这里必须有" if self.severity == "hold" else "这一项不写"
            message = f"代码 {shown} 在对照表 {self.table.name} 里没有对应, {left}; 请在 {self.table.file} 加一行, 或更正来源的代码"
            return None, Fault("untranslated-code", message, self.severity)
        fault = None
        if code is not None and (not self.national or code in self.national):
            message = f"代码 {shown} 在对照表 {self.table.name} 里没有对应, 只写了来源代码; 请在 {self.table.file} 加一行"
            fault = Fault("untranslated-code", message, "note")
        return self._value(code, raw), fault

    def _value(self, code: str | None, raw: str | None) -> Any:
        rows = self.table.rows.get(code or "", ())
        codings = [r.target.coding(self.base) for r in rows if r.target.code]
        if self.type == "code":
            return codings[0]["code"] if codings else None
        national = self.national.get(code or "")
        if national is not None:
            codings.append(national.coding(self.base))
        elif not self.national and code is not None:
            system = next((r.source_system for r in rows if r.source_system), "") or self.local
            if system:
                codings.append(Code(system, code).coding(self.base))
        if raw is not None and raw != code and self.local:
            codings.append({"system": self.local, "code": raw})
        unique = list({(c.get("system"), c["code"]): c for c in reversed(codings)}.values())[::-1]
        if self.type == "Coding":
            return unique[0] if unique else None
        text = next((r.source_display for r in rows if r.source_display), "") or (national.display if national else "")
        made: dict[str, Any] = {"coding": unique} if unique else {}
        if text:
            made["text"] = text
        elif not unique and (raw or code):
            made["text"] = raw or code
        return made or None
