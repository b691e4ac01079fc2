"""`yifang map doc`: a map as Markdown tables that a clinician can read and sign."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.mapping import model
from gateway.mapping.catalogue import Entry


def markdown(entry: Entry) -> str:
    """The map of a dataset: a table a block (element, value, fields as printed, condition, line), then what is not read and why."""
    tree, plan = entry.tree, entry.plan
    if tree is None or plan is None:
        return f"# {entry.name}\n\n这个数据集没有映射。\n"
    labels = {i.place: "、".join(f.label for f in i.fields) for i in plan.lines}
    parts = [f"# {tree.name}({entry.name})", f"映射文件 `{tree.file}`, 表单 `{entry.folder}/fields.csv`。"]
    if tree.lets:
        parts += ["## 名称", _table(("名称", "值", "字段"), [(let.name, written(let.expr), labels.get(let.place, "")) for let in tree.lets])]
    for block in tree.blocks:
        parts += _block(block, labels, 2)
    for fragment in tree.fragments:
        head = f"## 片段 {fragment.name}: {' '.join(fragment.takes)} → {fragment.gives}"
        parts += [head, _table(_COLUMNS, [r for i in fragment.items for r in _rows(i, "", labels)])]
    if plan.ignored:
        rows = [(path, reason) for path, reason in plan.ignored.items()]
        parts += ["## 不读的字段", _table(("字段", "原因"), rows)]
    parts += ["## 签字", _table(("角色", "姓名", "日期", "意见"), [("临床", "", "", ""), ("信息", "", "", "")])]
    return "\n\n".join(parts) + "\n"


_COLUMNS = ("元素", "值", "字段", "条件", "行")


def _block(block: model.Block, labels: dict[model.Place, str], level: int) -> list[str]:
    each = f", 按 {block.each.ref.text} 逐行" if block.each else ""
    compose = {"one": "", "merge": ", 多份记录合并", "latest": f", 取 {block.by.text if block.by else ''} 最新的一份"}[block.compose]
    when = f", 条件: {condition(block.when)}" if block.when else ""
    rows = [r for i in block.items if not isinstance(i, model.Block) for r in _rows(i, "", labels)]
    parts = [f"{'#' * level} {block.type} {block.name}", f"每条记录一份{each}{compose}{when}。", _table(_COLUMNS, rows)]
    for item in block.items:
        if isinstance(item, model.Block):
            parts += _block(item, labels, level + 1)
    return parts


def _rows(item: model.Item, prefix: str, labels: dict[model.Place, str]) -> list[tuple[str, ...]]:
    if isinstance(item, model.Block):
        return []
    path = prefix + ".".join(item.path)
    line = str(item.place.line)
    when = condition(item.when) if item.when else ""
    if isinstance(item, model.Assign):
        return [(path, written(item.expr), labels.get(item.place, ""), when, line)]
    each = f"每个 {item.each.ref.text}" if item.each else ""
    return [(path, each, labels.get(item.place, ""), when, line), *(r for i in item.items for r in _rows(i, path + ".", labels))]


def written(expr: model.Expr) -> str:
    """An expression as it is written in the map."""
    if isinstance(expr, model.Literal):
        return f'"{expr.value}"' if isinstance(expr.value, str) else str(expr.value)
    if isinstance(expr, model.Ref):
        return expr.text
    if isinstance(expr, model.Call):
        return expr.name + (f"({', '.join(written(a) for a in expr.args)})" if expr.args else "")
    return " | ".join((written(expr.source), *(written(c) for c in expr.calls)))


def condition(cond: model.Cond) -> str:
    """A condition as it is written in the map."""
    if isinstance(cond, model.Negated):
        return f"not ({condition(cond.cond)})"
    if isinstance(cond, model.Junction):
        return f" {cond.word} ".join(f"({condition(p)})" if isinstance(p, model.Junction) else condition(p) for p in cond.parts)
    values = [written(v) for v in cond.values]
    if cond.op == "present":
        return cond.ref.text
    return f"{cond.ref.text} {cond.op} " + (f"({', '.join(values)})" if cond.op.endswith("in") else values[0])


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in row) + " |" for row in cells)


__all__ = ["condition", "markdown", "written"]
