"""`yifang ingest`, `messages`, `holds`, `residents`, `deliveries`: what came in, what waits for a person, what goes out."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.context import DEFAULT, AsJson, ConfigPath, Runner, answering, out, run, show
from gateway.config import load
from gateway.errors import ConfigError

Limit = Annotated[int, typer.Option(min=1, help="At most this many, newest first.")]
Hold = Annotated[int, typer.Argument(help="Number of the hold.")]
By = Annotated[str, typer.Option("--by", help="Who decides; kept with the decision.")]
OPERATOR = "operator"

messages = typer.Typer(help="Messages as they arrived: list, show, replay.", no_args_is_help=True)
holds = typer.Typer(help="Records that wait for a person: list, show, release, reject.", no_args_is_help=True)
residents = typer.Typer(help="Link two Patients that are one person, or take them apart again.", no_args_is_help=True)
deliveries = typer.Typer(help="What is owed to each destination; resume a paused one, reconcile both sides.", invoke_without_command=True)

UNSETTLED = {"held", "partly", "refused", "failed"}
"""Message states after which something needs a person."""


def ingest(
    source: Annotated[str, typer.Argument(help="Name of a [[source]] of the configuration.")],
    files: Annotated[list[Path], typer.Argument(help="Files in that source's format.")],
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take files in as messages of a source. Exit 1 when a record was held or refused."""
    from rich.progress import track  # slow to import, and only this command needs it

    for file in files:
        if not file.is_file():
            raise ConfigError(f"{file}: 没有这个文件")
    receipts: list[dict[str, Any]] = []
    with Runner(load(config)).open() as runner:
        for file in track(files, description=source, console=out, disable=as_json or not out.is_terminal or len(files) < 2, transient=True):
            receipts.append({"file": str(file), **runner("ingest", source=source, path=str(file.resolve()))})
    answer(receipts, as_json)


def answer(receipts: list[dict[str, Any]], as_json: bool) -> None:
    """Tells the receipts; exit 1 when one of them needs a person."""
    if as_json:
        show(receipts, True)
    else:
        for receipt in receipts:
            tell(receipt)
    if any(r["state"] in UNSETTLED for r in receipts):
        raise typer.Exit(1)


def tell(receipt: dict[str, Any]) -> None:
    """A receipt in a few lines: counts by state, then every finding that it lists with its place."""
    summary = "、".join(f"{state} {n}" for state, n in receipt["counts"].items()) or "无记录"
    out.print(f"{receipt.get('file', '')} 消息 {receipt['message']}: {receipt['text']} ({summary})", markup=False, soft_wrap=True)
    for finding in receipt["findings"]:
        out.print(f"  {finding['severity']}: {finding['message']}", markup=False, soft_wrap=True)
    for record in receipt["records"]:
        for finding in record["findings"]:
            place = " ".join(p for p in (record["position"], finding.get("source", "")) if p)
            out.print(f"  {place}: {finding['severity']}: {finding['message']}", markup=False, soft_wrap=True)
    if receipt["unlisted"]:
        out.print(f"  另有 {receipt['unlisted']} 条记录未列出; 用 `yifang messages show {receipt['message']}` 查看全部", markup=False, soft_wrap=True)


@messages.command("list")
def messages_list(
    config: ConfigPath = DEFAULT,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    state: Annotated[str | None, typer.Option(help="Only this state: mapped, held, partly, refused, failed, processing, stored.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List messages, newest first."""
    columns = (("id", "消息"), ("source", "来源"), ("name", "名称"), ("received", "收到"), ("state", "状态"), ("size", "字节"), ("rows", "记录"))
    show(run(config, "messages.list", source=source, state=state, limit=limit), as_json, columns, "消息")


@messages.command("show")
def messages_show(
    message: Annotated[int, typer.Argument(help="Number of the message.")],
    config: ConfigPath = DEFAULT,
    content: Annotated[bool, typer.Option("--content", help="Print the original bytes instead.")] = False,
    after: Annotated[int, typer.Option("--after", min=-1, help="Only records of rows behind this one; rows count from 0.")] = -1,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records in the table; --json prints all of them.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs: a line for the message, then a line for each record.")] = False,
) -> None:
    """Show one message: what became of its records, its findings, or the original bytes."""
    with Runner(load(config)).open() as runner:
        if content:
            _content(runner, message)
        elif as_json:
            _lines(runner, message, after)
        else:
            _table(runner, message, after, limit)


def _content(runner: Runner, message: int) -> None:
    chunk = 0
    while (part := runner("messages.content", message=message, chunk=chunk)) is not None:
        sys.stdout.buffer.write(base64.b64decode(part))
        chunk += 1


def _lines(runner: Runner, message: int, after: int) -> None:
    """The message and its records as NDJSON, page by page: a county's file has a hundred thousand of them."""
    found = runner("messages.show", message=message)
    typer.echo(json.dumps({k: v for k, v in found.items() if k not in ("records", "next")}, ensure_ascii=False))
    at: int | None = after
    while at is not None:
        page = runner("messages.records", message=message, after=at)
        for record in page["records"]:
            typer.echo(json.dumps(record, ensure_ascii=False))
        at = page["next"]


def _table(runner: Runner, message: int, after: int, limit: int) -> None:
    found = runner("messages.show", message=message)
    show({k: v for k, v in found.items() if k not in ("records", "findings", "next")}, False)
    for finding in found["findings"]:
        out.print(f"  {finding['severity']} {finding['code']}: {finding['message']}", markup=False, soft_wrap=True)
    page = runner("messages.records", message=message, after=after, limit=limit)
    columns = (("row", "行"), ("id", "记录"), ("position", "位置"), ("dataset", "数据集"), ("key", "业务键"), ("state", "状态"), ("findings", "问题"))
    show(page["records"], False, columns, "记录")
    if page["next"] is not None:
        out.print(f"  后面还有记录; 用 `yifang messages show {message} --after {page['next']}` 查看", markup=False, soft_wrap=True)


@messages.command("replay")
def messages_replay(
    numbers: Annotated[list[int], typer.Argument(help="Numbers of the messages.")], config: ConfigPath = DEFAULT, as_json: AsJson = False
) -> None:
    """Map stored messages again, after a map, table or profile was mended. Exit 1 when something still needs a person."""
    with Runner(load(config)).open() as runner:
        receipts = [runner("messages.replay", message=n) for n in numbers]
    answer(receipts, as_json)


@holds.command("list")
def holds_list(
    config: ConfigPath = DEFAULT,
    state: Annotated[str, typer.Option(help="open, released, rejected or resolved.")] = "open",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person."""
    columns = (("id", "待办"), ("source", "来源"), ("dataset", "数据集"), ("key", "业务键"), ("code", "原因"), ("text", "说明"), ("opened", "自"))
    show(run(config, "holds.list", state=state, limit=limit), as_json, columns, "待核对")


@answering(holds, "holds.show")
def holds_show(hold: Hold) -> None:
    """Show both sides of a hold: what is there, and what came."""


@answering(holds, "holds.release")
def holds_release(hold: Hold, by: By = OPERATOR) -> None:
    """Decide that what came is right: it is written."""


@answering(holds, "holds.reject")
def holds_reject(hold: Hold, reason: Annotated[str, typer.Option(help="Why; kept with the decision.")], by: By = OPERATOR) -> None:
    """Decide that what came is wrong: it is kept and never written."""


@answering(residents, "residents.link")
def residents_link(
    first: Annotated[str, typer.Argument(help="Id of a Patient.")],
    second: Annotated[str, typer.Argument(help="Id of the other Patient.")],
    by: By = OPERATOR,
) -> None:
    """Decide that two Patients are one person; every reference follows."""


@answering(residents, "residents.unlink")
def residents_unlink(patient: Annotated[str, typer.Argument(help="Id of the Patient that was linked away.")], by: By = OPERATOR) -> None:
    """Take a linked Patient apart again; exactly what came from its sources goes back to it."""


@deliveries.callback()
def deliveries_list(context: typer.Context, config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """What is owed to each destination, its age, and what was refused."""
    if context.invoked_subcommand is not None:
        return
    columns = (
        ("destination", "目的地"),
        ("state", "状态"),
        ("waiting", "待发"),
        ("oldest", "最早"),
        ("refused", "被拒"),
        ("unresolved", "缺引用"),
        ("reason", "说明"),
    )
    show(run(config, "deliveries.list"), as_json, columns, "投递")


@answering(deliveries, "deliveries.resume")
def deliveries_resume(destination: Annotated[str, typer.Argument(help="Name of the destination.")]) -> None:
    """Go on with a paused destination, and try again what it refused."""


@deliveries.command("reconcile")
def deliveries_reconcile(
    destination: Annotated[str | None, typer.Argument(help="Name of the destination; all when left out.")] = None,
    resend: Annotated[bool, typer.Option("--resend", help="Owe again what is missing there.")] = False,
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Compare what the gateway holds with what each destination has. Exit 1 when they differ."""
    report = run(config, "deliveries.reconcile", destination=destination, resend=resend)
    columns = (
        ("destination", "目的地"),
        ("held", "应有"),
        ("equal", "一致"),
        ("waiting", "待发"),
        ("lost", "缺失"),
        ("different", "不同"),
        ("resent", "重发"),
    )
    show(report, as_json, columns, "核对")
    if any(r["lost"] or r["different"] for r in report):
        raise typer.Exit(1)


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(ingest)
    app.add_typer(messages, name="messages")
    app.add_typer(holds, name="holds")
    app.add_typer(residents, name="residents")
    app.add_typer(deliveries, name="deliveries")
