"""`yifang.toml`: the one configuration file, checked whole at start. Secrets come from the environment (`env:NAME`), never from the file.

docs/configuration.md is generated from the descriptions here (`python -m tools.references`).
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from gateway.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Section(BaseModel):
    """A table of the file; an unknown key is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpConfig(Section):
    """The HTTP server: FHIR reads, message intake, health and metrics."""

    host: str = Field("127.0.0.1", description="Address to listen on. Only loopback until access control exists.")
    port: int = Field(8765, ge=0, le=65535, description="Port; 0 lets the system choose.")
    max_body: int = Field(16 * 2**20, gt=0, description="Largest HTTP body in bytes; a larger one is answered 413 and kept by its head and digest.")
    check_references: bool = Field(
        False,
        description="Refuse writes by API that refer to what is not here; by default they are accepted, since a result may come before its order.",
    )
    async_running: int = Field(4, ge=1, description="Asynchronous requests (`Prefer: respond-async`) that one client may have in work; more is 429.")
    async_kept: int = Field(100, ge=1, description="Answers of asynchronous requests that are kept of one client; the oldest make room.")
    async_hours: float = Field(24.0, gt=0, description="Hours after which an asynchronous request is forgotten, with its answer.")

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        if host not in LOOPBACK:
            raise ValueError(
                f"HTTP 只能监听本机回环地址(127.0.0.1、::1、localhost), 不能是 {host}: 访问控制尚未启用, 对外监听会让任何人读到居民档案。"
                "请改回 127.0.0.1, 需要远程访问时由同机的反向代理或 SSH 隧道转入"
            )
        return host


class StoreConfig(Section):
    """Where the gateway keeps what passed through it."""

    data: Path = Field(Path("data"), description="Folder of the embedded SQLite database; relative to the configuration file.")
    database: str | None = Field(
        None,
        description="SQLAlchemy URL of PostgreSQL instead, e.g. `postgresql+psycopg://yifang@/yifang`; `env:NAME` reads it from there.",
    )
    chunk: int = Field(1 << 20, ge=4096, description="Originals are stored in chunks of this many bytes.")
    group: int = Field(64, ge=1, description="At most this many waiting messages share one commit.")
    waiting: int = Field(256, ge=1, description="Messages that may wait for the writer before senders feel back-pressure.")
    backlog: int = Field(
        10_000,
        ge=0,
        description="Messages of one source that may be acknowledged (HL7 v2 under load) and not yet mapped; beyond it an "
        "acknowledgement waits for the outcome. 0: every acknowledgement waits.",
    )
    backlog_bytes: int = Field(64 * 2**20, ge=0, description="The same in bytes: what stands in memory until it is mapped.")


class SourceConfig(Section):
    """One configured feed: adapter + source profiles + organisation."""

    name: Name = Field(description="Name of the feed, e.g. `town-a-lis`; part of URLs and metrics.")
    adapter: str = Field(description="Adapter name: sqlview, hl7v2, cda, sheet, restjson or one installed beside them.")
    profiles: list[str] = Field(min_length=1, description="Source profiles as `dataset/profile`, e.g. `hypertension_followup/spreadsheet_a`.")
    authority: str = Field(description="Fixed URI of the issuing system, shared by all its feeds; part of every record's identity.")
    organisation: str = Field(description="Code of the organisation that the feed belongs to (custodian of what it sends).")
    zone: str = Field("Asia/Shanghai", description="Time zone of times that carry none.")
    silent_after: float | None = Field(None, gt=0, description="Hours without a word after which the source is reported as silent.")
    tokens: list[str] = Field(
        default_factory=list, description="Names of clients that may post to this source over HTTP; empty: any caller of its organisation."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the adapter (see its page).")

    @field_validator("profiles")
    @classmethod
    def _shape(cls, profiles: list[str]) -> list[str]:
        for p in profiles:
            if not re.fullmatch(r"[a-z0-9_]+/[a-z0-9_]+", p):
                raise ValueError(f"`{p}` should be `dataset/profile`, e.g. `hypertension_followup/spreadsheet_a`")
        return profiles

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        return known_zone(zone)


class DestinationConfig(Section):
    """A FHIR server that everything is delivered to."""

    name: Name = Field(description="Name of the destination, e.g. `county-hapi`.")
    url: str = Field(description="FHIR base, e.g. `http://10.0.0.5:8080/fhir`.")
    authorization: str | None = Field(None, description="Value of the Authorization header; give it as `env:NAME`.")
    verify: bool | str = Field(True, description="TLS verification: true, or the path of a CA bundle.")
    timeout: float = Field(30.0, gt=0, description="Seconds to wait for an answer.")
    parallel: int = Field(4, ge=1, le=64, description="Lanes sent at the same time.")
    max_entries: int = Field(500, ge=1, le=5000, description="Largest transaction Bundle.")
    retry_first: float = Field(1.0, gt=0, description="Seconds before the first repeat; doubles with jitter.")
    retry_limit: float = Field(300.0, gt=0, description="Longest pause between repeats in seconds.")
    keep_done: float = Field(30.0, ge=0, description="Days that a finished delivery is kept; what the destination has is known without it.")


class NotifyConfig(Section):
    """Subscriptions: whom the gateway may notify, and how long it tries (docs/subscriptions.md)."""

    endpoints: list[str] = Field(
        default_factory=list,
        description="Addresses that a Subscription may name: exactly, or everything below one that ends in `/`. Empty: none is accepted.",
    )
    address: str | None = Field(
        None, description="FHIR base as receivers reach this gateway, for the references in notifications; by default `base`."
    )
    verify: bool | str = Field(True, description="TLS verification of receivers: true, or the path of a CA bundle.")
    timeout: float = Field(30.0, gt=0, description="Seconds to wait for a receiver; a Subscription may ask for less.")
    parallel: int = Field(4, ge=1, le=64, description="Receivers that are notified at the same time.")
    retry_first: float = Field(1.0, gt=0, description="Seconds before the first repeat; doubles with jitter.")
    retry_limit: float = Field(300.0, gt=0, description="Longest pause between repeats in seconds.")
    give_up: float = Field(72.0, gt=0, description="Hours without success after which a Subscription becomes `error`; nothing is lost by it.")
    keep_events: float = Field(30.0, gt=0, description="Days that an event which was delivered can be asked for again with `$events`.")

    @field_validator("endpoints")
    @classmethod
    def _addresses(cls, endpoints: list[str]) -> list[str]:
        for endpoint in endpoints:
            parts = urlsplit(endpoint)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
                raise ValueError(f"`{endpoint}` should be an absolute http(s) URL without user, query and fragment")
        return endpoints


class ClientConfig(Section):
    """A caller of the API: (client, organisation, role) behind a bearer token."""

    name: Name = Field(description="Name of the client system.")
    organisation: str = Field(description="Code of the organisation it acts for.")
    role: str = Field(description="Role it acts in, e.g. `clinician`, `auditor`, `operator`.")
    token_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its bearer token, hex: `yifang token` makes both.")


class LogConfig(Section):
    """Structured logs, one JSON object a line; never patient data."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is written.")
    file: Path | None = Field(None, description="File instead of standard error.")


class Config(Section):
    """The whole file."""

    base: str = Field(
        "https://yifang.invalid/fhir",
        description="Canonical base of identifiers and profiles that this deployment issues; never changes once records were written.",
    )
    zone: str = Field("Asia/Shanghai", description="Time zone of the county.")
    mappings: Path | None = Field(None, description="The site's own mappings folder; lies over the built-in one, file by file.")
    profiles: Path | None = Field(
        None, description="The site's own profiles folder: its search parameters `SearchParameter-*.json`, its `views/*.json`."
    )
    http: HttpConfig = Field(HttpConfig(), description="HTTP server.")
    store: StoreConfig = Field(StoreConfig(), description="Store.")
    log: LogConfig = Field(LogConfig(), description="Logs.")
    source: list[SourceConfig] = Field(default_factory=list, description="Feeds.")
    destination: list[DestinationConfig] = Field(default_factory=list, description="FHIR servers to deliver to; none: the gateway stands alone.")
    notify: NotifyConfig = Field(NotifyConfig(), description="Subscriptions.")
    client: list[ClientConfig] = Field(default_factory=list, description="Callers of the API; none: the one `demo` caller from loopback.")
    _folder: Path = PrivateAttr(Path())

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        return known_zone(zone)

    @field_validator("base")
    @classmethod
    def _base(cls, base: str) -> str:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("should be an absolute http(s) URL")
        return base.rstrip("/")

    @model_validator(mode="after")
    def _unique(self) -> Config:
        for kind in ("source", "destination", "client"):
            names = [item.name for item in getattr(self, kind)]
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"[[{kind}]] name used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _tokens(self) -> Config:
        known = {c.name for c in self.client}
        for source in self.source:
            for name in source.tokens:
                if name not in known:
                    raise ValueError(f"[[source]] {source.name}: tokens names `{name}`, but there is no [[client]] of that name")
        return self

    @property
    def folder(self) -> Path:
        """The file's folder, which relative paths are taken from; those in the `options` of a source too."""
        return self._folder

    def anchored(self, folder: Path) -> Config:
        """The same configuration as that of a file in this folder."""
        made = self.model_copy()
        made._folder = folder
        return made

    def source_named(self, name: str) -> SourceConfig:
        """The source of that name; ConfigError when there is none."""
        for s in self.source:
            if s.name == name:
                return s
        known = "、".join(s.name for s in self.source) or "(无)"
        raise ConfigError(f"yifang.toml 里没有名为 {name} 的 [[source]]; 已有: {known}")


def known_zone(zone: str) -> str:
    """The zone's name when the machine knows it; ValueError otherwise."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as e:
        raise ValueError(f"unknown time zone {zone}") from e
    return zone


def load(path: Path) -> Config:
    """Reads and checks `yifang.toml`. Relative paths are taken from the file's folder. Raises ConfigError with every fault, one a line."""
    try:
        text = path.read_text("utf-8")
    except OSError as e:
        raise ConfigError(f"{path}: 读不到配置文件({e.strerror}); 用 `yifang init` 生成一份, 或用 --config 指明") from e
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"{path}: 不是合法的 TOML: {e}") from e
    return parse(raw, path)


def parse(raw: dict[str, Any], path: Path = Path("yifang.toml")) -> Config:
    """Checks a configuration that was read already; `path` is named in faults and anchors relative paths."""
    try:
        config = Config.model_validate(raw)
    except ValidationError as e:
        lines = [f"{path}: {'.'.join(str(p) for p in f['loc']) or '(file)'}: {f['msg'].removeprefix('Value error, ')}" for f in e.errors()]
        raise ConfigError("\n".join(lines)) from e
    root = path.parent
    store = config.store.model_copy(update={"data": root / config.store.data, "database": secret(config.store.database)})
    destinations = [d.model_copy(update={"authorization": secret(d.authorization), "verify": _bundle(d.verify, root)}) for d in config.destination]
    mappings, profiles = (root / folder if folder else None for folder in (config.mappings, config.profiles))
    notify = config.notify.model_copy(update={"verify": _bundle(config.notify.verify, root)})
    log = config.log.model_copy(update={"file": root / config.log.file if config.log.file else None})
    opened = {"store": store, "destination": destinations, "mappings": mappings, "profiles": profiles, "notify": notify, "log": log}
    return config.model_copy(update=opened).anchored(root)


def _bundle(verify: bool | str, root: Path) -> bool | str:
    """TLS verification with the CA bundle's path taken from the file's folder."""
    return verify if isinstance(verify, bool) else str(root / verify)


def secret(value: str | None) -> str | None:
    """The value itself, or for `env:NAME` the environment variable; ConfigError when that is unset."""
    if value is None or not value.startswith("env:"):
        return value
    name = value[4:]
    found = os.environ.get(name)
    if found is None:
        raise ConfigError(f"环境变量 {name} 未设置(配置里写作 {value})")
    return found


def token_hash(token: str) -> str:
    """SHA-256 of a bearer token, hex, as `client.token_sha256` wants it."""
    return hashlib.sha256(token.encode()).hexdigest()
