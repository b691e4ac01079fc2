"""Code tables: they cover their source's list, and give codes that the element allows. Units are UCUM."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.fhir import ucum
from gateway.fhir.elements import R4
from gateway.mapping import plan
from gateway.mapping.check.walk import sets
from gateway.mapping.model import Fault, Place
from gateway.mapping.values import walk
from gateway.terminology.tables import CodeTable, Terms, nearest


def check(made: plan.MapPlan, terms: Terms, r4: R4, faults: list[Fault]) -> None:
    """National tables behind the lines of one map, and constant units."""
    for _, entry in sets(made):
        for value in walk(entry.value):
            if isinstance(value, plan.Translate):
                check_table(made, entry, value, terms.tables[value.table], r4, faults)
            elif isinstance(value, plan.Applied):
                _units(value, faults)


def _units(value: plan.Applied, faults: list[Fault]) -> None:
    for kind, arg in zip(value.function.args, value.args, strict=False):
        if kind == "unit" and isinstance(arg, plan.Const) and not ucum.is_valid(str(arg.value)):
            found = ucum.builtin_units().code(str(arg.value))
            hint = f'改成 "{found}"' if found else "查 UCUM 的写法, 如 mm[Hg]、mmol/L、kg/m2"
            faults.append(Fault(arg.place, "unit", f"{arg.value} 不是 UCUM 单位", "UCUM 代码", hint))


def check_table(made: plan.MapPlan, entry: plan.Set, value: plan.Translate, table: CodeTable, r4: R4, faults: list[Fault]) -> None:
    """One table for one line; the place of a wrong row is the row."""
    field = value.source.field if isinstance(value.source, plan.Read | plan.Item) else None
    place = made.lines[entry.line].place
    if field is not None and field.codes:
        absent = [f"{c.code} {c.display}".strip() for c in field.codes if c.code not in table.rows]
        if absent:
            message = f"对照表 {table.name} 没有覆盖 {field.name} 的值域 {field.codes_name}: 缺 {'、'.join(absent)}"
            faults.append(Fault(place, "table-incomplete", message, f"{table.file} 里每个代码一行", f"在 {table.file} 补上这些代码"))
    binding = entry.slot.element.binding
    if binding is None or binding.strength != "required":
        return
    allowed = r4.codes(binding.valueset)
    if allowed is None:
        return
    plain = sorted({code for _, code in allowed})
    reachable = {c.code for c in field.codes} if field is not None and field.codes else set(table.rows)
    for rows in (table.rows[code] for code in table.rows if code in reachable):
        target = rows[0].target.code
        if target and target not in plain:
            message = f"{entry.slot.path} 不能是 {target}{nearest(target, plain)}({place} 用到这张表)"
            faults.append(Fault(Place(table.file, rows[0].line, 1), "code-not-allowed", message, "、".join(plain[:20]), "改正 target 列"))


def check_own(made: plan.MapPlan, own: Mapping[str, Mapping[str, CodeTable]], r4: R4, faults: list[Fault]) -> None:
    """A vendor's own tables: its codes are its own, so only what they give is checked."""
    for _, entry in sets(made):
        for value in walk(entry.value):
            if isinstance(value, plan.Translate):
                for tables in own.values():
                    if value.table in tables:
                        check_table(made, entry, value, tables[value.table], r4, faults)


def check_all_tables(terms: Terms, files: Mapping[str, bytes]) -> list[Fault]:
    """National tables by themselves: UTF-8 rows with a source and, where there is a target, its system."""
    faults = []
    for table in terms.tables.values():
        for source, rows in table.rows.items():
            for row in rows:
                if not source:
                    faults.append(Fault(Place(table.file, row.line, 1), "table-row", "没有 source", "来源代码", "补上来源代码, 或删去这一行"))
                elif row.target.code and not row.target.system:
                    faults.append(
                        Fault(
                            Place(table.file, row.line, 1),
                            "table-row",
                            f"{source} 的 target 没有 target_system",
                            "代码系统的 URI",
                            "补上 target_system",
                        )
                    )
    return faults
