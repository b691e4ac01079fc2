"""The catalogue: all datasets, maps and profiles of a file set, checked and compiled when they are first asked for.

files = MapFiles.from_folders([builtin.MAPPINGS, site])
catalogue = Catalogue(files, adapters)
binding = catalogue.bind(source)
for row in binding.extract(content):
    record = binding.record(row)
    result = binding.map(record, MapContext(ids))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from gateway.adapter import Adapter, Extract, Layout
from gateway.config import SourceConfig
from gateway.errors import ConfigError, Finding, MapError
from gateway.fhir import elements
from gateway.fhir.profiles import Profiles
from gateway.fhir.ucum import Units
from gateway.mapping import check
from gateway.mapping.compile import Compiled, MapContext, Sender
from gateway.mapping.fields import Dataset, read_dataset
from gateway.mapping.files import MapFiles, digest_of
from gateway.mapping.functions import Env, load_all
from gateway.mapping.lineage import Lineage, Trace
from gateway.mapping.model import Fault, MapTree, Place
from gateway.mapping.plan import MapPlan
from gateway.mapping.profile import Profile, check_profile, layout_of, place_of, read_profile
from gateway.mapping.resolve import Knowledge, resolve
from gateway.mapping.source import Recorder
from gateway.mapping.syntax import parse
from gateway.record import Fields, MapResult, Record, Row
from gateway.terminology.tables import CodeTable, Terms, nearest, read_table, read_terms

__all__ = ["Binding", "Catalogue", "Entry", "MapContext", "ProfileOfDataset"]

CORE_TABLES = ("valuesets", "identifiers", "codesystems", "items", "units")
QUALITY_CONTROL = "quality_control"


@dataclass(slots=True)
class Entry:
    """One dataset of the catalogue: its form, map and profiles, with everything that is wrong with them."""

    name: str
    folder: str
    dataset: Dataset
    tree: MapTree | None
    plan: MapPlan | None
    compiled: Compiled | None
    profiles: dict[str, Profile]
    tables: dict[str, dict[str, CodeTable]]  # profile -> its own code tables
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProfileOfDataset:
    """What the writer asks of a bound profile: `mode` ("snapshot" | "delta"), and the digest of all that makes its map."""

    name: str
    mode: str
    version: str


class Catalogue:
    """All datasets of a file set. `version` is the digest of the set."""

    def __init__(self, files: MapFiles, adapters: Mapping[str, Adapter], profiles: Profiles | None = None) -> None:
        self.files, self.adapters = files, adapters
        self.version = files.digest
        self._profiles = profiles
        self._entries: dict[str, Entry] = {}
        self._folders = {p.split("/")[-2]: p.rsplit("/", 1)[0] for p in files if p.endswith("/fields.csv")}

    @cached_property
    def knowledge(self) -> Knowledge:
        """R4, tables, functions and profiles that maps are checked against."""
        profiles = self._profiles if self._profiles is not None else Profiles.from_folder("{base}")
        return Knowledge(elements.load(), self.terms, load_all(), profiles)

    @cached_property
    def terms(self) -> Terms:
        """National tables of the set."""
        return read_terms(self.files)

    @cached_property
    def units(self) -> Units:
        """Print forms of units."""
        return Units(self.files.get("tables/units.csv", b"print,ucum,factor\n"))

    @property
    def datasets(self) -> list[str]:
        """Names of all datasets, in order."""
        return sorted(self._folders)

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong with the whole set."""
        found = [f for name in self.datasets for f in self.entry(name).faults]
        return found + check.check_all_tables(self.terms, self.files)

    def entry(self, name: str) -> Entry:
        """A dataset; ConfigError when there is none of that name."""
        if name not in self._folders:
            raise ConfigError(f"没有数据集 {name}{nearest(name, self._folders)}; 已有: {'、'.join(self.datasets) or '(无)'}")
        if name not in self._entries:
            self._entries[name] = self._read(name, self._folders[name])
        return self._entries[name]

    def _read(self, name: str, folder: str) -> Entry:
        faults: list[Fault] = []
        dataset = read_dataset(name, folder, self.files.text(f"{folder}/fields.csv"), self.terms, faults)
        entry = Entry(name, folder, dataset, None, None, None, {}, {}, faults)
        for path, _ in self.files.under(f"{folder}/sources/"):
            if path.endswith(".toml"):
                self._read_profile(entry, path)
        map_file = f"{folder}/{name}.map"
        if map_file not in self.files:
            faults.append(Fault(Place(map_file, 1, 1), "no-map", f"数据集 {name} 没有映射", map_file, "写一个映射文件"))
            return entry
        entry.tree, wrong = parse(self.files.text(map_file), map_file)
        faults += wrong
        entry.plan = resolve(entry.tree, dataset, self.knowledge, faults)
        check.check_plan(entry.plan, entry.profiles, self.knowledge, faults)
        check.check_own(entry.plan, entry.tables, self.knowledge.r4, faults)
        faults.sort(key=lambda f: (f.place.file, f.place.line, f.place.column))
        entry.compiled = Compiled(entry.plan, self.terms)
        return entry

    def _read_profile(self, entry: Entry, path: str) -> None:
        text, name = self.files.text(path), path.rsplit("/", 1)[1].removesuffix(".toml")
        profile = read_profile(text, path, entry.faults)
        if profile is None:
            return
        check_profile(profile, entry.dataset, text, path, entry.faults)
        entry.profiles[name], entry.tables[name] = profile, {}
        for table, file in profile.tables.items():
            where = f"{entry.folder}/sources/{file}"
            if where in self.files:
                entry.tables[name][table] = read_table(table, where, self.files.text(where))
            else:
                entry.faults.append(
                    Fault(place_of(text, path, ["tables", table]), "unknown-table", f"没有对照表文件 {where}", "来源配置旁边的 CSV", "改正文件名")
                )
        adapter = self.adapters.get(profile.adapter)
        if adapter is None:
            if self.adapters:
                known = "、".join(self.adapters)
                entry.faults.append(
                    Fault(place_of(text, path, ["adapter"]), "unknown-adapter", f"没有适配器 {profile.adapter}", known, "改正 adapter")
                )
            return
        for field_path, locator in profile.locators().items():
            wrong = adapter.check_locator(locator)
            if wrong is not None:
                entry.faults.append(
                    Fault(
                        place_of(text, path, ["fields", field_path.split("/")[-1]]),
                        "locator",
                        f"定位 {locator}: {wrong}",
                        "适配器的定位写法",
                        "改正定位",
                    )
                )

    def bind(self, source: SourceConfig) -> Binding:
        """The profiles of one source, ready to run. ConfigError when one is not there, MapError when it does not check."""
        adapter = self.adapters.get(source.adapter)
        if adapter is None:
            raise ConfigError(f"来源 {source.name}: 没有适配器 {source.adapter}; 已有: {'、'.join(self.adapters) or '(无)'}")
        bound: dict[str, Bound] = {}
        for full in source.profiles:
            name, _, profile_name = full.partition("/")
            entry = self.entry(name)
            if profile_name not in entry.profiles and not any(f"/sources/{profile_name}.toml" in f.place.file for f in entry.faults):
                raise ConfigError(f"来源 {source.name}: 数据集 {name} 没有来源配置 {profile_name}{nearest(profile_name, entry.profiles)}")
            own = [f for f in entry.faults if "/sources/" not in f.place.file or f.place.file.endswith(f"/sources/{profile_name}.toml")]
            if own or entry.compiled is None:
                raise MapError(own)
            if entry.profiles[profile_name].adapter != source.adapter:
                raise ConfigError(f"来源 {source.name}: {full} 是适配器 {entry.profiles[profile_name].adapter} 的, 不是 {source.adapter} 的")
            if name in bound:
                raise ConfigError(f"来源 {source.name}: 数据集 {name} 写了两个来源配置; 请分成两个来源")
            bound[name] = Bound(self, entry, profile_name, source)
        return Binding(source, adapter, bound)

    def digest(self, entry: Entry, profile_name: str) -> str:
        """Digest of map, fields, profile and all tables that it reads."""
        names = [f"{entry.folder}/fields.csv", f"{entry.folder}/{entry.name}.map", f"{entry.folder}/sources/{profile_name}.toml"]
        own = entry.tables.get(profile_name, {})
        names += [t.file for t in own.values()] + [f"tables/{n}.csv" for n in CORE_TABLES]
        names += [f"tables/{n}.csv" for n in (entry.plan.tables if entry.plan else ()) if n not in own]
        return digest_of((n.encode(), self.files[n]) for n in sorted(set(names)) if n in self.files)


class Bound:
    """One profile of one source: recorder and compiled maps."""

    def __init__(self, catalogue: Catalogue, entry: Entry, name: str, source: SourceConfig) -> None:
        assert entry.plan is not None and entry.compiled is not None
        self.entry, self.source, self.plan, self.compiled = entry, source, entry.plan, entry.compiled
        self.profile = entry.profiles[name]
        self.recorder = Recorder(self.profile, entry.dataset, catalogue.units, source.authority, source.organisation, source.zone)
        self.tables = entry.tables[name]
        self.of = ProfileOfDataset(f"{entry.name}/{name}", self.profile.mode, catalogue.digest(entry, name))
        used = frozenset(f"{path}.{component}" if component else path for path, component in entry.plan.used)
        self.layout = layout_of(self.profile, entry.dataset, name, used, source.zone)
        self._runs: dict[tuple[bytes, str, bool, bool], Callable[[Fields, Trace | None], MapResult]] = {}

    def run(self, record: Record, context: MapContext, trace: Trace | None = None) -> MapResult:
        """Maps a record; findings of the record come first."""
        cache = (context.ids.key, context.ids.base, context.portable, trace is not None)
        mapped = self._runs.get(cache)
        if mapped is None:
            env = Env(self.source.zone, self.source.authority, context.ids.base, self.source.organisation, self.recorder.units)
            sender = Sender(env, self.recorder.locators, self.tables)
            mapped = self._runs[cache] = self.compiled.bind(sender, context, trace is not None)
        result = mapped(record.fields, trace)
        if record.findings:
            named = {s for f in record.findings if f.code == "missing-key" for s in f.source.split("、")}
            if named:  # said once of the record; what its blocks lack for the same reason is no news
                result.findings = [f for f in result.findings if not _follows(f, named)]
            result.findings[:0] = record.findings
        return result


def _follows(finding: Finding, empty: set[str]) -> bool:
    """Whether a map's finding only follows from a key of the record that is empty (empty: the sender's columns)."""
    return finding.code == "reference-lost" or (finding.code == "missing-key" and set(finding.source.split("、")) <= empty)


class Binding:
    """All profiles of one source."""

    def __init__(self, source: SourceConfig, adapter: Adapter, bound: Mapping[str, Bound]) -> None:
        self.source, self.adapter, self._bound = source, adapter, bound
        self.layouts: list[Layout] = [b.layout for b in bound.values()]

    @cached_property
    def _extract(self) -> Extract:
        return self.adapter.compile(self.layouts)

    def extract(self, content: bytes | BinaryIO) -> Iterator[Row]:
        """Rows of a message; raises Refused when it cannot be read as a whole."""
        return self._extract(content)

    def record(self, row: Row) -> Record:
        """The record of a row, in national codes; its fields are the row's, translated in place."""
        bound = self._bound.get(row.dataset)
        if bound is None:
            return self._strange(row)
        return bound.recorder.record(row)

    def _strange(self, row: Row) -> Record:
        """A row of no bound dataset: quality control, or a document type that nothing is configured for."""
        digest = digest_of([(row.dataset.encode(), row.unit)])
        findings = row.findings
        if row.dataset != QUALITY_CONTROL:
            message = f"这个来源没有配置数据集 {row.dataset}; 请在 yifang.toml 的 profiles 里加上它的来源配置后重放"
            findings = (*findings, Finding("unknown-dataset", "hold", message))
        return Record(self.source.authority, row.dataset, (digest,), "", row.fields, digest, row.position, findings)

    def map(self, record: Record, context: MapContext) -> MapResult:
        """What the map makes of a record."""
        bound = self._bound.get(record.dataset)
        if bound is None:
            destination = QUALITY_CONTROL if record.dataset == QUALITY_CONTROL else ""
            return MapResult([], [], list(record.findings), destination)
        return bound.run(record, context)

    def explain(self, record: Record, context: MapContext) -> tuple[MapResult, list[Lineage]]:
        """The same result from the explaining build, with the lineage of every element written."""
        bound = self._bound.get(record.dataset)
        if bound is None:
            return self.map(record, context), []
        trace = Trace()
        result = bound.run(record, context, trace)
        written = {(d.type, d.id) for d in (*result.drafts, *result.withheld)}
        return result, trace.lineage(bound.plan, bound.recorder.locators, written)

    def profile_of(self, dataset: str) -> ProfileOfDataset:
        """Mode and version of a bound dataset."""
        bound = self._bound.get(dataset)
        return bound.of if bound is not None else ProfileOfDataset(dataset, "snapshot", "")

    def entry_of(self, dataset: str) -> Entry:
        """The catalogue entry behind a bound dataset; ConfigError when it is not bound."""
        if dataset not in self._bound:
            raise ConfigError(f"来源 {self.source.name} 没有数据集 {dataset}")
        return self._bound[dataset].entry
