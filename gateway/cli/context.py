"""What commands share: the configuration, the adapters found, and running a command here or in the gateway that serves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from gateway.commands import execute
from gateway.config import Config, load
from gateway.errors import BY_NAME, ConfigError, MapError, TransientError, YifangError
from gateway.occupancy import Server, occupy, running

if TYPE_CHECKING:  # heavy modules are imported where they are needed: help and commands through a running gateway start fast
    from gateway.adapter import Adapter
    from gateway.site import Site

ConfigPath = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", envvar="YIFANG_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
DEFAULT = Path("yifang.toml")

out = Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def adapters() -> dict[str, Adapter]:
    """All installed adapters by name, from the entry points `gateway.adapters`. ConfigError when one cannot be loaded."""
    found: dict[str, Adapter] = {}
    for point in entry_points(group="gateway.adapters"):
        try:
            adapter = point.load()
        except Exception as e:
            raise ConfigError(f"适配器 {point.name} 无法加载({type(e).__name__}: {e}); 请检查它的安装") from e
        found[adapter.name] = adapter
    return found


@contextmanager
def opened(config: Config, *, started: bool = True, bind: bool = True) -> Iterator[Site]:
    """The site with its gateway started, held exclusively when the database is embedded. bind: as Site.open has it."""
    from gateway.site import Site

    with _held(config):
        site = Site.open(config, adapters(), bind=bind)
        try:
            if started:
                site.start()
            yield site
        finally:
            if started:
                site.stop()
            site.close()


@contextmanager
def _held(config: Config) -> Iterator[None]:
    if config.store.database:
        yield
    else:
        with occupy(config.store.data):
            yield


class Runner:
    """Runs commands for one configuration: through the gateway that serves the embedded database, else on the opened site."""

    def __init__(self, config: Config, *, bind: bool = True) -> None:
        self.config = config
        self.bind = bind
        self.server = None if config.store.database else running(config.store.data)
        self._site: Site | None = None

    @contextmanager
    def open(self) -> Iterator[Runner]:
        """Opens the site for several commands when no gateway is serving it."""
        if self.server is not None:
            yield self
            return
        with opened(self.config, bind=self.bind) as site:
            self._site = site
            try:
                yield self
            finally:
                self._site = None

    def __call__(self, name: str, **arguments: Any) -> Any:
        """The command's JSON value."""
        if self.server is not None:
            return _through(self.server, name, arguments)
        if self._site is not None:
            return execute(self._site, name, arguments)
        with self.open():
            return self(name, **arguments)


def _through(server: Server, name: str, arguments: dict[str, Any]) -> Any:
    import requests

    try:
        answer = requests.post(
            f"{server.url}/commands/{name}",
            data=orjson.dumps(arguments),
            headers={"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
            timeout=3600,
        )
    except requests.RequestException as e:
        raise TransientError(f"正在运行的网关(进程 {server.pid})没有应答; 请稍后再试, 或查看它的日志") from e
    if answer.status_code == 200:
        return orjson.loads(answer.content)
    try:
        texts = [i["details"]["text"] for i in answer.json()["issue"]]
    except (ValueError, KeyError, TypeError):
        texts = [f"正在运行的网关答复 {answer.status_code}"]
    kind = BY_NAME.get(answer.headers.get("X-Yifang-Error", ""), YifangError)
    if kind is ConfigError:
        texts.append(f"(答复来自正在运行的网关, 进程 {server.pid}: 它用的是启动时的配置, 改过 yifang.toml 后请重启它)")
    raise MapError(texts) if kind is MapError else kind("\n".join(texts))


def run(config: Path, name: str, **arguments: Any) -> Any:
    """Loads the configuration and runs one command."""
    return Runner(load(config))(name, **arguments)


def answering(group: typer.Typer, command: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of `group` of a function that only says what it takes (its parameters, their help, and its docstring): the command
    of that name on the site runs with it, and its answer is shown. The configuration and --json come with it."""

    def made(said: Callable[..., None]) -> Callable[..., None]:
        def call(config: Path, as_json: bool, **taken: Any) -> None:
            show(run(config, command, **taken), as_json)

        common = {"config": (ConfigPath, DEFAULT), "as_json": (AsJson, False)}
        own = [Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default) for name, (kind, default) in common.items()]
        whole = signature(said, eval_str=True)
        call.__signature__ = whole.replace(parameters=[*whole.parameters.values(), *own])  # type: ignore[attr-defined]  # inspect reads it
        call.__annotations__, call.__doc__ = {}, said.__doc__
        group.command(command.rpartition(".")[2])(call)
        return said

    return made


def show(value: Any, as_json: bool, columns: Sequence[tuple[str, str]] = (), title: str = "") -> None:
    """Prints JSON, or a table of the columns (key, heading) of a list of objects, or the pairs of one object."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return
    if isinstance(value, list):
        table = Table(title=title or None, title_justify="left")
        for _, heading in columns:
            table.add_column(heading, overflow="fold")
        for row in value:
            table.add_row(*(cell(row.get(key)) for key, _ in columns))
        out.print(table if value else f"{title}: 无" if title else "无")
        return
    for key, heading in columns or [(k, k) for k in value]:
        out.print(f"{heading}: {cell(value.get(key))}", markup=False, soft_wrap=True)


def cell(value: Any) -> str:
    """A value in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, list) and all(isinstance(v, str) for v in value):  # the parts of a business key
        return " / ".join(value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
