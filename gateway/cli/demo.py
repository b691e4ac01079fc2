"""`yifang demo`: the small county comes alive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.context import adapters, out


def demo(
    once: Annotated[bool, typer.Option("--once", help="End when everything is told instead of serving on.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
    residents: Annotated[int, typer.Option(min=20, help="How many residents the county has.")] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the generator; the same seed gives the same county.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port; 0: any free one.")] = 0,
    destination: Annotated[str | None, typer.Option(help="Base of a FHIR server to deliver to.")] = None,
    database: Annotated[str | None, typer.Option(help="PostgreSQL URL instead of the embedded database.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for the demo's files, kept afterwards; a temporary one when left out.")] = None,
) -> None:
    """Make a synthetic county, carry its records over the real protocols, and tell what came of them. Exit 1 when one was lost or doubled."""
    from gateway.demo.run import Wishes, run  # the generator is needed by this command alone

    if not run(adapters(), out, Wishes(once, report, residents, seed, port, destination, database, data)):
        raise typer.Exit(1)


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)
