"""`yifang views list | run`: resources as tables, by ViewDefinitions of SQL on FHIR."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.context import DEFAULT, AsJson, ConfigPath, show
from gateway.config import Config, load
from gateway.errors import ConfigError
from gateway.occupancy import occupy, running

if TYPE_CHECKING:
    from gateway.store.database import Database
    from gateway.views.sql import Warehouse
    from gateway.views.table import Table
    from gateway.views.view import View

FORMATS = ("csv", "ndjson", "json", "xlsx", "parquet")
FILES_ONLY = ("xlsx", "parquet")

group = typer.Typer(help="Resources as tables, by ViewDefinitions of SQL on FHIR.", no_args_is_help=True)


@group.command("list")
def views_list(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """List the views that can be run by name: those of the product, and `views/*.json` of the site's profiles folder."""
    from gateway.views.catalogue import views

    known = views(load(config).profiles).values()
    rows = [{"name": v.name, "resource": v.type, "columns": [c.name for c in v.columns], "title": v.title} for v in known]
    show(rows, as_json, (("name", "视图"), ("resource", "资源"), ("title", "说明"), ("columns", "列")), "视图")


@group.command("run")
def views_run(
    names: Annotated[list[str], typer.Argument(metavar="VIEW...", help="Names of views, or files with a ViewDefinition (*.json).")],
    sql: Annotated[str, typer.Option("--sql", help="A query over the views, which are tables of their names; needed for several views.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; left out, the rows are printed.")] = None,
    form: Annotated[str, typer.Option("--format", "-f", help=f"{', '.join(FORMATS)}. Left out: as the file's name ends, else csv.")] = "",
    config: ConfigPath = DEFAULT,
) -> None:
    """Make a table of the resources of the store. It is read while the gateway serves, and needs little memory however many there are."""
    settings = load(config)
    form = _form(form, output)
    views = _views(names, settings)
    if len(views) > 1 and not sql:
        raise ConfigError("几个视图要用 --sql 说明怎样合成一张表, 例如 --sql 'SELECT … FROM 甲 JOIN 乙 ON …'")
    for view in views:
        for remark in view.remarks:
            typer.echo(f"{view.name}: {remark.target}: {remark.message}", err=True)
    with ExitStack() as stack:
        database = stack.enter_context(_database(settings))
        progress = stack.enter_context(_progress())
        target = stack.enter_context(_target(output))
        if not sql and form != "parquet":
            _write(_table(views[0], database, progress), form, target)
            return
        from gateway.views.sql import opened

        warehouse = stack.enter_context(opened())
        for view in views:
            warehouse.load(view.name, _table(view, database, progress))
        _query(warehouse, sql or f'SELECT * FROM "{views[0].name}"', form, target)


def _form(form: str, output: Path | None) -> str:
    """The format asked for, or the one that the file's name says."""
    chosen = form or (output.suffix.removeprefix(".").lower() if output is not None else "") or "csv"
    if chosen not in FORMATS:
        raise ConfigError(f"不认识的格式 {chosen}; 可用: {'、'.join(FORMATS)}(用 --format 指定)")
    if chosen in FILES_ONLY and output is None:
        raise ConfigError(f"{chosen} 要写到文件里; 请加 --output 文件名.{chosen}")
    return chosen


def _views(names: list[str], settings: Config) -> list[View]:
    from gateway.views.catalogue import read_view, views

    known = views(settings.profiles)
    found = []
    for name in names:
        if name.endswith(".json"):
            found.append(read_view(Path(name)))
        elif name in known:
            found.append(known[name])
        else:
            raise ConfigError(f"没有名为 {name} 的视图; 现有: {'、'.join(known)}; 文件名应以 .json 结尾")
    if len({v.name.lower() for v in found}) < len(found):
        raise ConfigError("几个视图同名; 请给它们的 ViewDefinition 各写一个 name")
    return found


@contextmanager
def _database(settings: Config) -> Iterator[Database]:
    """The database, read beside the gateway when one serves it; otherwise held, and migrated when it is of an older version."""
    from gateway.store.database import Database

    with ExitStack() as stack:
        if settings.store.database or running(settings.store.data) is not None:
            database = Database.opened(settings.store)
        else:
            stack.enter_context(occupy(settings.store.data))
            database = Database.open(settings.store)
        stack.callback(database.close)
        yield database


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as progress:
        yield progress


@contextmanager
def _target(output: Path | None) -> Iterator[Path | None]:
    """The file to write to; it takes its name when it is whole."""
    if output is None:
        yield None
        return
    if not output.parent.is_dir():
        raise ConfigError(f"{output.parent}: 没有这个文件夹")
    unfinished = output.with_name(f".{output.name}.part").absolute()
    try:
        yield unfinished
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def _table(view: View, database: Database, progress: Progress) -> Table:
    from gateway.store.scope import Scope
    from gateway.views.run import run

    task = progress.add_task(view.name, total=None)
    return run(view, database, Scope.all(), lambda done, total: progress.update(task, completed=done, total=total))


def _query(warehouse: Warehouse, sql: str, form: str, target: Path | None) -> None:
    warehouse.seal(*([target] if target is not None else []))
    if form == "parquet":
        assert target is not None
        warehouse.parquet(sql, target)
    else:
        _write(warehouse.query(sql), form, target)


def _write(table: Table, form: str, target: Path | None) -> None:
    from gateway.views.output import WRITERS
    from gateway.views.output.xlsx import write_xlsx

    if form == "xlsx":
        assert target is not None
        write_xlsx(table, target)
    elif target is None:
        WRITERS[form](table, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with target.open("wb") as stream:
            WRITERS[form](table, stream)


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(group, name="views")
