"""Every function of the notation does what its examples say; the examples are its documentation."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.mapping.functions import REGISTRY, Env, Example, Fault, Function, load_all

load_all()
ENV = Env(zone="Asia/Shanghai", authority="urn:example:lis", base="https://y.test/fhir", organisation="390101001")
CASES = [pytest.param(f, e, id=f"{f.name}-{i}") for f in REGISTRY.values() for i, e in enumerate(f.examples)]


def call(f: Function, value: Any, args: tuple[Any, ...]) -> Any:
    return f.call(ENV, value, *args) if f.env else f.call(value, *args)


@pytest.mark.parametrize(("f", "example"), CASES)
def test_example(f: Function, example: Example) -> None:
    result = call(f, example.value, example.args)
    if isinstance(example.result, Fault):
        assert isinstance(result, Fault) and result.code == example.result.code
    else:
        assert result == example.result
        assert repr(result) == repr(example.result), "precision and types, too"


@pytest.mark.parametrize("f", REGISTRY.values(), ids=lambda f: f.name)
def test_specification_is_complete(f: Function) -> None:
    assert re.search(r"[\u4e00-\u9fff]", f.doc), "one sentence in Chinese"
    assert f.examples
    assert f.optional <= len(f.args)
    assert f.call.__doc__
    for e in f.examples:
        assert len(f.args) - f.optional <= len(e.args) <= len(f.args)


@pytest.mark.parametrize("f", REGISTRY.values(), ids=lambda f: f.name)
def test_faults_speak_chinese_and_quote_nothing_secret(f: Function) -> None:
    for e in f.examples:
        result = call(f, e.value, e.args)
        if isinstance(result, Fault):
            assert re.fullmatch(r"[a-z0-9-]+", result.code)
            assert "请" in result.message or "; " in result.message, "what was found, what was expected, the next step"
