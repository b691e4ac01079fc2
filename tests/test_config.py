"""`yifang.toml`: every key is described, a fault names its place and the next step, secrets come from the environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.config import Config, load, parse, secret, token_hash
from gateway.errors import ConfigError
from tools.references import configuration, models_in

SOURCE = {"name": "s", "adapter": "restjson", "profiles": ["village_reading/village_post"], "authority": "https://x.invalid/a", "organisation": "1"}
CLIENT = {"name": "c", "organisation": "1", "role": "r", "token_sha256": token_hash("t")}


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str | None]]:
    """Every key of the file with its description."""
    for name, field in model.model_fields.items():
        nested = models_in(field.annotation)
        yield f"{path}{name}", field.description
        for below in nested:
            yield from keys(below, f"{path}{name}.")


@pytest.mark.parametrize(("key", "description"), list(keys(Config)), ids=lambda v: v if isinstance(v, str) and "." in v else "")
def test_every_key_is_described_and_stands_on_the_page(key: str, description: str | None) -> None:
    assert description and description.endswith(".")
    name = key.rpartition(".")[2]
    page = configuration()
    assert f"| `{name}` |" in page or f"[{name}]" in page


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"htp": {}}, "yifang.toml: htp: "),
        ({"http": {"prot": 1}}, "yifang.toml: http.prot: "),
        ({"http": {"port": "many"}}, "yifang.toml: http.port: "),
        ({"http": {"port": 70000}}, "http.port"),
        ({"http": {"host": "0.0.0.0"}}, "访问控制尚未启用"),
        ({"http": {"host": "192.168.1.2"}}, "本机回环地址"),
        ({"zone": "Asia/Atlantis"}, "unknown time zone Asia/Atlantis"),
        ({"base": "yifang"}, "absolute http(s) URL"),
        ({"source": [{"name": "Town A"}]}, "source.0.name"),
        ({"source": [{k: v for k, v in SOURCE.items() if k != "authority"}]}, "source.0.authority: Field required"),
        ({"source": [SOURCE | {"profiles": ["village_post"]}]}, "should be `dataset/profile`"),
        ({"source": [SOURCE | {"profiles": []}]}, "source.0.profiles"),
        ({"source": [SOURCE | {"colour": "red"}]}, "source.0.colour"),
        ({"source": [SOURCE, SOURCE]}, "[[source]] name used twice: s"),
        ({"source": [SOURCE | {"silent_after": 0}]}, "source.0.silent_after"),
        ({"source": [SOURCE | {"tokens": ["nobody"]}], "client": [CLIENT]}, "tokens names `nobody`, but there is no [[client]]"),
        ({"client": [CLIENT | {"token_sha256": "secret"}]}, "client.0.token_sha256"),
        ({"destination": [{"name": "d"}]}, "destination.0.url"),
        ({"log": {"level": "chatty"}}, "log.level"),
    ],
    ids=lambda v: "" if isinstance(v, dict) else v,
)
def test_a_fault_names_the_file_and_the_key(raw: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(raw)
    assert says in str(found.value)
    assert str(found.value).startswith("yifang.toml: ")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as found:
        parse({"http": {"port": -1, "prot": 1}, "zone": "x"})
    assert len(str(found.value).splitlines()) == 3


def test_a_missing_or_broken_file_is_a_sentence_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="yifang init"):
        load(tmp_path / "yifang.toml")
    (tmp_path / "yifang.toml").write_text("[http\nport = 1", "utf-8")
    with pytest.raises(ConfigError, match=r"不是合法的 TOML.*line 1"):
        load(tmp_path / "yifang.toml")


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTY_TOKEN", "Bearer abc")
    raw = {"destination": [{"name": "d", "url": "http://h/fhir", "authorization": "env:COUNTY_TOKEN"}], "store": {"database": "env:COUNTY_DB"}}
    with pytest.raises(ConfigError, match="COUNTY_DB"):
        parse(raw)
    monkeypatch.setenv("COUNTY_DB", "postgresql+psycopg://u@h/d")
    config = parse(raw)
    assert (config.destination[0].authorization, config.store.database) == ("Bearer abc", "postgresql+psycopg://u@h/d")
    assert (secret("plain"), secret(None)) == ("plain", None)


def test_relative_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "yifang.toml").write_text('mappings = "maps"\n[store]\ndata = "d"\n[log]\nfile = "l/y.log"\n', "utf-8")
    config = load(tmp_path / "yifang.toml")
    assert (config.mappings, config.store.data, config.log.file) == (tmp_path / "maps", tmp_path / "d", tmp_path / "l/y.log")


def test_an_empty_file_is_a_gateway_that_stands_alone() -> None:
    config = parse({})
    assert (config.http.host, config.source, config.destination, config.client) == ("127.0.0.1", [], [], [])
