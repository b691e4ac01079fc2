"""Golden examples: `examples/<name>.in.json` mapped and compared with the accepted `.out.json` and `.findings.txt`.

`{"profile": "vendor_a", "fields": {…}}` or `{"profile": "vendor_a", "message": "file beside it"}`; optional `"organisation": "…"`, the
code of the organisation that the example's source belongs to. Ids come from the test key, so that goldens are the same everywhere.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config import SourceConfig
from gateway.errors import ConfigError, Finding, Refused
from gateway.fhir import json as fhir_json
from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.mapping.bundle import transaction
from gateway.mapping.catalogue import Binding, Catalogue, Entry, MapContext
from gateway.record import MapResult, Record, Row

BASE = "https://yifang.invalid/fhir"
AUTHORITY = "https://yifang.invalid/golden"
ORGANISATION = "390121101001"
CONTEXT = MapContext(IdScheme(TEST_KEY, BASE), portable=True)


@dataclass(frozen=True, slots=True)
class Example:
    """One example file. name: without `.in.json`; path: relative to the mapping set."""

    dataset: str
    name: str
    path: str
    profile: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What mapping an example gave: Bundle (one record) or Bundles, as pretty JSON, and findings, one a line."""

    example: Example
    bundle: str
    findings: str

    def difference(self, catalogue: Catalogue) -> list[str]:
        """Lines of a unified difference against what was accepted; empty when they agree."""
        lines: list[str] = []
        for suffix, got in ((".out.json", self.bundle), (".findings.txt", self.findings)):
            path = self.example.path.removesuffix(".in.json") + suffix
            accepted = catalogue.files[path].decode("utf-8") if path in catalogue.files else ""
            if accepted != got:
                lines += difflib.unified_diff(accepted.splitlines(), got.splitlines(), f"{path} (已接受)", f"{path} (现在)", lineterm="", n=2)
        return lines

    def accept(self, folder: Path, below: Collection[str] = ()) -> None:
        """Writes both files into a mapping folder. No findings: no findings file, but an empty one over a file of the folder that this one
        lies over (`below`: paths of that folder's files)."""
        stem = folder / self.example.path.removesuffix(".in.json")
        stem.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{stem}.out.json").write_text(self.bundle, "utf-8", newline="\n")
        findings = Path(f"{stem}.findings.txt")
        if self.findings or findings.relative_to(folder).as_posix() in below:
            findings.write_text(self.findings, "utf-8", newline="\n")
        else:
            findings.unlink(missing_ok=True)


def examples(catalogue: Catalogue, entry: Entry) -> Iterator[Example]:
    """The examples of a dataset, in order. ConfigError names a file that is not one."""
    for path, content in catalogue.files.under(f"{entry.folder}/examples/"):
        if not path.endswith(".in.json"):
            continue
        try:
            made = json.loads(content, parse_float=str, parse_int=str)
            yield Example(entry.name, path.rsplit("/", 1)[1].removesuffix(".in.json"), path, str(made["profile"]), made)
        except (ValueError, KeyError) as e:
            raise ConfigError(f'{path}: 不是例子文件({type(e).__name__}); 应为 {{"profile": …, "fields": {{…}}}}') from e


def binding_for(catalogue: Catalogue, example: Example) -> Binding:
    """The example's source: its profile, under the authority of goldens."""
    entry = catalogue.entry(example.dataset)
    if example.profile not in entry.profiles:
        raise ConfigError(f"{example.path}: 没有来源配置 {example.profile}; 已有: {'、'.join(entry.profiles)}")
    source = SourceConfig(
        name="golden",
        adapter=entry.profiles[example.profile].adapter,
        profiles=[f"{example.dataset}/{example.profile}"],
        authority=f"{AUTHORITY}/{example.profile.replace('_', '-')}",
        organisation=str(example.content.get("organisation", ORGANISATION)),
    )
    return catalogue.bind(source)


def records(catalogue: Catalogue, example: Example, binding: Binding) -> Iterator[Record]:
    """The example's records: its fields as one row, or the rows of its message. Refused when the message is."""
    if "message" in example.content:
        path = f"{example.path.rsplit('/', 1)[0]}/{example.content['message']}"
        if path not in catalogue.files:
            raise ConfigError(f"{example.path}: 没有报文文件 {path}")
        for row in binding.extract(catalogue.files[path]):
            yield binding.record(row)
        return
    unit = json.dumps(example.content["fields"], ensure_ascii=False, sort_keys=True).encode()
    fields = json.loads(unit)
    yield binding.record(Row(example.dataset, fields, unit, f"例子 {example.name}"))


def run(catalogue: Catalogue, example: Example) -> Outcome:
    """Maps an example."""
    binding = binding_for(catalogue, example)
    try:
        results = [binding.map(record, CONTEXT) for record in records(catalogue, example, binding)]
    except Refused as refused:
        results = [MapResult([], [], [refused.finding])]
    bundles = [transaction(r, BASE) for r in results]
    text = fhir_json.encode_pretty(bundles[0] if len(bundles) == 1 else bundles).decode("utf-8")
    return Outcome(example, text, "".join(finding_line(f) + "\n" for r in results for f in r.findings))


def finding_line(finding: Finding) -> str:
    """One finding on one line: severity, code, source column -> target, map line without its folder, message."""
    where = " -> ".join(p for p in (finding.source, finding.target) if p)
    line = finding.line.rsplit("/", 1)[-1]
    return " | ".join((finding.severity, finding.code, where, line, finding.message.replace("\n", " ")))


def test(catalogue: Catalogue, datasets: list[str] | None = None) -> Iterator[tuple[Outcome, list[str]]]:
    """Every example of the datasets (all by default) with its difference from what was accepted."""
    for name in datasets or catalogue.datasets:
        for example in examples(catalogue, catalogue.entry(name)):
            outcome = run(catalogue, example)
            yield outcome, outcome.difference(catalogue)
