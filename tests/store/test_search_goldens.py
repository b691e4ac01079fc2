"""Whatever a search parameter reads of a resource that our maps write finds it; the same with letters behind it does not.

https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.builtin import MAPPINGS
from gateway.errors import Refused
from gateway.fhir.elements import load
from gateway.fhir.query import escape, parse_query
from gateway.store.index.reading import extracted
from tests.datasets.goldens import goldens
from tests.store.index_harness import SCOPE, Store, open_store

ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country", "family", "given", "prefix", "suffix")


def samples() -> list[dict[str, Any]]:
    """Every resource of every accepted example, each with an id of its own."""
    datasets = sorted(p.parent.name for p in MAPPINGS.glob("*/*/fields.csv"))
    found = [resource for name in datasets for golden in goldens(name).values() for resource in golden.resources]
    return [resource | {"id": f"g{n}"} for n, resource in enumerate(found)]


def asked(kind: str, value: Any) -> Iterator[str]:
    """What a caller would search by for this value."""
    if kind == "token":
        codings = value.get("coding", [value]) if isinstance(value, dict) else [{"code": str(value).lower() if isinstance(value, bool) else value}]
        for coding in codings:
            code = coding.get("code") or coding.get("value")
            yield from [escape(code), f"{escape(coding['system'])}|{escape(code)}"] if code and "use" not in coding and "system" in coding else []
            yield from [escape(code)] if code else []
    elif kind == "string" and isinstance(value, dict):
        for name in ADDRESS:
            held = value.get(name, ())
            yield from (escape(text) for text in ([held] if isinstance(held, str) else held))
    elif kind == "reference" and isinstance(value, dict):
        yield from [escape(value["reference"])] if "reference" in value else []
    elif kind == "date" and isinstance(value, dict):
        yield from (prefix + value[end] for prefix, end in (("ge", "start"), ("le", "end")) if end in value)
    elif kind == "quantity" and isinstance(value, dict):
        prefix = {"<": "lt", ">": "gt", "<=": "le", ">=": "ge"}.get(value.get("comparator", ""), "")
        yield from [f"{prefix}{value['value']}|{value['system']}|{value['code']}"] if {"value", "system", "code"} <= value.keys() else []
    elif not isinstance(value, dict):
        yield escape(str(value))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[dict[str, Any]]]]:
    with open_store("sqlite", tmp_path_factory.mktemp("goldens")) as opened:
        resources = samples()
        opened.put(*resources)
        yield opened, resources


@pytest.mark.slow  # test_search.py asks for each kind of parameter
def test_every_value_finds_its_resource_and_nothing_longer_does(held: tuple[Store, list[dict[str, Any]]]) -> None:
    store, resources = held
    said = 0
    with store.engine.connect() as connection:

        def finds(resource: dict[str, Any], code: str, value: str) -> bool:
            query = parse_query([("_id", resource["id"]), (code, value)])
            page = store.searcher.search(connection, resource["resourceType"], query, SCOPE)
            assert not page.ignored
            return bool(page.rows)

        for resource in resources:
            type_ = resource["resourceType"]
            for code, parameter in load().search(type_).items():
                if parameter.type in ("composite", "special") or not parameter.expression:
                    continue
                values = extracted(load(), type_, parameter.expression)(resource)
                for text in dict.fromkeys(text for _, _, value in values for text in asked(parameter.type, value)):
                    said += 1
                    assert finds(resource, code, text), f"{type_}?{code}={text} misses {resource}"
                    try:
                        assert not finds(resource, code, text + "xyzq"), f"{type_}?{code}={text}xyzq finds {resource}"
                    except Refused:
                        assert parameter.type in ("date", "number", "quantity")
    assert said > 2000
