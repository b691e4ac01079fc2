"""`yifang reindex`: the search index anew, with progress; Ctrl-C stops it, and the next run goes on from there."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.context import DEFAULT, AsJson, ConfigPath, Runner, out, show
from gateway.config import load


def reindex(
    config: ConfigPath = DEFAULT,
    every: Annotated[bool, typer.Option("--all", help="Also when the index is as it should be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Index all resources anew, so that a search parameter that was added to the `profiles` folder finds what is there already. The
    gateway may go on serving; restart it first, so that it knows the new parameter."""
    with Runner(load(config)).open() as runner:
        said: dict[str, Any] = {"finished": False}
        total = 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=out, disable=as_json, transient=True) as progress:
            task = progress.add_task("重建检索索引", total=None)
            while not said["finished"]:
                said = runner("index.step", force=every)
                total = max(total, said["total"])
                progress.update(task, completed=said["done"], total=said["total"] or None)
    answer = {"resources": total, "parameters": said["parameters"]}
    show(answer, as_json, (("resources", "重建了索引的资源"), ("parameters", "本地检索参数")))


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(reindex)
