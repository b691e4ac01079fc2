"""What a vendor writes is what its profile reads back."""

from __future__ import annotations

import io
import tomllib
from typing import Any

import pytest
import xlsxwriter

from adapters.restjson import adapter as restjson
from adapters.sheet import adapter as sheet
from adapters.sqlview import adapter as sqlview
from adapters.sqlview.join import Node
from adapters.sqlview.lines import Line
from gateway.adapter import Adapter, GroupLayout, Layout
from gateway.builtin import MAPPINGS
from gateway.demo.vendor import Vendor

PROFILES = sorted(
    (path.parts[-3], path.stem, str(tomllib.loads(path.read_text("utf-8"))["adapter"]))
    for path in MAPPINGS.glob("*/*/sources/*.toml")
    if tomllib.loads(path.read_text("utf-8"))["adapter"] in ("sheet", "sqlview", "restjson")
)
ADAPTERS: dict[str, Adapter] = {"sheet": sheet, "sqlview": sqlview, "restjson": restjson}


def group(raw: dict[str, Any]) -> GroupLayout:
    inner = {name: group(g) for name, g in raw.get("groups", {}).items()}
    options = {k: v for k, v in raw.items() if k not in ("each", "fields", "groups", "rows")}
    return GroupLayout(raw.get("each", ""), raw.get("fields", {}), inner, raw.get("rows", ()), options)


def layout(vendor: Vendor) -> Layout:
    profile = vendor.profile
    groups = {name: group(g) for name, g in profile.get("groups", {}).items()}
    key = tuple(k for k in profile["key"] if isinstance(k, str))
    return Layout(vendor.dataset, f"{vendor.dataset}/{vendor.name}", profile["fields"], groups, vendor.options, profile.get("split", {}), key=key)


def sample(vendor: Vendor, raw: dict[str, Any]) -> dict[str, Any]:
    """A record with a distinct value in every field; coded fields hold the first national code that the vendor knows."""
    codes = vendor.profile.get("codes", {})
    found: dict[str, Any] = {}
    for name in raw.get("fields", {}) or (raw["rows"][0] if "rows" in raw else {}):
        found[name] = str(next(iter(codes[name].values()))) if codes.get(name) else f"值{name}"
        if name in vendor.profile.get("units", {}):
            found[name] = "120"
        if name in vendor.profile.get("prefix", {}):
            found[name] = "39012110310100018"
    for name, inner in raw.get("groups", {}).items():
        found[name] = [sample(vendor, inner)]
    return found


def content(vendor: Vendor, adapter: str, fields: dict[str, Any]) -> bytes:
    if adapter == "restjson":
        import json

        return json.dumps(vendor.tree(fields), ensure_ascii=False).encode()
    if adapter == "sqlview":
        by_view = vendor.children(fields)
        groups = {n: str(g["each"]).partition(" on ")[0].strip() for n, g in vendor.profile.get("groups", {}).items() if " on " in g.get("each", "")}
        children = {name: [Node(row, {}) for row in by_view[view]] for name, view in groups.items()}
        return Line(f"{vendor.dataset}/{vendor.name}", vendor.rows(fields), children).encode()
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        page = book.add_worksheet(vendor.options.get("sheet") or "表")
        columns = vendor.columns()
        page.write_row(0, 0, columns)
        for number, row in enumerate(vendor.rows(fields), 1):
            for column, text in row.items():
                page.write_string(number, columns.index(column), text)
    return stream.getvalue()


@pytest.mark.parametrize(("dataset", "name", "kind"), PROFILES)
def test_every_flat_profile_reads_back_what_its_vendor_writes(dataset: str, name: str, kind: str) -> None:
    vendor = Vendor.load(dataset, name)
    fields = sample(vendor, dict(vendor.profile))
    (row,) = ADAPTERS[kind].compile([layout(vendor)])(content(vendor, kind, fields))
    assert [f for f in row.findings if f.severity == "hold"] == []

    def check(found: dict[str, Any], expected: dict[str, Any]) -> None:
        assert set(found) == set(expected)
        for field, value in expected.items():
            if isinstance(value, list):
                for one, other in zip(found[field], value, strict=True):
                    check(one, other)
            else:
                text = vendor.text(field, value)
                assert found[field] == ([text] if field in vendor.profile.get("split", {}) else text)

    check(row.fields, fields)


def test_codes_units_prefixes_and_lists_are_written_the_vendors_way() -> None:
    vendor = Vendor.load("hypertension_followup", "vendor_c_xlsx")
    assert vendor.text("性别", "1") == "男"
    assert vendor.text("体重", "65.5") == "131.0"
    assert vendor.text("症状", ["1", "2"]) == "无症状、头痛头晕"
    assert Vendor.load("resident_profile", "vendor_a_xlsx").text("健康档案编号", "39012110310100018") == "10100018"
