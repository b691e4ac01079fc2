"""The front-end database as the adapter reads it: pages of a view in the order (stamp, key), child rows, keys, and what is wrong.

All calls block and run in a thread; each opens a connection of its own, reads only, and closes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from adapters.sqlview.join import Child, Node
from adapters.sqlview.lines import Line, Plan
from adapters.sqlview.options import SqlViewOptions
from adapters.sqlview.position import Key
from adapters.sqlview.stamp import Stamp
from gateway.errors import Finding, YifangError
from gateway.tabular import cell_text, match_columns

__all__ = ["Front", "Page", "ViewFault"]

CHUNK = 200  # keys in one IN list
_Raw = Mapping[str, Any]
_Column = sa.ColumnClause[Any]


class ViewFault(YifangError):
    """A view cannot be read as the profile asks; `finding` says why, None when the next poll may find it mended."""

    def __init__(self, finding: Finding | None) -> None:
        super().__init__(finding.code if finding else "")
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in the order of the view. keys, stamps: of each line; after: where the next page begins; last: nothing follows."""

    lines: Sequence[Line]
    keys: Sequence[Key]
    stamps: Sequence[Stamp | None]
    after: tuple[Any, ...] | None
    last: bool


class Front:
    """Reads one front-end database."""

    def __init__(self, options: SqlViewOptions) -> None:
        url = sa.make_url(options.url)
        seconds = options.timeout
        arguments: dict[str, Any] = {}
        if url.get_backend_name() == "sqlite":
            arguments = {"timeout": seconds}
        elif url.get_backend_name() == "postgresql":
            milliseconds = int(seconds * 1000)
            settings = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c default_transaction_read_only=on"
            arguments = {"connect_timeout": max(2, int(seconds)), "options": settings}
        self.engine = sa.create_engine(url, poolclass=NullPool, connect_args=arguments)
        self.place = url.render_as_string(hide_password=True)
        self.batch = options.batch

    def page(self, plan: Plan, start: Stamp | None, after: tuple[Any, ...] | None) -> Page:
        """The next records with a stamp from `start` on. Raises ViewFault."""
        with self._reading(plan) as connection:
            raw = [dict(row) for row in connection.execute(self._page_query(plan, start, after)).mappings()]
            if not raw:
                return Page([], [], [], after, True)
            names = _names(plan, raw[0])
            order = [*([names[plan.options.stamp]] if plan.options.stamp else []), *(names[k] for k in plan.options.key)]
            following = tuple(raw[-1][c] for c in order)
            return self._records(connection, plan, raw, names, following, len(raw) < self.batch)

    def _page_query(self, plan: Plan, start: Stamp | None, after: tuple[Any, ...] | None) -> sa.Select[Any]:
        options = plan.options
        order: list[_Column] = [sa.column(c) for c in ([options.stamp] if options.stamp else []) + options.key]
        blanks_first = [clause for c in order for clause in (sa.case((c.is_(None), 0), else_=1), c)]
        query = sa.select(sa.text("*")).select_from(_view(options.view)).order_by(*blanks_first[1 if options.stamp else 0 :]).limit(self.batch)
        if options.stamp:
            query = query.where(order[0].is_not(None))
            if start is not None:
                query = query.where(order[0] >= start)
        return query if after is None else query.where(_beyond(order, after))

    def _records(
        self, connection: sa.Connection, plan: Plan, raw: Sequence[_Raw], names: Mapping[str, str], after: tuple[Any, ...], last: bool
    ) -> Page:
        """Lines of the rows; in a spread profile with all rows of each record, whichever of them changed."""
        groups = [[row] for row in raw] if not plan.table.spread else self._whole_records(connection, plan, raw, names)
        children = self._children(connection, plan.children, [g[0] for g in groups])
        columns = _columns(plan, raw[0])
        key_columns = plan.table.key_columns if plan.table.spread else plan.options.key
        lines, keys, stamps = [], [], []
        for group, inner in zip(groups, children, strict=True):
            lines.append(Line(plan.name, [_cells(row, columns) for row in group], inner))
            keys.append(tuple(cell_text(group[0][names[c]]) or "" for c in key_columns))
            stamps.append(max(row[names[plan.options.stamp]] for row in group) if plan.options.stamp else None)
        return Page(lines, keys, stamps, after, last)

    def _whole_records(self, connection: sa.Connection, plan: Plan, raw: Sequence[_Raw], names: Mapping[str, str]) -> list[list[_Raw]]:
        columns = plan.table.key_columns
        wanted = list(dict.fromkeys(tuple(row[names[c]] for c in columns) for row in raw))
        found: dict[tuple[Any, ...], list[_Raw]] = {key: [] for key in wanted}
        for row in _matching(connection, plan.options.view, columns, wanted, plan.options.key):
            found[tuple(row[names[c]] for c in columns)].append(row)
        return [rows for rows in found.values() if rows]

    def _children(self, connection: sa.Connection, children: Mapping[str, Child], parents: Sequence[_Raw]) -> list[dict[str, list[Node]]]:
        """For each parent its child rows by group, in an order of their own."""
        out: list[dict[str, list[Node]]] = [{} for _ in parents]
        for name, child in children.items():
            joined = [tuple(_value(parent, c) for _, c in child.on) for parent in parents]
            wanted = list(dict.fromkeys(key for key in joined if None not in key))
            rows = list(_matching(connection, child.view, [c for c, _ in child.on], wanted))
            columns = _child_columns(child, rows[0]) if rows else {}
            nodes = [Node(_cells(row, columns), inner) for row, inner in zip(rows, self._children(connection, child.inner, rows), strict=True)]
            by_parent: dict[tuple[Any, ...], list[Node]] = {}
            for row, node in zip(rows, nodes, strict=True):
                by_parent.setdefault(tuple(_value(row, c) for c, _ in child.on), []).append(node)
            for at, key in enumerate(joined):
                if key in by_parent:
                    out[at][name] = sorted(by_parent[key], key=lambda node: sorted(node.cells.items()))
        return out

    def keys(self, plan: Plan, start: Stamp | None) -> set[Key]:
        """Keys of all records with a stamp from `start` on. Raises ViewFault."""
        columns = plan.table.key_columns if plan.table.spread else plan.options.key
        query: sa.Select[*tuple[Any, ...]] = sa.select(*(sa.column(c) for c in columns)).select_from(_view(plan.options.view))
        if plan.options.stamp and start is not None:
            query = query.where(sa.column(plan.options.stamp) >= start)
        with self._reading(plan) as connection:
            return {tuple(cell_text(v) or "" for v in row) for row in connection.execution_options(yield_per=1000).execute(query)}

    def unstamped(self, plan: Plan) -> int:
        """How many rows have no stamp, and so can never be read. Raises ViewFault."""
        query = sa.select(sa.func.count()).select_from(_view(plan.options.view)).where(sa.column(plan.options.stamp).is_(None))
        with self._reading(plan) as connection:
            return int(connection.execute(query).scalar_one())

    @contextmanager
    def _reading(self, plan: Plan) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as fault:
            raise ViewFault(self._diagnosis(plan, fault)) from fault

    def _diagnosis(self, plan: Plan, fault: SQLAlchemyError) -> Finding | None:
        """Why a query failed, told without the database's own words, which may quote data; None when it was mended meanwhile."""
        for view, columns in _needed(plan):
            try:
                with self.engine.connect() as connection:
                    there = list(connection.execute(sa.select(sa.text("*")).select_from(_view(view)).limit(0)).keys())
            except SQLAlchemyError as inner:
                return _view_missing(view) if _is_unknown_name(inner) else _away(self.place, inner)
            _, missing = match_columns(columns, there, f"视图 {view}")
            if missing:
                return missing[0]
        return None if _is_unknown_name(fault) else _away(self.place, fault)


def _is_unknown_name(fault: SQLAlchemyError) -> bool:
    """Whether the database does not know a view or column. PEP 249 drivers raise ProgrammingError, SQLite's and Oracle's do not."""
    return isinstance(fault, ProgrammingError) or any(sign in str(fault) for sign in ("no such table", "no such column", "ORA-00942", "ORA-00904"))


def _view(name: str) -> sa.TableClause:
    schema, _, view = name.rpartition(".")
    return sa.table(view, schema=schema or None)


def _beyond(order: Sequence[_Column], after: Sequence[Any]) -> sa.ColumnElement[bool]:
    """(a, b, c) > (x, y, z), spelled so that every database understands it; blanks come first (an optional part of a key)."""
    first, value = order[0], after[0]
    beyond: sa.ColumnElement[bool] = first.is_not(None) if value is None else first > value
    if len(order) == 1:
        return beyond
    return sa.or_(beyond, sa.and_(first.is_(None) if value is None else first == value, _beyond(order[1:], after[1:])))


def _matching(
    connection: sa.Connection, view: str, columns: Sequence[str], wanted: Sequence[tuple[Any, ...]], order: Sequence[str] = ()
) -> Iterator[_Raw]:
    """Rows whose columns equal one of the wanted combinations."""
    named: list[_Column] = [sa.column(c) for c in columns]
    for at in range(0, len(wanted), CHUNK):
        part = wanted[at : at + CHUNK]
        if len(named) == 1:
            condition: sa.ColumnElement[bool] = named[0].in_([key[0] for key in part])
        else:
            condition = sa.or_(*(sa.and_(*(c == v for c, v in zip(named, key, strict=True))) for key in part))
        query = sa.select(sa.text("*")).select_from(_view(view)).where(condition).order_by(*(sa.column(c) for c in order))
        for row in connection.execute(query).mappings():
            yield dict(row)


def _needed(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Views of a profile with the columns they must have."""
    options = plan.options
    own = [*([options.stamp] if options.stamp else []), *options.key, *(c for c in plan.table.columns if c not in options.optional)]
    yield options.view, own

    def of_children(children: Mapping[str, Child]) -> Iterator[tuple[str, list[str]]]:
        for child in children.values():
            yield child.view, [*(c for c, _ in child.on), *child.table.columns]
            yield from of_children(child.inner)

    yield from of_children(plan.children)


def _names(plan: Plan, row: _Raw) -> dict[str, str]:
    """Column of the profile -> column of the view. Raises ViewFault when the view lost one."""
    headers = list(row)
    (_, needed), *_ = _needed(plan)
    found, missing = match_columns([*needed, *plan.options.optional], headers, f"视图 {plan.options.view}")
    lost = [f for f in missing if f.source not in plan.options.optional]
    if lost:
        raise ViewFault(lost[0])
    return {column: headers[i] for column, i in found.items()}


def _columns(plan: Plan, row: _Raw) -> dict[str, str]:
    """Column of the view -> name in the line: the profile's where it reads the column, else the view's own."""
    return {c: c for c in row} | {there: column for column, there in _names(plan, row).items()}


def _child_columns(child: Child, row: _Raw) -> dict[str, str]:
    headers = list(row)
    found, missing = match_columns(child.table.columns, headers, f"视图 {child.view}")
    if missing:
        raise ViewFault(missing[0])
    return {c: c for c in headers} | {headers[i]: column for column, i in found.items()}


def _value(row: _Raw, column: str) -> Any:
    """A value by column name, whatever its case in the database."""
    if column in row:
        return row[column]
    return next((v for c, v in row.items() if c.casefold() == column.casefold()), None)


def _cells(row: _Raw, columns: Mapping[str, str]) -> dict[str, str]:
    return {columns[c]: text for c, value in row.items() if (text := cell_text(value)) is not None}


def _view_missing(view: str) -> Finding:
    text = f"视图 {view} 不存在或没有读取权限。请与厂商核对视图名(可能改名)和授权, 或在来源配置(sources/*.toml)里改 view; 系统会自动重试"
    return Finding("view-missing", "note", text, source=view)


def _away(place: str, fault: SQLAlchemyError) -> Finding:
    cause = type(fault.orig).__name__ if isinstance(fault, DBAPIError) else type(fault).__name__
    text = f"前置机数据库 {place} 读取失败({cause}: 连接中断、超时或表被锁)。请检查数据库和网络; 系统会自动重试"
    return Finding("database-away", "note", text, source=place)
