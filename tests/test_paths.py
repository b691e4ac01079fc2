"""Relative paths of the configuration are taken from the file's folder, those in the options of a source too (docs/configuration.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from adapters.cda.options import NO_FOLDER
from gateway.cli.context import adapters
from gateway.cli.operate import with_options
from gateway.config import Config, load
from gateway.site import adapter_options

SOURCE = """
[[source]]
name = "{adapter}"
adapter = "{adapter}"
profiles = ["form/any"]
authority = "https://yifang.invalid/systems/any"
organisation = "390121101001"
options = {options}
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Options of one source as its feed gets them, when the command runs in another folder than the file's."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def read(adapter: str, written: str) -> Any:
        file = tmp_path / "site" / "yifang.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(SOURCE.format(adapter=adapter, options=written), "utf-8")
        config: Config = with_options(load(file), None, 0, None, None)  # what `yifang serve --port 0` makes of it
        return adapter_options(config, config.source[0], adapters())

    return read


@pytest.mark.parametrize("adapter", ["sheet", "cda"])
def test_a_watched_folder_is_in_the_files_folder(options: Any, adapter: str, tmp_path: Path) -> None:
    assert options(adapter, '{ folder = "inbox/new" }').folder == tmp_path / "site" / "inbox" / "new"
    assert options(adapter, f"{{ folder = '{tmp_path / 'share'}' }}").folder == tmp_path / "share"


def test_documents_by_post_only_need_no_folder(options: Any) -> None:
    assert options("cda", "{}").folder == NO_FOLDER


def test_an_sqlite_front_end_database_is_in_the_files_folder(options: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def database(url: str) -> str | None:
        return make_url(options("sqlview", f'{{ url = "{url}" }}').url).database

    assert database("sqlite:///his.sqlite3") == str(tmp_path / "site" / "his.sqlite3")
    assert database(f"sqlite:///{tmp_path.as_posix()}/his.sqlite3") == str(tmp_path / "his.sqlite3")
    assert database("sqlite:///:memory:") == ":memory:"
    monkeypatch.setenv("FRONT", "sqlite:///front/his.sqlite3?timeout=5")
    assert database("env:FRONT") == str(tmp_path / "site" / "front" / "his.sqlite3")
    server = "postgresql+psycopg://reader:p%40ss@10.0.0.5/his"
    assert options("sqlview", f'{{ url = "{server}" }}').url == server


def test_other_paths_are_in_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "yifang.toml"
    file.write_text('mappings = "m"\n[log]\nfile = "y.log"\n[[destination]]\nname = "hapi"\nurl = "https://h/fhir"\nverify = "ca.pem"\n', "utf-8")
    monkeypatch.chdir("/")
    config = load(file)
    assert (config.mappings, config.log.file, config.store.data) == (tmp_path / "m", tmp_path / "y.log", tmp_path / "data")
    assert config.destination[0].verify == str(tmp_path / "ca.pem")
