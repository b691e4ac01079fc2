"""`yifang validate`: files and folders of FHIR resources against R4 and profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.builtin import PROFILES
from gateway.cli.context import DEFAULT, AsJson, ConfigPath, out
from gateway.config import load

if TYPE_CHECKING:
    from gateway.validation.files import Verdict

SIGNS = {"error": "错误", "warning": "警告", "information": "提示"}
PROFILE = typer.Option("--profile", help="Canonical URL of a profile that every resource must meet, or a StructureDefinition file.")
DEFINITIONS = typer.Option("--definitions", help="Files or folders with further StructureDefinitions.", exists=True)


def validate(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of *.json and *.xml.", exists=True)],
    profile: Annotated[list[str] | None, PROFILE] = None,
    definitions: Annotated[list[Path] | None, DEFINITIONS] = None,
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Validate resources: structure, codes, references, invariants, extensions, profiles. Exit 1 when one has an error."""
    from gateway.config import parse
    from gateway.fhir import json
    from gateway.validation.definitions import shipped
    from gateway.validation.files import definitions_in, files_below
    from gateway.validation.files import validate as validate_file
    from gateway.validation.validator import Validator

    site = load(config) if config.exists() or config != DEFAULT else parse({})
    named = [Path(p) for p in profile or () if p.endswith(".json")]
    known = definitions_in([*PROFILES.glob("StructureDefinition-*.json"), *(definitions or ()), *named], site.base, shipped())
    urls = [p for p in profile or () if not p.endswith(".json")] + [json.decode(p.read_bytes())["url"] for p in named]
    validator = Validator(known)
    wrong = False
    for file in files_below(paths):
        verdict = validate_file(validator, file, urls)
        wrong |= not verdict.valid
        if as_json:
            typer.echo(json.encode(verdict.as_dict()))
        else:
            _print(verdict)
    if wrong:
        raise typer.Exit(1)


def _print(verdict: Verdict) -> None:
    """One file for a person: the verdict, then a line a finding."""
    out.print(f"{verdict.file}: {'有效' if verdict.valid else '无效'}", markup=False, soft_wrap=True)
    for issue in verdict.as_dict()["issues"]:
        out.print(f"  {SIGNS[issue['severity']]} {issue['text']}", markup=False, soft_wrap=True)


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(validate)
