"""The command `yifang`. What its exit codes mean stands in EXIT_CODES."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from gateway import __version__
from gateway.cli import data, demo, index, maps, operate, subscriptions, validate, views
from gateway.errors import Conflict, MapError, TransientError, YifangError
from gateway.log import place

__all__ = ["EXIT_CODES", "app", "main"]

EXIT_CODES = {
    0: "done",
    1: "done, and something needs a person: a fault found, a record held or refused, both sides differ",
    2: "wrong use or configuration",
    3: "not possible now: the database is busy or away, the gateway does not answer",
    4: "a bug of ours; told by type and place",
    130: "interrupted",
}

app = typer.Typer(
    name="yifang",
    help="医防网关: the FHIR R4 gateway of a county medical community.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"yifang {__version__}")
        raise typer.Exit


@app.callback()
def root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and end.")) -> None:
    """医防网关: the FHIR R4 gateway of a county medical community."""


demo.add(app)
operate.add(app)
data.add(app)
maps.add(app)
index.add(app)
subscriptions.add(app)
validate.add(app)
views.add(app)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs a command and turns expected faults into a sentence and an exit code."""
    errors = Console(stderr=True, highlight=False)
    try:
        app(args=arguments, standalone_mode=True)
    except MapError as e:
        for fault in e.faults:
            errors.print(str(fault), markup=False, soft_wrap=True)
        sys.exit(1)
    except YifangError as e:
        errors.print(f"yifang: {e}", markup=False, soft_wrap=True)
        sys.exit(3 if isinstance(e, Conflict | TransientError) else 2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:  # the text may quote patient data: only the type and the place are told
        if _store_away(e):
            errors.print("yifang: 数据库没有应答; 请检查它是否在运行、地址和口令是否正确, 然后重试", markup=False, soft_wrap=True)
            sys.exit(3)
        errors.print(f"yifang: 内部错误 {type(e).__name__} ({place(e)}); 请把这一行连同版本号告诉开发者", markup=False, soft_wrap=True)
        sys.exit(4)


def _store_away(fault: Exception) -> bool:
    """Whether SQLAlchemy says that the database cannot be reached; it is not imported for this."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return loaded is not None and isinstance(fault, loaded.OperationalError | loaded.InterfaceError | loaded.TimeoutError)
