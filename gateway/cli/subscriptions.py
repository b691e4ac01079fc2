"""`yifang subscriptions`: how each Subscription stands, and asking for one anew."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.context import DEFAULT, AsJson, ConfigPath, answering, run, show

subscriptions = typer.Typer(help="Subscriptions: how each stands; restart one that stopped.", invoke_without_command=True)
COLUMNS = (
    ("id", "订阅"),
    ("state", "状态"),
    ("topic", "主题"),
    ("endpoint", "接收地址"),
    ("client", "客户端"),
    ("events", "事件"),
    ("waiting", "待发"),
    ("failing", "失败自"),
    ("reason", "说明"),
)


@subscriptions.callback()
def subscriptions_list(context: typer.Context, config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Every Subscription: its state, its receiver, how many events wait, why it is not served."""
    if context.invoked_subcommand is None:
        show(run(config, "subscriptions.list"), as_json, COLUMNS, "订阅")


@answering(subscriptions, "subscriptions.restart")
def subscriptions_restart(subscription: Annotated[str, typer.Argument(help="Id of the Subscription.")]) -> None:
    """Ask for a Subscription anew that is in error or off: handshake, then everything that is owed to it."""


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(subscriptions, name="subscriptions")
