"""From a plan to a function: Python text, compiled once a map; bound once for each source profile, authority and id scheme."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from gateway.errors import Fault, Finding, Severity
from gateway.fhir.ids import IdScheme
from gateway.mapping import plan, runtime
from gateway.mapping.emit import Program
from gateway.mapping.emit_blocks import write
from gateway.mapping.functions import Env, Function
from gateway.mapping.keys import key_date, key_moment
from gateway.mapping.lineage import Silent, Trace
from gateway.mapping.persons import Persons, authority_of
from gateway.mapping.runtime import Limits, Reports
from gateway.mapping.settle import Settle
from gateway.mapping.translate import Translator
from gateway.record import Draft, Fields, MapResult, PersonClaim
from gateway.terminology.tables import CodeTable, Terms


@dataclass(frozen=True, slots=True)
class MapContext:
    """Under which ids a map runs. portable: for `map run` and goldens, where references must not depend on a deployment's database."""

    ids: IdScheme
    portable: bool = False


@dataclass(frozen=True, slots=True)
class Sender:
    """What a bound map knows of its source: environment, locators by field path, and its own code tables by name."""

    env: Env
    locators: Mapping[str, str]
    tables: Mapping[str, CodeTable]


class Compiled:
    """The two builds of one map; each is made when it is first asked for."""

    def __init__(self, made: plan.MapPlan, terms: Terms) -> None:
        self.plan, self.terms = made, terms
        self._built: dict[bool, tuple[Program, CodeType]] = {}

    def program(self, explain: bool) -> tuple[Program, CodeType]:
        """Python text of a build and its code."""
        if explain not in self._built:
            program = write(self.plan, explain)
            name = f"<{self.plan.file}{' explained' if explain else ''}>"
            self._built[explain] = program, compile(program.text, name, "exec")
        return self._built[explain]

    def bind(self, sender: Sender, context: MapContext, explain: bool = False) -> Callable[[Fields, Any], MapResult]:
        """The function of one source: (fields, trace) -> result."""
        program, code = self.program(explain)
        names = self._names(program, sender, context)
        exec(code, names)
        run = names["run"]

        def mapped(fields: Fields, trace: Any = None) -> MapResult:
            findings: list[Finding] = []
            drafts: list[Draft] = []
            claims: list[PersonClaim] = []
            withheld: list[Draft] = []
            run(fields, findings, drafts, claims, withheld, trace)
            result = MapResult(drafts, claims, findings, withheld=withheld)
            if len({(d.type, d.id or d.block) for d in drafts}) != len(drafts):
                _without_doubles(result)
            return result

        return mapped

    def _names(self, program: Program, sender: Sender, context: MapContext) -> dict[str, Any]:
        """Everything the program's text refers to."""
        env, ids = sender.env, context.ids
        reports = Reports(self.plan, sender.locators)
        names: dict[str, Any] = {k: getattr(runtime, k) for k in _RUNTIME}
        names |= {k: getattr(reports, k) for k in ("fault", "no_key", "missing", "reference_lost", "complete", "put_choice")}
        names |= {"Fault": Fault, "Draft": Draft, "E0": (), "E0D": {}, "AUTHORITY": env.authority, "Silent": Silent}
        names["limits"] = Limits(self.terms.items, reports)
        names |= {"key_date": key_date, "key_moment": functools.partial(key_moment, env)}
        names["settle"] = Settle(reports)
        names["authority_of"] = functools.partial(authority_of, env.authority)
        names |= {k: runtime.expand(v, ids.base) for k, v in program.constants.items()}
        names |= {k: _callable(f, env) for k, f in program.functions.items()}
        for name, line in program.tables.items():
            table = sender.tables.get(line.table) or self.terms.tables[line.table]
            translator = Translator(line, table, env.authority, ids.base, reports.fault)
            names |= {name: translator, f"{name}_hit": translator.hit, f"{name}_pair": translator.pair}
        for name, person in program.persons.items():
            dataset = self.plan.dataset
            names[name] = Persons(person, dataset, self.terms.identifiers, env.authority, ids.base, context.portable, reports.fault)
        for name, (kind, type_, namespace) in program.keyed.items():
            if kind == "ref":
                names[name] = _reference(type_, namespace, context)
            else:  # parts -> (id, identifier value)
                names |= {name: ids.identify(type_, namespace), f"{name}_system": ids.system(namespace)}
        return names


MEMO = 4096
"""Recent texts of which one function of one source keeps the results."""

_RUNTIME = "part whole as_text raw_of compare any_is at below clears lost_since FINAL".split()


def _callable(function: Function, env: Env) -> Callable[..., Any]:
    call = functools.partial(function.call, env) if function.env else function.call
    return functools.lru_cache(maxsize=MEMO)(call) if function.memo else call


def _reference(type_: str, namespace: str, context: MapContext) -> Callable[[tuple[str, ...]], dict[str, Any]]:
    """parts -> Reference by id and identifier; portable: by type and identifier only."""
    system, derive, value = context.ids.system(namespace), context.ids.derive, IdScheme.value

    @functools.lru_cache(maxsize=2048)  # the same doctor and department stand behind every row; the dict is shared, never changed
    def reference(parts: tuple[str, ...]) -> dict[str, Any]:
        identifier = {"system": system, "value": value(parts)}
        if context.portable:
            return {"type": type_, "identifier": identifier}
        return {"reference": f"{type_}/{derive(type_, namespace, parts)}", "identifier": identifier}

    return reference


def _without_doubles(result: MapResult) -> None:
    """Two rows of one record with one key: the same content once; different content is a hold, for one of them would be lost."""
    seen: dict[tuple[str, str], Draft] = {}
    kept: list[Draft] = []
    for draft in result.drafts:
        first = seen.get((draft.type, draft.id))
        if first is None or not draft.id:
            seen[(draft.type, draft.id)] = draft
            kept.append(draft)
        elif first.body != draft.body:
            severity: Severity = "note" if draft.compose == "merge" else "hold"
            message = f"一份记录里有两个业务号相同而内容不同的 {draft.block}; 请在来源核对, 或在映射的 key(...) 里加上能区分它们的字段"
            result.findings.append(Finding("double-key", severity, message, draft.type))
    result.drafts[:] = kept


__all__ = ["Compiled", "MapContext", "Sender", "Trace"]
