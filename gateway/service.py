"""`yifang serve`: the gateway with its feeds, senders and HTTP server, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

import uvicorn
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapter import Adapter, Feed, Layout
from gateway.collector import settle
from gateway.commands import execute
from gateway.config import LOOPBACK, HttpConfig
from gateway.errors import ConfigError, Finding, YifangError
from gateway.http.app import create_app
from gateway.http.commands import Door
from gateway.log import logger
from gateway.notify.figures import Notifications
from gateway.notify.notifier import Notifier
from gateway.occupancy import announce
from gateway.outbox.figures import Outbox
from gateway.outbox.process import OutboxProcess
from gateway.pipeline.gateway import LOOK, Gateway
from gateway.silence import watch
from gateway.site import Site, adapter_options

THREADS = 64
"""Threads for what waits (views polled, folders read, HTTP reads): a slow source must not keep the others from theirs."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a feed that failed starts again: the first and the longest pause."""
PATIENCE = 2.0
"""Seconds that the start waits for sources to say where they listen; those that need longer (a database that is away) follow later."""

SWITCH = 0.0005
"""Seconds after which a thread that computes lets others run. The writer gives way at every statement; with Python's 5 ms it would wait
that long for its turn each time while a lane maps."""


@dataclass(slots=True)
class Service:
    """A running service. listening: source or `http` -> the place it listens on."""

    site: Site
    listening: dict[str, str] = field(default_factory=dict)
    notifiers: list[Notifier] = field(default_factory=list)
    url: str = ""
    listens: asyncio.Event = field(default_factory=asyncio.Event)  # set when every source has said where it listens

    def heard(self, name: str, place: str) -> None:
        """A source (or `http`) listens."""
        self.listening[name] = place
        if all(s.name in self.listening for s in self.site.config.source):
            self.listens.set()

    def reasons(self) -> list[str]:
        """Why messages cannot be accepted now, in Chinese; empty when they can."""
        found = []
        try:
            with self.site.database.engine.connect() as connection:
                connection.execute(select(1))
        except SQLAlchemyError:
            found.append("数据库没有应答; 请检查它是否在运行、磁盘是否已满")
        if not self.site.gateway.writer.alive:
            found.append("写入线程没有运行; 请查看日志并重启网关")
        absent = [s.name for s in self.site.config.source if s.name not in self.listening]
        return found + [f"来源 {name} 尚未开始监听" for name in absent]


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers (the service decides when to stop), which says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Service]:
    """Starts everything and yields when HTTP answers; stops in the reverse order: no new messages, what was accepted is finished, then
    deliveries, then the database. The caller holds the data folder (gateway/occupancy.py)."""
    service = Service(site)
    sys.setswitchinterval(SWITCH)
    settle()
    log = logger("service")
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "yifang-wait"))
    stop = threading.Event()
    with ExitStack() as threads, bind(site.config.http) as listener:
        service.url = url_of(listener)
        await asyncio.to_thread(site.start)
        feeds = [asyncio.create_task(_keep_running(service, i), name=s.name) for i, s in enumerate(site.config.source)]
        feeds.append(asyncio.create_task(watch(site), name="silence"))
        try:
            threads.enter_context(OutboxProcess(site.config))
            _start_notifier(service, stop, threads)
            async with _http(service, listener):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE if site.config.source else 0):
                        await service.listens.wait()
                log.info("serving", count=len(site.config.source), port=service.url.rpartition(":")[2])
                yield service
        finally:
            for feed in feeds:
                feed.cancel()
            await asyncio.gather(*feeds, return_exceptions=True)
            await loop.run_in_executor(None, site.stop)
            stop.set()
            for notifier in service.notifiers:
                notifier.wake()
            await loop.run_in_executor(None, threads.close)
            log.info("stopped")


async def _keep_running(service: Service, index: int) -> None:
    """Runs one feed; a bug in it is logged and remarked, and the feed starts again: one source must not stop the others. It starts
    again too when an activated map set changed the source's profiles: a view's lost column is found as soon as the profile is mended."""
    site = service.site
    source = site.config.source[index]
    adapter = site.adapters[source.adapter]
    intake = site.gateway.intake(source.name)
    feed = Feed(
        source=source,
        options=adapter_options(site.config, source, site.adapters),
        layouts=site.gateway.binding(source.name).layouts,
        intake=intake,
        clock=site.clock,
        ready=lambda place: service.heard(source.name, place.replace("http:/", f"{service.url}/", 1) if place.startswith("http:/ingest") else place),
    )
    pause = FIRST_PAUSE
    while True:
        try:
            mended = await _run_until_mended(site.gateway, adapter, feed)
            if mended is not None:
                feed, pause = replace(feed, layouts=mended), FIRST_PAUSE
                continue
        except asyncio.CancelledError:
            raise
        except Exception as e:
            logger("service").error("feed failed", source=source.name, adapter=source.adapter, exc_info=e)
            intake.remark(Finding("feed-failed", "note", f"来源 {source.name} 的接收程序意外停止, {pause:.0f} 秒后自动重启; 若反复出现请查看日志"))
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
        else:
            if source.name not in service.listening:  # passive: its messages come over HTTP
                service.heard(source.name, f"{service.url}/ingest/{source.name}")
            return


async def _run_until_mended(gateway: Gateway, adapter: Adapter, feed: Feed) -> Sequence[Layout] | None:
    """Runs a feed until it ends (None) or its profiles are others (the new layouts). What a map reads of them is no reason to stop."""

    def present() -> Sequence[Layout]:
        gateway.refresh()
        layouts: Sequence[Layout] = gateway.binding(feed.source.name).layouts
        return layouts

    def shape(layouts: Sequence[Layout]) -> list[Layout]:
        return [replace(layout, used=frozenset()) for layout in layouts]

    running = asyncio.create_task(adapter.run(feed))
    try:
        while not (await asyncio.wait([running], timeout=LOOK))[0]:
            try:
                layouts = await asyncio.to_thread(present)
            except (SQLAlchemyError, YifangError):
                continue  # the database is away, or the set is not for this configuration: the feed goes on as it is
            if shape(layouts) != shape(feed.layouts):
                return layouts
        running.result()
        return None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _start_notifier(service: Service, stop: threading.Event, threads: ExitStack) -> None:
    site = service.site
    notifier = Notifier(site.database, site.config, site.gateway.writer.submit, site.clock)
    notifier.recover()
    service.notifiers.append(notifier)
    for thread in notifier.threads(stop):
        thread.start()
        threads.callback(thread.join)


@asynccontextmanager
async def _http(service: Service, listener: socket.socket) -> AsyncIterator[None]:
    """uvicorn on a socket that is bound already, so that a taken port is a clear error and port 0 is known before anything is announced."""
    site = service.site
    service.listening["http"] = service.url
    registry = site.gateway.metrics.registry
    outbox, notifications = Outbox(site.database, site.clock), Notifications(site.database, site.clock)
    registry.register(outbox)
    registry.register(notifications)
    with ExitStack() as stack:
        door = None
        if site.database.dialect == "sqlite":
            note = stack.enter_context(announce(site.config.store.data, service.url))
            door = Door(note.token, lambda name, arguments: execute(site, name, arguments))
        app = create_app(site, service.reasons, registry, door)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False, proxy_headers=False, timeout_graceful_shutdown=10
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            up = asyncio.create_task(server.up.wait())
            await asyncio.wait((up, task), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                up.cancel()
                task.result()
            yield
        finally:
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await task
            registry.unregister(outbox)
            registry.unregister(notifications)


def bind(config: HttpConfig) -> socket.socket:
    """The listening socket; ConfigError when the address is not loopback or the port is taken."""
    if config.host not in LOOPBACK:  # the configuration refuses it too; this holds for options of the command line
        raise ConfigError(f"HTTP 只能监听本机回环地址, 不能是 {config.host}: 访问控制尚未启用")
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=512)
    except OSError as e:
        raise ConfigError(f"端口 {config.port} 无法监听({e.strerror}): 换一个 --port, 或停止占用它的程序") from e


def url_of(listener: socket.socket) -> str:
    """The address that clients use."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
