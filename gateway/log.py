"""Structured logs: one JSON object a line, and never patient data.

Events carry names, counts, ids and codes only. `scrub` is the last processor: it drops every key that is not on the list of what may
be logged, so that a careless call cannot leak a name or a number; an exception is logged by type and place, never by its text.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.config import LogConfig

ALLOWED = frozenset(
    "event level timestamp source adapter destination message record count seconds state code severity status method route client "
    "organisation role address port pid version path file rows bytes attempt wait dataset profile map_set type error at lane resources "
    "held refused mapped queue request_id hours subscription".split()
)
"""Keys that may stand in a log line; values are names, numbers and codes, never field values, findings' messages or URLs with queries."""


def scrub(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keeps the allowed keys; an exception becomes its type and the innermost place in the code."""
    info = event.pop("exc_info", None)
    fault = info[1] if isinstance(info, tuple) else info if isinstance(info, BaseException) else sys.exc_info()[1] if info else None
    kept = {k: v for k, v in event.items() if k in ALLOWED or k in ("_record", "_from_structlog")}
    if fault is not None:
        kept["error"], kept["at"] = type(fault).__name__, place(fault)
    return kept


def place(fault: BaseException) -> str:
    """Where an exception was raised: file:line of the innermost four calls, never its text or source lines."""
    places = traceback.extract_tb(fault.__traceback__)
    return " < ".join(f"{Path(p.filename).name}:{p.lineno}" for p in reversed(places[-4:]))


def _thread_failed(arguments: threading.ExceptHookArgs) -> None:
    """What a thread died of, by type and place; Python's own hook would print the exception's text."""
    logger("thread").error("thread failed", exc_info=arguments.exc_value)


def _process_failed(_type: type[BaseException], fault: BaseException, _trace: object) -> None:
    """The same for the process."""
    logger("process").error("process failed", exc_info=fault)


def configure(config: LogConfig) -> None:
    """Sets structlog and the standard library's logging to JSON lines on standard error or in the configured file."""
    level = logging.getLevelName(config.level.upper())
    if config.file is not None:
        config.file.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.FileHandler(config.file, encoding="utf-8", delay=True)
    else:
        handler = logging.StreamHandler(sys.stderr)
    shared: list[Any] = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), scrub]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer(ensure_ascii=False)],
            foreign_pre_chain=[*shared, _library],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for noisy in ("uvicorn.access", "sqlalchemy.engine", "urllib3", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # it would write query strings; the request log is ours
    logging.captureWarnings(True)
    threading.excepthook = _thread_failed
    sys.excepthook = _process_failed


def _library(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Lines of libraries keep their logger's name only: their text may quote a URL, a statement or its parameters."""
    record = event.get("_record")
    event["event"] = f"library {record.name}" if isinstance(record, logging.LogRecord) else "library"
    return event


class Lines:
    """Writes a line of a fixed shape without the processors, which cost a fifth of a read: for what is told once a request. The keys are
    those of ALLOWED by construction; a test compares the line with what a logger writes."""

    def __init__(self, name: str, event: str) -> None:
        self._slow = logger(name)
        self._event = event

    def info(self, **fields: Any) -> None:
        """One line of level info."""
        root = logging.getLogger()
        handler = root.handlers[0] if root.handlers and isinstance(root.handlers[0].formatter, structlog.stdlib.ProcessorFormatter) else None
        if not isinstance(handler, logging.StreamHandler) or getattr(handler, "stream", None) is None:
            self._slow.info(self._event, **fields)
            return
        if root.level > logging.INFO:
            return
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = msgspec.json.encode({**fields, "event": self._event, "level": "info", "timestamp": moment}).decode() + "\n"
        with handler.lock or contextlib.nullcontext():
            handler.stream.write(line)
            handler.flush()


def logger(name: str) -> Any:
    """A bound logger; `name` says which part speaks."""
    return structlog.get_logger(name)
