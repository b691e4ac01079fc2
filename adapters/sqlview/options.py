"""Options of the sqlview adapter: the front-end database, and how a profile polls its view."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gateway.adapter import local

__all__ = ["SqlViewOptions", "SqlViewProfileOptions"]

NAME = re.compile(r"[^\W\d][\w$#]*(\.[^\W\d][\w$#]*)?")
"""A column, view or `schema.view`; letters may be Chinese."""


class SqlViewOptions(BaseModel):
    """[source.options] of a source with adapter = "sqlview"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        description="SQLAlchemy URL of the front-end database, an SQLite path relative to the folder of `yifang.toml`; `env:NAME` reads it.",
        repr=False,
    )
    poll: float = Field(10.0, gt=0, description="Seconds between polls.")
    batch: int = Field(500, ge=1, le=10_000, description="Rows a message.")
    timeout: float = Field(30.0, gt=0, description="Seconds a query or a lock is waited for.")
    sweep: float = Field(0.0, ge=0, description="Seconds between searches for rows that vanished; 0: none.")
    sweep_days: float = Field(30.0, gt=0, description="Rows are watched for vanishing while their stamp is at most so many days behind the newest.")
    retry_limit: float = Field(300.0, gt=0, description="Longest pause in seconds after a fault.")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str, info: ValidationInfo) -> str:
        if value.startswith("env:"):
            found = os.environ.get(value[4:])
            if found is None:
                raise ValueError(f"环境变量 {value[4:]} 未设置")
            value = found
        try:
            url = make_url(value)
        except ArgumentError as fault:
            raise ValueError("不是合法的 SQLAlchemy URL, 应如 postgresql+psycopg://user@host/database") from fault
        if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":memory:", "file:")):
            return value
        return url.set(database=str(local(Path(url.database), info))).render_as_string(hide_password=False)


class SqlViewProfileOptions(BaseModel):
    """[options] of a source profile with adapter = "sqlview"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    view: str = Field(pattern=NAME.pattern, description="View or table, `schema.view` where needed.")
    key: list[str] = Field(min_length=1, description="Columns that together are unique in the view.")
    stamp: str = Field("", description="Column of the change stamp; empty: the whole view is read and compared at every poll.")
    lateness: float = Field(900.0, ge=0, description="Seconds that a row may be committed later than its stamp says; so far back is read again.")
    since: str = Field("", description="Rows stamped before this are never read; empty: all are.")
    voided: str = Field(
        "", pattern=r"^$|^[^=\s]+=.+$", description="`column=value` by which the vendor marks a row as void; vanished rows are sent with it."
    )
    optional: list[str] = Field(default_factory=list, description="Columns that the view itself may lack without the polling being stopped.")
