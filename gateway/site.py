"""A site: the configuration with everything it names opened: database, active maps, gateway. Serving and commands both start here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import structlog
from pydantic import ValidationError

from gateway.adapter import Adapter, BaseModel, SourceConfig
from gateway.builtin import MAPPINGS
from gateway.clock import Clock, SystemClock
from gateway.config import Config
from gateway.errors import ConfigError, MapError
from gateway.fhir import elements
from gateway.fhir.own_parameters import own_parameters
from gateway.fhir.time import CHINA
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from gateway.pipeline import Gateway
from gateway.store import map_sets, reindex
from gateway.store.database import Database
from gateway.store.index.keys import Indexer

Adapters = Mapping[str, Adapter]


def folder_files(config: Config) -> MapFiles:
    """The mapping files as they lie in the folders now: built-in, the site's over them."""
    return MapFiles.from_folders([MAPPINGS, *([config.mappings] if config.mappings else [])])


def site_indexer(config: Config) -> Indexer:
    """The indexer of a site: R4's search parameters and its own ones. ConfigError for a parameter that cannot be read."""
    r4 = elements.load()
    zone = CHINA if config.zone == "Asia/Shanghai" else ZoneInfo(config.zone)  # a fixed offset is read faster
    return Indexer(r4.extended(own_parameters(config.profiles, r4)), zone=zone, base=config.base)


def checked(files: MapFiles, adapters: Adapters) -> Catalogue:
    """The catalogue of a file set; MapError with every fault when it does not check."""
    catalogue = Catalogue(files, adapters)
    if catalogue.faults:
        raise MapError(catalogue.faults)
    return catalogue


def adapter_options(config: Config, source: SourceConfig, adapters: Adapters) -> BaseModel:
    """The adapter's options of a source, validated; relative paths in them are taken from the configuration file's folder. ConfigError names
    the source and the key."""
    adapter = adapters.get(source.adapter)
    if adapter is None:
        known = "、".join(sorted(adapters))
        raise ConfigError(f"[[source]] {source.name}: 没有名为 {source.adapter} 的适配器; 已安装: {known}")
    try:
        return adapter.options.model_validate(source.options, context={"folder": config.folder})
    except ValidationError as e:
        lines = [f"[[source]] {source.name}: options.{'.'.join(str(p) for p in f['loc'])}: {f['msg']}" for f in e.errors()]
        raise ConfigError("\n".join(lines)) from e


def _followed(files: MapFiles, adapters: Adapters, opened: Catalogue) -> Catalogue:
    """The catalogue of a set that became active: the one this process opened with, when it is that."""
    return opened if files.digest == opened.version else checked(files, adapters)


def _bind(config: Config, catalogue: Catalogue) -> None:
    """Binds every source; when that fails and the folders hold another set, the next step is to put that into effect."""
    try:
        for source in config.source:
            catalogue.bind(source)
    except (ConfigError, MapError) as e:
        if folder_files(config).digest == catalogue.version:
            raise
        raise ConfigError(f"{e}\n文件夹里的映射与生效的不同; 新的来源配置要先生效: 运行 `yifang map activate`") from e


@dataclass(slots=True)
class Site:
    """An opened site. `start` begins to write, `stop` finishes what was accepted; `close` gives the database back."""

    config: Config
    adapters: Adapters
    clock: Clock
    database: Database
    gateway: Gateway
    indexer: Indexer
    first: Catalogue | None  # the folders' set, when no set was ever active

    @classmethod
    def open(cls, config: Config, adapters: Adapters, clock: Clock | None = None, *, bind: bool = True) -> Site:
        """Opens the database (made and migrated when needed) and the active map set (the folders' set at first start). With `bind` every
        source of the configuration is bound, so that a wrong profile or locator is told now and not at the first message; a set that is
        about to be replaced need not know the sources."""
        clock = clock or SystemClock()
        options = [adapter_options(config, s, adapters) for s in config.source]
        assert len(options) == len(config.source)
        indexer = site_indexer(config)
        database = Database.open(config.store)
        try:
            snapshot = map_sets.active(database)
            if snapshot is None:
                catalogue = checked(folder_files(config), adapters)
            else:
                catalogue = Catalogue(MapFiles.from_snapshot(snapshot), adapters)  # checked when it became active; binding checks what is used
            if bind:
                _bind(config, catalogue)
            gateway = Gateway(config, database, catalogue, clock, indexer=indexer)
            gateway.follow(lambda stored: _followed(MapFiles.from_snapshot(stored), adapters, catalogue))
        except BaseException:
            database.close()
            raise
        return cls(config, adapters, clock, database, gateway, indexer, None if snapshot is not None else catalogue)

    def start(self) -> None:
        """Starts the writer, after an upgrade that changed the search index with all of it built anew; at first start the folders' map set
        becomes the active one."""
        log = structlog.get_logger()
        if not reindex.settle(self.database, self.indexer, lambda p: log.info("search index is built anew", done=p.done, total=p.total)):
            log.warning("own search parameters changed; run `yifang reindex`")
        self.gateway.start()
        if self.first is not None:
            self.gateway.activate(self.first.files.snapshot(), self.first.version, self.first)
            self.first = None

    def stop(self) -> None:
        """Finishes what was accepted and stops writing."""
        self.gateway.close()

    def close(self) -> None:
        """Closes the database; the site must be stopped already."""
        self.database.close()
