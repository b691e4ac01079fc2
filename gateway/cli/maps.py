"""`yifang map`: run, check, test, doc, explain, coverage, activate, remap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from rich.progress import track

from gateway.builtin import MAPPINGS
from gateway.cli.context import DEFAULT, AsJson, ConfigPath, Runner, adapters, out, run, show
from gateway.config import Config, SourceConfig, load, parse
from gateway.errors import ConfigError, Refused

if TYPE_CHECKING:
    from gateway.mapping.catalogue import Binding, Catalogue
    from gateway.record import Row

maps = typer.Typer(help="The maps: check, test and run them, explain what they wrote, put a new set into effect.", no_args_is_help=True)

STATES = {"read": "已读", "ignored": "忽略", "unread": "未读", "not-sent": "该厂商不发"}

Datasets = Annotated[list[str] | None, typer.Argument(help="Names of datasets; all when left out.")]


def configuration(path: Path) -> Config:
    """The configuration, or an empty one when the default file is not there: maps can be worked on without a site."""
    return load(path) if path.exists() or path != DEFAULT else parse({})


def catalogue_of(config: Config, *, check: bool = False) -> Catalogue:
    """The folders' maps as they lie there now; MapError when `check` and something is wrong with them."""
    from gateway.mapping.catalogue import Catalogue
    from gateway.site import checked, folder_files

    files = folder_files(config)
    return checked(files, adapters()) if check else Catalogue(files, adapters())


def source_of(config: Config, catalogue: Catalogue, name: str) -> SourceConfig:
    """A configured source, or for `dataset/profile` one made up for a try, with identifiers under `.invalid`."""
    if "/" not in name:
        return config.source_named(name)
    dataset, _, profile = name.partition("/")
    found = catalogue.entry(dataset).profiles.get(profile)
    if found is None:
        known = "、".join(catalogue.entry(dataset).profiles) or "(无)"
        raise ConfigError(f"数据集 {dataset} 没有来源配置 {profile}; 已有: {known}")
    return SourceConfig(
        name="try", adapter=found.adapter, profiles=[name], authority=f"{config.base}/systems/try", organisation="390121101001", zone=config.zone
    )


@maps.command("run")
def map_run(
    source: Annotated[str, typer.Argument(help="Name of a [[source]], or `dataset/profile` for a try without one.")],
    files: Annotated[list[Path], typer.Argument(help="Files in that source's format.", exists=True, dir_okay=False)],
    config: ConfigPath = DEFAULT,
) -> None:
    """Print one transaction Bundle a message as NDJSON; store nothing. Findings go to standard error; exit 1 when a record was held."""
    from gateway.fhir.ids import TEST_KEY, IdScheme
    from gateway.fhir.json import encode
    from gateway.mapping.bundle import transaction
    from gateway.mapping.catalogue import MapContext

    loaded = configuration(config)
    catalogue = catalogue_of(loaded)
    binding = catalogue.bind(source_of(loaded, catalogue, source))
    context = MapContext(IdScheme(TEST_KEY, loaded.base), portable=True)
    errors = typer.get_text_stream("stderr")
    held = False
    for file in files:
        results = []
        try:
            for row in opened_rows(binding, file):
                record = binding.record(row)
                result = binding.map(record, context)
                for finding in result.findings:
                    errors.write(f"{file.name} {record.position} {finding.source}: {finding.severity} {finding.code}: {finding.message}\n")
                held = held or result.held
                results.append(result)
        except Refused as e:
            errors.write(f"{file.name}: {e.finding.severity} {e.finding.code}: {e.finding.message}\n")
            held = True
        typer.get_binary_stream("stdout").write(encode(whole([transaction(r, loaded.base) for r in results])) + b"\n")
    if held:
        raise typer.Exit(1)


def whole(bundles: list[dict[str, Any]]) -> dict[str, Any]:
    """One transaction of all entries of a message; a Patient that several records speak of stands in it once, as its last one says."""
    entries = {e["fullUrl"]: e for b in bundles for e in b.get("entry", ())}
    return {"resourceType": "Bundle", "type": "transaction", **({"entry": list(entries.values())} if entries else {})}


def opened_rows(binding: Binding, file: Path) -> Iterator[Row]:
    """Rows of a file; large ones are streamed."""
    with file.open("rb") as stream:
        content: bytes | BinaryIO = stream.read() if file.stat().st_size < (4 << 20) else stream
        yield from binding.extract(content)


@maps.command("check")
def map_check(datasets: Datasets = None, config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Check fields, tables, profiles and maps before any record is touched. Exit 1 when something is wrong."""
    catalogue = catalogue_of(configuration(config))
    names = datasets or catalogue.datasets
    shown = track(names, description="检查映射", console=out, disable=as_json or not out.is_terminal, transient=True)
    faults = [f for name in shown for f in catalogue.entry(name).faults]
    if not datasets:
        faults = catalogue.faults
    if as_json:
        show([{"place": str(f.place), "code": f.code, "text": str(f)} for f in faults], True)
    else:
        for fault in faults:
            out.print(str(fault), markup=False, soft_wrap=True)
        out.print(f"{len(names)} 个数据集, {len(faults)} 处问题")
    if faults:
        raise typer.Exit(1)


@maps.command("test")
def map_test(
    datasets: Datasets = None,
    accept: Annotated[bool, typer.Option("--accept", help="Write the present results as the expected ones; look at the difference first.")] = False,
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Run all golden examples through both builds of every map. Exit 1 when a result differs from the accepted one."""
    from gateway.mapping import golden
    from gateway.mapping.files import MapFiles

    loaded = configuration(config)
    catalogue = catalogue_of(loaded, check=True)
    results = list(golden.test(catalogue, datasets))
    differing = [(outcome, lines) for outcome, lines in results if lines]
    if accept:
        site = loaded.mappings
        below = MapFiles.from_folders([MAPPINGS]) if site is not None else ()
        for outcome, _ in differing:
            outcome.accept(site or MAPPINGS, below)
    if as_json:
        show([{"example": o.example.path, "passed": not lines, "difference": lines} for o, lines in results], True)
    else:
        for _, lines in differing:
            out.print("\n".join(lines), markup=False, soft_wrap=True)
        out.print(f"{len(results)} 个样例, {len(differing)} 个{'已接受' if accept else '不符'}")
    if differing and not accept:
        raise typer.Exit(1)


@maps.command("doc")
def map_doc(
    datasets: Datasets = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder that gets one Markdown file a dataset.")] = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Write maps as tables for sign-off: form field, code list, FHIR element, functions."""
    from gateway.mapping import document

    catalogue = catalogue_of(configuration(config), check=True)
    for name in datasets or catalogue.datasets:
        text = document.markdown(catalogue.entry(name))
        if output is None:
            typer.echo(text)
        else:
            output.mkdir(parents=True, exist_ok=True)
            (output / f"{name}.md").write_text(text, "utf-8")
            out.print(f"已写 {output / name}.md", markup=False)


@maps.command("explain")
def map_explain(
    record: Annotated[str, typer.Argument(help="Number of a record (`yifang messages show`), or `last`: the one that came last.")],
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Tell for every element that a record wrote: map line, form field, source column, raw value, functions, result."""
    if record != "last" and not record.isdecimal():
        raise ConfigError(f"{record} 不是记录编号; 用 `yifang messages show 消息` 查看记录编号, 或写 last")
    report = run(config, "map.explain", record=None if record == "last" else int(record))
    if as_json:
        show(report, True)
        return
    rows = [
        {
            "target": f"{line['resource'].split('/')[0]}.{line['path']}",
            "line": line["line"].rsplit("/", 1)[-1],
            "field": "、".join(o["label"] or o["field"] for o in line["origins"]),
            "source": "、".join(o["locator"] for o in line["origins"]),
            "raw": "、".join(str(o["raw"]) for o in line["origins"]),
            "functions": " | ".join(line["functions"]),
            "result": line["result"],
        }
        for line in report["lineage"]
    ]
    headings = (
        ("target", "FHIR"),
        ("result", "结果"),
        ("field", "字段"),
        ("source", "来源列"),
        ("raw", "原值"),
        ("functions", "函数"),
        ("line", "映射行"),
    )
    show(rows, False, headings, f"记录 {report['record']} {report['dataset']} {report['position']}")
    for finding in report["findings"]:
        out.print(f"{finding['severity']} {finding['code']}: {finding['message']}", markup=False, soft_wrap=True)


@maps.command("coverage")
def map_coverage(datasets: Datasets = None, config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Show which fields a map reads, which it ignores and why; with a database also source columns nobody reads and codes without translation."""
    from gateway.mapping.coverage import coverage

    loaded = configuration(config)
    catalogue = catalogue_of(loaded, check=True)
    report = [part.as_dict() for name in datasets or catalogue.datasets for part in coverage(catalogue.entry(name))]
    codes = run(config, "map.volumes") if loaded.source else []
    if as_json:
        show({"profiles": report, "untranslated": codes}, True)
        return
    for part in report:
        states = Counter(c["state"] for c in part["columns"])
        counts = "、".join(f"{words} {states[state]}" for state, words in STATES.items() if states[state])
        out.print(f"{part['dataset']}/{part['profile']}: {counts}", markup=False, soft_wrap=True)
        for column in part["columns"]:
            if column["state"] in ("ignored", "unread"):
                text = f"  {STATES[column['state']]} {column['label'] or column['field']}: {column['reason'] or '没有映射读它'}"
                out.print(text, markup=False, soft_wrap=True)
    if codes:
        show(codes, False, (("dataset", "数据集"), ("source", "来源列"), ("message", "问题"), ("times", "次数")), "没有对照的代码")


@maps.command("activate")
def map_activate(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Put the mapping files as they lie in the folders into effect: only when they check and their goldens pass."""
    show(Runner(load(config), bind=False)("map.activate"), as_json)


@maps.command("remap")
def map_remap(
    preview: Annotated[bool, typer.Option("--preview", help="Only tell what would change, here and downstream.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Only records of this dataset.")] = None,
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Map current records again with the active maps, after a map or table changed."""
    show(run(config, "map.remap", preview=preview, dataset=dataset), as_json)


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(maps, name="map")
