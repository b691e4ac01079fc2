"""`yifang serve`, `init`, `token`, `doctor`: running the gateway."""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from gateway.cli.context import DEFAULT, AsJson, ConfigPath, opened, out, run, show
from gateway.config import Config, load, parse, token_hash
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.service import Service

TEMPLATE = """\
# Yifang 医防网关. Every key: docs/configuration.md
base = "https://yifang.invalid/fhir"   # 本部署的标识系统与规范地址; 有数据后不可再改
zone = "Asia/Shanghai"
mappings = "mappings"                  # 本地的映射与来源配置, 覆盖内置的

[http]
host = "127.0.0.1"
port = 8765

[store]
data = "data"

[[source]]
name = "village-posts"
adapter = "restjson"
profiles = ["village_reading/village_post"]
authority = "https://yifang.invalid/systems/village-app"
organisation = "390121103101"            # 机构代码: 该来源所属的机构
silent_after = 72                        # 小时; 超过这么久没有音讯就报告

# [[destination]]
# name = "county-hapi"
# url = "http://127.0.0.1:8080/fhir"
# authorization = "env:COUNTY_HAPI_AUTHORIZATION"
"""


def init(
    folder: Annotated[Path, typer.Argument(help="Folder that gets `yifang.toml` and an empty `mappings` folder.")] = Path(),
) -> None:
    """Write a first configuration file to start from."""
    path = folder / DEFAULT
    if path.exists():
        raise ConfigError(f"{path} 已存在, 未改动")
    (folder / "mappings").mkdir(parents=True, exist_ok=True)
    path.write_text(TEMPLATE, "utf-8")
    out.print(f"已写好 {path}; 下一步: yifang serve", markup=False)


def token() -> None:
    """Make a bearer token for an API client, and the hash that goes into the configuration."""
    made = secrets.token_urlsafe(32)
    out.print(f"token:        {made}", markup=False, soft_wrap=True)
    out.print(f"token_sha256: {token_hash(made)}", markup=False, soft_wrap=True)
    out.print("把 token 交给调用方(只显示这一次), 把 token_sha256 写进 yifang.toml 的 [[client]]。", markup=False)


def with_options(config: Config, host: str | None, port: int | None, data: Path | None, database: str | None) -> Config:
    """The configuration with what the command line says over it; ConfigError as for the file."""
    raw = config.model_dump()
    raw["http"] |= {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    raw["store"] |= {k: v for k, v in (("data", data), ("database", database)) if v is not None}
    try:
        return Config.model_validate(raw).anchored(config.folder)
    except ValidationError as e:
        raise ConfigError("\n".join(f"--{f['loc'][-1]}: {f['msg'].removeprefix('Value error, ')}" for f in e.errors())) from e


def serve(
    config: ConfigPath = DEFAULT,
    host: Annotated[str | None, typer.Option(help="Address instead of http.host; loopback only.")] = None,
    port: Annotated[int | None, typer.Option(help="Port instead of http.port; 0: any free one.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder instead of store.data.")] = None,
    database: Annotated[str | None, typer.Option(help="PostgreSQL URL instead of store.database.")] = None,
) -> None:
    """Run the gateway: listen to all sources, deliver to all destinations, answer HTTP. Ctrl-C ends it in order."""
    gc.disable()  # a start only makes objects that stay; collecting among them costs a tenth of it
    from gateway.log import configure
    from gateway.service import serving

    loaded = load(config) if config.exists() or config != DEFAULT else parse({})
    chosen = with_options(loaded, host, port, data, database)
    configure(chosen.log)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM"):
            try:
                loop.add_signal_handler(getattr(signal, name), stop.set)
            except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
                break
        async with serving(site) as service:
            announce(service)
            gc.freeze()
            gc.enable()
            await stop.wait()

    with opened(chosen, started=False) as site, asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(main())


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop, which spends less processor time on a connection than asyncio's; None where it does not exist (Windows)."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def announce(service: Service) -> None:
    """Tells on standard output where the gateway listens."""
    out.print(f"Yifang 医防网关 {service.url}/fhir", markup=False, soft_wrap=True)
    for name, place in service.listening.items():
        if name != "http":
            out.print(f"  {name}: {place}", markup=False, soft_wrap=True)


def doctor(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Check configuration, maps, database, sources and destinations; exit 1 when something needs a person."""
    report = run(config, "doctor")
    show(report if as_json else report["checks"], as_json, (("name", "检查"), ("state", "状态"), ("text", "说明")), "yifang doctor")
    if any(c["state"] == "fault" for c in report["checks"]):
        raise typer.Exit(1)


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    for function in (serve, init, token, doctor):
        app.command()(function)
